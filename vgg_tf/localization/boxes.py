"""Bounding boxes: forms, overlap, coordinates in views, merging (appendix A).

A box is four numbers on a last axis. They are its corners (xmin, ymin, xmax, ymax), or its center
and size (x, y, width, height), which a network learns to predict. Boxes of an image are fractions
of its width and height, in 0..1. Boxes of a view are fractions of its side. They may reach beyond
the view if it cuts the object.
"""

import numpy as np

MATCH = 0.0  # boxes with a higher match are not merged


def to_centers(corners):
    """Return centers and sizes of boxes, `[..., 4]`, from their corners; numpy or TensorFlow."""
    low, high = corners[..., :2], corners[..., 2:]
    return _together((low + high) / 2, high - low)


def to_corners(boxes):
    """Return corners of boxes, `[..., 4]`, from their centers and sizes."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return _together(centre - half, centre + half)


def _together(first, second):
    if isinstance(first, np.ndarray):
        return np.concatenate([first, second], -1)
    import tensorflow as tf

    return tf.concat([first, second], -1)


def mirror(corners):
    """Return boxes of an image's mirror image, `[..., 4]`, as boxes of the image; numpy."""
    return np.stack(
        [1 - corners[..., 2], corners[..., 1], 1 - corners[..., 0], corners[..., 3]], -1
    )


def compute_iou(a, b):
    """Return the intersection over union of each pair of boxes.

    Args:
        a: corners, `[n, 4]`.
        b: corners, `[m, 4]`.

    Returns:
        Float64 `[n, m]`, in 0..1.
    """
    a, b = (np.float64(np.reshape(boxes, (-1, 4))) for boxes in (a, b))
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    both = np.maximum(high - low, 0).prod(2)
    areas = [np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1] - both
    return both / np.where(union > 0, union, 1)


def move_into_view(corners, size, corner, crop, mirrored=False):
    """Convert boxes of an image to boxes of one of its views, in TensorFlow.

    Args:
        corners: float32 `[..., 4]`, fractions of the image's width and height.
        size: height and width of the rescaled image, in pixels.
        corner: top and left of the view in it, in pixels.
        crop: side of the view, in pixels.
        mirrored: bool scalar, whether the view is flipped.

    Returns:
        Float32 `[..., 4]`, corners as fractions of the view's side, not clipped to the view.
    """
    import tensorflow as tf

    sides = tf.cast(tf.stack([size[1], size[0]] * 2), tf.float32)
    origin = tf.cast(tf.stack([corner[1], corner[0]] * 2), tf.float32)
    found = (corners * sides - origin) / crop
    xmin, ymin, xmax, ymax = tf.unstack(found, axis=-1)
    return tf.where(mirrored, tf.stack([1 - xmax, ymin, 1 - xmin, ymax], -1), found)


def move_out_of_view(corners, size, corner, crop):
    """Convert boxes of a view to boxes of the image, in numpy.

    This is the inverse of `move_into_view` for a view that is not flipped.

    Args:
        corners: `[..., 4]`, fractions of the view's side.
        size: height and width of the rescaled image, in pixels.
        corner: `[..., 2]`, top and left of the view, in pixels.
        crop: side of the view, in pixels.

    Returns:
        Float64 `[..., 4]`, fractions of width and height, not clipped to the image.
    """
    origin = np.float64(corner)[..., [1, 0, 1, 0]]
    return (np.float64(corners) * crop + origin) / [size[1], size[0], size[1], size[0]]


def compute_shown(corners):
    """Return the fraction of each box of a view, `[..., 4]`, that is visible; TensorFlow."""
    import tensorflow as tf

    sides = corners[..., 2:] - corners[..., :2]
    inside = tf.clip_by_value(corners, 0.0, 1.0)
    return tf.reduce_prod(inside[..., 2:] - inside[..., :2], -1) / tf.maximum(
        tf.reduce_prod(sides, -1), 1e-12
    )


def merge(corners, scores, most=MATCH):
    """Merge boxes by OverFeat's greedy algorithm: repeatedly merge the two boxes that match best.

    OverFeat (section 4.3) adds the distance of the centers to the area of the intersection and
    merges the pair with the smallest sum. Boxes that overlap more would then match less, which is
    an error. Here, a match is the distance of the centers minus the IoU. The distance is in units
    of the mean side of the two boxes. A match is -1 for equal boxes, and above 0 if the distance
    exceeds the overlap.

    A merged box is the mean of all boxes in it, not of the last two. Ties are decided by sorted
    order, so the order of the boxes does not matter.

    Args:
        corners: `[n, 4]`.
        scores: `[n]`, confidence of each box.
        most: the highest match that is merged.

    Returns:
        corners: float64 `[m, 4]`, the highest sum of scores first.
        sums: float64 `[m]`, the sum of the scores of the boxes that were merged.
    """
    corners, scores = np.float64(np.reshape(corners, (-1, 4))), np.float64(np.ravel(scores))
    order = np.lexsort((scores, *corners.T))
    boxes, sums, counts = corners[order], scores[order], np.ones(len(order))
    matches = _matches(boxes, boxes) if len(boxes) else np.zeros((0, 0))
    np.fill_diagonal(matches, np.inf)
    alive = np.ones(len(boxes), bool)
    while alive.sum() > 1:
        i, j = np.unravel_index(matches.argmin(), matches.shape)
        if matches[i, j] > most:
            break
        boxes[i] = (boxes[i] * counts[i] + boxes[j] * counts[j]) / (counts[i] + counts[j])
        counts[i], sums[i], alive[j] = counts[i] + counts[j], sums[i] + sums[j], False
        row = np.where(alive, _matches(boxes[i : i + 1], boxes)[0], np.inf)
        row[i] = np.inf
        matches[i], matches[:, i], matches[j], matches[:, j] = row, row, np.inf, np.inf
    left = np.flatnonzero(alive)
    left = left[np.argsort(-sums[left], kind="stable")]
    return boxes[left], sums[left]


def _matches(a, b):
    """Return the match of each pair of boxes, `[n, m]`; see `merge`."""
    apart = np.linalg.norm((a[:, None, :2] + a[:, None, 2:] - b[:, :2] - b[:, 2:]) / 2, axis=2)
    sides = [np.sqrt(np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(1)) for boxes in (a, b)]
    mean = (sides[0][:, None] + sides[1]) / 2
    return apart / np.maximum(mean, 1e-12) - compute_iou(a, b)
