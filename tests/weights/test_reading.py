"""Foreign files score as those who wrote them would, by a slow numpy that shares nothing with
Keras.
"""

import functools
import io
import json
import pickle
import re
import shlex
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import vgg_tf
from vgg_tf import build_vgg, read_weights, write_weights
from vgg_tf.paper.architectures import (
    ARCHITECTURES,
    IMAGENET_MEAN,
    TORCHVISION_MEAN,
    TORCHVISION_STD,
    Architecture,
)
from vgg_tf.runs import run_folder
from vgg_tf.weights import reading
from vgg_tf.weights.reading import UNKNOWN_MEAN, imagenet_weights

# As torchvision's vgg.py has them; M is a pooling.
CONFIGURATIONS = {
    "vgg11": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "vgg13": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}
WIDTH, HIDDEN, CLASSES = 1 / 16, 16, 5
TOLERANCE = 1e-4  # of log-posteriors, float32
IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 64, 64, 3)).astype(np.float32)


def tiny(arch="vgg11", **options):
    known = {"input_shape": (64, 64, 3), "width": WIDTH, "head_width": HIDDEN, "seed": 1}
    return build_vgg(arch, **known | options)


def log_softmax(scores):
    scores = scores - scores.max(1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


def outputs(model, images=IMAGES):
    """As `predict` has them. Layer by layer: of few images that saves half of a second for each
    network.
    """
    return np.asarray(model(images, training=False))


def log_posteriors(model, images=IMAGES):
    return np.log(outputs(model, images).astype(np.float64))


# --- Torch, written out: [n, c, h, w] and kernels [out, in, h, w] ---


def torch_state(arch, map_side=2, seed=0):
    rng = np.random.default_rng(seed)
    state, index, channels = {}, 0, 3

    def linear(name, *shape):
        state[f"{name}.weight"] = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        state[f"{name}.bias"] = rng.normal(0, 0.1, shape[0])

    for word in CONFIGURATIONS[arch.removesuffix("_bn")].split():
        if word == "M":
            index += 1
            continue
        linear(f"features.{index}", int(int(word) * WIDTH), channels, 3, 3)
        channels = int(int(word) * WIDTH)
        if arch.endswith("_bn"):
            norm = f"features.{index + 1}"
            state[f"{norm}.weight"], state[f"{norm}.bias"] = (
                rng.uniform(0.8, 1.2, channels),
                rng.normal(0, 0.1, channels),
            )
            state[f"{norm}.running_mean"] = rng.normal(0, 0.1, channels)
            # So small that an epsilon of 1e-3, which is Keras' default, would be seen.
            state[f"{norm}.running_var"] = rng.uniform(0.001, 0.01, channels)
            state[f"features.{index}.weight"] *= 0.05
        index += 3 if arch.endswith("_bn") else 2
    linear("classifier.0", HIDDEN, channels * map_side**2)
    linear("classifier.3", HIDDEN, HIDDEN)
    linear("classifier.6", CLASSES, HIDDEN)
    return {name: array.astype(np.float32) for name, array in state.items()}


def torch_scores(state, arch, images, mean=TORCHVISION_MEAN, std=TORCHVISION_STD, epsilon=1e-5):
    state = {name: array.astype(np.float64) for name, array in state.items()}
    x = ((images - np.array(mean)) / np.array(std)).transpose(0, 3, 1, 2)
    index = 0
    for word in CONFIGURATIONS[arch.removesuffix("_bn")].split():
        n, c, h, w = x.shape
        if word == "M":
            x = x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))
            index += 1
            continue
        kernel, padded = (
            state[f"features.{index}.weight"],
            np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)]),
        )
        x = state[f"features.{index}.bias"][:, None, None]
        for i in range(3):
            for j in range(3):
                x = x + np.einsum(
                    "nchw,oc->nohw", padded[:, :, i : i + h, j : j + w], kernel[:, :, i, j]
                )
        if arch.endswith("_bn"):
            scale, shift, mean, variance = (
                state[f"features.{index + 1}.{name}"][:, None, None]
                for name in ("weight", "bias", "running_mean", "running_var")
            )
            x = (x - mean) / np.sqrt(variance + epsilon) * scale + shift
        x = np.maximum(x, 0)
        index += 3 if arch.endswith("_bn") else 2
    x = x.reshape(len(x), -1)
    for name in ("classifier.0", "classifier.3", "classifier.6"):
        x = x @ state[f"{name}.weight"].T + state[f"{name}.bias"]
        x = x if name == "classifier.6" else np.maximum(x, 0)
    return x


def spread(state, scores, name="classifier.6", words=("weight", "bias"), to=2):
    """The state with its last layer scaled, so that the scores of a picture differ by `to`."""
    factor = to / scores.std(1).mean()
    return state | {
        f"{name}.{word}": np.float32(state[f"{name}.{word}"] * factor) for word in words
    }


def torch_mistakes(state, map_side=2):
    """What the state dict would be had one of the likely mistakes been made in reading it."""
    first, fc1 = state["features.0.weight"], state["classifier.0.weight"]
    order = fc1.reshape(HIDDEN, -1, map_side, map_side).transpose(0, 2, 3, 1).reshape(HIDDEN, -1)
    return {
        "channels swapped": state | {"features.0.weight": first[:, ::-1]},
        "fc1 row by row": state | {"classifier.0.weight": order},
        "kernels flipped": state
        | {name: a[..., ::-1, ::-1] for name, a in state.items() if a.ndim == 4},
        "rows as columns": state
        | {name: a.swapaxes(2, 3) for name, a in state.items() if a.ndim == 4},
    }


def agrees_and_mistakes_do_not(ours, scores, mistaken):
    """The log-posteriors are those of the scores; those of each mistaken way are not."""
    assert scores.std(1).mean() >= 1
    np.testing.assert_allclose(ours, log_softmax(scores), rtol=0, atol=TOLERANCE)
    for mistake, wrong in mistaken.items():
        assert np.abs(ours - log_softmax(wrong)).max() > 100 * TOLERANCE, f"{mistake} is not seen"


