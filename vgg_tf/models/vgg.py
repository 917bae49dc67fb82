"""build_vgg: the networks of Table 1 as Keras functional models that take raw RGB."""

import os
from collections.abc import Sequence
from dataclasses import replace

import keras

from vgg_tf.models import blocks
from vgg_tf.models.freezing import freeze
from vgg_tf.models.initializers import find_initialization
from vgg_tf.paper.architectures import HEAD_WIDTH, IMAGENET_MEAN, find_architecture
from vgg_tf.weights.container import Weights
from vgg_tf.weights.hub import expand_name
from vgg_tf.weights.inheritance import load_weights
from vgg_tf.weights.normalization import adapt_statistics
from vgg_tf.weights.reading import read_weights

SMALL_SIDE = 64  # inputs with a side below it, such as CIFAR's 32 pixels, get SMALL_HEAD_WIDTH
SMALL_HEAD_WIDTH = 512
POOLINGS = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}


def build_vgg(
    arch: str = "vgg16",
    *,
    include_top: bool = True,
    weights: str | os.PathLike | keras.Model | Weights | None = None,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str | None = None,
    classes: int | None = None,
    classifier_activation: str | None = "softmax",
    name: str | None = None,
    dropout: float = 0.5,
    initializer: str | dict | None = None,
    l2: float = 5e-4,
    width: float | None = None,
    head_width: int | None = None,
    dense: bool = False,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    seed: int | None = None,
    freeze_until: str | None = None,
) -> keras.Model:
    """Build a VGG network (section 2.1, Table 1), with the argument and layer names of Keras.

    The network takes raw RGB 0..255, uint8 or float, `[B, H, W, 3]`. Its first layer subtracts the
    mean, and divides by `std` if given, in float32 under every dtype policy. The output is
    probabilities, logits or a feature map, depending on the arguments. Probabilities and logits are
    float32.

    Args:
        arch: Name of the architecture, a key of `vgg_tf.ARCHITECTURES`, such as `"vgg11"`,
            `"vgg16c"` or `"vgg19_bn"`. Defaults to `"vgg16"`.
        include_top: If True, the network has the head fc1, fc2, predictions. If False, the output
            is the last feature map, `[B, H // 32, W // 32, 512 * width]`. Defaults to True.
        weights: Where the weights come from. Defaults to None, random weights. One of:

            - `"imagenet"`: torchvision's weights of `vgg11` to `vgg19` and their `_bn`, from timm's
              pages on the Hugging Face Hub; or a name there, such as `timm/vgg16_bn.tv_in1k`. Needs
              `pip install "vgg_tf[hub]"`.
            - `"cifar10"`: the `vgg11_bn` of half the width that is part of the package, with
              `input_shape=(32, 32, 3)`.
            - A Keras model, or the path of a run folder or of a file of Keras, torchvision or timm;
              see `vgg_tf.read_weights`.

            Layers of the head stay random if the source lacks them. So does `predictions` if the
            source has another number of classes. A report is printed that names these layers.
        input_shape: `(H, W, channels)`, each side at least 32 pixels. With the head, the sides are
            those of the training crop. Without it, they can be `(None, None, channels)`. If there
            are not 3 channels, RGB weights are adapted: summed for gray, repeated for more.
            Defaults to `(224, 224, 3)`.
        pooling: Without the head, pooling of the last feature map, to `[B, 512 * width]`: `"avg"`,
            `"max"` or None. Defaults to None, no pooling.
        classes: Number of classes, at least 1. Defaults to None, the number of the weights, or
            1000.
        classifier_activation: `"softmax"` for probabilities, None for logits. The softmax is a
            layer of its own after `predictions`. Defaults to `"softmax"`.
        name: Name of the model. Defaults to None, the name of the architecture.
        dropout: Fraction of the outputs of fc1 and fc2 set to zero in training, 0 to below 1.
            Defaults to 0.5, as in section 3.1.
        initializer: Initial values of the kernels. A key of `vgg_tf.INITIALIZERS` (paper, gaussian,
            glorot, he, torchvision, dirac), or a Keras initializer, by name or config. Defaults to
            None, He's or Glorot's, so that the first loss is near ln(classes).
        l2: Weight decay, 0 or more. The loss gets `l2 / 2 * sum(w ** 2)` of each kernel, so its
            gradient gets `l2 * w`. Defaults to 5e-4.
        width: Multiplier of the number of filters of all convolutions, above 0. Defaults to None,
            the width of the weights, or 1.
        head_width: Number of outputs of fc1 and fc2. Defaults to None, the number of the weights.
            Without weights it is 4096, or 512 for inputs with a side below 64 pixels.
        dense: If True, the head consists of convolutions (section 3.2), with the same weights. The
            network takes images of any size. The output is a map of logits `[B, h, w, classes]`
            without a softmax, with a stride of 32 pixels. Defaults to False.
        mean: Mean of each channel, 0..255, which is subtracted from the input. Defaults to None,
            the mean of the weights, or ImageNet's.
        std: Standard deviation of each channel, in gray levels, by which the input is divided.
            Defaults to None, the std of the weights, or no division, as in the paper. With weights,
            `mean` and `std` are those of their training, and win over their file.
        seed: Int seed of the initial weights and of dropout. Defaults to None, random.
        freeze_until: Name of a block or layer, such as `"block4"`; the layers before it are frozen.
            Defaults to None, no frozen layers.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        ValueError: The architecture, the initializer or `freeze_until` is unknown, arguments do not
            fit together, or the weights are for another network.
        FileNotFoundError: The path `weights` does not exist.
        ConnectionError: The Hub could not be reached.
        ModuleNotFoundError: The client of the Hub is not installed.

    Examples:
        >>> model = build_vgg(
        ...     "vgg11", input_shape=(32, 32, 3), classes=2, width=0.0625, head_width=16
        ... )
        >>> model.name, model.output.shape
        ('vgg11', (None, 2))
        >>> images = keras.ops.zeros([5, 32, 32, 3], "uint8")
        >>> model(images).shape
        TensorShape([5, 2])
    """
    row = find_architecture(arch)
    _check(include_top, input_shape, pooling, classifier_activation, dense, classes, mean, std)
    if weights is not None:
        weights = _read(weights, arch, input_shape[2], mean, std)
        if weights.mean is not None:
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


