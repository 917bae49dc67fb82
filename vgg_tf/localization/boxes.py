"""Boxes around objects: forms, overlap, how they follow a view, how many become one (appendix A).

A box is four numbers on a last axis: its corners (xmin, ymin, xmax, ymax), or its centre and size
(x, y, width, height), which is what a network learns to give. Those of an image are shares of its
width and height, 0..1; those of a view are shares of its side, and may reach beyond it, where the
view cuts the object.
"""

import numpy as np

MATCH = 0.0  # boxes whose match is above are left apart


def to_centers(corners):
    """Centre and size of boxes, `[..., 4]`, from their corners; numpy or TensorFlow."""
    low, high = corners[..., :2], corners[..., 2:]
    return _together((low + high) / 2, high - low)


def to_corners(boxes):
    """Corners of boxes, `[..., 4]`, from their centre and size."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return _together(centre - half, centre + half)


def _together(first, second):
    if isinstance(first, np.ndarray):
        return np.concatenate([first, second], -1)
    import tensorflow as tf

    return tf.concat([first, second], -1)


def mirror(corners):
    """Boxes of an image's mirror image, `[..., 4]`, as boxes of the image; numpy."""
    return np.stack(
        [1 - corners[..., 2], corners[..., 1], 1 - corners[..., 0], corners[..., 3]], -1
    )


def compute_iou(a, b):
    """Intersection over union of each box with each: corners `[n, 4]` and `[m, 4]` give float64
    `[n, m]`, 0..1.
    """
    a, b = (np.float64(np.reshape(boxes, (-1, 4))) for boxes in (a, b))
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    both = np.maximum(high - low, 0).prod(2)
    areas = [np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1] - both
    return both / np.where(union > 0, union, 1)


def move_into_view(corners, size, corner, crop, mirrored=False):
    """Boxes of an image in one of its views, in TensorFlow.

    Args:
        corners: float32 `[..., 4]`, of the image.
        size: height and width of the rescaled image, in pixels.
        corner: top and left of the view in it, in pixels.
        crop: side of the view, in pixels.
        mirrored: bool scalar.

    Returns:
        float32 `[..., 4]`, corners as shares of the view's side, not cut at its border.
    """
    import tensorflow as tf

    sides = tf.cast(tf.stack([size[1], size[0]] * 2), tf.float32)
    origin = tf.cast(tf.stack([corner[1], corner[0]] * 2), tf.float32)
    found = (corners * sides - origin) / crop
    xmin, ymin, xmax, ymax = tf.unstack(found, axis=-1)
    return tf.where(mirrored, tf.stack([1 - xmax, ymin, 1 - xmin, ymax], -1), found)


def move_out_of_view(corners, size, corner, crop):
    """Boxes of the image from those of a view that is not mirrored: the way back of
    `move_into_view`, in numpy.

    Args:
        corners: `[..., 4]`, shares of the view's side.
        size: height and width of the rescaled image, in pixels.
        corner: `[..., 2]`, top and left of the view, in pixels.
        crop: side of the view, in pixels.

    Returns:
        float64 `[..., 4]`, shares of width and height, not cut at the image's border.
    """
    origin = np.float64(corner)[..., [1, 0, 1, 0]]
    return (np.float64(corners) * crop + origin) / [size[1], size[0], size[1], size[0]]


def compute_shown(corners):
    """Share of each box of a view, `[..., 4]`, that lies within the view, 0..1; in TensorFlow."""
    import tensorflow as tf

    sides = corners[..., 2:] - corners[..., :2]
    inside = tf.clip_by_value(corners, 0.0, 1.0)
    return tf.reduce_prod(inside[..., 2:] - inside[..., :2], -1) / tf.maximum(
        tf.reduce_prod(sides, -1), 1e-12
    )


def merge(corners, scores, most=MATCH):
    """OverFeat's greedy merge: of all boxes, again and again, the two that match best become one.

    OverFeat (section 4.3) adds the distance of the centres to the area of the intersection and
    merges the pair of the smallest sum, so that boxes that overlap more would match less: a slip.
    Here a match is the distance of the centres, in units of the mean side of the two boxes, minus
    their IoU: -1 for equal boxes, above 0 where they lie farther apart than they overlap. A merged
    box is the mean of all boxes that went into it, not of the last two, and equal matches go by the
    boxes' numbers: so the order of the boxes does not count.

    Args:
        corners: `[n, 4]`.
        scores: `[n]`, how sure each is.
        most: the highest match that is merged.

    Returns:
        corners, float64 `[m, 4]`, and the sums of the scores that went into each, `[m]`; the surest
        first.
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
    """What `merge` goes by, of each box with each, `[n, m]`."""
    apart = np.linalg.norm((a[:, None, :2] + a[:, None, 2:] - b[:, :2] - b[:, 2:]) / 2, axis=2)
    sides = [np.sqrt(np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(1)) for boxes in (a, b)]
    mean = (sides[0][:, None] + sides[1]) / 2
    return apart / np.maximum(mean, 1e-12) - compute_iou(a, b)