def timm_names(state, map_side=2):
    trunk = {name: array for name, array in state.items() if name.startswith("features")}
    return trunk | {
        "pre_logits.fc1.weight": state["classifier.0.weight"].reshape(
            HIDDEN, -1, map_side, map_side
        ),
        "pre_logits.fc1.bias": state["classifier.0.bias"],
        "pre_logits.fc2.weight": state["classifier.3.weight"][:, :, None, None],
        "pre_logits.fc2.bias": state["classifier.3.bias"],
        "head.fc.weight": state["classifier.6.weight"],
        "head.fc.bias": state["classifier.6.bias"],
    }


@pytest.mark.parametrize(
    "arch", ["vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]
)
def test_a_state_dict_scores_as_in_torch_and_no_likely_mistake_would(arch, tmp_path):
    state = torch_state(arch)
    state = spread(state, torch_scores(state, arch, IMAGES))
    mistaken = {
        name: torch_scores(wrong, arch, IMAGES) for name, wrong in torch_mistakes(state).items()
    }
    mistaken["the paper's mean"] = torch_scores(state, arch, IMAGES, IMAGENET_MEAN, (1, 1, 1))
    if arch.endswith("_bn"):
        mistaken["Keras' epsilon"] = torch_scores(state, arch, IMAGES, epsilon=1e-3)
    save_file(state, tmp_path / "model.safetensors")
    model = tiny(arch, weights=tmp_path / "model.safetensors")
    assert model.output.shape == (None, CLASSES)
    agrees_and_mistakes_do_not(log_posteriors(model), torch_scores(state, arch, IMAGES), mistaken)
    # timm's folders on Hugging Face hold the file by this name.
    (tmp_path / "timm").mkdir()
    save_file(timm_names(state), tmp_path / "timm" / "model.safetensors")
    vgg_tf.load_weights(model, tmp_path / "timm")
    agrees_and_mistakes_do_not(log_posteriors(model), torch_scores(state, arch, IMAGES), mistaken)
    theirs, timms = read_weights(tmp_path / "model.safetensors"), read_weights(tmp_path / "timm")
    assert (timms.mean, timms.std) == (theirs.mean, theirs.std)
    for layer, values in theirs.layers.items():
        for name, array in values.items():
            np.testing.assert_array_equal(timms.layers[layer][name].reshape(array.shape), array)


def test_fc1_on_the_map_of_224_pixels_is_in_torchs_order(tmp_path):
    images = np.random.default_rng(1).uniform(0, 255, (2, 224, 224, 3)).astype(np.float32)
    state = torch_state("vgg11", map_side=7)
    state = spread(state, torch_scores(state, "vgg11", images))
    mistaken = {
        name: torch_scores(wrong, "vgg11", images)
        for name, wrong in torch_mistakes(state, 7).items()
    }
    save_file(state, tmp_path / "model.safetensors")
    model = tiny(weights=tmp_path / "model.safetensors", input_shape=(224, 224, 3))
    agrees_and_mistakes_do_not(
        log_posteriors(model, images), torch_scores(state, "vgg11", images), mistaken
    )


@pytest.mark.parametrize("arch", ["vgg11", "vgg16_bn"])
def test_torch_itself_scores_so(arch, tmp_path):
    torch = pytest.importorskip("torch")
    nn, layers, channels = torch.nn, [], 3
    for word in CONFIGURATIONS[arch.removesuffix("_bn")].split():
        if word == "M":
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layers.append(nn.Conv2d(channels, int(int(word) * WIDTH), 3, padding=1))
        channels = int(int(word) * WIDTH)
        layers += [nn.BatchNorm2d(channels)] * arch.endswith("_bn") + [nn.ReLU()]
    head = [
        nn.Linear(4 * channels, HIDDEN),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(HIDDEN, HIDDEN),
        nn.ReLU(),
        nn.Dropout(),
    ]
    net = nn.ModuleDict(
        {
            "features": nn.Sequential(*layers),
            "classifier": nn.Sequential(*head, nn.Linear(HIDDEN, CLASSES)),
        }
    )
    state = torch_state(arch)
    state = spread(state, torch_scores(state, arch, IMAGES))
    net.load_state_dict({name: torch.tensor(array) for name, array in state.items()}, strict=False)
    net.eval()
    x = torch.tensor(
        ((IMAGES - np.float32(TORCHVISION_MEAN)) / np.float32(TORCHVISION_STD))
        .transpose(0, 3, 1, 2)
        .copy()
    )
    with torch.no_grad():
        expected = torch.log_softmax(net["classifier"](net["features"](x).flatten(1)), 1).numpy()
    save_file(state, tmp_path / "model.safetensors")
    np.testing.assert_allclose(
        log_posteriors(tiny(arch, weights=tmp_path / "model.safetensors")), expected, atol=TOLERANCE
    )


def test_half_precision_is_read_as_it_is(tmp_path):
    import ml_dtypes

    state = torch_state("vgg11")
    for name, dtype in (("a", np.float16), ("b", ml_dtypes.bfloat16)):
        save_file(
            {key: array.astype(dtype) for key, array in state.items()},
            tmp_path / f"{name}.safetensors",
        )
        kernel = read_weights(tmp_path / f"{name}.safetensors").layers["fc2"]["kernel"]
        assert kernel.dtype == np.float32
        np.testing.assert_array_equal(
            kernel, state["classifier.3.weight"].T.astype(dtype).astype(np.float32)
        )


# --- Keras, written out: [n, h, w, c] and kernels [h, w, in, out] ---


def keras_layers(arch="vgg16", top=True, seed=0):
    """Random weights by `layer.variable`, as a network on 64 pixels has them."""
    rng = np.random.default_rng(seed)
    layers, channels = {}, 3

    def layer(name, *shape):
        layers[f"{name}.kernel"] = rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape).astype(
            np.float32
        )
        layers[f"{name}.bias"] = rng.normal(0, 0.1, shape[-1]).astype(np.float32)

    for block, words in enumerate(CONFIGURATIONS[arch].split("M")[:-1], 1):
        for j, word in enumerate(words.split(), 1):
            layer(f"block{block}_conv{j}", 3, 3, channels, int(int(word) * WIDTH))
            channels = int(int(word) * WIDTH)
    if top:
        layer("fc1", 4 * channels, HIDDEN)
        layer("fc2", HIDDEN, HIDDEN)
        layer("predictions", HIDDEN, CLASSES)
    return layers


