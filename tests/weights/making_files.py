"""Files of weights in the formats of their writers, and the outputs of their networks in numpy."""

import functools
import json

import h5py
import keras
import numpy as np

from vgg_tf import build_vgg

# As in torchvision's vgg.py. M is a pooling layer.
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
    """Return the outputs of a network as an array.

    For few images the call is half a second faster than `predict`.
    """
    return np.asarray(model(images, training=False))


def log_posteriors(model, images=IMAGES):
    return np.log(outputs(model, images).astype(np.float64))


def torch_state(arch, map_side=2, seed=0):
    """Return a random state dict with torchvision's names."""
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
            # Small, so that an epsilon of 1e-3, Keras' default, would change the outputs.
            state[f"{norm}.running_var"] = rng.uniform(0.001, 0.01, channels)
            state[f"features.{index}.weight"] *= 0.05
        index += 3 if arch.endswith("_bn") else 2
    linear("classifier.0", HIDDEN, channels * map_side**2)
    linear("classifier.3", HIDDEN, HIDDEN)
    linear("classifier.6", CLASSES, HIDDEN)
    return {name: array.astype(np.float32) for name, array in state.items()}


def spread(state, scores, name="classifier.6", words=("weight", "bias"), to=2):
    """Scale the last layer so that the logits of an image have a std of `to`."""
    factor = to / scores.std(1).mean()
    return state | {
        f"{name}.{word}": np.float32(state[f"{name}.{word}"] * factor) for word in words
    }


def agrees_and_mistakes_do_not(ours, scores, mistaken):
    """Check the log-posteriors against logits, and against those of each mistake."""
    assert scores.std(1).mean() >= 1
    np.testing.assert_allclose(ours, log_softmax(scores), rtol=0, atol=TOLERANCE)
    for mistake, wrong in mistaken.items():
        assert np.abs(ours - log_softmax(wrong)).max() > 100 * TOLERANCE, (
            f"the test does not detect: {mistake}"
        )


def keras_layers(arch="vgg16", top=True, seed=0):
    """Return random weights by `layer.variable` of a network for 64-pixel images."""
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
    """Return the logits for inputs of the first layer; without a head, the last feature map."""
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
    """Preprocess RGB as keras.applications' preprocess_input does: BGR minus the mean."""
    return images[..., ::-1] - np.array([103.939, 116.779, 123.68])


def old_h5(path, layers, style, whole=False, nested=False):
    """Write a file as Keras 1 and 2 did.

    The style `W` is that of the files of keras.applications, `kernel` is the later one, `numbered`
    that of TensorFlow 1.
    """

    def stored(name, variable):
        numbered = {"kernel": "kernel:0", "bias": "bias:0"}[variable]
        return {
            "W": f"{name}_{'W' if variable == 'kernel' else 'b'}_1:0",
            "kernel": f"{name}/{numbered}",
            "numbered": f"{name}_1/{numbered}",
        }[style]

    groups = {}  # group of the file: names of its layers
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
    """Write a `.weights.h5` of Keras 3: numbered groups, with the layer's name as attribute."""
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


@functools.cache
def kerass():
    """Return the trunk of keras.applications, with a sixteenth of the filters."""

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


def scrambled(arch="vgg11", **options):
    """Return a network with random values in all weights, including biases and moments."""
    model = tiny(arch, **{"classes": CLASSES} | options)
    rng = np.random.default_rng(5)
    model.set_weights(
        [rng.uniform(0.1, 1, w.shape).astype(np.float32) for w in model.get_weights()]
    )
    return model
