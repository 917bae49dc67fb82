"""Optimizers: SGD in one fused operation on the CPU, and Muon.

Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks") moves
convolution kernels by steps whose singular values are all near one. The constants are those of its
authors' CIFAR-10 speedrun, which keeps the norms of the kernels. Here the norms are trained. Keras'
own Muon takes only matrices, and uses Adam for convolution kernels.
"""

import keras
import tensorflow as tf

from vgg_tf.models.cpu_layers import is_on_cpu
from vgg_tf.runtime.engines import is_shared_by_tensorflow


class SGD(keras.optimizers.SGD):
    """Keras' SGD, with one fused operation per update where TensorFlow runs on a CPU.

    With accumulation, the averages of the weights move once per update, while Keras moves them at
    each part of a batch. On several devices of TensorFlow, `global_clipnorm` limits the norm of the
    sum of their gradients, while Keras limits that of each device's part.
    """

    def _update_model_variables_moving_average(self, trainable_variables):
        parts = self.gradient_accumulation_steps or 1
        first = keras.ops.equal(self.iterations, 0)
        ended = keras.ops.equal((self._iterations + 1) % parts, 0)
        momentum = keras.ops.where(ended, keras.ops.where(first, 0.0, self.ema_momentum), 1.0)
        for variable, average in zip(
            trainable_variables, self._model_variables_moving_average, strict=True
        ):
            average.assign(momentum * average + (1 - momentum) * variable)

    def _clip_gradients(self, grads):
        if not self.global_clipnorm or not is_shared_by_tensorflow():
            return super()._clip_gradients(grads)
        whole = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, grads)
        norm = keras.ops.sqrt(sum(keras.ops.sum(keras.ops.square(part)) for part in whole))
        return [
            part * (self.global_clipnorm / keras.ops.maximum(norm, self.global_clipnorm))
            for part in grads
        ]

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable and its velocity."""
        if not self.momentum or not is_on_cpu():
            return super().update_step(gradient, variable, learning_rate)
        velocity = self.momentums[self._get_variable_index(variable)]
        weights = variable.value if isinstance(variable, keras.Variable) else variable
        return tf.raw_ops.ResourceApplyKerasMomentum(
            var=weights.handle,
            accum=velocity.value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


# Coefficients of degree 1, 3 and 5. It takes singular values of 0..1 to about 1 in few steps.
POLYNOMIAL = 3.4445, -4.7750, 2.0315
ITERATIONS = 3
MOMENTUM = 0.6  # Nesterov's form
TINY = 1e-7  # prevents 0 / 0 for a kernel or gradient of zeros


class Muon(SGD):
    """SGD with momentum, in which Muon rotates convolution kernels and SGD changes their norm.

    The update of a kernel, as a matrix `[side * side * channels, filters]`, has three steps:

    1. Scale it to the norm sqrt(filters), which is the norm of filters of length 1.
    2. Subtract `share` times the learning rate times a matrix with singular values near 1.
    3. Scale it to its old norm times exp(-r). To first order, a step of SGD along the kernel,
       without momentum, shortens it by the fraction r. Under batch normalization r is 0.

    Args:
        learning_rate: learning rate of all other variables; a number or a schedule.
        share: factor of the learning rate for convolution kernels.
        options: further arguments of `keras.optimizers.SGD`; `momentum` above 0.
    """

    def __init__(self, learning_rate, share, **options):
        super().__init__(learning_rate, **options)
        self.share = share

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable and its velocity."""
        if not is_moved_by_muon(variable):
            return super().update_step(gradient, variable, learning_rate)
        velocity = self.momentums[self._get_variable_index(variable)]
        filters = variable.shape[-1]
        kernel, speed, gradient = (
            keras.ops.reshape(keras.ops.cast(v, "float32"), (-1, filters))
            for v in (variable, velocity, gradient)
        )
        speed = MOMENTUM * speed + gradient
        rate = keras.ops.cast(learning_rate, "float32")
        norm = keras.ops.maximum(keras.ops.norm(kernel), TINY)
        shorter = keras.ops.clip(rate * keras.ops.sum(gradient * kernel) / norm**2, -1, 1)
        kernel = kernel * (filters**0.5 / norm) - rate * self.share * orthogonalize(
            gradient + MOMENTUM * speed
        )
        kernel = kernel * (norm * keras.ops.exp(-shorter) / (keras.ops.norm(kernel) + TINY))
        for old, new in ((velocity, speed), (variable, kernel)):
            self.assign(old, keras.ops.reshape(new, old.shape))


def is_moved_by_muon(variable):
    """Return whether a variable is a convolution kernel."""
    return len(variable.shape) == 4


def remove_decay(model):
    """Remove the weight decay of the kernels that Muon updates.

    Only the gradient of the loss changes their norm.

    Args:
        model: the network.

    Raises:
        ValueError: no convolution is trainable.
    """
    moved = [
        layer
        for layer in model.layers
        if layer.trainable and hasattr(layer, "kernel") and is_moved_by_muon(layer.kernel)
    ]
    if not moved:
        raise ValueError(
            f"--muon needs a trainable convolution. Received: none in {model.name}. Use --muon 0, "
            "or freeze fewer layers."
        )
    for layer in moved:
        layer.kernel_regularizer = layer.kernel.regularizer = None


def orthogonalize(matrix):
    """Return a matrix with the same singular vectors and singular values near 1 (Newton-Schulz).

    Args:
        matrix: float32 `[m, n]`.

    Returns:
        float32 `[m, n]`, computed in the dtype of the precision policy. Singular values far below
        the norm of the matrix stay small.
    """
    if matrix.shape[0] < matrix.shape[1]:
        return keras.ops.transpose(orthogonalize(keras.ops.transpose(matrix)))
    a, b, c = POLYNOMIAL
    x = keras.ops.cast(
        matrix / (keras.ops.norm(matrix) + TINY), keras.config.dtype_policy().compute_dtype
    )
    for _ in range(ITERATIONS):
        gram = keras.ops.transpose(x) @ x
        x = a * x + x @ (b * gram + c * gram @ gram)
    return keras.ops.cast(x, "float32")
