"""The network of `python -m vgg_tf.demo`: from the bytes of a picture to what the page shows."""

import base64
import io

import matplotlib
import numpy as np
from PIL import Image

from vgg_tf.evaluation.class_names import decode_predictions, describe_classes
from vgg_tf.evaluation.evaluator import Evaluator
from vgg_tf.figures.networks import HEAT
from vgg_tf.images import decoding
from vgg_tf.images.rescaling import check_proportions, compute_rescaled_size, make_center_view
from vgg_tf.models import heatmaps
from vgg_tf.paper.protocols import Protocol
from vgg_tf.records.splits import Split

TOP = 5  # classes per picture
LARGEST = 20 * 10**6  # bytes of an encoded picture


class Demo:
    """A network that answers the page.

    Attributes:
        facts: dict that the page shows: name, architecture, crop, class names, whether there are
            boxes, largest number of bytes of a picture.
    """

    def __init__(self, network, devices, classes, texts=(), locate=None):
        """Load the network.

        Args:
            network: the `checkpoint.Checkpoint`.
            devices: the `devices.Devices` that compute.
            classes: class names.
            texts: descriptions of the classes, which the page shows instead of the names.
            locate: function of a picture, uint8 `[h, w, 3]`, and the number of a class. It returns
                the corners xmin, ymin, xmax, ymax of a box, as fractions of the picture's sides,
                and whether the box is for this class.
        """
        self._devices, self._least, self._locate = devices, network.least, locate
        self._texts, self._crop = list(describe_classes(classes, texts)), network.crop
        (self._scale,) = network.scales("one")
        units = Protocol("center", (self._scale,), network.crop).units
        with devices.scope():
            self._model = network.load()
            self._evaluator = Evaluator(self._model, units, 1, devices.replicas)
        self.facts = {
            "name": network.name,
            "arch": network.arch,
            "crop": network.crop,
            "classes": self._texts,
            "boxes": locate is not None,
            "largest": LARGEST,
        }

    def read(self, contents):
        """Decode a picture.

        Args:
            contents: bytes, the encoded picture.

        Returns:
            uint8 `[h, w, 3]`, RGB 0..255.

        Raises:
            ValueError: the picture cannot be decoded, or is too small or too large.
        """
        w, h = Split(["The picture"], np.zeros(1, np.int64), [contents]).read_size(0)
        if min(w, h) < self._least:
            raise ValueError(
                f"The picture must have sides of at least {self._least} pixels. Received: {w} x "
                f"{h}. Choose a larger picture."
            )
        check_proportions(h, w, self._scale, "The picture")
        return decoding.decode_named(contents, "the picture")

    def read_label(self, word):
        """Return the number of a class.

        Args:
            word: digits, or empty for the most likely class.

        Returns:
            The number, or None.

        Raises:
            ValueError: the network does not have this class.
        """
        if not word:
            return None
        number = len(self._texts)
        if not (word.isdecimal() and len(word) < 9 and int(word) < number):
            raise ValueError(
                f"label must be from 0 to {number - 1}. Received: {word!r}. Reload the page."
            )
        return int(word)

    def predict(self, picture, label=None):
        """Return the most likely classes of a picture, and the evidence for one of them.

        Args:
            picture: uint8 `[h, w, 3]`.
            label: number of the class of the heatmap and the box; None is the most likely class.

        Returns:
            dict for JSON: `classes`, a list of dicts of label, name and probability, the most
            likely one first; `label` and `name` of the class of the heatmap; `heat`, its PNG in
            base64; `map`, height and width of the feature map; `crop`, the part of the picture that
            the network sees; `box`, a dict of name and corners, or None. The crop and the corners
            are xmin, ymin, xmax and ymax, as fractions of the picture's sides.
        """
        views = [view.numpy() for view in self._evaluator.cut_views(picture)]
        with self._devices.scope():
            ((_, rows),) = self._evaluator.see([(0, views)])
            # The numbers of the classes, because several classes may have the same name.
            (best,) = decode_predictions(rows, range(len(self._texts)), TOP)
            label = best[0][0] if label is None else label
            view = make_center_view(picture, self._crop, self._scale).numpy()
            heat, _ = heatmaps.compute_heat(self._model, view, None, label)
            box = self._find_box(picture, label) if self._locate else None
        return {
            "classes": [
                {"label": i, "name": self._texts[i], "probability": value} for i, _, value in best
            ],
            "label": label,
            "name": self._texts[label],
            "heat": base64.b64encode(encode_heat(heat, self._crop)).decode(),
            "map": list(heat.shape),
            "crop": find_crop(*picture.shape[:2], self._crop, self._scale),
            "box": box,
        }

    def _find_box(self, picture, label):
        corners, of_class = self._locate(picture, label)
        name = self._texts[label] if of_class else "object"
        return {"name": name, "corners": np.float64(corners).tolist()}


def encode_heat(heat, side):
    """Return a heatmap as a PNG, in the colors of `figures.networks.draw_heat`.

    Args:
        heat: float32 `[h, w]`, 0 to 1.
        side: side of the PNG, in pixels.

    Returns:
        bytes.
    """
    smooth = np.asarray(Image.fromarray(heat).resize((side, side), Image.Resampling.BILINEAR))
    pixels, data = matplotlib.colormaps[HEAT](smooth, bytes=True)[..., :3], io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(data, "png")
    return data.getvalue()


def find_crop(h, w, crop, scale):
    """Return the center crop of a picture, as fractions of the picture's sides.

    Args:
        h: height of the picture, in pixels.
        w: width of the picture, in pixels.
        crop: side of the crop, in pixels.
        scale: smaller side after rescaling, in pixels.

    Returns:
        xmin, ymin, xmax, ymax.
    """
    new_h, new_w = (int(side) for side in compute_rescaled_size(h, w, scale))
    top, left = (new_h - crop) // 2, (new_w - crop) // 2
    return [left / new_w, top / new_h, (left + crop) / new_w, (top + crop) / new_h]
