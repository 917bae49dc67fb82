"""build_vgg: a row of Table 1 becomes a Keras functional model that takes raw RGB."""

import copy
import itertools

import keras

from vgg_tf.models.initializers import handing_on, initialization
from vgg_tf.paper.architectures import HEAD_WIDTH, IMAGENET_MEAN, architecture, filters_of
from vgg_tf.weights.freezing import freeze
from vgg_tf.weights.imagenet import fetch_imagenet_weights
from vgg_tf.weights.inheritance import load_weights
from vgg_tf.weights.normalization import adapt_statistics
from vgg_tf.weights.reading import read_weights

SMALL_SIDE = 64  # inputs with a smaller side (CIFAR's 32 pixels) get a head of SMALL_HEAD_WIDTH
SMALL_HEAD_WIDTH = 512


@keras.saving.register_keras_serializable(package="vgg_tf")
class LocalResponseNormalization(keras.layers.Layer):
    """AlexNet's normalisation across channels: `x / (k + alpha * sum of squares over n channels) **
    beta`.

    The sum is multiplied by alpha as AlexNet's formula has it, as in `tf.nn.lrn`; Caffe, PyTorch
    and ONNX divide alpha by n, so their alpha is 5e-4 for the same layer. Any shape with channels
    last; the shape is kept.
    """

    def __init__(self, k=2.0, n=5, alpha=1e-4, beta=0.75, **kwargs):
        super().__init__(**kwargs)
        self.k, self.n, self.alpha, self.beta = k, n, alpha, beta

    def call(self, x):
        """Normalise `x`, `[..., channels]`."""
        # float32 under every policy: the square of 256 is beyond float16.
        dtype, x = x.dtype, keras.ops.cast(x, "float32")
        channels, side = x.shape[-1], self.n // 2
        squares = keras.ops.pad(keras.ops.square(x), [(0, 0)] * (len(x.shape) - 1) + [(side, side)])
        total = sum(squares[..., i : i + channels] for i in range(self.n))
        return keras.ops.cast(x / keras.ops.power(self.k + self.alpha * total, self.beta), dtype)

    def get_config(self):
        """Arguments to build the layer again."""
        return {
            **super().get_config(),
            "k": self.k,
            "n": self.n,
            "alpha": self.alpha,
            "beta": self.beta,
        }


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
            a first loss near ln(classes), see `initializers.initialization`.
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
    row = architecture(arch)
    _check(include_top, input_shape, pooling, classifier_activation, dense, classes, mean, std)
    if weights is not None:
        weights = (
            fetch_imagenet_weights(arch, include_top)
            if isinstance(weights, str) and weights == "imagenet"
            else read_weights(weights)
        )
        if mean is None and std is None and weights.mean is not None:
            mean, std = (
                adapt_statistics(values, input_shape[2]) for values in (weights.mean, weights.std)
            )

    def of_weights(layer):  # number of its outputs in the weights, None where they lack it
        return (
            weights.layers[layer]["kernel"].shape[-1]
            if weights and layer in weights.layers
            else None
        )

    classes = classes or of_weights("predictions") or 1000
    width = width or (weights and weights.width) or 1.0
    # JAX takes 32 bits.
    seeds = itertools.repeat(None) if seed is None else itertools.count(seed * 1000 % 2**31)
    starts = initialization(initializer, row.batch_norm or std is not None)
    height, wide, channels = input_shape
    mean = adapt_statistics(IMAGENET_MEAN, channels) if mean is None else mean
    small = height is not None and min(height, wide) < SMALL_SIDE
    head_width = head_width or of_weights("fc1") or (SMALL_HEAD_WIDTH if small else HEAD_WIDTH)

    def kernel(start=starts.convolutions):
        # A copy of the config, so that every layer gets an initialiser, and a seed, of its own.
        config = copy.deepcopy(start)
        if "seed" in config["config"]:
            config["config"]["seed"] = next(seeds)
        return {
            "kernel_initializer": keras.initializers.get(config),
            "kernel_regularizer": keras.regularizers.L2(l2 / 2) if l2 else None,
        }

    def conv(x, side, filters, name, **options):
        return keras.layers.Conv2D(filters, side, name=name, **(kernel() | options))(x)

    # Input is float32 by declaration: uint8 is accepted too, while Input(dtype="uint8") would
    # truncate floats in silence.
    inputs = keras.Input(
        (None, None, channels) if dense else input_shape, dtype="float32", name="image"
    )
    variance = [1.0] * channels if std is None else [float(s) ** 2 for s in std]
    x = keras.layers.Normalization(
        mean=[float(m) for m in mean], variance=variance, dtype="float32", name="normalize"
    )(inputs)
    for i, (kernels, filters) in enumerate(
        zip(row.kernels, filters_of(width), strict=True), start=1
    ):
        for j, side in enumerate(kernels, start=1):
            layer = f"block{i}_conv{j}"
            if row.batch_norm:  # the convolution keeps its bias, as in torchvision's nets
                x = conv(x, side, filters, layer, padding="same")
                x = keras.layers.BatchNormalization(
                    momentum=0.9, epsilon=1e-5, name=f"block{i}_bn{j}"
                )(x)
                x = keras.layers.ReLU(name=f"block{i}_relu{j}")(x)
            else:
                x = conv(x, side, filters, layer, padding="same", activation="relu")
        if row.lrn and i == 1:
            x = LocalResponseNormalization(name="block1_lrn")(x)
        # Floors odd sides, as PyTorch; Caffe ceils.
        x = keras.layers.MaxPooling2D(2, strides=2, name=f"block{i}_pool")(x)

    if not include_top:
        pool = {
            "avg": keras.layers.GlobalAveragePooling2D,
            "max": keras.layers.GlobalMaxPooling2D,
        }.get(pooling)
        x = pool(name=f"{pooling}_pool")(x) if pool else x
    else:
        # The scores stay float32 under every policy.
        last = {**kernel(starts.predictions), "dtype": "float32"}

        # Fully: to the window of `side` that the training crop fills.
        def connected(x, units, side, **options):
            return (
                keras.layers.Conv2D(units, side, **options)
                if dense
                else keras.layers.Dense(units, **options)
            )(x)

        x = x if dense else keras.layers.Flatten(name="flatten")(x)
        for layer, side in (("fc1", (height // 32, wide // 32)), ("fc2", 1)):
            x = connected(
                x, head_width, side, activation="relu", name=layer, **kernel(starts.connected)
            )
            x = keras.layers.Dropout(dropout, seed=next(seeds), name=f"{layer}_dropout")(x)
        x = connected(x, classes, 1, name="predictions", **last)
        if classifier_activation and not dense:
            x = keras.layers.Softmax(dtype="float32", name="softmax")(x)

    model = keras.Model(inputs, x, name=name or row.name)
    if starts.identity:
        # Not the first layer, nor fc1 where it joins several positions, nor the last.
        kept = {
            "block1_conv1",
            "predictions",
            *(["fc1"] if height is None or max(height, wide) >= 64 else []),
        }
        for layer in model.layers:
            if hasattr(layer, "kernel") and layer.name not in kept:
                layer.kernel.assign(handing_on(layer.kernel.numpy()))
    if weights:
        load_weights(model, weights, new_head=True)
    if freeze_until:
        freeze(model, freeze_until)
    return model


def convert_head(model, dense=True):
    """The same network with its head as convolutions (section 3.2), or back as fully connected
    layers.

    `score(i, j)` of the dense form is what the fully connected form makes of rows i to i + 6 and
    columns j to j + 6 of the last map (for crops of 224 pixels), so it may be run on whole images.

    Args:
        model: a network of `build_vgg` with its head.
        dense: True for convolutions, which give a map of class scores without a softmax; False for
            the form that takes crops of one size and gives posteriors.

    Returns:
        A new `keras.Model` with copies of the weights; layers and names are those of `build_vgg`.

    Raises:
        ValueError: the network has no head, or is not of `build_vgg`.
    """
    names = [layer.name for layer in model.layers]
    if not {"fc1", "normalize"} <= set(names):
        raise ValueError(
            f"{model.name} is no network with a head by build_vgg, which alone can be converted."
        )
    last_pool = names.index("block5_pool")
    fc1 = model.get_layer("fc1")
    h, w = (
        fc1.kernel_size
        if isinstance(fc1, keras.layers.Conv2D)
        else model.get_layer("flatten").input.shape[1:3]
    )
    channels = model.input.shape[-1]
    inputs = keras.Input(
        (None, None, channels) if dense else (32 * h, 32 * w, channels),
        dtype="float32",
        name="image",
    )

    def again(layer):
        return layer.__class__.from_config(layer.get_config())

    x = inputs
    for layer in model.layers[1 : last_pool + 1]:
        x = again(layer)(x)
    x = x if dense else keras.layers.Flatten(name="flatten", dtype=fc1.dtype_policy)(x)
    for layer in model.layers[last_pool + 1 :]:
        if hasattr(layer, "kernel"):
            config = layer.get_config()
            kept = (
                "name",
                "activation",
                "kernel_initializer",
                "kernel_regularizer",
                "trainable",
                "dtype",
            )
            shared = {key: config[key] for key in kept}
            side = (h, w) if layer.name == "fc1" else 1
            units = layer.kernel.shape[-1]
            x = (
                keras.layers.Conv2D(units, side, **shared)
                if dense
                else keras.layers.Dense(units, **shared)
            )(x)
        elif isinstance(layer, keras.layers.Dropout):
            x = again(layer)(x)
    if not dense:
        x = keras.layers.Softmax(dtype="float32", name="softmax")(x)
    converted = keras.Model(inputs, x, name=model.name)
    load_weights(converted, model, say=None)
    return converted


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