def names_of(layers):
    return list(dict.fromkeys(name.split(".")[0] for name in layers))


def keras_scores(layers, x):
    """Scores of what the first layer gets; without a head the last map."""
    layers, x = (
        {name: array.astype(np.float64) for name, array in layers.items()},
        x.astype(np.float64),
    )
    names = names_of(layers)
    for k, name in enumerate(names):
        n, h, w = x.shape[:3] if x.ndim == 4 else (len(x), 0, 0)
        kernel, bias = layers[f"{name}.kernel"], layers[f"{name}.bias"]
        if name.startswith("block"):
            padded, x = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]), bias
            for i in range(3):
                for j in range(3):
                    x = x + padded[:, i : i + h, j : j + w] @ kernel[i, j]
            x = np.maximum(x, 0)
            if k + 1 == len(names) or names[k + 1][:6] != name[:6]:
                x = x.reshape(n, h // 2, 2, w // 2, 2, -1).max((2, 4))
        else:
            x = x.reshape(n, -1) @ kernel + bias
            x = x if name == "predictions" else np.maximum(x, 0)
    return x


def caffe(images):
    """What keras.applications' preprocess_input makes of RGB: BGR minus the mean."""
    return images[..., ::-1] - np.array([103.939, 116.779, 123.68])


def old_h5(path, layers, style, whole=False, nested=False):
    """A file as Keras 1 and 2 wrote it: `W` as on the servers of keras.applications, `kernel`
    since, `numbered` in TF 1.
    """

    def stored(name, variable):
        numbered = {"kernel": "kernel:0", "bias": "bias:0"}[variable]
        return {
            "W": f"{name}_{'W' if variable == 'kernel' else 'b'}_1:0",
            "kernel": f"{name}/{numbered}",
            "numbered": f"{name}_1/{numbered}",
        }[style]

    groups = {}  # of the file, to the names of layers in them; some have none
    for name in ["input_1", *names_of(layers), "flatten"]:
        groups.setdefault("vgg16" if nested and name.startswith("block") else name, []).append(name)
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole else file
        root.attrs["layer_names"] = [name.encode() for name in groups]
        root.attrs["backend"] = b"tensorflow"
        for group, names in groups.items():
            written = root.create_group(group)
            there = {
                stored(name, v): layers[f"{name}.{v}"]
                for name in names
                if f"{name}.bias" in layers
                for v in ("kernel", "bias")
            }
            written.attrs["weight_names"] = [name.encode() for name in there]
            for name, array in there.items():
                written[name] = array
        if whole:
            config = {
                "name": "vgg16",
                "layers": [{"class_name": "InputLayer", "config": {"name": "input_1"}}],
            }
            file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": config})
            file.create_group("optimizer_weights").attrs["weight_names"] = []


def new_h5(path, layers, model="vgg16", inside="", optimizer=False):
    """A `.weights.h5` of Keras 3: groups by kind and number, the layer's name in an attribute."""
    with h5py.File(path, "w") as file:
        file.create_group("vars").attrs["name"] = model
        for i, name in enumerate(names_of(layers)):
            kind = "conv2d" if layers[f"{name}.kernel"].ndim == 4 else "dense"
            group = file.create_group(f"{inside}layers/{kind}_{i}/vars")
            group.attrs["name"] = name
            group["0"], group["1"] = layers[f"{name}.kernel"], layers[f"{name}.bias"]
        if optimizer:
            group = file.create_group("optimizer/vars")
            group.attrs["name"], group["0"] = "adam", np.int64(3)


def caffe_case():
    layers = keras_layers()
    layers = spread(layers, keras_scores(layers, caffe(IMAGES)), "predictions", ("kernel", "bias"))
    fc1 = layers["fc1.kernel"].reshape(2, 2, -1, HIDDEN).transpose(2, 0, 1, 3).reshape(-1, HIDDEN)
    return layers, {
        "channels swapped": keras_scores(layers, caffe(IMAGES)[..., ::-1]),
        "the mean of BGR on RGB": keras_scores(
            layers, (IMAGES - np.array([103.939, 116.779, 123.68]))[..., ::-1]
        ),
        "fc1 channel by channel": keras_scores(layers | {"fc1.kernel": fc1}, caffe(IMAGES)),
        "kernels flipped": keras_scores(
            {name: a[::-1, ::-1] if a.ndim == 4 else a for name, a in layers.items()}, caffe(IMAGES)
        ),
    }


@pytest.mark.parametrize(
    "options",
    [
        {"style": "W"},
        {"style": "kernel"},
        {"style": "numbered"},
        {"style": "W", "whole": True},
        {"style": "kernel", "whole": True},
        {"style": "kernel", "whole": True, "nested": True},
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_a_file_of_keras_applications_scores_as_caffe_did_and_no_likely_mistake_would(
    options, tmp_path
):
    layers, mistaken = caffe_case()
    old_h5(tmp_path / "vgg16.h5", layers, **options)
    model = tiny("vgg16", weights=tmp_path / "vgg16.h5")
    agrees_and_mistakes_do_not(log_posteriors(model), keras_scores(layers, caffe(IMAGES)), mistaken)


def test_so_does_a_file_of_todays_keras(tmp_path):
    layers, mistaken = caffe_case()
    new_h5(tmp_path / "a.weights.h5", layers, optimizer=True)
    model = tiny("vgg16", weights=tmp_path / "a.weights.h5")
    agrees_and_mistakes_do_not(log_posteriors(model), keras_scores(layers, caffe(IMAGES)), mistaken)
    assert (
        read_weights(tmp_path / "a.weights.h5")
        .notes[0]
        .startswith("no layer normalize: taken for BGR")
    )


def test_a_file_without_top_gives_the_same_maps(tmp_path):
    layers = keras_layers("vgg19", top=False)
    old_h5(tmp_path / "vgg19_notop.h5", layers, "W")
    model = tiny("vgg19", weights=tmp_path / "vgg19_notop.h5", include_top=False)
    expected = keras_scores(layers, caffe(IMAGES))
    np.testing.assert_allclose(outputs(model), expected, rtol=1e-4, atol=1e-5 * expected.max())


@functools.cache
def kerass():
    """The trunk of keras.applications, with a sixteenth of the filters."""

    def narrow(layer):
        config = layer.get_config()
        return type(layer).from_config(
            config | ({"filters": config["filters"] // 16} if "filters" in config else {})
        )

    whole = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), include_top=False)
    model = keras.models.clone_model(whole, clone_function=narrow)
    for layer in model.layers:
        if layer.weights:
            layer.bias.assign(np.random.default_rng(0).normal(0, 0.01, layer.bias.shape))
    return model


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_kerass_own_vgg16_gives_its_features_from_every_file_keras_writes(tmp_path):
    theirs = kerass()
    images = IMAGES[:2, :32, :32]
    expected = outputs(theirs, keras.applications.vgg16.preprocess_input(images.copy()))
    wrapped = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            theirs,
            keras.layers.Flatten(),
            keras.layers.Dense(3, name="mine"),
        ]
    )
    ours = tiny("vgg16", include_top=False, input_shape=(32, 32, 3))
    for model, name in (
        (theirs, "a.h5"),
        (theirs, "a.keras"),
        (theirs, "a.weights.h5"),
        (wrapped, "b.h5"),
        (wrapped, "b.weights.h5"),
    ):
        (model.save_weights if name.endswith(".weights.h5") else model.save)(tmp_path / name)
        weights = read_weights(tmp_path / name)
        (tmp_path / name).unlink()
        assert weights.mean == IMAGENET_MEAN
        assert ("left in the file: mine" in weights.notes) == (model is wrapped)
        assert weights.layers.keys() == {layer.name for layer in theirs.layers if layer.weights}
        for layer, values in weights.layers.items():
            kernel, bias = theirs.get_layer(layer).get_weights()
            np.testing.assert_array_equal(
                values["kernel"], kernel[:, :, ::-1] if layer == "block1_conv1" else kernel
            )
            np.testing.assert_array_equal(values["bias"], bias)
            if name == "a.h5":  # all files have the same numbers
                ours.get_layer(layer).set_weights(list(values.values()))
    features = outputs(ours, images)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5 * expected.max())


