"""build_vgg: a row of Table 1 becomes a Keras functional model that takes raw RGB."""

import keras

from vgg_tf.models import blocks
from vgg_tf.models.initializers import find_initialization
from vgg_tf.paper.architectures import HEAD_WIDTH, IMAGENET_MEAN, find_architecture
from vgg_tf.weights.freezing import freeze
from vgg_tf.weights.imagenet import fetch_imagenet_weights
from vgg_tf.weights.inheritance import load_weights
from vgg_tf.weights.normalization import adapt_statistics
from vgg_tf.weights.reading import read_weights

SMALL_SIDE = 64  # inputs with a smaller side (CIFAR's 32 pixels) get a head of SMALL_HEAD_WIDTH
SMALL_HEAD_WIDTH = 512
POOLINGS = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}


def build_vgg(
    arch="vgg16",
    *,
    include_top=True,
    weights=None,
    input_shape=(224, 224, 3),
    pooling=None,
    classes=None,
    classifier_activation="softmax",
    name=None,
    dropout=0.5,
    initializer=None,
    l2=5e-4,
    width=None,
    head_width=None,
    dense=False,
    mean=None,
    std=None,
    seed=None,
    freeze_until=None,
):
    """Build a VGG network (section 2.1, Table 1) under Keras' argument and layer names.

    The model takes raw RGB 0..255, uint8 or float, `[B, H, W, 3]`; its first layer subtracts the
    mean (and divides by std where given) in float32 under every dtype policy. Scores and posteriors
    are float32.

    Args:
        arch: a name of `vgg_tf.ARCHITECTURES`, such as `vgg11`, `vgg16c` or `vgg19_bn`.
        include_top: with the head fc1, fc2, predictions; without it the output is the last map,
            `[B, H/32, W/32, 512]`.
        weights: None for random ones; `"imagenet"` for Keras' own of vgg16 and vgg19; `"cifar10"`
            for the `vgg11_bn` of half the width that comes with the package, with `input_shape=(32,
            32, 3)`; or anything that `reading.read_weights` reads: a run folder, a file of Keras,
            torchvision or timm. What the source lacks of the head, or has for another number of
            `classes`, stays random, and that is said: a new head on a trained trunk.
        input_shape: `(H, W, 3)`. With the head, H and W are the training crop and fixed; `(None,
            None, 3)` without it. Other numbers of channels take weights for RGB by summing (grey)
            or repeating the first kernel.
        pooling: without the head: None, `"avg"` or `"max"` over the last map, giving `[B, 512]`.
        classes: number of classes; None is that of the weights, 1000 without.
        classifier_activation: `"softmax"` for posteriors, None for scores (logits). The layer
            `predictions` always gives the scores; the softmax is a layer of its own after it.
        name: name of the model; the architecture's by default.
        dropout: share of the outputs of fc1 and of fc2 set to zero in training (section 3.1: 0.5).
        initializer: a name of `initializers.INITIALIZERS` (paper, gaussian, glorot, he,
            torchvision, dirac), or a Keras initialiser, a name or a config. None is one that keeps
            a first loss near ln(classes), see `initializers.find_initialization`.
        l2: weight decay as the paper means it: each kernel is pulled by `l2 * w` (the loss gets `l2
            / 2 * |w|^2`).
        width: multiplier of the number of channels of all convolutions; None is that of the
            weights, 1 without.
        head_width: outputs of fc1 and fc2; None is that of the weights, without them 4096, and 512
            for inputs with a side below 64 pixels (CIFAR form).
        dense: the same weights as convolutions (section 3.2), fc1 with a kernel of input side / 32:
            takes images of any size and gives a map of class scores `[B, h, w, classes]`, one for
            each crop position at stride 32; no softmax.
        mean: mean subtracted from the input, 0..255, a number a channel; None is that of the
            weights, ImageNet's without.
        std: standard deviation the input is divided by, in grey levels; None divides by nothing, as
            the paper. Weights that know their mean and std bring them along, whatever is given
            here, and that is said.
        seed: int that makes initial weights and dropout reproducible.
        freeze_until: block or layer, such as `"block4"`, before which nothing learns.

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: unknown architecture, arguments that do not fit together, or weights of another
            network.
    """
    row = find_architecture(arch)
    _check(include_top, input_shape, pooling, classifier_activation, dense, classes, mean, std)
    weights = None if weights is None else _read(weights, arch, include_top)
    if weights and mean is None and std is None and weights.mean is not None:
        mean, std = (
            adapt_statistics(values, input_shape[2]) for values in (weights.mean, weights.std)
        )
    form = blocks.Form(
        row,
        input_shape,
        adapt_statistics(IMAGENET_MEAN, input_shape[2]) if mean is None else mean,
        std,
        width or (weights and weights.width) or 1.0,
        head_width or _count_outputs(weights, "fc1") or _default_head_width(input_shape),
        classes or _count_outputs(weights, "predictions") or 1000,
        dropout,
        dense,
    )
    starts = find_initialization(initializer, row.batch_norm or std is not None)
    kernels = blocks.Kernels(starts, l2, seed)
    inputs, x = blocks.make_input(form)
    x = blocks.add_trunk(x, form, kernels)
    if include_top:
        x = blocks.add_head(x, form, kernels)
        if classifier_activation and not dense:
            x = keras.layers.Softmax(dtype="float32", name="softmax")(x)
    elif pooling:
        x = POOLINGS[pooling](name=f"{pooling}_pool")(x)
    model = keras.Model(inputs, x, name=name or row.name)
    if starts.identity:
        blocks.start_as_identity(model, input_shape)
    if weights:
        load_weights(model, weights, new_head=True)
    if freeze_until:
        freeze(model, freeze_until)
    return model


