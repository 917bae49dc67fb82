"""Optimizers: SGD in one fused operation on the CPU, and Muon.

Muon: SGD, whose steps of a convolution's kernel have all singular values near one: short trainings
learn more from them.

Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks", with the constants of
their CIFAR-10 speedrun, which holds the kernels' norms; here they learn. Keras' own Muon takes
matrices alone, and Adam for the kernels of convolutions.
"""

import keras
import tensorflow as tf

from vgg_tf.models.cpu_layers import is_on_cpu


class SGD(keras.optimizers.SGD):
    """Keras' SGD, whose step with momentum goes over weights, velocities and gradients once
    where TensorFlow runs on a CPU.
    """

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


# Of degree 1, 3, 5: takes singular values from 0..1 to about 1, fast.
POLYNOMIAL = 3.4445, -4.7750, 2.0315
ITERATIONS = 3
MOMENTUM = 0.6  # Nesterov's form
TINY = 1e-7  # keeps what is all zeros from 0 / 0


class Muon(SGD):
    """SGD with momentum, but for the kernels of convolutions: Muon turns them, and SGD moves their
    norm.

    Such a kernel, as a matrix `[side * side * channels, filters]`, is brought to the norm
    sqrt(filters), that of filters of length 1, and `share` times the learning rate times a matrix
    whose singular values are about 1 is taken off. Then it gets its old norm, times exp(-r): SGD's
    own step along the kernel, without momentum, shortens it by a share of r, to first order. Under
    batch normalisation r is 0.

    Args:
        learning_rate: of all other variables; a number or a schedule.
        share: what it is multiplied by for kernels of convolutions.
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
    """Tell whether it is the kernel of a convolution."""
    return len(variable.shape) == 4


def remove_decay(model):
    """Take the weight decay off the kernels that Muon will move: the loss' gradient alone moves
    their norm.

    Raises:
        ValueError: it would move none.
    """
    moved = [
        layer
        for layer in model.layers
        if layer.trainable and hasattr(layer, "kernel") and is_moved_by_muon(layer.kernel)
    ]
    if not moved:
        raise ValueError(
            f"No convolution of {model.name} learns: --muon would move nothing. Give --muon 0, "
            "or freeze less."
        )
    for layer in moved:
        layer.kernel_regularizer = layer.kernel.regularizer = None


def orthogonalize(matrix):
    """A matrix with the same singular vectors whose singular values are about 1, by Newton and
    Schulz' iteration.

    Args:
        matrix: float32 `[m, n]`.

    Returns:
        Float32 `[m, n]`, computed in the dtype of the precision policy. Singular values far below
        the matrix' norm stay small.
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
