"""Local response normalization, for the architecture A-LRN."""

import keras


@keras.saving.register_keras_serializable(package="vgg_tf")
class LocalResponseNormalization(keras.layers.Layer):
    """AlexNet's local response normalization across channels.

    The output is `x / (k + alpha * s) ** beta`, where s is the sum of squares over n neighboring
    channels. This is AlexNet's formula, as in `tf.nn.lrn`. Caffe, PyTorch and ONNX divide alpha by
    n, so the same layer has an alpha of 5e-4 there. Inputs can have any shape with channels last.

    Args:
        k: Constant under the power.
        n: Number of neighboring channels in the sum, odd.
        alpha: Factor of the sum.
        beta: Exponent.
        **kwargs: Keywords of `keras.layers.Layer`, such as `name`.
    """

    def __init__(self, k=2.0, n=5, alpha=1e-4, beta=0.75, **kwargs):
        super().__init__(**kwargs)
        self.k, self.n, self.alpha, self.beta = k, n, alpha, beta

    def call(self, x):
        """Return `x`, `[..., channels]`, normalized."""
        # float32 under every dtype policy, because the square of 256 overflows float16.
        dtype, x = x.dtype, keras.ops.cast(x, "float32")
        channels, side = x.shape[-1], self.n // 2
        squares = keras.ops.pad(keras.ops.square(x), [(0, 0)] * (len(x.shape) - 1) + [(side, side)])
        total = sum(squares[..., i : i + channels] for i in range(self.n))
        return keras.ops.cast(x / keras.ops.power(self.k + self.alpha * total, self.beta), dtype)

    def get_config(self):
        """Return the arguments from which Keras builds the layer again."""
        return {
            **super().get_config(),
            "k": self.k,
            "n": self.n,
            "alpha": self.alpha,
            "beta": self.beta,
        }
