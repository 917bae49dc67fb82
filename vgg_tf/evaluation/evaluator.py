"""The views of test images through a network, and the mean of their posteriors (section 3.2).

The protocols are in `paper.protocols`. Posteriors are averaged here over the views of a scale; over
scales and networks by who asks.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from vgg_tf.images.rescaling import rescale
from vgg_tf.models.conversion import convert_head
from vgg_tf.models.cpu_layers import make_faster
from vgg_tf.paper.protocols import BORDER, STRIDE, place_crops

WAITING = 2**30  # bytes of images that may wait for others of their size


# Nothing in it to convert for tf.data, which would take a second.
@tf.autograph.experimental.do_not_convert
def cut_views(image, units, crop, static=False):
    """All that the network is to see of an image, which was decoded once.

    Args:
        image: uint8 `[h, w, 3]`.
        units: pairs of a scale in pixels and a kind of views.
        crop: side of the crops, in pixels.
        static: round the sides of whole images to multiples of 32 pixels.

    Returns:
        A tuple, for each unit: uint8 `[crops, crop, crop, 3]`, or `[1, h', w', 3]` for dense.
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
    """A network that sees images in several ways.

    Attributes:
        outputs: numbers that it gives for an image: posteriors of the classes, or a descriptor.
        dense: the network as convolutions, where it is needed.
    """

    def __init__(self, model, units, batch_size=32, replicas=1, static=False, describe=False):
        """Prepare those forms of the network that are needed.

        Args:
            model: a network of `build_vgg` with its head, that takes square crops.
            units: pairs of a scale in pixels and a kind of views.
            batch_size: crops, or pixels of as many crops in whole images, that go through the
                network at a time.
            replicas: devices that share a batch.
            static: round the sides of whole images to multiples of 32 pixels and fill all batches
                up, so that few programs are compiled: for JAX and TPUs.
            describe: give the outputs of fc2 after its ReLU, averaged over positions and flip
                (appendix B), or of a network without a head those of its last map, in place of
                posteriors. All units are dense then.

        Raises:
            ValueError: the network has no head that gives posteriors, or is not of `build_vgg`.
        """
        self.units, self.replicas, self.static = list(units), replicas, static
        names, self.describe = {layer.name for layer in model.layers}, describe
        self.crop = model.input.shape[1] or STRIDE  # a trunk alone takes any size
        self.pixels = max(batch_size, replicas) * self.crop**2
        self.dense = None
        if describe:
            dense = convert_head(model) if "fc1" in names else model
            last = dense.get_layer("fc2" if "fc2" in names else "block5_pool").output
            self.dense, self.outputs = keras.Model(dense.input, last), last.shape[-1]
            return
        if "predictions" not in names:
            raise ValueError(
                f"{model.name} has no layer predictions, and so no posteriors. Give a network "
                "with its head."
            )
        self.model = make_faster(keras.Model(model.input, model.get_layer("predictions").output))
        self.outputs = self.model.output.shape[-1]
        if any(kind == "dense" for _, kind in self.units):
            self.dense = convert_head(model)

    def cut_views(self, image):
        """Views of an image, uint8 `[h, w, 3]`: see `cut`."""
        return cut_views(image, self.units, self.crop, self.static)

    def see(self, examples):
        """Posteriors, or descriptors, of images, as they are done.

        Args:
            examples: iterable of `(number, views)`, the views as `cut` gives them. Numbers are any
                that tell images apart.

        Yields:
            `(number, float64 [units, outputs])`, posteriors of sum 1; in another order, as images
            of a size go together.
        """
        found, waiting = {}, {}  # by number: the units; by unit and shape: numbers and views

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
        """Images of views of this shape that go through the network at a time."""
        return max(1, self.pixels // math.prod(shape[:-1]))

    def _see(self, kind, views):
        """Posteriors or descriptors, `[images, outputs]`, of uint8 views `[images, views, h, w,
        3]`.
        """
        n, count = views.shape[:2]
        full = self._together(views.shape[1:]) if self.static else n
        views = np.concatenate([views, np.zeros((full - n, *views.shape[1:]), np.uint8)])
        flat = views.reshape(-1, *views.shape[2:])
        both = flat if kind == "center" else np.concatenate([flat, flat[:, :, ::-1]])
        values = (
            self._run(self.dense, both).mean((1, 2))
            if kind == "dense"
            else self._run(self.model, both)
        )
        rows = values if self.describe else softmax(values)
        return rows.reshape(-1, full, count, self.outputs).mean((0, 2))[:n]

    def _run(self, network, batch):
        """Scores as float64, of a batch that all devices share."""
        if self.replicas == 1:  # predict makes a data set first, which takes 35 ms
            return np.float64(network.predict_on_batch(batch))
        whole = -(-len(batch) // self.replicas) * self.replicas
        padded = np.concatenate([batch, np.zeros((whole - len(batch), *batch.shape[1:]), np.uint8)])
        return np.float64(network.predict(padded, batch_size=whole, verbose=0)[: len(batch)])


def softmax(scores):
    """Posteriors of scores, along the last axis."""
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
