"""Runs views of test images through a network and averages their probabilities (section 3.2).

`paper.protocols` defines the protocols. This module averages over the views at one scale. Its
callers average over scales and networks.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from vgg_tf.images.rescaling import rescale
from vgg_tf.models.conversion import convert_head
from vgg_tf.models.cpu_layers import make_faster
from vgg_tf.paper.protocols import BORDER, STRIDE, place_crops

WAITING = 2**30  # bytes of images that may wait until a batch of their size is full


# AutoGraph would take a second to find that it has nothing to convert.
@tf.autograph.experimental.do_not_convert
def cut_views(image, units, crop, static=False):
    """Return all views of one decoded image.

    Args:
        image: uint8 `[h, w, 3]`.
        units: pairs of a scale in pixels and a kind of views.
        crop: side of the crops, in pixels.
        static: round the sides of whole images to multiples of 32 pixels.

    Returns:
        A tuple with an array for each unit: uint8 `[crops, crop, crop, 3]`, or `[1, h', w', 3]`
        for dense.
    """
    found, wholes = [], {}
    for scale, kind in units:
        multiple = STRIDE if static and kind == "dense" else 1
        if (scale, multiple) not in wholes:
            wholes[scale, multiple] = rescale(image, scale, multiple)
        whole = wholes[scale, multiple]
        if kind == "dense":
            found.append(whole[tf.newaxis])
            continue
        if kind == "padded-ten-crop":
            border = crop // BORDER
            whole = tf.pad(whole, [[border, border], [border, border], [0, 0]], "REFLECT")
        shape = tf.shape(whole)
        places = place_crops(shape[0], shape[1], crop, kind)
        crops = [whole[top : top + crop, left : left + crop] for top, left in places]
        found.append(tf.ensure_shape(tf.stack(crops), [len(places), crop, crop, 3]))
    return tuple(found)


class Evaluator:
    """A network that computes probabilities or descriptors of the views of images.

    Attributes:
        outputs: length of the result for one image: number of classes, or length of a descriptor.
        dense: the network as convolutions; None if no unit needs it.
    """

    def __init__(
        self, model, units, batch_size=32, replicas=1, static=False, describe=False, flip=True
    ):
        """Prepare the forms of the network that the units need.

        Args:
            model: a network of `build_vgg` that takes square crops, with its head unless
                `describe`.
            units: pairs of a scale in pixels and a kind of views.
            batch_size: crops per batch; whole images of the same number of pixels.
            replicas: number of devices that share a batch.
            static: round the sides of whole images to multiples of 32 pixels and fill up all
                batches, so that few programs are compiled. For JAX and TPUs.
            describe: return descriptors instead of probabilities (appendix B): the outputs of fc2
                after its ReLU, averaged over positions and flips. Without a head, those of the
                last feature map. All units must be dense.
            flip: also see each view flipped, except the center crop.

        Raises:
            ValueError: the network has no head, or it was not built by `build_vgg`.
        """
        self.units, self.replicas, self.static = list(units), replicas, static
        names, self.describe = {layer.name for layer in model.layers}, describe
        self.flip = flip
        self.crop = model.input.shape[1] or STRIDE  # a network without a head takes any size
        self.pixels = max(batch_size, replicas) * self.crop**2
        self.dense = None
        if describe:
            dense = convert_head(model) if "fc1" in names else model
            last = dense.get_layer("fc2" if "fc2" in names else "block5_pool").output
            self.dense, self.outputs = keras.Model(dense.input, last), last.shape[-1]
            return
        if "predictions" not in names:
            raise ValueError(
                f"{model.name} must have a head, which gives the probabilities. Missing layer: "
                f"predictions. Layers: {', '.join(sorted(names))}. Give a network with a head."
            )
        self.model = make_faster(keras.Model(model.input, model.get_layer("predictions").output))
        self.outputs = self.model.output.shape[-1]
        if any(kind == "dense" for _, kind in self.units):
            self.dense = convert_head(model)

    def cut_views(self, image):
        """Return the views of an image, uint8 `[h, w, 3]`; see the function `cut_views`."""
        return cut_views(image, self.units, self.crop, self.static)

    def see(self, examples):
        """Yield the probabilities or descriptors of images.

        Args:
            examples: iterable of `(number, views)`, with views from `cut_views`. Numbers must be
                unique.

        Yields:
            `(number, float64 [units, outputs])`; the rows of probabilities sum to 1. The order
            differs from that of `examples`, because images of equal size form a batch.
        """
        found, waiting = {}, {}  # number to units; unit and shape to numbers and views

        def together(key):
            numbers, views = zip(*waiting.pop(key), strict=True)
            for number, row in zip(
                numbers, self._see(self.units[key[0]][1], np.stack(views)), strict=True
            ):
                found.setdefault(number, {})[key[0]] = row
                if len(found[number]) == len(self.units):
                    rows = found.pop(number)
                    yield number, np.stack([rows[unit] for unit in range(len(self.units))])

        for number, views in examples:
            for unit, view in enumerate(views):
                key = (unit, view.shape)
                waiting.setdefault(key, []).append((number, view))
                if len(waiting[key]) == self._together(key[1]):
                    yield from together(key)
            while sum(len(value) * value[0][1].nbytes for value in waiting.values()) > WAITING:
                yield from together(
                    max(waiting, key=lambda key: len(waiting[key]) * math.prod(key[1]))
                )
        for key in list(waiting):
            yield from together(key)

    def _together(self, shape):
        """Return the number of images per batch for views of this shape."""
        return max(1, self.pixels // math.prod(shape[:-1]))

    def _see(self, kind, views):
        """Return the averages of a batch of views.

        Args:
            kind: kind of the views.
            views: uint8 `[images, views, h, w, 3]`.

        Returns:
            Float64 `[images, outputs]`.
        """
        n, count = views.shape[:2]
        full = self._together(views.shape[1:]) if self.static else n
        views = np.concatenate([views, np.zeros((full - n, *views.shape[1:]), np.uint8)])
        flat = views.reshape(-1, *views.shape[2:])
        flipped = self.flip and kind != "center"
        both = np.concatenate([flat, flat[:, :, ::-1]]) if flipped else flat
        values = (
            self._run(self.dense, both).mean((1, 2))
            if kind == "dense"
            else self._run(self.model, both)
        )
        rows = values if self.describe else softmax(values)
        return rows.reshape(-1, full, count, self.outputs).mean((0, 2))[:n]

    def _run(self, network, batch):
        """Return the logits of a batch as float64; all devices share the batch."""
        if self.replicas == 1:  # predict builds a dataset, which takes 35 ms
            return np.float64(network.predict_on_batch(batch))
        whole = -(-len(batch) // self.replicas) * self.replicas
        padded = np.concatenate([batch, np.zeros((whole - len(batch), *batch.shape[1:]), np.uint8)])
        return np.float64(network.predict(padded, batch_size=whole, verbose=0)[: len(batch)])


def softmax(scores):
    """Return the softmax of logits along the last axis."""
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