# --- Keras Hub ---


def preset(folder, layers, converter=None, head=True, dense=True):
    """A folder as `save_to_preset` of keras-hub 0.32 writes it: the head is in task.weights.h5, the
    trunk is not.
    """
    folder.mkdir()
    trunk = {name: array for name, array in layers.items() if name.startswith("block")}
    rest = {name: array for name, array in layers.items() if name not in trunk}
    if not dense:  # pooling="avg" and "max"
        rest["fc1.kernel"] = rest["fc1.kernel"].reshape(2, 2, -1, HIDDEN)
        rest["fc2.kernel"] = rest["fc2.kernel"].reshape(1, 1, HIDDEN, HIDDEN)
    (folder / "config.json").write_text(
        json.dumps({"class_name": "VGGBackbone", "registered_name": "keras_hub>VGGBackbone"})
    )
    (folder / "metadata.json").write_text(json.dumps({"keras_hub_version": "0.32.0"}))
    new_h5(folder / "model.weights.h5", trunk, "vgg_backbone")
    if head:
        (folder / "task.json").write_text("{}")
        new_h5(
            folder / "task.weights.h5",
            rest,
            "vgg_image_classifier",
            "layers/sequential/",
            optimizer=True,
        )
    if converter is not None:
        config = {
            "config": {"image_converter": {"class_name": "VGGImageConverter", "config": converter}}
        }
        (folder / "preprocessor.json").write_text(json.dumps(config))


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize(
    ("converter", "scale", "offset"),
    [
        # As of the presets vgg_*_imagenet, which were torchvision's.
        (
            {"scale": [0.017, 0.018, 0.017], "offset": [-2.1, -2.0, -1.8]},
            (0.017, 0.018, 0.017),
            (-2.1, -2.0, -1.8),
        ),
        ({"scale": 1 / 255, "offset": None}, 1 / 255, 0),
        ({"scale": None, "offset": -100.0}, 1, -100),
    ],
)
def test_a_preset_of_keras_hub_scores_as_its_scale_and_offset_say(
    converter, scale, offset, dense, tmp_path
):
    layers = keras_layers("vgg11")
    layers = spread(
        layers, keras_scores(layers, IMAGES * scale + offset), "predictions", ("kernel", "bias")
    )
    preset(tmp_path / "vgg", layers, converter, dense=dense)
    model = tiny(weights=tmp_path / "vgg")
    x = IMAGES * np.array(scale) + np.array(offset)
    mistaken = {
        "BGR": keras_scores(layers, x[..., ::-1]),
        "the paper's mean": keras_scores(layers, IMAGES - IMAGENET_MEAN),
    }
    agrees_and_mistakes_do_not(log_posteriors(model), keras_scores(layers, x), mistaken)


