"""Local response normalization follows AlexNet's formula, and A-LRN has one such layer."""

import numpy as np
import tensorflow as tf

from tests.models.making_networks import noise, tiny
from vgg_tf.models.lrn import LocalResponseNormalization


def test_lrn_equals_the_formula_of_alexnet():
    x = noise(2, 3, 3, 8)
    expected = np.empty_like(x)
    for i in range(8):
        total = (x[..., max(0, i - 2) : i + 3].astype(np.float64) ** 2).sum(-1)
        expected[..., i] = x[..., i] / (2 + 1e-4 * total) ** 0.75
    np.testing.assert_allclose(LocalResponseNormalization()(x), expected, rtol=1e-5)


def test_lrn_equals_tensorflow_lrn():
    x = noise(2, 3, 3, 8)
    expected = tf.nn.lrn(x, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)
    np.testing.assert_allclose(LocalResponseNormalization()(x), expected, rtol=1e-4)


def test_lrn_in_half_precision_does_not_overflow():
    # The square of 300 overflows float16, which has 11 bits of precision.
    x = np.full((1, 1, 1, 8), 300, np.float16)
    result = LocalResponseNormalization(dtype="float16")(x)
    assert result.dtype == "float16"
    np.testing.assert_allclose(
        result, LocalResponseNormalization()(x.astype(np.float32)), rtol=2e-3
    )


def test_a_lrn_has_one_lrn_layer_after_the_first_convolution():
    names = [layer.name for layer in tiny("vgg11_lrn").layers]
    assert [name for name in names if "lrn" in name] == ["block1_lrn"]
    assert names.index("block1_lrn") == names.index("block1_conv1") + 1