def _read(weights, arch, channels, mean, std):
    """Return the weights. Their mean is None where the arguments state that of the network."""
    if isinstance(weights, str):
        weights = expand_name(weights, arch)
    if channels == 3:
        return read_weights(weights, mean=mean, std=std)
    weights = read_weights(weights)
    return weights if mean is None and std is None else replace(weights, mean=None, std=None)


def _count_outputs(weights, layer):
    """Return the number of outputs of a layer of weights, or None if they lack the layer."""
    if not weights or layer not in weights.layers:
        return None
    return weights.layers[layer]["kernel"].shape[-1]


def _default_head_width(input_shape):
    height, width, _ = input_shape
    small = height is not None and min(height, width) < SMALL_SIDE
    return SMALL_HEAD_WIDTH if small else HEAD_WIDTH


def _check(include_top, input_shape, pooling, classifier_activation, dense, classes, mean, std):
    if (form := keras.config.image_data_format()) != "channels_last":
        raise ValueError(
            f"image_data_format of Keras must be channels_last. Received: {form}. Change it "
            "in ~/.keras/keras.json, or call keras.config.set_image_data_format."
        )
    if len(input_shape) != 3 or not input_shape[2]:
        raise ValueError(
            "input_shape must be (height, width, channels), with 3 channels for RGB. Received: "
            f"{input_shape}. Try (224, 224, 3)."
        )
    for name, values in (("mean", mean), ("std", std)):
        if values is not None and len(values) != input_shape[2]:
            raise ValueError(
                f"{name} must have a number for each of the {input_shape[2]} channels of "
                f"input_shape. Received: {values}. Give {input_shape[2]} numbers."
            )
    sides = input_shape[:2]
    if None in sides and (include_top or sides != (None, None)):
        raise ValueError(
            "input_shape must have fixed sides, those of the training crop; only without the head "
            f"may both be None. Received: {input_shape}, include_top={include_top}. Try "
            "(224, 224, 3), also with dense=True."
        )
    if None not in sides and min(sides) < 32:
        raise ValueError(
            "input_shape must have sides of at least 32 pixels, for five poolings. Received: "
            f"{input_shape}. Enlarge the images."
        )
    if pooling not in (None, "avg", "max"):
        raise ValueError(f'pooling must be None, "avg" or "max". Received: {pooling!r}. Try "avg".')
    if classifier_activation not in (None, "softmax"):
        raise ValueError(
            'classifier_activation must be "softmax" or None. Received: '
            f"{classifier_activation!r}. Use None for logits, and apply it to them."
        )
    if dense and not include_top:
        raise ValueError(
            f"dense=True needs include_top=True. Received: include_top={include_top}. Use "
            "include_top=True, or dense=False."
        )
    if classes is not None and classes < 1:
        raise ValueError(
            f"classes must be at least 1. Received: {classes}. Use None for the default."
        )
