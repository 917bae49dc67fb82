"""Names and layouts of torchvision and timm are converted to Keras and back without loss."""

import numpy as np
import pytest

from tests.weights.making_files import CONFIGURATIONS
from vgg_tf.paper.architectures import ARCHITECTURES
from vgg_tf.weights.torchvision import from_state_dict, make_trunk_names, to_state_dict


def state(arch="vgg11", sides=(2, 3), classes=5, hidden=6):
    """Return a random state dict with 1/64 of the channels, for fc1 on a map of `sides`."""
    rng = np.random.default_rng(0)
    arrays, index, channels = {}, 0, 3

    def layer(name, *shape, buffers=()):
        for word, size in [
            ("weight", shape),
            ("bias", shape[:1]),
            *((word, shape[:1]) for word in buffers),
        ]:
            arrays[f"{name}.{word}"] = rng.normal(size=size).astype(np.float32)

    for word in CONFIGURATIONS[arch.removesuffix("_bn")].split():
        if word != "M":
            layer(f"features.{index}", int(word) // 64, channels, 3, 3)
            channels = int(word) // 64
            if arch.endswith("_bn"):
                layer(f"features.{index + 1}", channels, buffers=("running_mean", "running_var"))
                arrays[f"features.{index + 1}.num_batches_tracked"] = np.array(0, np.int64)
            index += 3 if arch.endswith("_bn") else 2
        else:
            index += 1
    layer("classifier.0", hidden, channels * sides[0] * sides[1])
    layer("classifier.3", hidden, hidden)
    layer("classifier.6", classes, hidden)
    return arrays


@pytest.mark.parametrize(
    "arch", ["vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]
)
def test_every_array_of_torchvision_is_used_and_converted_back_bit_by_bit(arch):
    arrays = state(arch)
    layers, others = from_state_dict(arrays, (2, 3))
    assert others == []
    assert layers.keys() == make_trunk_names(ARCHITECTURES[arch]).keys() | {
        "fc1",
        "fc2",
        "predictions",
    }
    back = to_state_dict(layers, ARCHITECTURES[arch], (2, 3))
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array, err_msg=name)


def test_a_kernel_keeps_rows_and_columns_and_puts_channels_last():
    arrays = state()
    kernel = from_state_dict(arrays, (2, 3))[0]["block3_conv1"]["kernel"]
    theirs = arrays["features.6.weight"]
    assert kernel.shape == (3, 3, 2, 4)
    for out, channel, row, column in np.ndindex(theirs.shape):
        assert kernel[row, column, channel, out] == theirs[out, channel, row, column]


def test_fc1_reads_channel_by_channel_in_torch_and_row_by_row_in_keras():
    arrays = state()
    kernel = from_state_dict(arrays, (2, 3))[0]["fc1"]["kernel"]
    for row, column, channel in np.ndindex(2, 3, 8):
        ours, theirs = (row * 3 + column) * 8 + channel, (channel * 2 + row) * 3 + column
        np.testing.assert_array_equal(kernel[ours], arrays["classifier.0.weight"][:, theirs])


def test_by_default_the_map_is_square():
    arrays = state(sides=(3, 3))
    np.testing.assert_array_equal(
        from_state_dict(arrays)[0]["fc1"]["kernel"],
        from_state_dict(arrays, (3, 3))[0]["fc1"]["kernel"],
    )
    with pytest.raises(ValueError, match=r"map of 2x2 with 8 channels\. Received: 48 inputs"):
        from_state_dict(state())


def test_the_convolutions_of_timms_head_are_the_dense_layers_of_torchvision():
    arrays = state()
    timm = {name: array for name, array in arrays.items() if name.startswith("features")}
    for word in ("weight", "bias"):
        timm[f"head.fc.{word}"] = arrays[f"classifier.6.{word}"]
        timm[f"pre_logits.fc1.{word}"] = arrays[f"classifier.0.{word}"]
        timm[f"pre_logits.fc2.{word}"] = arrays[f"classifier.3.{word}"]
    timm["pre_logits.fc1.weight"] = timm["pre_logits.fc1.weight"].reshape(6, 8, 2, 3)
    timm["pre_logits.fc2.weight"] = timm["pre_logits.fc2.weight"].reshape(6, 6, 1, 1)
    layers, others = from_state_dict(timm)
    theirs = from_state_dict(arrays, (2, 3))[0]
    assert others == []
    assert layers["fc1"]["kernel"].shape == (2, 3, 8, 6)
    for name, values in theirs.items():
        for word, array in values.items():
            np.testing.assert_array_equal(
                layers[name][word].reshape(array.shape), array, err_msg=f"{name} {word}"
            )
    # They are written with torchvision's names and shapes.
    back = to_state_dict(layers, ARCHITECTURES["vgg11"], (2, 3))
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array, err_msg=name)


