"""All weights of a network are loaded, or none."""

import pytest

from tests.weights.making_networks import arrays_of, same, scrambled, tiny
from vgg_tf import convert_head, load_weights, read_weights, write_weights


def test_all_weights_of_the_same_architecture_are_copied():
    source, target = scrambled("vgg11_bn"), tiny("vgg11_bn")
    report = load_weights(target, source)
    assert list(report.copied) == list(arrays_of(target))
    assert same(target.get_weights(), source.get_weights())


def test_a_head_of_convolutions_is_copied_into_a_head_of_dense_layers():
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
            r"block3_conv3: shape \(3, 3, 16, 16\) in the source, \(1, 1, 16, 16\) in the target",
        ),
        ({"arch": "vgg11_bn"}, {"arch": "vgg11"}, "block1_bn1 is not in vgg11"),
        ({"arch": "vgg11"}, {"arch": "vgg11_bn"}, "block1_bn1: not in the source"),
        # The layers with weights are equal. Only the normalization between them differs.
        ({"arch": "vgg11_lrn"}, {"arch": "vgg11"}, "block1_lrn is not in vgg11"),
        ({"arch": "vgg11"}, {"arch": "vgg11_lrn"}, "block1_lrn: not in the source"),
        (
            {"classes": 7},
            {},
            r"predictions: 7 classes in the source \(16, 7\), 5 in the target \(16, 5\)",
        ),
        (
            {"input_shape": (96, 96, 3)},
            {},
            r"fc1: shape \(288, 16\) in the source, \(128, 16\) in the target",
        ),
        (
            {"input_shape": (32, 128, 3)},
            {},
            "fc1: a map of 1x4 in the source, of 2x2 in the target",
        ),  # with the same number of positions
        ({"include_top": False}, {}, "fc1: not in the source"),
        (
            {"input_shape": (64, 64, 1)},
            {},
            r"block1_conv1: shape \(3, 3, 1, 4\) in the source, \(3, 3, 3, 4\) in the target",
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["model", "a.weights.h5", "a.safetensors"])
def test_another_network_is_refused_and_the_target_is_unchanged(
    source, target, message, form, tmp_path
):
    source, target = (
        scrambled(**source),
        scrambled(**target, seed=2),
    )  # shared, so it must not change
    if form != "model":
        write_weights(source, tmp_path / form)
    before = target.get_weights()
    with pytest.raises(ValueError, match=message):
        load_weights(target, source if form == "model" else tmp_path / form)
    assert same(target.get_weights(), before)


def test_a_new_head_can_be_requested_but_not_a_new_trunk():
    target = tiny(classes=3)
    before = arrays_of(target)
    report = load_weights(target, scrambled(), new_head=True)
    assert report.skipped == {
        "predictions": "5 classes in the source (16, 5), 3 in the target (16, 3)"
    }
    assert same(target.get_layer("predictions").get_weights(), before["predictions"])
    report = load_weights(target, scrambled(include_top=False), new_head=True)
    assert list(report.skipped) == ["fc1", "fc2", "predictions"]
    for other in ({"width": 1 / 8}, {"head_width": 8}, {"input_shape": (96, 96, 3)}):
        with pytest.raises(
            ValueError,
            match=r"shapes of vgg11\. Received: (block1_conv1|fc1): shape .* in the source",
        ):
            load_weights(target, scrambled(**other), new_head=True)


def test_without_a_head_the_report_says_that_the_head_of_the_source_is_not_used():
    target = tiny(include_top=False)
    source = scrambled()
    assert load_weights(target, source).notes[0] == "the head of the source is not used"
    assert same(target.get_weights(), source.get_weights()[: len(target.weights)])


def test_weights_that_are_read_once_fit_several_networks(tmp_path):
    write_weights(scrambled(), tmp_path / "a.weights.h5")
    weights = read_weights(tmp_path / "a.weights.h5")
    (tmp_path / "a.weights.h5").unlink()
    first, second = tiny(), tiny(seed=2)
    load_weights(first, weights)
    load_weights(second, weights)
    assert same(first.get_weights(), second.get_weights())
