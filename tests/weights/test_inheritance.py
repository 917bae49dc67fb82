"""Weights go from network to network by the names of layers, and what did not go is said."""

import functools

import keras
import numpy as np
import pytest

from vgg_tf import (
    build_vgg,
    convert_head,
    inherit_weights,
    load_weights,
    read_weights,
    write_weights,
)
from vgg_tf.paper.architectures import ARCHITECTURES
from vgg_tf.weights.inheritance import adapt_channels, freeze, set_statistics, statistics

# Section 3.1: "we initialised the first four convolutional layers and the last three
# fully-connected layers with the layers of net A". A's convolutions in order are the first of its
# stages 1 and 2 and the two of stage 3.
PAPER = [
    "block1_conv1",
    "block2_conv1",
    "block3_conv1",
    "block3_conv2",
    "fc1",
    "fc2",
    "predictions",
]


def tiny(arch="vgg11", **options):
    known = {"input_shape": (64, 64, 3), "classes": 5, "width": 1 / 16, "head_width": 16, "seed": 1}
    return build_vgg(arch, **known | options)


@functools.cache
def scrambled(arch="vgg11", **options):
    """A network whose every weight, biases and moments too, is another number. One for all tests:
    it is only read.
    """
    model = tiny(arch, **options)
    rng = np.random.default_rng(options.get("seed", 5))
    model.set_weights(
        [rng.uniform(0.01, 0.1, w.shape).astype(np.float32) for w in model.get_weights()]
    )
    return model


def arrays_of(model):
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, shape).astype(np.float32)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_paper_copies_seven_layers_of_a_into_any_net_and_leaves_the_others(arch):
    source, target = scrambled(), tiny(arch, seed=2)
    before = arrays_of(target)
    report = inherit_weights(source, target)
    after = arrays_of(target)
    assert list(report.copied) == PAPER
    for name, arrays in after.items():
        assert same(arrays, arrays_of(source)[name] if name in PAPER else before[name]), name
    # Every layer of the target is told of once.
    told = [*report.copied, *report.random, *report.skipped]
    assert sorted(told) == sorted(after)
    norms = (
        {"block1_bn1", "block2_bn1", "block3_bn1", "block3_bn2"} if arch.endswith("_bn") else set()
    )
    assert report.skipped == dict.fromkeys(sorted(norms), "not in the source")


@pytest.mark.parametrize(("source", "target"), [("vgg19_bn", "vgg11_bn"), ("vgg11_bn", "vgg16_bn")])
def test_batch_normalisation_goes_with_its_convolution_moments_and_all(source, target):
    source, target = scrambled(source), tiny(target)
    report = inherit_weights(source, target, layers=["block1_conv1", "block3_conv2"])
    assert list(report.copied) == ["block1_conv1", "block1_bn1", "block3_conv2", "block3_bn2"]
    for name in report.copied:
        assert same(target.get_layer(name).get_weights(), source.get_layer(name).get_weights())


def test_what_the_source_alone_has_is_told():
    report = inherit_weights(scrambled("vgg13_bn"), tiny("vgg11"), say=None)
    assert list(report.copied) == PAPER
    assert report.notes[0] == (
        "in the source alone: block1_bn1, block1_bn2, block1_conv2, block2_bn1, block2_bn2, "
        "block2_conv2, " + ", ".join(f"block{i}_bn{j}" for i in (3, 4, 5) for j in (1, 2))
    )
    assert (
        inherit_weights(scrambled("vgg11_lrn"), tiny("vgg11"), say=None).notes[0]
        == "in the source alone: block1_lrn"
    )


@pytest.mark.parametrize(
    "form", ["model", "run folder", "a.keras", "a.weights.h5", "a.safetensors"]
)
def test_a_network_may_lie_in_memory_in_a_run_folder_or_in_any_file(form, tmp_path):
    source, target = (
        scrambled("vgg11_bn", mean=(90.0, 100.0, 110.0), std=(50.0, 60.0, 70.0)),
        tiny("vgg13_bn"),
    )
    place = source if form == "model" else tmp_path if form == "run folder" else tmp_path / form
    if form.startswith("a.s") or form.startswith("a.w"):
        write_weights(source, place)
    elif form != "model":
        source.save(tmp_path / ("model.keras" if form == "run folder" else form))
    report = inherit_weights(place, target)
    assert len(report.copied) == 11
    for name in report.copied:
        assert same(target.get_layer(name).get_weights(), source.get_layer(name).get_weights()), (
            name
        )
    mean, std = statistics(target)
    np.testing.assert_allclose([mean, std], [(90, 100, 110), (50, 60, 70)])
    assert str(source.name if form == "model" else place) in str(report)