def _read(weights, arch, include_top):
    if isinstance(weights, str) and weights == "imagenet":
        return fetch_imagenet_weights(arch, include_top)
    return read_weights(weights)


def _count_outputs(weights, layer):
    """Return the number of outputs of a layer of weights; None where they lack it."""
    if not weights or layer not in weights.layers:
        return None
    return weights.layers[layer]["kernel"].shape[-1]


def _default_head_width(input_shape):
    height, width, _ = input_shape
    small = height is not None and min(height, width) < SMALL_SIDE
    return SMALL_HEAD_WIDTH if small else HEAD_WIDTH


def _check(include_top, input_shape, pooling, classifier_activation, dense, classes, mean, std):
    if len(input_shape) != 3 or not input_shape[2]:
        raise ValueError(
            "input_shape is (height, width, channels), 3 channels for RGB. Received: "
            f"{input_shape}."
        )
    for name, values in (("mean", mean), ("std", std)):
        if values is not None and len(values) != input_shape[2]:
            raise ValueError(
                f"{name} is a number for each of the {input_shape[2]} channels. Received: {values}."
            )
    sides = input_shape[:2]
    if None in sides and (include_top or sides != (None, None)):
        raise ValueError(
            "With include_top=True the head needs a fixed input_shape such as (224, 224, 3), "
            f"also with dense=True, where it is the training crop. Received: {input_shape}."
        )
    if None not in sides and min(sides) < 32:
        raise ValueError(
            f"Five poolings need sides of at least 32 pixels. Received: input_shape={input_shape}."
        )
    if pooling not in (None, "avg", "max"):
        raise ValueError(f'pooling is None, "avg" or "max". Received: {pooling!r}.')
    if classifier_activation not in (None, "softmax"):
        raise ValueError(
            f'classifier_activation is "softmax" or None. Received: {classifier_activation!r}.'
        )
    if dense and not include_top:
        raise ValueError("dense=True is a form of the head: it needs include_top=True.")
    if classes is not None and classes < 1:
        raise ValueError(f"classes is a positive number. Received: {classes}.")
