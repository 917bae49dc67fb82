"""What a network looks at: Grad-CAM, Grad-CAM++, saliency, maps of features, receptive fields.
Arrays in, arrays out.

A network is taken apart into its `chain` of layers, so that the map of a layer can be had and the
score be derived by it. Scores are those before the softmax; of a dense form their mean over all
positions; of a network without a head that pools its last map, the pooled channels. On TensorFlow
and on JAX.
"""

from dataclasses import dataclass

import keras
import numpy as np

from vgg_tf.models.chain import apply_layers, compute_logits, find_last_map, list_layers, split_at

METHODS = ("grad-cam", "grad-cam++", "saliency")


def compute_heat(model, image, layer=None, label=None, method="grad-cam"):
    """How much each place of a layer's map speaks for a class.

    Grad-CAM (Selvaraju et al. 2017): the map's channels, each weighted by the mean of the score's
    derivatives by it, summed; what is below 0 is cut off. Grad-CAM++ (Chattopadhay et al. 2018):
    the derivatives above 0 are weighted by how much of the channel lies where they are. Saliency
    (Simonyan et al. 2014): the largest derivative, of any sign, by the colours of each pixel of the
    input; `layer` does not count.

    Args:
        model: any Keras network that is a chain of layers: of `build_vgg`, dense or not, imported,
            nested, without a head.
        image: `[h, w, 3]`, RGB 0..255, of a size that the network takes.
        layer: name of the layer, whose map is taken after batch normalisation and ReLU; None: the
            last convolution.
        label: number of the class, or of the unit; None: the one with the highest score.
        method: one of `METHODS`.

    Returns:
        float32 `[h', w']`, the layer's resolution or the input's; 0 to 1, the highest is 1, or all
        0 where nothing speaks for the class. And the label.

    Raises:
        ValueError: no such layer or label, or the network is no chain of layers; the message says
            what there is.
    """
    if method not in METHODS:
        raise ValueError(f"No method {method!r}. Known: {', '.join(METHODS)}.")
    layers, x = list_layers(model), np.float32(image)[np.newaxis]
    expected = compute_logits(model, layers, x)
    label = int(expected.argmax()) if label is None else int(label)
    if not 0 <= label < len(expected):
        raise ValueError(
            f"{model.name} has the classes 0 to {len(expected) - 1}. Received: {label}."
        )
    front, back = (
        ([], layers) if method == "saliency" else split_at(layers, layer or find_last_map(model))
    )
    activations = apply_layers(front, x)
    gradient = _gradient(lambda values: _score(apply_layers(back, values), label), activations)[0]
    activations = keras.ops.convert_to_numpy(activations).astype(np.float64)[0]
    if method == "saliency":
        found = np.abs(gradient).max(-1)
    elif method == "grad-cam":
        found = np.maximum(activations @ gradient.mean((0, 1)), 0)
    else:
        second, third = gradient**2, gradient**3
        below = 2 * second + activations.sum((0, 1)) * third
        alphas = second / np.where(below != 0, below, 1)
        found = np.maximum(activations @ (alphas * np.maximum(gradient, 0)).sum((0, 1)), 0)
    return np.float32(found / (found.max() or 1)), label


def compute_features(model, image, layer=None):
    """The map that a layer makes of an image, after batch normalisation and ReLU: float32 `[h',
    w', channels]`.
    """
    layers, x = list_layers(model), np.float32(image)[np.newaxis]
    compute_logits(model, layers, x)
    front, _ = split_at(layers, layer or find_last_map(model))
    return keras.ops.convert_to_numpy(apply_layers(front, x)).astype(np.float32)[0]


def _score(values, label):
    """The score of a class: the mean over positions where there are several."""
    return keras.ops.mean(keras.ops.cast(values[..., label], "float32"))


def _gradient(function, x):
    """Derivatives of a scalar function of `x`, float64."""
    if keras.config.backend() == "jax":
        import jax

        found = jax.grad(function)(keras.ops.convert_to_tensor(x))
    else:
        import tensorflow as tf

        x = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        found = tape.gradient(value, x)
    return keras.ops.convert_to_numpy(keras.ops.cast(found, "float32")).astype(np.float64)


@dataclass(frozen=True)
class Field:
    """What a unit of a layer's map sees of the input, in pixels.

    Attributes:
        side: of the square that it sees.
        step: between the squares of two units side by side.
        start: of the square of the first unit: below 0 where it reaches into the padding.
    """

    side: int
    step: int
    start: int

    def of(self, row, column):
        """Corners xmin, ymin, xmax, ymax of the square of a unit, which may reach beyond the
        image.
        """
        top, left = self.start + self.step * row, self.start + self.step * column
        return left, top, left + self.side, top + self.side


def find_receptive_field(model, layer=None):
    """The `Field` of the units of a layer, from the kernels, strides and paddings of the layers
    before it.
    """
    layers = list_layers(model)
    front, _ = split_at(layers, layer or find_last_map(model))
    side, step, start = 1, 1, 0
    for each in front:
        if isinstance(each, keras.layers.Conv2D):
            kernel, stride = each.kernel_size[0], each.strides[0]
        elif isinstance(each, keras.layers.MaxPooling2D):
            kernel, stride = each.pool_size[0], each.strides[0]
        else:
            continue
        padding = (kernel - 1) // 2 if each.padding == "same" and stride == 1 else 0
        side, start, step = side + (kernel - 1) * step, start - padding * step, step * stride
    return Field(side, step, start)


def read_filters(model):
    """The first layer's kernels as pictures: float32 `[filters, h, w, channels]`, each stretched
    to 0..1, grey is 0 weight.
    """
    first = next(layer for layer in list_layers(model) if isinstance(layer, keras.layers.Conv2D))
    kernels = np.moveaxis(keras.ops.convert_to_numpy(first.kernel).astype(np.float32), -1, 0)
    largest = np.abs(kernels).max((1, 2, 3), keepdims=True)
    return 0.5 + kernels / np.where(largest > 0, largest, 1) / 2