def test_a_preset_of_a_trunk_alone_says_that_it_lacks_the_head_and_the_mean(tmp_path):
    layers = keras_layers("vgg11")
    preset(tmp_path / "vgg", layers, head=False)
    weights = read_weights(tmp_path / "vgg")
    assert weights.notes == ("the preset lacks fc1, fc2, predictions", UNKNOWN_MEAN)
    np.testing.assert_array_equal(
        weights.layers["block1_conv1"]["kernel"], layers["block1_conv1.kernel"]
    )
    only = {name: array for name, array in layers.items() if "fc" not in name}
    preset(
        tmp_path / "cut",
        only | {"predictions.kernel": layers["predictions.kernel"]},
        {"scale": 1, "offset": 0},
    )
    assert read_weights(tmp_path / "cut").notes == ("the preset lacks fc1, fc2",)


def test_a_file_out_of_a_preset_is_not_taken_for_bgr(tmp_path):
    layers = keras_layers("vgg11")
    preset(tmp_path / "vgg", layers)
    weights = read_weights(tmp_path / "vgg" / "model.weights.h5")
    assert (weights.mean, weights.notes) == (None, (UNKNOWN_MEAN,))
    np.testing.assert_array_equal(
        weights.layers["block1_conv1"]["kernel"], layers["block1_conv1.kernel"]
    )


@pytest.mark.parametrize("name", ["a.keras", "a.weights.h5", "model"])
def test_a_network_that_rescales_its_input_is_not_taken_for_bgr(name, tmp_path):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, name="block1_conv1")(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, x)
    if name != "model":
        (model.save if name == "a.keras" else model.save_weights)(tmp_path / name)
    weights = read_weights(model if name == "model" else tmp_path / name)
    assert (weights.mean, weights.notes) == (None, (UNKNOWN_MEAN,))
    np.testing.assert_array_equal(
        weights.layers["block1_conv1"]["kernel"], model.get_layer("block1_conv1").kernel
    )


# --- Our own files, and out again ---


def scrambled(arch="vgg11", **options):
    """A network whose every weight, biases and moments too, is another number."""
    model = tiny(arch, **{"classes": CLASSES} | options)
    rng = np.random.default_rng(5)
    model.set_weights(
        [rng.uniform(0.1, 1, w.shape).astype(np.float32) for w in model.get_weights()]
    )
    return model


SHALLOW, SHALLOW_C = ((3,), (), (), (), (3,)), ((3,), (), (), (), (3, 1))


@pytest.mark.parametrize("form", ["a.safetensors", "a.weights.h5"])
@pytest.mark.parametrize(
    "options", [{"std": (58.4, 57.1, 57.4)}, {"include_top": False}, {"dense": True}], ids=str
)
@pytest.mark.parametrize("arch", ["shallow_lrn", "shallow_c_bn"])
def test_what_is_written_is_read_bit_by_bit(arch, options, form, tmp_path, monkeypatch):
    for row in (
        Architecture("shallow_lrn", "-", SHALLOW, lrn=True),
        Architecture("shallow_c_bn", "-", SHALLOW_C, True),
    ):
        monkeypatch.setitem(ARCHITECTURES, row.name, row)
    model = scrambled(arch, **options, mean=(100.25, 110.5, 120.1))
    write_weights(model, tmp_path / form, classes=("a", "b", "c", "d", "e"))
    weights = read_weights(tmp_path / form)
    assert (weights.mean, weights.classes, weights.notes) == (
        (100.25, 110.5, 120.1),
        ("a", "b", "c", "d", "e"),
        (),
    )
    assert weights.std == options.get("std", weights.std)
    written = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    assert weights.layers.keys() - {"block1_lrn"} == written.keys()
    for name, arrays in written.items():
        for mine, array in zip(weights.layers[name].values(), arrays, strict=True):
            assert mine.dtype == np.float32
            np.testing.assert_array_equal(mine.reshape(array.shape), array, err_msg=name)
    again = tiny(arch, weights=tmp_path / form, classes=CLASSES, **{**options, "std": None})
    for mine, array in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, array)
    np.testing.assert_array_equal(outputs(again), outputs(model))
    assert [path.name for path in tmp_path.iterdir()] == [form]


@pytest.mark.parametrize("arch", ["vgg11", "vgg16_bn"])
def test_a_state_dict_goes_out_again_as_torchvision_had_it(arch, tmp_path):
    state = torch_state(arch)
    save_file(state, tmp_path / "in.safetensors")
    write_weights(tiny(arch, weights=tmp_path / "in.safetensors"), tmp_path / "out.safetensors")
    out = load_file(tmp_path / "out.safetensors")
    counters = {name for name in out if name.endswith("num_batches_tracked")}
    assert len(counters) == (13 if arch == "vgg16_bn" else 0)
    assert out.keys() - counters == state.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(out[name], array, err_msg=name)


