"""A network from elsewhere gives its own outputs on raw pixels, whatever its file does to them."""

import json
import re

import h5py
import keras
import numpy as np
import pytest
from keras import layers, ops

from tests.weights.making_files import IMAGES, log_posteriors, outputs, scrambled, tiny
from vgg_tf import build_vgg, read_weights, write_weights
from vgg_tf.weights.preprocessing import CAFFE, UNKNOWN_MEAN, find_preprocessing

PIXELS = IMAGES[:2, :8, :8]
MEAN, STD = np.float32([124, 117, 104]), np.float32([58, 57, 57])


def network(preprocess, channels=3):
    """Return a network of one convolution that takes what `preprocess` makes of the pixels."""
    inputs = keras.Input((8, 8, channels))
    convolve = layers.Conv2D(4, 3, padding="same", name="block1_conv1")
    return keras.Model(inputs, convolve(preprocess(inputs)))


def compute(weights):
    """Return the outputs of the convolution for the pixels, from mean, std and kernel."""
    std = weights.std or (1, 1, 1)
    x = (PIXELS - np.float32(weights.mean)) / np.float32(std)
    values = weights.layers["block1_conv1"]
    return ops.convert_to_numpy(ops.conv(x, values["kernel"], padding="same") + values["bias"])


def adapted():
    layer = layers.Normalization()
    layer.adapt(IMAGES)
    return layer


def augment():
    return keras.Sequential([layers.RandomFlip(), layers.Rescaling(1 / 127.5, offset=-1)])


def standardize(x):
    return (x / 255 - MEAN / 255) / (STD / 255)


def inner():
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, layers.Rescaling(255.0)(inputs * 2.0 + 1.0), name="scaler")


