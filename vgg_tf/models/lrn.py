"""Local response normalization, of the architecture A-LRN."""

import keras


@keras.saving.register_keras_serializable(package="vgg_tf")
class LocalResponseNormalization(keras.layers.Layer):
    """AlexNet's normalisation across channels: `x / (k + alpha * sum of squares over n channels) **
    beta`.

    The sum is multiplied by alpha as AlexNet's formula has it, as in `tf.nn.lrn`; Caffe, PyTorch
    and ONNX divide alpha by n, so their alpha is 5e-4 for the same layer. Any shape with channels
    last; the shape is kept.
    """

    def __init__(self, k=2.0, n=5, alpha=1e-4, beta=0.75, **kwargs):
        super().__init__(**kwargs)
        self.k, self.n, self.alpha, self.beta = k, n, alpha, beta

    def call(self, x):
        """Normalise `x`, `[..., channels]`."""
        # float32 under every policy: the square of 256 is beyond float16.
        dtype, x = x.dtype, keras.ops.cast(x, "float32")
        channels, side = x.shape[-1], self.n // 2
        squares = keras.ops.pad(keras.ops.square(x), [(0, 0)] * (len(x.shape) - 1) + [(side, side)])
        total = sum(squares[..., i : i + channels] for i in range(self.n))
        return keras.ops.cast(x / keras.ops.power(self.k + self.alpha * total, self.beta), dtype)

    def get_config(self):
        """Arguments to build the layer again."""
        return {
            **super().get_config(),
            "k": self.k,
            "n": self.n,
            "alpha": self.alpha,
            "beta": self.beta,
        }