def test_state_dicts_without_a_head_or_without_its_last_layer_are_read():
    arrays = state()
    trunk = {name: array for name, array in arrays.items() if name.startswith("features")}
    assert "fc1" not in from_state_dict(trunk)[0]
    cut = {name: array for name, array in arrays.items() if not name.startswith("classifier.6")}
    layers, others = from_state_dict(cut, (2, 3))
    assert "fc2" in layers
    assert "predictions" not in layers
    assert others == []


def test_arrays_that_do_not_belong_to_the_network_are_listed():
    assert from_state_dict(state() | {"ema.decay": np.zeros(1)}, (2, 3))[1] == ["ema.decay"]


def test_lrn_has_its_own_index_in_torchs_names():
    # LRN is a layer of the Sequential, so the following indices are higher by one than in A.
    plain, lrn = (make_trunk_names(ARCHITECTURES[name]) for name in ("vgg11", "vgg11_lrn"))
    assert (plain["block1_conv1"], plain["block2_conv1"]) == ("features.0", "features.3")
    assert (lrn["block1_conv1"], lrn["block2_conv1"]) == ("features.0", "features.4")
    layers = from_state_dict(state(), (2, 3))[0]
    again = from_state_dict(to_state_dict(layers, ARCHITECTURES["vgg11_lrn"], (2, 3)), (2, 3))[0]
    assert again.keys() - layers.keys() == {"block1_lrn"}
    np.testing.assert_array_equal(again["block5_conv2"]["kernel"], layers["block5_conv2"]["kernel"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda a: {"layer1.0.conv1.weight": a["features.0.weight"]},
            "features.0.weight.* Received: layer1.0.conv1.weight",
        ),
        (lambda a: {}, "names must be .* Received: nothing"),
        (lambda a: {f"module.{k}": v for k, v in a.items()}, "Received: module.classifier.0.bias"),
        (
            lambda a: {k: v for k, v in a.items() if not k.startswith("features.18")},
            "all other layers of one of vgg11",
        ),
        (
            lambda a: {k: v for k, v in a.items() if k != "features.0.bias"},
            "features.0.bias, .* all other layers",
        ),
        (
            lambda a: {k: v for k, v in a.items() if k != "classifier.0.weight"},
            "Received: no classifier.0.weight",
        ),
        (
            lambda a: {k: v for k, v in a.items() if k != "classifier.6.bias"},
            "Received: no classifier.6.bias",
        ),
        (
            lambda a: a | {"classifier.3.weight": np.zeros((6, 6, 1))},
            r"classifier.3.weight must have .* Received: \(6, 6, 1\)",
        ),
    ],
)
def test_names_of_other_networks_and_incomplete_layers_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        from_state_dict(change(state()), (2, 3))


def test_batch_normalization_without_its_variance_is_refused():
    arrays = {name: array for name, array in state("vgg11_bn").items() if "running_var" not in name}
    with pytest.raises(ValueError, match=r"Received: no features\.1\.running_var"):
        from_state_dict(arrays, (2, 3))