KNOWN = {
    "rescaling": lambda x: layers.Rescaling(1 / 255)(x),
    "renamed, with an offset": lambda x: layers.Rescaling(1 / 127.5, -1, name="to_unit")(x),
    "three scales": lambda x: layers.Rescaling([0.5, 1, 2], offset=[1, 2, 3])(x),
    "normalization": lambda x: layers.Normalization(mean=MEAN, variance=STD**2)(x),
    "adapted": lambda x: adapted()(x),
    "inverted": lambda x: layers.Normalization(mean=0.0, variance=255.0**2, invert=True)(x),
    "both": lambda x: layers.Normalization(mean=0.5, variance=0.04)(layers.Rescaling(1 / 255)(x)),
    "augmented": lambda x: augment()(x),
    "nested twice": lambda x: keras.Sequential([augment(), layers.Dropout(0.5)])(x),
    "a nested graph": lambda x: inner()(x),
    "operations": standardize,
    "constant first": lambda x: -(1.0 - 2.0 * x),
    "caffe": lambda x: keras.applications.vgg16.preprocess_input(x),
    "bgr by a slice": lambda x: standardize(x)[..., ::-1],
    "bgr by a flip": lambda x: ops.flip(standardize(x), axis=-1),
    "bgr by a stack": lambda x: ops.stack([x[..., i] / (i + 1) for i in (2, 1, 0)], axis=-1),
    "bgr of parts": lambda x: ops.concatenate([x[..., 2:], x[..., 1:2], x[..., :1]], axis=-1),
    "cast": lambda x: ops.cast(x, "float32") / 255,
    "its own resizing": lambda x: layers.Rescaling(1 / 255)(layers.Resizing(8, 8)(x)),
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("suffix", ["", ".keras"])
def test_preprocessing_in_the_network_becomes_mean_std_and_kernel(name, suffix, tmp_path):
    model = network(KNOWN[name])
    if suffix:
        model.save(tmp_path / "a.keras")
    weights = read_weights(tmp_path / "a.keras" if suffix else model)
    assert weights.notes == ()
    expected = ops.convert_to_numpy(model(PIXELS, training=False))
    np.testing.assert_allclose(
        compute(weights), expected, rtol=0, atol=1e-6 * np.abs(expected).max()
    )


UNKNOWN = {
    "a lambda": (lambda x: layers.Lambda(lambda y: y / 255)(x), "lambda"),
    "not linear": (lambda x: ops.log1p(x), "log1p"),
    "inverted": (lambda x: 255.0 - x, "invert"),
    "mixed": (lambda x: x + x[..., ::-1], "mix"),
    "another order": (lambda x: ops.stack([x[..., i] for i in (1, 0, 2)], -1), r"\[1, 0, 2\]"),
    "a convolution before": (lambda x: layers.Conv2D(3, 1, name="colors")(x), "colors"),
    "no kernel": (lambda x: x * 0.0, "remove"),
}


@pytest.mark.parametrize(("preprocess", "word"), UNKNOWN.values(), ids=UNKNOWN)
def test_preprocessing_that_is_unknown_is_named_and_not_guessed(preprocess, word):
    weights = read_weights(network(preprocess))
    assert weights.mean is None
    (note,) = [note for note in weights.notes if "mean" in note]
    assert UNKNOWN_MEAN in note
    assert "--mean" in note
    assert re.search(word, note)


def test_a_lambda_of_a_file_is_not_executed(tmp_path):
    model = network(lambda x: layers.Lambda(lambda y: y / 255)(x))
    model.save(tmp_path / "a.keras")
    assert "lambda" in read_weights(tmp_path / "a.keras").notes[0]
    weights = read_weights(tmp_path / "a.keras", mean=0, std=255)
    assert weights.notes == ()
    np.testing.assert_allclose(compute(weights), model(PIXELS), rtol=1e-4, atol=1e-4)


def test_gray_networks_keep_what_their_file_says():
    weights = read_weights(network(lambda x: layers.Rescaling(1 / 255, -0.5)(x), channels=1))
    np.testing.assert_allclose((weights.mean, weights.std), ((127.5,), (255,)), rtol=1e-12)
    weights = read_weights(network(lambda x: x, channels=1))
    assert (weights.mean, weights.notes) == (None, (UNKNOWN_MEAN,))


def make_operation(function, name, before, more):
    """Return the configuration of an operation, as tf_keras 2.21 writes it."""
    kind = "SlicingOpLambda" if "getitem" in function else "TFOpLambda"
    config = {"name": name, "function": function}
    return {"class_name": kind, "config": config, "inbound_nodes": [[before, 0, 0, more]]}


TURN = {"slice_spec": [{"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}]}
BIAS = {"bias": [-103.939, -116.779, -123.68], "data_format": "NHWC"}
SCALE = [
    {"class_name": "InputLayer", "config": {"name": "rescaling_input"}},
    {"class_name": "Rescaling", "config": {"name": "r", "scale": 0.5}},
]
KERAS_2 = {
    "slices and operations": (
        [
            make_operation("__operators__.getitem", "turn", "input_1", TURN),
            make_operation("nn.bias_add", "add", "turn", BIAS),
            make_operation("math.truediv", "divide", "add", {"y": 2.0, "name": None}),
        ],
        ("divide", 0),
        ((123.68, 116.779, 103.939), (2, 2, 2), "bgr"),
    ),
    "a nested model, called as its second call": (
        [
            {
                "class_name": "Sequential",
                "config": {"name": "scale", "layers": SCALE},
                "inbound_nodes": [[["input_1", 0, 0, {}]]],
            }
        ],
        ("scale", 1),
        ((0, 0, 0), (2, 2, 2), "rgb"),
    ),
}


@pytest.mark.parametrize(("steps", "last", "expected"), KERAS_2.values(), ids=KERAS_2)
def test_configurations_of_keras_2_are_read(steps, last, expected):
    start = {"class_name": "InputLayer", "config": {"name": "input_1"}, "inbound_nodes": []}
    end = {
        "class_name": "Conv2D",
        "config": {"name": "block1_conv1"},
        "inbound_nodes": [[[*last, 0, {}]]],
    }
    config = {"class_name": "Functional", "config": {"name": "m", "layers": [start, *steps, end]}}
    found = find_preprocessing(config, {"block1_conv1": [np.zeros([3, 3, 3, 4])]})
    np.testing.assert_allclose((found.mean, found.std), expected[:2], rtol=1e-12)
    assert (found.channels, found.guessed) == (expected[2], False)


CIRCLE = [
    {"class_name": "Identity", "name": name, "config": {}, "inbound_nodes": [[[other, 0, 0, {}]]]}
    for name, other in (("a", "block1_conv1"), ("block1_conv1", "a"))
]
CONFIGS = {
    "no graph": {"class_name": "Mine", "config": {"depth": 16}},
    "no configuration": {},
    "a number": 3,
    "a circle": {"config": {"layers": CIRCLE}},
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_configurations_that_are_no_graph_end_in_an_assumption(config):
    found = find_preprocessing(config, {"block1_conv1": [np.zeros([3, 3, 3, 4])]})
    assert found.guessed
    assert found.mean in (None, CAFFE.mean)


@pytest.mark.parametrize(
    ("scale", "offset"), [(float("nan"), 0), (float("inf"), 0), (1, float("nan"))]
)
def test_statistics_of_a_file_that_cannot_be_right_are_refused(scale, offset):
    model = network(lambda x: layers.Rescaling(scale, offset)(x))
    with pytest.raises(ValueError, match="must give finite numbers"):
        read_weights(model)


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("mean", [float("nan"), 0, 0], r"mean\[0\] must be a number .* not nan"),
        ("mean", ["a", 0, 0], r"mean\[0\] must be a number .* not 'a'"),
        ("mean", 3, "mean must be a list"),
        ("std", [0, 1, 1], r"std\[0\] must be a number from 1e-06"),
        ("std", [-1, 1, 1], r"std\[0\] must be a number from 1e-06"),
        ("classes", ["cat", 3], r"classes\[1\] must be a text"),
        ("test_scale", 10**9, "test_scale must be an integer from 0 to 8192"),
        ("map_sides", [7, 0], r"map_sides\[1\] must be an integer from 1"),
        ("mean", [1.0, 2.0, 4.0], "must have the checksum"),
    ],
)
def test_metadata_that_cannot_be_right_is_refused(key, value, match, tmp_path):
    path = tmp_path / "a.weights.h5"
    write_weights(scrambled("vgg11"), path, classes=["cat", "dog"])
    with h5py.File(path, "a") as file:
        file.attrs["vgg_tf"] = json.dumps(json.loads(file.attrs["vgg_tf"]) | {key: value})
    with pytest.raises(ValueError, match=match):
        read_weights(path)


def test_a_mean_of_zero_is_stated_and_not_assumed():
    weights = read_weights(scrambled("vgg11", mean=(0.0,) * 3))
    assert (weights.mean, weights.std, weights.notes) == ((0,) * 3, None, ())


def test_a_network_around_ours_keeps_both_preprocessings(tmp_path):
    ours = scrambled("vgg11", mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))
    inputs = keras.Input(ours.input_shape[1:])
    keras.Model(inputs, ours(layers.Rescaling(1 / 2)(inputs))).save(tmp_path / "a.keras")
    weights = read_weights(tmp_path / "a.keras")
    np.testing.assert_allclose((weights.mean, weights.std), ((2, 4, 6), (8, 10, 12)), rtol=1e-12)


def theirs(inside):
    """Return a network for pixels of 0..1, with its scaling inside or outside, and its outputs."""
    base = tiny("vgg11", mean=(0.0,) * 3, std=(1.0,) * 3)
    inputs = keras.Input(base.input_shape[1:])
    x = layers.Rescaling(1 / 255)(inputs) if inside else inputs
    for layer in base.layers[2:]:
        x = layer(x)
    model = keras.Model(inputs, x)
    first = model.get_layer("block1_conv1")
    first.kernel.assign(first.kernel * 20)  # so that posteriors differ
    images = IMAGES if inside else IMAGES / 255
    return model, np.log(ops.convert_to_numpy(model(images)))


@pytest.mark.parametrize("inside", [True, False])
def test_what_the_user_states_wins_over_the_file(inside, tmp_path):
    model, expected = theirs(inside)
    model.save(tmp_path / "a.keras")
    stated = {"mean": (0, 0, 0), "std": (255, 255, 255)}
    ours = build_vgg(
        "vgg11", weights=tmp_path / "a.keras", input_shape=model.input_shape[1:], **stated
    )
    np.testing.assert_allclose(log_posteriors(ours), expected, atol=1e-4)
    guessed = build_vgg("vgg11", weights=tmp_path / "a.keras", input_shape=model.input_shape[1:])
    difference = np.abs(outputs(guessed) - np.exp(expected)).max()
    assert difference < 1e-4 if inside else difference > 0.01


def test_stated_channels_turn_the_kernel_alone(tmp_path):
    model = network(lambda x: layers.Rescaling(1 / 255)(x))
    as_file, stated = read_weights(model), read_weights(model, channels="bgr")
    assert (as_file.mean, as_file.std) == (stated.mean, stated.std)
    kernels = [weights.layers["block1_conv1"]["kernel"] for weights in (as_file, stated)]
    np.testing.assert_array_equal(kernels[0][:, :, ::-1], kernels[1])
    caffe = network(lambda x: x)  # assumed BGR
    (note,) = read_weights(caffe, channels="rgb").notes
    assert note == "channels RGB, as stated; mean and std assumed"
    kernel = read_weights(caffe, channels="rgb").layers["block1_conv1"]["kernel"]
    np.testing.assert_array_equal(kernel, caffe.get_layer("block1_conv1").kernel)


@pytest.mark.parametrize(
    ("stated", "match"),
    [
        ({"mean": (1, 2)}, "mean must be three finite numbers"),
        ({"mean": float("nan")}, "mean must be three finite numbers"),
        ({"std": (0.229, 0.224, 0.225)}, "std must be in gray levels"),
        ({"std": 0}, "std must be in gray levels"),
        ({"channels": "grb"}, "channels must be auto, rgb or bgr"),
    ],
)
def test_statements_that_cannot_be_right_are_refused(stated, match):
    with pytest.raises(ValueError, match=match):
        read_weights("cifar10", **stated)