def test_the_report_is_printed_with_copied_random_and_skipped_layers(capsys):
    report = inherit_weights(scrambled(classes=7), tiny("vgg13"))
    assert capsys.readouterr().out.splitlines() == [
        "weights from the network vgg11 (a Keras model): 6 layers copied, 7 left as they were",
        "  copied   block1_conv1, block2_conv1, block3_conv1, block3_conv2, fc1, fc2",
        "  left     block1_conv2, block2_conv2, block4_conv1, block4_conv2, block5_conv1, "
        "block5_conv2",
        "  skipped  predictions: 7 classes there (16, 7), 5 here (16, 5)",
        "  note     mean (123.68, 116.779, 103.939) and no std of the source",
    ]
    assert report.copied == dict.fromkeys(PAPER[:-1], "")
    inherit_weights(scrambled(), tiny("vgg13"), say=None)
    assert capsys.readouterr().out == ""


def test_other_shapes_are_skipped_and_both_are_told():
    target = tiny(width=1 / 8)
    before = arrays_of(target)
    report = inherit_weights(scrambled(), target, layers="all-matching")
    assert list(report.copied) == ["fc2", "predictions"]
    assert report.skipped["block1_conv1"] == "(3, 3, 3, 4) there, (3, 3, 3, 8) here"
    assert report.skipped["fc1"] == "(128, 16) there, (256, 16) here"
    assert all(same(target.get_layer(name).get_weights(), before[name]) for name in report.skipped)


def test_a_head_on_a_map_of_other_sides_but_as_many_positions_is_skipped():
    report = inherit_weights(scrambled(input_shape=(32, 128, 3)), tiny(), layers="all-matching")
    assert report.skipped == {"fc1": "a map of 1x4 there, of 2x2 here"}


def test_as_many_classes_of_other_names_are_other_classes(tmp_path):
    write_weights(scrambled(), tmp_path / "a.weights.h5", classes="abcde")
    report = inherit_weights(tmp_path / "a.weights.h5", tiny(), classes=["a", "b", "c", "d", "f"])
    assert report.skipped == {"predictions": "other classes there, as many as here"}
    assert (
        "predictions"
        in inherit_weights(tmp_path / "a.weights.h5", tiny(), classes=list("abcde")).copied
    )


def test_all_that_matches_between_c_and_d_is_all_but_the_1x1_convolutions():
    report = inherit_weights(scrambled("vgg16"), tiny("vgg16c"), layers="all-matching")
    assert list(report.skipped) == ["block3_conv3", "block4_conv3", "block5_conv3"]
    assert report.skipped["block3_conv3"] == "(3, 3, 16, 16) there, (1, 1, 16, 16) here"
    assert len(report.copied) == 13


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            ["block6_conv1"],
            r"No layers block6_conv1 to copy into. The network has block1_conv1, .*predictions",
        ),
        ("fc1", r"layers is 'paper', 'all-matching' or a list of names. Received: 'fc1'"),
        ([], "No layer could be copied"),
    ],
)
def test_layers_that_are_none_are_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        inherit_weights(scrambled(), tiny(), layers=layers)


def test_a_transfer_that_copies_nothing_is_an_error_that_tells_why():
    target = tiny(width=1 / 8)
    before = arrays_of(target)
    with pytest.raises(
        ValueError, match=r"No layer could be copied(.|\n)*fc1: \(128, 16\) there, \(256, 16\) here"
    ):
        inherit_weights(scrambled(mean=(1, 2, 3)), target, layers=["block1_conv1", "fc1"])
    assert all(same(arrays, before[name]) for name, arrays in arrays_of(target).items())
    assert statistics(target) == ((123.68, 116.779, 103.939), None)


# --- The mean and std of the input ---


def test_the_sources_mean_and_std_are_taken_and_said_and_the_answers_are_the_sources(tmp_path):
    # Two seconds: that no compiled function keeps the old mean shows only where each is compiled
    # before and after.
    options = {"input_shape": (32, 32, 3)}
    source, target = (
        tiny(mean=(90, 100, 110), std=(50, 60, 70), **options),
        tiny(seed=2, l2=0, **options),
    )
    images = noise(2, 32, 32, 3)
    target.compile("sgd", "categorical_crossentropy")
    target.predict(images, verbose=0)  # which compiles the old mean
    target.evaluate(images, np.eye(5)[:2], verbose=0)
    report = inherit_weights(source, target, layers="all-matching")
    assert report.notes == (
        "mean (90, 100, 110) and std (50, 60, 70) of the source taken, mean (123.68, 116.779, "
        "103.939) and no std before",
    )
    expected = source(images).numpy()
    assert expected.std() > 1e-3
    np.testing.assert_allclose(target.predict(images, verbose=0), expected, rtol=1e-5)
    np.testing.assert_array_equal(target(images), expected)
    loss = -np.log(expected[[0, 1], [0, 1]]).mean()
    np.testing.assert_allclose(target.evaluate(images, np.eye(5)[:2], verbose=0), loss, rtol=1e-5)
    target.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "m.keras")(images), expected)


