"""The digest and the comparison of a network find differences; exports are float32."""

import keras
import numpy as np
import pytest

from tests.formats.making_networks import network_of, pixels
from vgg_tf.evaluation import checkpoint
from vgg_tf.formats import source_network

pytestmark = pytest.mark.usefixtures("table")


def test_a_digest_depends_on_every_number_but_not_on_order_or_the_sign_of_zero():
    random = np.random.default_rng(0)
    array = np.where(random.random((50, 40)) < 0.5, np.float32(0.0), np.float32(-0.0))
    array[:10] = random.normal(size=(10, 40))
    turned = random.permutation(array.ravel()).reshape(40, 50)
    assert source_network.compute_digest([turned, array[0]]) == source_network.compute_digest(
        [array[0], array]
    )
    turned[3, 4] += 1e-3
    assert source_network.compute_digest([turned, array[0]]) != source_network.compute_digest(
        [array[0], array]
    )


def test_the_comparison_finds_likely_mistakes(tmp_path):
    network = network_of(tmp_path)
    some = pixels(32, 32)

    def ours(batch):
        return network.model.predict_on_batch(np.float32(batch))

    assert source_network.compare(network, ours, some)["log_posterior"] < 1e-5
    for mistake in (
        lambda x: x[..., ::-1],
        lambda x: x / 255,
        lambda x: x[:, :, ::-1],
        lambda x: np.maximum(x, 5) - 5,
    ):
        assert (
            source_network.compare(network, lambda x, mistake=mistake: ours(mistake(x)), some)[
                "log_posterior"
            ]
            > 0.01
        )


def test_a_network_in_bfloat16_is_exported_in_float32(file):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = source_network.prepare_network(checkpoint.open_checkpoint(file))
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in network.model.layers} == {"float32"}
