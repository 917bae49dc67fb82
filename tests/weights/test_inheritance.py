"""Weights are copied by the names of layers, and the report lists all other layers."""

import numpy as np
import pytest

from tests.weights.making_networks import arrays_of, same, scrambled, tiny
from vgg_tf import inherit_weights, write_weights
from vgg_tf.paper.architectures import ARCHITECTURES
from vgg_tf.weights.normalization import read_statistics

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


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_by_default_the_seven_layers_of_the_paper_are_copied_into_any_network(arch):
    source, target = scrambled(), tiny(arch, seed=2)
    before = arrays_of(target)
    report = inherit_weights(source, target)
    after = arrays_of(target)
    assert list(report.copied) == PAPER
    for name, arrays in after.items():
        assert same(arrays, arrays_of(source)[name] if name in PAPER else before[name]), name
    # Every layer of the target is in the report once.
    listed = [*report.copied, *report.random, *report.skipped]
    assert sorted(listed) == sorted(after)
    norms = (
        {"block1_bn1", "block2_bn1", "block3_bn1", "block3_bn2"} if arch.endswith("_bn") else set()
    )
    assert report.skipped == dict.fromkeys(sorted(norms), "not in the source")


@pytest.mark.parametrize(("source", "target"), [("vgg19_bn", "vgg11_bn"), ("vgg11_bn", "vgg16_bn")])
def test_batch_normalization_is_copied_with_its_convolution(source, target):
    source, target = scrambled(source), tiny(target)
    report = inherit_weights(source, target, layers=["block1_conv1", "block3_conv2"])
    assert list(report.copied) == ["block1_conv1", "block1_bn1", "block3_conv2", "block3_bn2"]
    for name in report.copied:
        assert same(target.get_layer(name).get_weights(), source.get_layer(name).get_weights())


def test_the_report_lists_layers_that_only_the_source_has():
    report = inherit_weights(scrambled("vgg13_bn"), tiny("vgg11"), say=None)
    assert list(report.copied) == PAPER
    assert report.notes[0] == (
        "only in the source: block1_bn1, block1_bn2, block1_conv2, block2_bn1, block2_bn2, "
        "block2_conv2, " + ", ".join(f"block{i}_bn{j}" for i in (3, 4, 5) for j in (1, 2))
    )
    assert (
        inherit_weights(scrambled("vgg11_lrn"), tiny("vgg11"), say=None).notes[0]
        == "only in the source: block1_lrn"
    )


@pytest.mark.parametrize(
    "form", ["model", "run folder", "a.keras", "a.weights.h5", "a.safetensors"]
)
def test_the_source_may_be_a_model_a_run_folder_or_a_file(form, tmp_path):
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
    mean, std = read_statistics(target)
    np.testing.assert_allclose([mean, std], [(90, 100, 110), (50, 60, 70)])
    assert str(source.name if form == "model" else place) in str(report)


def test_the_printed_report_has_copied_kept_and_skipped_layers(capsys):
    report = inherit_weights(scrambled(classes=7), tiny("vgg13"))
    assert capsys.readouterr().out.splitlines() == [
        "weights from the network vgg11 (a Keras model): 6 layers copied, 7 unchanged",
        "  copied   block1_conv1, block2_conv1, block3_conv1, block3_conv2, fc1, fc2",
        "  kept     block1_conv2, block2_conv2, block4_conv1, block4_conv2, block5_conv1, "
        "block5_conv2",
        "  skipped  predictions: 7 classes in the source (16, 7), 5 in the target (16, 5)",
        "  note     input mean (123.68, 116.779, 103.939), no std: from the source",
    ]
    assert report.copied == dict.fromkeys(PAPER[:-1], "")
    inherit_weights(scrambled(), tiny("vgg13"), say=None)
    assert capsys.readouterr().out == ""


def test_layers_of_other_shapes_are_skipped_with_both_shapes_in_the_report():
    target = tiny(width=1 / 8)
    before = arrays_of(target)
    report = inherit_weights(scrambled(), target, layers="all-matching")
    assert list(report.copied) == ["fc2", "predictions"]
    assert report.skipped["block1_conv1"] == (
        "shape (3, 3, 3, 4) in the source, (3, 3, 3, 8) in the target"
    )
    assert report.skipped["fc1"] == "shape (128, 16) in the source, (256, 16) in the target"
    assert all(same(target.get_layer(name).get_weights(), before[name]) for name in report.skipped)


def test_a_head_for_another_map_with_the_same_number_of_positions_is_skipped():
    report = inherit_weights(scrambled(input_shape=(32, 128, 3)), tiny(), layers="all-matching")
    assert report.skipped == {"fc1": "a map of 1x4 in the source, of 2x2 in the target"}


def test_predictions_for_classes_of_other_names_are_skipped(tmp_path):
    write_weights(scrambled(), tmp_path / "a.weights.h5", classes="abcde")
    report = inherit_weights(tmp_path / "a.weights.h5", tiny(), classes=["a", "b", "c", "d", "f"])
    assert report.skipped == {
        "predictions": "the source and the target have other names of classes"
    }
    assert (
        "predictions"
        in inherit_weights(tmp_path / "a.weights.h5", tiny(), classes=list("abcde")).copied
    )


def test_all_layers_of_c_and_d_match_except_the_1x1_convolutions():
    report = inherit_weights(scrambled("vgg16"), tiny("vgg16c"), layers="all-matching")
    assert list(report.skipped) == ["block3_conv3", "block4_conv3", "block5_conv3"]
    assert report.skipped["block3_conv3"] == (
        "shape (3, 3, 16, 16) in the source, (1, 1, 16, 16) in the target"
    )
    assert len(report.copied) == 13


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            ["block6_conv1"],
            r"in the target. Received: block6_conv1. The target has block1_conv1, .*predictions",
        ),
        (
            "fc1",
            r"must be 'paper', 'all-matching' or a list of names. Received: 'fc1'. Try \['fc1'\]",
        ),
        ([], "At least one layer must fit vgg11"),
    ],
)
def test_unknown_names_of_layers_are_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        inherit_weights(scrambled(), tiny(), layers=layers)


def test_if_no_layer_fits_the_error_says_why():
    target = tiny(width=1 / 8)
    before = arrays_of(target)
    with pytest.raises(
        ValueError,
        match=r"fit vgg11(.|\n)*fc1: shape \(128, 16\) in the source, \(256, 16\) in the target",
    ):
        inherit_weights(scrambled(mean=(1, 2, 3)), target, layers=["block1_conv1", "fc1"])
    assert all(same(arrays, before[name]) for name, arrays in arrays_of(target).items())
    assert read_statistics(target) == ((123.68, 116.779, 103.939), None)
