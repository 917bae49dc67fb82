"""A network computes in its precision, and the precision before it is restored."""

import contextlib

import keras
import numpy as np

import vgg_tf
from tests.global_state.making_calls import BFLOAT16, picture, tiny
from vgg_tf.evaluation import checkpoint, posteriors
from vgg_tf.evaluation.image_reader import ImageReader
from vgg_tf.records.splits import Split
from vgg_tf.runtime import devices


def test_a_scope_sets_the_precision_and_restores_it_even_after_an_error():
    with BFLOAT16.scope():
        assert tiny().get_layer("fc1").compute_dtype == "bfloat16"
        with contextlib.suppress(KeyError), devices.choose("cpu", "float32").scope():
            assert keras.config.dtype_policy().name == "float32"
            raise KeyError
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert tiny().get_layer("fc1").compute_dtype == "float32"


def test_the_caller_of_a_generator_of_rows_is_not_in_the_scope(place, uncompiled):
    split = Split(
        ["1", "2"],
        np.zeros(2, np.int64),
        [str(place / "pictures/red/1.png"), str(place / "pictures/red/3.png")],
    )
    rows = posteriors.compute_rows(
        checkpoint.open_checkpoint("a.safetensors"),
        ImageReader(split, 32),
        [0, 1],
        [(32, "center")],
        BFLOAT16,
        1,
    )
    next(rows)
    assert keras.config.dtype_policy().name == "float32"  # although the iteration has not ended


def test_a_run_computes_in_the_precision_of_its_training_on_all_devices(place, uncompiled):
    model = checkpoint.open_checkpoint("run").load()
    assert model.get_layer("fc1").compute_dtype == "bfloat16"
    vgg_tf.write_weights(model, "b.safetensors", classes=("blue", "red"))
    views = [[np.stack([picture(i)[:32, :32]])] for i in range(3)]

    def found(path, policy):
        at = devices.choose("cpu", policy)
        seen = posteriors.make_evaluator(checkpoint.open_checkpoint(path), [(32, "center")], at)
        with at.scope():
            return np.stack([row for _, row in sorted(seen.see(enumerate(views)))])

    np.testing.assert_array_equal(found("run", "float32"), found("run", "mixed_bfloat16"))
    assert (found("b.safetensors", "float32") != found("b.safetensors", "mixed_bfloat16")).any()


def test_a_converted_head_computes_in_the_precision_of_its_network():
    model, pixels = tiny(classes=3), np.stack([picture(i)[:32, :32] for i in range(4)])
    with BFLOAT16.scope():
        again = vgg_tf.convert_head(vgg_tf.convert_head(model), dense=False)
    assert {layer.compute_dtype for layer in again.layers[1:]} == {"float32"}
    np.testing.assert_allclose(
        again.predict_on_batch(pixels), model.predict_on_batch(pixels), rtol=1e-5
    )