def test_without_the_first_layer_the_mean_stays():
    target = tiny()
    assert (
        inherit_weights(scrambled(mean=(1, 2, 3)), target, layers=["fc1", "block2_conv1"]).notes
        == ()
    )
    assert statistics(target) == ((123.68, 116.779, 103.939), None)


def test_the_mean_and_std_that_stay_are_told_too():
    report = inherit_weights(scrambled(std=(50, 60, 70)), tiny(std=(50, 60, 70)))
    assert report.notes == ("mean (123.68, 116.779, 103.939) and std (50, 60, 70) of the source",)


def test_statistics_are_told_as_they_were_set():
    model = tiny()
    set_statistics(model, (1.5, 2.5, 3.5), (4, 5, 6))
    assert statistics(model) == ((1.5, 2.5, 3.5), (4, 5, 6))
    inside = keras.Model(model.input, model.get_layer("normalize").output)
    np.testing.assert_allclose(
        inside(np.full((1, 64, 64, 3), 7.5))[0, 0, 0], [6 / 4, 5 / 5, 4 / 6], rtol=1e-6
    )
    set_statistics(model, (1.5, 2.5, 3.5), None)
    assert statistics(model) == ((1.5, 2.5, 3.5), None)


# --- All or nothing ---


def test_all_weights_of_the_same_network_come_over():
    source, target = scrambled("vgg11_bn"), tiny("vgg11_bn")
    report = load_weights(target, source)
    assert list(report.copied) == list(arrays_of(target))
    assert same(target.get_weights(), source.get_weights())


def test_a_head_of_convolutions_comes_over_into_one_of_matrices():
    source, target = scrambled(), tiny(seed=2)
    report = load_weights(target, convert_head(source))
    assert all(
        same(a.flat, b.flat)
        for a, b in zip(source.get_weights(), target.get_weights(), strict=True)
    )
    assert report.copied["fc1"].startswith("kernel (2, 2, 32, 16) as (128, 16)")


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (
            {"arch": "vgg11"},
            {"arch": "vgg13"},
            "block1_conv2: not in the source; block2_conv2: not in the source",
        ),
        (
            {"arch": "vgg13"},
            {"arch": "vgg11"},
            "block1_conv2 is not in vgg11; block2_conv2 is not in vgg11",
        ),
        ({"arch": "vgg19"}, {"arch": "vgg11"}, "block3_conv3 is not in vgg11 and 5 more"),
        (
            {"arch": "vgg16"},
            {"arch": "vgg16c"},
            r"block3_conv3: \(3, 3, 16, 16\) there, \(1, 1, 16, 16\) here",
        ),
        ({"arch": "vgg11_bn"}, {"arch": "vgg11"}, "block1_bn1 is not in vgg11"),
        ({"arch": "vgg11"}, {"arch": "vgg11_bn"}, "block1_bn1: not in the source"),
        # The same layers with weights; only the normalisation between them differs.
        ({"arch": "vgg11_lrn"}, {"arch": "vgg11"}, "block1_lrn is not in vgg11"),
        ({"arch": "vgg11"}, {"arch": "vgg11_lrn"}, "block1_lrn: not in the source"),
        ({"classes": 7}, {}, r"predictions: 7 classes there \(16, 7\), 5 here \(16, 5\)"),
        ({"input_shape": (96, 96, 3)}, {}, r"fc1: \(288, 16\) there, \(128, 16\) here"),
        (
            {"input_shape": (32, 128, 3)},
            {},
            "fc1: a map of 1x4 there, of 2x2 here",
        ),  # of as many positions
        ({"include_top": False}, {}, "fc1: not in the source"),
        (
            {"input_shape": (64, 64, 1)},
            {},
            r"block1_conv1: \(3, 3, 1, 4\) there, \(3, 3, 3, 4\) here",
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["model", "a.weights.h5", "a.safetensors"])
def test_another_network_is_refused_and_nothing_is_changed(source, target, message, form, tmp_path):
    source, target = scrambled(**source), scrambled(**target, seed=2)  # which stays as it is, too
    if form != "model":
        write_weights(source, tmp_path / form)
    before = target.get_weights()
    with pytest.raises(ValueError, match=message):
        load_weights(target, source if form == "model" else tmp_path / form)
    assert same(target.get_weights(), before)