def test_keras_itself_loads_what_is_written_as_weights_h5(tmp_path):
    model, other = scrambled("vgg11_bn"), tiny("vgg11_bn", classes=CLASSES)
    write_weights(model, tmp_path / "a.weights.h5")
    other.load_weights(tmp_path / "a.weights.h5")
    for mine, array in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, array)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_whole_network_of_ours_tells_its_mean_and_std(name, tmp_path):
    model = scrambled("vgg11_bn", mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))
    model.compile("adam", "categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)  # which has arrays of its own
    model.save(tmp_path / name)
    weights = read_weights(tmp_path / name)
    assert (weights.mean, weights.std, weights.notes) == ((1, 2, 3), (4, 5, 6), ())
    np.testing.assert_array_equal(
        weights.layers["block1_conv1"]["kernel"], model.get_layer("block1_conv1").kernel
    )
    moments = model.get_layer("block1_bn1").get_weights()
    np.testing.assert_array_equal(weights.layers["block1_bn1"]["moving_variance"], moments[3])


def test_a_run_folder_gives_its_network_and_the_names_of_its_classes(tmp_path):
    model = scrambled()
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(ValueError, match=r"has no model\.keras yet: its first epoch is not done"):
        read_weights(tmp_path)
    model.save(tmp_path / "model.keras")
    (tmp_path / "dataset.json").write_text(
        json.dumps({"classes": ["cat", "dog", "eel", "fly", "gnu"]})
    )
    weights = read_weights(tmp_path)
    assert weights.classes == ("cat", "dog", "eel", "fly", "gnu")
    np.testing.assert_array_equal(weights.layers["fc1"]["kernel"], model.get_layer("fc1").kernel)


def test_weights_saved_by_keras_alone_do_not_tell_the_mean_and_that_is_said(tmp_path):
    model = scrambled(mean=(1.0, 2.0, 3.0))
    model.save_weights(tmp_path / "a.weights.h5")
    weights = read_weights(tmp_path / "a.weights.h5")
    assert (weights.mean, weights.notes) == (None, (UNKNOWN_MEAN,))
    np.testing.assert_array_equal(
        weights.layers["block1_conv1"]["kernel"], model.get_layer("block1_conv1").kernel
    )


def test_only_networks_of_ours_and_known_names_of_files_are_written(tmp_path):
    inputs = keras.Input((32, 32, 3))
    other = keras.Model(
        inputs, keras.layers.Conv2D(3, 3, name="block1_conv1")(inputs), name="other"
    )
    with pytest.raises(
        ValueError, match=r"Only networks of build_vgg can be written. other has block1_conv1"
    ):
        write_weights(other, tmp_path / "a.safetensors")
    model = scrambled()
    longer = keras.Model(model.input, keras.layers.Dense(2, name="mine")(model.output))
    with pytest.raises(ValueError, match=r"has normalize, block1_conv1, .*, predictions, mine"):
        write_weights(longer, tmp_path / "a.safetensors")
    with pytest.raises(
        ValueError, match=r"written as \*\.weights\.h5 or \*\.safetensors. Received: a.pth"
    ):
        write_weights(model, tmp_path / "a.pth")
    assert list(tmp_path.iterdir()) == []


# --- weights="imagenet" ---


def published(monkeypatch, answer):
    asked = []

    def vgg16(weights, include_top):
        asked.append((weights, include_top))
        return answer()

    monkeypatch.setattr(keras.applications, "VGG16", vgg16)
    return asked


def test_imagenet_weights_come_from_keras_and_are_turned_to_rgb(monkeypatch):
    theirs = kerass()
    asked = published(monkeypatch, lambda: theirs)
    model = build_vgg("vgg16", weights="imagenet", include_top=False, input_shape=(32, 32, 3))
    assert asked == [("imagenet", False)]
    images = IMAGES[:, :32, :32]
    expected = outputs(theirs, keras.applications.vgg16.preprocess_input(images.copy()))
    np.testing.assert_allclose(
        outputs(model, images), expected, rtol=1e-4, atol=1e-5 * expected.max()
    )


def test_without_a_network_imagenet_says_what_to_do(monkeypatch):
    def fails():
        raise Exception(
            "URL fetch failure on https://storage.googleapis.com/...: None -- [Errno -2]"
        )

    published(monkeypatch, fails)
    with pytest.raises(
        OSError,
        match=r"URL fetch failure .* Get the \.h5 file elsewhere and give its path as weights",
    ):
        imagenet_weights("vgg16")


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("vgg11", r"get model\.safetensors of https://huggingface\.co/timm/vgg11\.tv_in1k"),
        ("vgg19_bn", r"get model\.safetensors of https://huggingface\.co/timm/vgg19_bn\.tv_in1k"),
        ("vgg16c", "Nobody has published ImageNet weights of vgg16c"),
    ],
)
def test_for_the_others_imagenet_says_which_file_to_get(arch, message):
    with pytest.raises(ValueError, match=message):
        imagenet_weights(arch)


# --- What is none ---


@pytest.mark.parametrize("name", ["a.keras", "a.safetensors", "a.weights.h5", "a.h5"])
def test_a_torn_file_is_refused_wherever_it_ends(name, tmp_path):
    if name == "a.keras":
        scrambled().save(tmp_path / name)
    elif name == "a.h5":
        old_h5(tmp_path / name, keras_layers("vgg11"), "W")
    else:
        write_weights(scrambled(), tmp_path / name)
    data = (tmp_path / name).read_bytes()
    for length in (0, 1, 7, 9, 100, len(data) // 2, len(data) - 1):
        (tmp_path / name).write_bytes(data[:length])
        message = (
            rf"{name} is (no file of weights\. Known forms: a run folder|"
            r"torn or damaged \(.*\)\. Get it again)"
        )
        with pytest.raises(ValueError, match=message):
            read_weights(tmp_path / name)


def test_damage_within_a_file_of_hdf5_is_named(tmp_path):
    write_weights(scrambled(), tmp_path / "a.weights.h5")
    data = (tmp_path / "a.weights.h5").read_bytes()
    (tmp_path / "a.weights.h5").write_bytes(data.replace(b"SNOD", b"XXXX"))  # its tables of symbols
    with pytest.raises(ValueError, match=r"a\.weights\.h5 is torn or damaged"):
        read_weights(tmp_path / "a.weights.h5")


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_never_loaded_and_the_conversion_is_told(zipped, tmp_path):
    data = pickle.dumps({"features.0.weight": Trap(tmp_path / "sprung")})
    path = tmp_path / "vgg11-8a719046.pth"
    if zipped:  # torch's form since 1.6
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("vgg11/data.pkl", data)
            archive.writestr("vgg11/data/0", b"0000")
    else:
        path.write_bytes(data)
    with pytest.raises(
        ValueError, match="is a pickle, which can run any program when it is loaded: it is not"
    ) as error:
        read_weights(path)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(data)["features.0.weight"].close()
    assert (tmp_path / "sprung").exists(), "the trap would have sprung"
    command = shlex.split(str(error.value).split("have torch: ")[1])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "the command", "exec")
    assert f"torch.load('{path}', map_location='cpu', weights_only=True)" in command[2]
    assert str(path.with_suffix(".safetensors")) in command[2]


