"""Convert the head of a network to convolutions (section 3.2), and back."""

import keras

from vgg_tf.weights.inheritance import load_weights


def convert_head(model, dense=True):
    """The same network with its head as convolutions (section 3.2), or back as fully connected
    layers.

    `score(i, j)` of the dense form is what the fully connected form makes of rows i to i + 6 and
    columns j to j + 6 of the last map (for crops of 224 pixels), so it may be run on whole images.

    Args:
        model: a network of `build_vgg` with its head.
        dense: True for convolutions, which give a map of class scores without a softmax; False for
            the form that takes crops of one size and gives posteriors.

    Returns:
        A new `keras.Model` with copies of the weights; layers and names are those of `build_vgg`.

    Raises:
        ValueError: the network has no head, or is not of `build_vgg`.
    """
    names = [layer.name for layer in model.layers]
    if not {"fc1", "normalize"} <= set(names):
        raise ValueError(
            f"{model.name} is no network with a head by build_vgg, which alone can be converted."
        )
    last_pool = names.index("block5_pool")
    fc1 = model.get_layer("fc1")
    h, w = (
        fc1.kernel_size
        if isinstance(fc1, keras.layers.Conv2D)
        else model.get_layer("flatten").input.shape[1:3]
    )
    channels = model.input.shape[-1]
    inputs = keras.Input(
        (None, None, channels) if dense else (32 * h, 32 * w, channels),
        dtype="float32",
        name="image",
    )

    def again(layer):
        return layer.__class__.from_config(layer.get_config())

    x = inputs
    for layer in model.layers[1 : last_pool + 1]:
        x = again(layer)(x)
    x = x if dense else keras.layers.Flatten(name="flatten", dtype=fc1.dtype_policy)(x)
    for layer in model.layers[last_pool + 1 :]:
        if hasattr(layer, "kernel"):
            config = layer.get_config()
            kept = (
                "name",
                "activation",
                "kernel_initializer",
                "kernel_regularizer",
                "trainable",
                "dtype",
            )
            shared = {key: config[key] for key in kept}
            side = (h, w) if layer.name == "fc1" else 1
            units = layer.kernel.shape[-1]
            x = (
                keras.layers.Conv2D(units, side, **shared)
                if dense
                else keras.layers.Dense(units, **shared)
            )(x)
        elif isinstance(layer, keras.layers.Dropout):
            x = again(layer)(x)
    if not dense:
        x = keras.layers.Softmax(dtype="float32", name="softmax")(x)
    converted = keras.Model(inputs, x, name=model.name)
    load_weights(converted, model, say=None)
    return converted
