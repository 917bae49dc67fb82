"""The moments of batch normalization, estimated again for averaged weights.

The moving moments of a training belong to its last weights. Averaged weights give other maps, whose
moments a pass over a few training batches estimates, as in stochastic weight averaging (Izmailov et
al. 2018, section 3.2).
"""

import keras

ENOUGH = 4096  # images; each gives a channel at least the four values of a 2 x 2 map


class Still(keras.optimizers.SGD):
    """An optimizer that changes no weight."""

    def update_step(self, gradient, variable, learning_rate):
        """Leave the variable as it is."""


def find_moving(model):
    """Return the layers of batch normalization whose moments a training changes, a list."""
    return [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]


def make_estimator(model, scores):
    """Make a function that estimates the moments of batch normalization from batches.

    It uses Keras' training step with an optimizer that changes nothing. So it works on each engine
    and on several devices, and is compiled once for all epochs.

    Args:
        model: the network with the `BatchNormalization` layers.
        scores: the network of logits with the same variables, up to its logits.

    Returns:
        A function of a `tf.data.Dataset` of training batches `(images, labels)`, all of which it
        uses. It sets the moments to their mean over the batches. In this mean a batch has the
        weight `momentum` times that of the next one, as in Keras' own moving moments. The function
        is None where no layer has moving moments.
    """
    layers = find_moving(model)
    if not layers:
        return None
    step = keras.Model(scores.input, scores.output)
    step.compile(
        Still(0.0),
        lambda labels, logits: 0.0 * keras.ops.mean(logits, axis=-1),
        jit_compile=keras.config.backend() == "jax",
    )
    moments = [v for layer in layers for v in (layer.moving_mean, layer.moving_variance)]

    def estimate(batches):
        for moment in moments:
            moment.assign(keras.ops.zeros(moment.shape))
        step.fit(batches, epochs=1, verbose=0, shuffle=False)
        for layer in layers:
            # From zero, the weights of n batches add up to 1 - momentum^n.
            total = 1 - layer.momentum ** len(batches)
            for moment in (layer.moving_mean, layer.moving_variance):
                moment.assign(moment.numpy() / total)

    return estimate
