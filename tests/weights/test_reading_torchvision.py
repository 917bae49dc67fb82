"""Files of torchvision and timm give torch's outputs, computed in numpy without Keras."""

import numpy as np
import pytest
from safetensors.numpy import save_file

import vgg_tf
from tests.weights.making_files import (
    CLASSES,
    CONFIGURATIONS,
    HIDDEN,
    IMAGES,
    TOLERANCE,
    WIDTH,
    agrees_and_mistakes_do_not,
    log_posteriors,
    spread,
    tiny,
    torch_state,
)
from vgg_tf import read_weights
from vgg_tf.paper.architectures import IMAGENET_MEAN, TORCHVISION_MEAN, TORCHVISION_STD


def torch_scores(state, arch, images, mean=TORCHVISION_MEAN, std=TORCHVISION_STD, epsilon=1e-5):
    """Return the logits of torchvision's network."""
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


def torch_mistakes(state, map_side=2):
    """Return the state dicts that likely mistakes in reading would give."""
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


def timm_names(state, map_side=2):
    """Return the state dict with timm's names."""
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
def test_a_state_dict_gives_the_outputs_of_torch_and_mistakes_would_not(arch, tmp_path):
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
    # timm's folders on Hugging Face have the file under this name.
    (tmp_path / "timm").mkdir()
    save_file(timm_names(state), tmp_path / "timm" / "model.safetensors")
    vgg_tf.load_weights(model, tmp_path / "timm")
    agrees_and_mistakes_do_not(log_posteriors(model), torch_scores(state, arch, IMAGES), mistaken)
    theirs, timms = read_weights(tmp_path / "model.safetensors"), read_weights(tmp_path / "timm")
    assert (timms.mean, timms.std) == (theirs.mean, theirs.std)
    for layer, values in theirs.layers.items():
        for name, array in values.items():
            np.testing.assert_array_equal(timms.layers[layer][name].reshape(array.shape), array)


def test_fc1_of_224_pixel_images_has_the_order_of_torch(tmp_path):
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
def test_torch_gives_the_same_outputs(arch, tmp_path):
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


def test_half_precision_is_read_without_rounding(tmp_path):
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


def test_the_error_about_other_state_dicts_has_the_file_and_the_names(tmp_path):
    save_file(
        {"layer1.0.conv1.weight": np.zeros((2, 2, 3, 3), np.float32)},
        tmp_path / "resnet18.safetensors",
    )
    with pytest.raises(
        ValueError,
        match=r"resnet18\.safetensors: names must be .* Received: layer1\.0\.conv1\.weight",
    ):
        read_weights(tmp_path / "resnet18.safetensors")
