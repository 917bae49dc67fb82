"""Appendix A, tested: protocol 1 looks at the centre crop, protocol 2 at the whole image at
several scales, and merges.
"""

from dataclasses import dataclass

import numpy as np

from vgg_tf.evaluation import metrics
from vgg_tf.evaluation.evaluator import softmax
from vgg_tf.images import rescaling
from vgg_tf.localization import boxes
from vgg_tf.localization.task import RIGHT
from vgg_tf.models.conversion import convert_head
from vgg_tf.paper.protocols import STRIDE
from vgg_tf.runs import run_folder

TOP = 5  # classes of a picture that are given a box


@dataclass(frozen=True)
class Found:
    """A box that was found.

    Attributes:
        label: of its class.
        score: how sure it is: of merged boxes the sum of what went into them.
        corners: float64 `[4]`, shares of the picture's width and height.
    """

    label: int
    score: float
    corners: np.ndarray


class Localizer:
    """A network that tells where objects are."""

    def __init__(self, path):
        """Open a run folder of `python -m vgg_tf.localize train`.

        Raises:
            FileNotFoundError: it is none, or no epoch is done.
            ValueError: it is a classification run.
        """
        self.path, self.run = str(path).rstrip("/"), run_folder.read_run(str(path).rstrip("/"))
        self.kind, recipe = self.run.settings.task, self.run.settings.recipe
        if self.kind == "classification":
            raise ValueError(
                f"{path} tells what is in a picture, not where. Train one with python -m "
                "vgg_tf.localize train."
            )
        self.classes = tuple(self.run.read_collection().classes)
        self.crop, self.scale, self.test_scale = recipe.size, recipe.scale, recipe.evaluation_scale
        self.model = self.run.load_best()
        self._dense = None

    @property
    def dense(self):
        """The network as convolutions."""
        if self._dense is None:
            self._dense = convert_head(self.model)
        return self._dense

    def centre(self, picture, Q, flip=False):
        """Boxes by the centre crop: float64 `[classes or 1, 4]`, corners as shares of the picture's
        sides.

        Args:
            picture: uint8 `[h, w, 3]`.
            Q: smaller side that it is rescaled to, in pixels.
            flip: average them with those of its mirror image.
        """
        if flip:
            return (self.centre(picture, Q) + boxes.mirror(self.centre(picture[:, ::-1], Q))) / 2
        crop = rescaling.make_center_view(picture, self.crop, Q).numpy()
        size = tuple(int(side) for side in rescaling.compute_rescaled_size(*picture.shape[:2], Q))
        corner = [(side - self.crop) // 2 for side in size]
        return self._of_picture(
            self.model.predict_on_batch(crop[np.newaxis]).reshape(-1, 4), size, corner
        )

    def windows(self, picture, Q, flip=False):
        """Boxes by the whole picture.

        Args:
            picture: uint8 `[h, w, 3]`.
            Q: smaller side that it is rescaled to, in pixels.
            flip: give those of its mirror image as well.

        Returns:
            float64 `[windows, classes or 1, 4]`, corners as shares of the picture's sides; and
            float64 `[windows, 2]`, x and y of the middle of each window, such shares too.
        """
        if flip:
            (found, middles), (theirs, others) = (
                self.windows(picture, Q),
                self.windows(picture[:, ::-1], Q),
            )
            others = np.stack([1 - others[:, 0], others[:, 1]], 1)
            return np.concatenate([found, boxes.mirror(theirs)]), np.concatenate([middles, others])
        whole = rescaling.rescale(picture, Q).numpy()
        size = whole.shape[:2]
        found = self.dense.predict_on_batch(whole[np.newaxis])[0]
        corner = STRIDE * np.stack(np.mgrid[: found.shape[0], : found.shape[1]], -1).reshape(
            -1, 1, 2
        )
        middle = (corner[:, 0] + self.crop / 2) / size
        return self._of_picture(found.reshape(len(corner), -1, 4), size, corner), middle[:, ::-1]

    def _of_picture(self, found, size, corner):
        """Corners in the picture of centres and sizes in a view; what the network makes smaller
        than nothing is nothing.
        """
        found = np.float64(found)
        found[..., 2:] = np.maximum(found[..., 2:], 0)
        return boxes.move_out_of_view(boxes.to_corners(found), size, corner, self.crop)


class Rater:
    """Classification networks that say what is in a picture, and in which of its windows."""

    def __init__(self, networks):
        """Take opened `checkpoint.Checkpoint`, of the same classes."""
        self.networks, self.classes = networks, networks[0].classes
        self._dense = [(network, convert_head(network.load())) for network in networks]

    def rate(self, picture):
        """Posteriors of the picture and of its windows, each network at its own scale, the whole
        picture and its flip.

        Returns:
            float64 `[classes]`; and for each network its windows' posteriors `[windows, classes]`
            and middles `[windows, 2]`.
        """
        posteriors, windows = [], []
        for network, dense in self._dense:
            (Q,) = network.scales("one")
            whole = rescaling.rescale(picture, Q).numpy()
            both = np.float64(dense.predict_on_batch(np.stack([whole, whole[:, ::-1]])))
            posteriors.append(softmax(both.mean((1, 2))).mean(0))
            corner = STRIDE * np.stack(np.mgrid[: both.shape[1], : both.shape[2]], -1).reshape(
                -1, 2
            )
            middle = (corner + network.crop / 2) / whole.shape[:2]
            windows.append((softmax(both[0]).reshape(len(middle), -1), middle[:, ::-1]))
        return np.mean(posteriors, 0), windows


def locate(localizers, scales, picture, labels, windows=None, most=boxes.MATCH, flip=False):
    """Protocol 2: one box for each of some classes, of all windows of all scales and networks.

    Args:
        localizers: list of `Localizer`; the union of their boxes is merged.
        scales: for each a list of Q, in pixels.
        picture: uint8 `[h, w, 3]`.
        labels: the classes that are asked for.
        windows: what `Rater.rate` says of windows; a window of ours is as sure of a class as the
            nearest one of theirs. None: all are as sure.
        most: of `boxes.merge`.
        flip: look at the mirror image as well.

    Returns:
        list of `Found`, one for each label: of the merged boxes the one with the highest sum of
        scores.
    """
    seen = [
        localizer.windows(picture, Q, flip)
        for localizer, of in zip(localizers, scales, strict=True)
        for Q in of
    ]
    sure = [_rated(middles, windows, max(labels) + 1) for _, middles in seen]
    every = []
    for label in labels:
        corners = np.concatenate(
            [found[:, label if found.shape[1] > 1 else 0] for found, _ in seen]
        )
        score = np.concatenate([rows[:, label] for rows in sure])
        merged, sums = boxes.merge(corners, score, most)
        every.append(Found(int(label), float(sums[0]), np.clip(merged[0], 0, 1)))
    return every


def _rated(middles, windows, classes):
    """Posteriors of the nearest windows of the classification networks, averaged, `[windows,
    classes]`; ones without any.
    """
    if windows is None:
        return np.ones((len(middles), classes))
    rows = []
    for posteriors, theirs in windows:
        nearest = np.linalg.norm(middles[:, None] - theirs, axis=2).argmin(1)
        rows.append(posteriors[nearest])
    return np.mean(rows, 0)


def is_right(found, label, corners):
    """Whether a box is of this class and overlaps one of the objects, `[k, 4]`, by an IoU above
    0.5.
    """
    return found.label == label and bool((boxes.compute_iou(found.corners, corners) > RIGHT).any())


def measure_errors(found, labels, corners):
    """Localisation errors.

    Args:
        found: of each picture a list of `Found`, the likeliest class first.
        labels: of each picture, its class.
        corners: of each picture `[k, 4]`, its objects of that class.

    Returns:
        dict: `top1_error` and `top5_error` in %: none of the first 1 or 5 is right in class and
        place; each with its 95 % interval; `n`.
    """
    n = len(found)
    told = {"n": n}
    for name, count in (("top1", 1), ("top5", TOP)):
        rows = zip(found, labels, corners, strict=True)
        wrong = sum(
            not any(is_right(box, label, own) for box in some[:count]) for some, label, own in rows
        )
        told |= {
            f"{name}_error": 100 * wrong / n,
            f"{name}_interval": metrics.compute_interval(wrong, n),
        }
    return told


def average_boxes(pictures):
    """The mean of the largest boxes of some pictures, `[4]`: what one can say without looking."""
    return np.mean([own[0] for own in pictures.corners], 0)