def test_a_new_head_may_be_asked_for_but_no_new_trunk():
    target = tiny(classes=3)
    before = arrays_of(target)
    report = load_weights(target, scrambled(), new_head=True)
    assert report.skipped == {"predictions": "5 classes there (16, 5), 3 here (16, 3)"}
    assert same(target.get_layer("predictions").get_weights(), before["predictions"])
    report = load_weights(target, scrambled(include_top=False), new_head=True)
    assert list(report.skipped) == ["fc1", "fc2", "predictions"]
    for other in ({"width": 1 / 8}, {"head_width": 8}, {"input_shape": (96, 96, 3)}):
        with pytest.raises(
            ValueError, match=r"is not for this vgg11: (block1_conv1|fc1): \(.* there, \(.* here"
        ):
            load_weights(target, scrambled(**other), new_head=True)


def test_a_network_without_head_says_that_it_does_not_use_that_of_the_source():
    target = tiny(include_top=False)
    source = scrambled()
    assert load_weights(target, source).notes[0] == "its head is not used"
    assert same(target.get_weights(), source.get_weights()[: len(target.weights)])


def test_weights_are_read_once_for_many_networks(tmp_path):
    write_weights(scrambled(), tmp_path / "a.weights.h5")
    weights = read_weights(tmp_path / "a.weights.h5")
    (tmp_path / "a.weights.h5").unlink()
    first, second = tiny(), tiny(seed=2)
    load_weights(first, weights)
    load_weights(second, weights)
    assert same(first.get_weights(), second.get_weights())


# --- Other numbers of channels ---


def test_grey_images_score_as_the_colour_images_of_three_such_channels():
    # Exactly so where the three means are one; what they are divided by may differ.
    colour = tiny(mean=(110, 110, 110), std=(40, 60, 90))
    grey = tiny(input_shape=(64, 64, 1))
    report = load_weights(grey, colour)
    assert report.copied["block1_conv1"] == "summed over RGB"
    np.testing.assert_allclose(statistics(grey), ([110], [190 / 3]))
    images = noise(3, 64, 64, 1)
    pairs = ((grey, images), (colour, np.repeat(images, 3, -1)))
    scores = [np.log(model(x).numpy().astype(np.float64)) for model, x in pairs]
    assert np.ptp(scores[1], axis=1).min() > 0.1
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)


def test_the_mean_of_grey_images_is_the_mean_of_the_three():
    grey = tiny(input_shape=(64, 64, 1))
    load_weights(grey, scrambled(mean=(90, 100, 140)))
    assert statistics(grey) == ((110,), None)


def test_a_picture_and_its_copy_in_six_channels_score_as_the_picture():
    colour, six = tiny(std=(40, 60, 90)), tiny(input_shape=(64, 64, 6))
    report = load_weights(six, colour)
    assert report.copied["block1_conv1"] == "repeated over 6 channels"
    images = noise(3, 64, 64, 3)
    np.testing.assert_allclose(six(np.concatenate([images, images], -1)), colour(images), rtol=1e-5)


def test_four_channels_are_red_green_blue_red_at_three_quarters():
    kernel = noise(3, 3, 3, 2)
    four = adapt_channels(kernel, 4)
    assert four.dtype == np.float32
    for channel, of in enumerate([0, 1, 2, 0]):
        np.testing.assert_allclose(four[:, :, channel], kernel[:, :, of] * 0.75, rtol=1e-6)


# --- Freezing ---


def test_what_is_frozen_keeps_its_weights_and_moments_in_training_and_the_rest_learns():
    model = tiny("vgg11_bn")
    freeze(model, "block4")
    before = arrays_of(model)
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy", run_eagerly=True)
    model.fit(noise(4, 64, 64, 3), np.eye(5)[:4], verbose=0)
    for name, arrays in arrays_of(model).items():
        frozen = name[:6] in ("block1", "block2", "block3")
        assert same(arrays, before[name]) == frozen, name


def test_freezing_until_a_layer_stops_just_before_it():
    model = tiny()
    freeze(model, "fc2")
    assert [layer.name for layer in model.layers if layer.weights and layer.trainable] == [
        "fc2",
        "predictions",
    ]
    with pytest.raises(
        ValueError,
        match=(
            r"No layer 'block6' to freeze until. "
            r"Try block1, .*block5, block1_conv1, .*predictions"
        ),
    ):
        freeze(model, "block6")