@pytest.mark.parametrize("name", ["a.keras", "a.safetensors", "a.weights.h5", "a.h5"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused_with_their_layer(name, value, tmp_path):
    model = scrambled()
    kernel, bias = model.get_layer("block3_conv2").get_weights()
    kernel[1, 2, 3, 4] = value
    model.get_layer("block3_conv2").set_weights([kernel, bias])
    if name == "a.keras":
        model.save(tmp_path / name)
    elif name == "a.h5":
        old_h5(tmp_path / name, keras_layers("vgg11") | {"block3_conv2.kernel": kernel}, "W")
    else:
        write_weights(model, tmp_path / name)
    with pytest.raises(
        ValueError,
        match=rf"{name} has weights that are not numbers \(NaN or infinite\) in block3_conv2\.",
    ):
        read_weights(tmp_path / name)


def other_h5(path):
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros(3)


def theanos(path):
    layers = {
        name.replace("block", "convolution2d_"): array
        for name, array in keras_layers("vgg11", top=False).items()
    }
    old_h5(path, layers, "W")


def one_bias_too_many(path):
    new_h5(path, keras_layers("vgg11"))
    with h5py.File(path, "a") as file:
        file["layers/conv2d_0/vars/2"] = np.zeros(4, np.float32)


def vector_as_kernel(path):
    new_h5(path, keras_layers("vgg11") | {"block1_conv1.kernel": np.zeros((27, 4), np.float32)})


def whole_numbers(path):
    new_h5(path, keras_layers("vgg11") | {"fc1.kernel": np.zeros((128, 16), np.int8)})


def nameless(path):
    new_h5(path, keras_layers("vgg11"))
    with h5py.File(path, "a") as file:
        for group in file["layers"].values():
            del group["vars"].attrs["name"]


def twice(path):
    new_h5(path, keras_layers("vgg11"))
    with h5py.File(path, "a") as file:
        file.copy("layers", "layers/other")


def arrays_zip(path):
    np.savez(path, a=np.zeros(2))
    path.with_name(path.name + ".npz").rename(path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda path: path.write_text("weights, honestly"),
            r"is no file of weights\. Known forms: a run folder, \.keras",
        ),
        (lambda path: path.mkdir(), r"holds no weights: it has nothing\. Known forms"),
        (arrays_zip, r"is a zip archive, but no \.keras file: it has a\.npy\. Known forms"),
        (
            other_h5,
            r"holds no VGG network: "
            r"layers such as block1_conv1 and fc1 expected, found no arrays at all",
        ),
        (
            theanos,
            r"layers such as block1_conv1 and fc1 expected, "
            r"found convolution2d_1_conv1, .*, \.\.\.\.",
        ),
        (
            one_bias_too_many,
            r"block1_conv1 has arrays of shapes \(3, 3, 3, 4\), \(4,\), \(4,\); "
            r"kernel, bias were expected",
        ),
        (
            vector_as_kernel,
            r"has a kernel of shape \(27, 4\) in block1_conv1, which is none of a VGG network",
        ),
        (whole_numbers, r"fc1 holds whole numbers \(int8\): quantised weights cannot be read"),
        (nameless, r"tells no names of layers \(at layers/conv2d_0/vars\), only their order"),
        (twice, r"has two layers called block1_conv1: one network is expected"),
    ],
)
def test_what_holds_no_vgg_network_is_refused_with_what_was_expected_and_found(
    write, message, tmp_path
):
    write(tmp_path / "source")
    with pytest.raises(ValueError, match=message) as error:
        read_weights(tmp_path / "source")
    assert str(tmp_path / "source") in str(error.value)


def test_state_dicts_of_other_networks_are_refused_with_names_and_file(tmp_path):
    save_file(
        {"layer1.0.conv1.weight": np.zeros((2, 2, 3, 3), np.float32)},
        tmp_path / "resnet18.safetensors",
    )
    with pytest.raises(
        ValueError,
        match=r"resnet18\.safetensors: names of torchvision.* found layer1\.0\.conv1\.weight",
    ):
        read_weights(tmp_path / "resnet18.safetensors")


def test_nothing_there_is_said_with_the_known_forms(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"No weights at .*none\.h5\. Known forms: a run folder"
    ):
        read_weights(tmp_path / "none.h5")


def test_a_network_that_learnt_its_mean_with_adapt_is_said_not_to_tell_it():
    inputs = keras.Input((32, 32, 3))
    normalize = keras.layers.Normalization(name="normalize")
    normalize.adapt(IMAGES)
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3, name="block1_conv1")(normalize(inputs)))
    weights = read_weights(model)
    assert (weights.mean, weights.notes) == (None, (UNKNOWN_MEAN,))


# --- Files whose data are in other files: `file` holds the weights, `kernel` is the place of one of
# them in it ---


def as_a_secret(file, kernel, place):
    """Another file of this machine with data of the right shape, to which a link to the kernel's
    group would fit as well.
    """
    with h5py.File(place / "secret.h5", "w") as secret:
        group = secret.create_group("group")
        group.attrs.update(file[kernel].parent.attrs)
        for name, part in file[kernel].parent.items():
            group[name] = np.ones_like(part)
        secret["kernel"] = np.ones_like(file[kernel])
    return str(place / "secret.h5")


def external_storage(file, kernel, place):
    shape = file[kernel].shape
    np.ones(shape, np.float32).tofile(place / "secret")
    del file[kernel]
    file.create_dataset(
        kernel, shape, np.float32, external=[(str(place / "secret"), 0, 4 * int(np.prod(shape)))]
    )


def external_link(file, kernel, place):
    secret = as_a_secret(file, kernel, place)
    del file[kernel]
    file[kernel] = h5py.ExternalLink(secret, "kernel")


