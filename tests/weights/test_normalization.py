"""Mean and std of the input are copied with the first layer."""

import keras
import numpy as np

from tests.weights.making_networks import noise, scrambled, tiny
from vgg_tf import inherit_weights, load_weights
from vgg_tf.weights.normalization import read_statistics, set_statistics


def test_a_network_with_all_weights_of_a_source_gives_the_outputs_of_the_source(tmp_path):
    # Two seconds: a compiled function could keep the old mean. Only compiling before and after the
    # copy shows it.
    options = {"input_shape": (32, 32, 3)}
    source, target = (
        tiny(mean=(90, 100, 110), std=(50, 60, 70), **options),
        tiny(seed=2, l2=0, **options),
    )
    images = noise(2, 32, 32, 3)
    target.compile("sgd", "categorical_crossentropy")
    target.predict(images, verbose=0)  # compiles the old mean
    target.evaluate(images, np.eye(5)[:2], verbose=0)
    report = inherit_weights(source, target, layers="all-matching")
    assert report.notes == (
        "input mean (90, 100, 110), std (50, 60, 70): from the source, before: mean (123.68, "
        "116.779, 103.939), no std",
    )
    expected = source(images).numpy()
    assert expected.std() > 1e-3
    np.testing.assert_allclose(target.predict(images, verbose=0), expected, rtol=1e-5)
    np.testing.assert_array_equal(target(images), expected)
    loss = -np.log(expected[[0, 1], [0, 1]]).mean()
    np.testing.assert_allclose(target.evaluate(images, np.eye(5)[:2], verbose=0), loss, rtol=1e-5)
    target.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "m.keras")(images), expected)


def test_without_the_first_layer_the_mean_is_unchanged():
    target = tiny()
    assert (
        inherit_weights(scrambled(mean=(1, 2, 3)), target, layers=["fc1", "block2_conv1"]).notes
        == ()
    )
    assert read_statistics(target) == ((123.68, 116.779, 103.939), None)


def test_the_report_also_has_a_mean_and_std_that_are_unchanged():
    report = inherit_weights(scrambled(std=(50, 60, 70)), tiny(std=(50, 60, 70)))
    assert report.notes == (
        "input mean (123.68, 116.779, 103.939), std (50, 60, 70): from the source",
    )


def test_reading_the_statistics_returns_what_was_set():
    model = tiny()
    set_statistics(model, (1.5, 2.5, 3.5), (4, 5, 6))
    assert read_statistics(model) == ((1.5, 2.5, 3.5), (4, 5, 6))
    inside = keras.Model(model.input, model.get_layer("normalize").output)
    np.testing.assert_allclose(
        inside(np.full((1, 64, 64, 3), 7.5))[0, 0, 0], [6 / 4, 5 / 5, 4 / 6], rtol=1e-6
    )
    set_statistics(model, (1.5, 2.5, 3.5), None)
    assert read_statistics(model) == ((1.5, 2.5, 3.5), None)


def test_the_mean_of_gray_images_is_the_average_of_the_three_means():
    gray = tiny(input_shape=(64, 64, 1))
    load_weights(gray, scrambled(mean=(90, 100, 140)))
    assert read_statistics(gray) == ((110,), None)
