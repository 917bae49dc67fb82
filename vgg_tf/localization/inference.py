"""Prediction of boxes and localization errors (appendix A).

Protocol 1 uses the center crop. Protocol 2 uses the whole image at several scales and merges.
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

TOP = 5  # classes per picture for which a box is predicted


@dataclass(frozen=True)
class Found:
    """A predicted box.

    Attributes:
        label: number of its class.
        score: its confidence; for a merged box the sum of the scores of its boxes.
        corners: float64 `[4]`, fractions of the picture's width and height.
    """

    label: int
    score: float
    corners: np.ndarray


class Localizer:
    """A network that predicts boxes."""

    def __init__(self, path):
        """Open a run folder of `python -m vgg_tf.localize train`.

        Args:
            path: path of the run folder.

        Raises:
            FileNotFoundError: it is not a run folder, or no epoch is finished.
            ValueError: it is a classification run.
        """
        self.path, self.run = str(path).rstrip("/"), run_folder.read_run(str(path).rstrip("/"))
        self.kind, recipe = self.run.settings.task, self.run.settings.recipe
        if self.kind == "classification":
            raise ValueError(
                f"{path} must be a run of box regression. Received: a {self.kind} run. Train one "
                "with python -m vgg_tf.localize train."
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
        """Return the boxes that the network predicts from the center crop.

        Args:
            picture: uint8 `[h, w, 3]`.
            Q: smaller side of the rescaled picture, in pixels.
            flip: average the boxes with those of the mirror image.

        Returns:
            Float64 `[classes or 1, 4]`, corners as fractions of the picture's sides.
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
        """Return the boxes that the network predicts from all windows of the picture.

        Args:
            picture: uint8 `[h, w, 3]`.
            Q: smaller side of the rescaled picture, in pixels.
            flip: add the windows of the mirror image.

        Returns:
            boxes: float64 `[windows, classes or 1, 4]`, corners as fractions of the picture's
                sides.
            middles: float64 `[windows, 2]`, x and y of the middle of each window, as such
                fractions.
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
        """Convert centers and sizes in a view to corners in the picture.

        Negative sizes become 0.

        Args:
            found: float `[..., 4]`, output of the network.
            size: height and width of the rescaled picture, in pixels.
            corner: top and left of the view, in pixels.

        Returns:
            Float64 `[..., 4]`, fractions of the picture's sides.
        """
        found = np.float64(found)
        found[..., 2:] = np.maximum(found[..., 2:], 0)
        return boxes.move_out_of_view(boxes.to_corners(found), size, corner, self.crop)


class Rater:
    """Classification networks that give the probabilities of a picture and of its windows."""

    def __init__(self, networks):
        """Load the networks.

        Args:
            networks: list of `checkpoint.Checkpoint` with the same classes.
        """
        self.networks, self.classes = networks, networks[0].classes
        self._dense = [(network, convert_head(network.load())) for network in networks]

    def rate(self, picture):
        """Return the probabilities of a picture and of its windows.

        Each network sees the whole picture at its own test scale, and its flip where its training
        flipped images.

        Args:
            picture: uint8 `[h, w, 3]`.

        Returns:
            posteriors: float64 `[classes]`.
            windows: for each network the probabilities `[windows, classes]` and the middles
                `[windows, 2]` of its windows.
        """
        posteriors, windows = [], []
        for network, dense in self._dense:
            (Q,) = network.scales("one")
            whole = rescaling.rescale(picture, Q).numpy()
            sides = [whole, whole[:, ::-1]] if network.flip else [whole]
            both = np.float64(dense.predict_on_batch(np.stack(sides)))
            posteriors.append(softmax(both.mean((1, 2))).mean(0))
            corner = STRIDE * np.stack(np.mgrid[: both.shape[1], : both.shape[2]], -1).reshape(
                -1, 2
            )
            middle = (corner + network.crop / 2) / whole.shape[:2]
            windows.append((softmax(both[0]).reshape(len(middle), -1), middle[:, ::-1]))
        return np.mean(posteriors, 0), windows


def locate(localizers, scales, picture, labels, windows=None, most=boxes.MATCH, flip=False):
    """Predict one box for each of some classes, from all windows, scales and networks (protocol 2).

    Args:
        localizers: list of `Localizer`, whose boxes are merged together.
        scales: for each localizer a list of Q, in pixels.
        picture: uint8 `[h, w, 3]`.
        labels: numbers of the classes.
        windows: the windows that `Rater.rate` returns. Each box has the probability of the nearest
            of them as its score. None gives all boxes the same score.
        most: as for `boxes.merge`.
        flip: also use the mirror image.

    Returns:
        List of `Found`, for each label the merged box with the highest sum of scores.
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
    """Return the probabilities of the nearest windows of the classification networks.

    Args:
        middles: float64 `[windows, 2]`.
        windows: as for `locate`.
        classes: number of columns if `windows` is None.

    Returns:
        Float64 `[windows, classes]`, averaged over the networks; ones if `windows` is None.
    """
    if windows is None:
        return np.ones((len(middles), classes))
    rows = []
    for posteriors, theirs in windows:
        nearest = np.linalg.norm(middles[:, None] - theirs, axis=2).argmin(1)
        rows.append(posteriors[nearest])
    return np.mean(rows, 0)


def is_right(found, label, corners):
    """Return whether a box has the right class and an IoU above 0.5 with an object.

    Args:
        found: a `Found`.
        label: number of the true class.
        corners: float `[k, 4]`, the objects of that class.

    Returns:
        A bool.
    """
    return found.label == label and bool((boxes.compute_iou(found.corners, corners) > RIGHT).any())


def measure_errors(found, labels, corners):
    """Return the localization errors.

    Args:
        found: for each picture a list of `Found`, the most likely class first.
        labels: for each picture its class.
        corners: for each picture its objects of that class, `[k, 4]`.

    Returns:
        Dict of `top1_error` and `top5_error` in %, each with its 95 % interval, and of `n`. A
        picture is wrong if none of its first 1 or 5 boxes has the right class and place.
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
    """Return the mean of the largest boxes of pictures, `[4]`: a baseline without a network."""
    return np.mean([own[0] for own in pictures.corners], 0)