def external_group(file, kernel, place):
    secret, group = as_a_secret(file, kernel, place), file[kernel].parent.name
    del file[group]
    file[group] = h5py.ExternalLink(secret, "group")


def soft_link_through_an_external_link(file, kernel, place):
    file["elsewhere"] = h5py.ExternalLink(as_a_secret(file, kernel, place), "/")
    del file[kernel]
    file[kernel] = h5py.SoftLink("/elsewhere/kernel")


def virtual_dataset(file, kernel, place):
    shape = file[kernel].shape
    layout = h5py.VirtualLayout(shape, np.float32)
    layout[...] = h5py.VirtualSource(as_a_secret(file, kernel, place), "kernel", shape)
    del file[kernel]
    file.create_virtual_dataset(kernel, layout)


def deep_and_unread(file, kernel, place):
    file["optimizer/a/b/c/d"] = h5py.ExternalLink(as_a_secret(file, kernel, place), "kernel")


LEADING_ELSEWHERE = {
    external_storage: "external storage in .*secret",
    external_link: r"an external link to .*secret\.h5",
    external_group: r"an external link to .*secret\.h5",
    soft_link_through_an_external_link: r"/elsewhere is an external link to .*secret\.h5",
    virtual_dataset: "a virtual dataset",
    deep_and_unread: r"/optimizer/a/b/c/d is an external link to .*secret\.h5",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A file of each kind of Keras'."""
    place = tmp_path_factory.mktemp("written")
    tiny(classes=CLASSES).save(place / "a.keras")
    new_h5(place / "a.weights.h5", keras_layers("vgg11"))
    old_h5(place / "a.h5", keras_layers("vgg11"), "kernel", whole=True)
    return place


def changed(written, name, change, place):
    """A copy of a file in which `change` was at work; `model.keras` in a run folder. Gives what
    `read_weights` takes.
    """
    if not name.endswith(".keras"):
        path = place / name
        path.write_bytes((written / name).read_bytes())
        with h5py.File(path, "a") as file:
            change(
                file,
                {"a.weights.h5": "layers/conv2d_0/vars/0"}.get(
                    name, "model_weights/block1_conv1/block1_conv1/kernel:0"
                ),
            )
        return path
    (place / "run").mkdir()
    path, weights = place / ("run" if name == "model.keras" else "") / name, io.BytesIO()
    with zipfile.ZipFile(written / "a.keras") as old, zipfile.ZipFile(path, "w") as new:
        weights.write(old.read("model.weights.h5"))
        with h5py.File(weights, "a") as file:
            change(file, "layers/conv2d/vars/0")
        new.writestr("model.weights.h5", weights.getvalue())
        for other in {*old.namelist()} - {"model.weights.h5"}:
            new.writestr(other, old.read(other))
    return path.parent if name == "model.keras" else path


FORMS = ("a.weights.h5", "a.h5", "a.keras", "model.keras")


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("change", LEADING_ELSEWHERE)
def test_files_that_would_read_other_files_of_this_machine_are_refused(
    change, name, written, tmp_path
):
    path = changed(written, name, lambda file, kernel: change(file, kernel, tmp_path), tmp_path)
    named = rf"{re.escape(name)} must hold all of its weights itself\. Received: /.* is "
    with pytest.raises(
        ValueError, match=rf"{named}.*which reads another file.*Get the weights again"
    ):
        read_weights(path)
    with pytest.raises(ValueError, match=LEADING_ELSEWHERE[change]):
        read_weights(path)
    if name == "model.keras":
        with pytest.raises(ValueError, match=named):
            run_folder.Run(str(path), None).load_best()


def test_keras_gets_no_file_that_was_not_checked(written, tmp_path, monkeypatch):
    """Keras from 3.12.1 on refuses some of them as well; here it is one that would read all of
    them.
    """
    path = changed(
        written,
        "model.keras",
        lambda file, kernel: external_storage(file, kernel, tmp_path),
        tmp_path,
    )
    monkeypatch.setattr(
        keras.saving, "load_model", lambda *_, **__: pytest.fail("Keras has opened it")
    )
    with pytest.raises(ValueError, match=r"model\.keras must hold all of its weights itself"):
        run_folder.Run(str(path), None).load_best()
    (path / "model.keras").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"model\.keras is torn or damaged"):
        run_folder.Run(str(path), None).load_best()


@pytest.mark.parametrize("name", FORMS)
def test_circles_of_hard_links_and_soft_links_within_a_file_are_read(name, written, tmp_path):
    def change(file, kernel):
        file["around"] = file["/"]
        file.move(kernel, "kept")
        file[kernel] = h5py.SoftLink("/kept")
        file["nowhere"] = h5py.SoftLink("/not/there")

    path = changed(written, name, change, tmp_path)
    before = read_weights(written / name.replace("model", "a")).layers["block1_conv1"]["kernel"]
    np.testing.assert_array_equal(read_weights(path).layers["block1_conv1"]["kernel"], before)
    if name == "model.keras":
        reading.check_archive(path / name, path / name)


def test_names_that_are_references_are_refused(written, tmp_path):
    def change(file, kernel):
        root = file["model_weights"]
        root.attrs["layer_names"] = np.array([root["block1_conv1"].ref], h5py.ref_dtype)

    path = changed(written, "a.h5", change, tmp_path)
    with pytest.raises(
        ValueError,
        match=r"a\.h5: layer_names of /model_weights must be names. Received: <HDF5 object ref",
    ):
        read_weights(path)


def test_every_file_of_keras_is_opened_where_it_is_checked():
    places = {
        "h5py.File(": {"keras_formats.py", "writing.py"},
        ".load_model(": {"run_folder.py"},
        ".load_weights(": set(),
    }
    for path in Path(reading.__file__).parents[1].rglob("*.py"):
        for call, where in places.items():
            assert call not in path.read_text() or path.name in where, f"{path.name} calls {call}"
