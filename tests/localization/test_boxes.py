"""Boxes: overlap by hand, views of painted rectangles, merging by hand and in any order."""

import numpy as np
import pytest
import tensorflow as tf

from vgg_tf.images import views
from vgg_tf.images.augmentation import View
from vgg_tf.localization import boxes


def random_boxes(n, seed=0):
    corners = np.random.default_rng(seed).uniform(0, 1, (n, 2, 2))
    return np.concatenate([corners.min(1), corners.max(1)], 1)


def test_iou_of_cases_by_hand():
    a = [[0, 0, 2, 2]]
    b = [[0, 0, 2, 2], [1, 1, 3, 3], [2, 0, 4, 2], [0.5, 0.5, 1.5, 1.5], [3, 3, 3, 3]]
    np.testing.assert_allclose(boxes.compute_iou(a, b), [[1, 1 / 7, 0, 1 / 4, 0]])
    assert boxes.compute_iou([[1, 1, 1, 1]], [[1, 1, 1, 1]]) == 0  # no area


def test_iou_equals_that_of_painted_pixels():
    one, other = (np.round(20 * random_boxes(6, seed)).astype(int) for seed in (0, 1))

    def painted(box):
        canvas = np.zeros((20, 20), bool)
        canvas[box[1] : box[3], box[0] : box[2]] = True
        return canvas

    expected = [
        [(painted(a) & painted(b)).sum() / max(1, (painted(a) | painted(b)).sum()) for b in other]
        for a in one
    ]
    np.testing.assert_allclose(boxes.compute_iou(one, other), expected)


@pytest.mark.parametrize("kind", [np.asarray, tf.constant])
def test_centers_and_sizes_convert_back_to_corners(kind):
    corners = random_boxes(20)
    found = boxes.to_centers(kind(corners))
    np.testing.assert_allclose(
        found[0],
        [
            corners[0, ::2].mean(),
            corners[0, 1::2].mean(),
            *np.diff(corners[0].reshape(2, 2), axis=0)[0],
        ],
    )
    np.testing.assert_allclose(boxes.to_corners(found), corners)


def test_moving_boxes_into_a_view_and_out_of_it_is_the_identity():
    corners, random = random_boxes(50), np.random.default_rng(1)
    for _ in range(20):
        size, crop = random.integers(40, 90, 2), int(random.integers(20, 40))
        corner = random.integers(0, size - crop + 1)
        inside = boxes.move_into_view(tf.constant(corners, tf.float32), size, corner, crop)
        np.testing.assert_allclose(
            boxes.move_out_of_view(inside.numpy(), size, corner, crop), corners, atol=1e-6
        )


@pytest.mark.parametrize(
    ("scale", "in_tf_data", "n"),
    [((48, 48), True, 60), ((48, 96), True, 60), ((48, 96), False, 20)],
)
def test_a_box_follows_its_pixels_through_scale_crop_and_flip(scale, in_tf_data, n):
    """The box of a bright rectangle on a dark picture must match its pixels in the view."""
    h, w, crop = 60, 80, 48
    picture = np.zeros((h, w, 3), np.uint8)
    xmin, ymin, xmax, ymax = 31, 22, 49, 41
    picture[ymin:ymax, xmin:xmax] = 255
    corners = tf.constant([xmin / w, ymin / h, xmax / w, ymax / h])
    options = View(crop, scale, shift=0)

    def look(seed):
        view = views.make_train_view_of_pixels(picture, seed, options)
        size, corner, mirrored = views.locate_view(seed, tf.shape(picture), options)
        return view, boxes.move_into_view(corners, size, corner, crop, mirrored), mirrored

    seeds = np.array([(i, 7) for i in range(n)])
    rows = tf.data.Dataset.from_tensor_slices(seeds).map(look) if in_tf_data else map(look, seeds)
    flips, checked = set(), 0
    for view, box, mirrored in rows:
        found = (np.clip(box, 0, 1) * crop).astype(float)
        if min(found[2] - found[0], found[3] - found[1]) < 3:
            continue  # hardly visible
        bright = np.asarray(view)[..., 0] > 127
        across, down = np.flatnonzero(bright.any(0)), np.flatnonzero(bright.any(1))
        seen = [across[0], down[0], across[-1] + 1, down[-1] + 1]
        assert np.abs(found - seen).max() <= 1  # a pixel is bright if half of it is
        flips.add(bool(mirrored))
        checked += 1
    assert flips == {False, True}
    assert checked > n // 2


def test_shown_is_the_fraction_inside_the_view():
    corners = tf.constant(
        [[0, 0, 1, 1], [-1, 0, 1, 1], [0.5, 0.5, 1.5, 1.5], [2, 2, 3, 3], [0.2, 0.2, 0.4, 0.3]]
    )
    np.testing.assert_allclose(boxes.compute_shown(corners), [1, 0.5, 0.25, 0, 1], atol=1e-6)


def test_a_merge_by_hand():
    corners = [[0, 0, 4, 4], [1, 0, 5, 4], [0, 1, 4, 5], [20, 20, 24, 24]]
    merged, sums = boxes.merge(corners, [0.5, 0.25, 0.125, 0.5])
    # The IoU of the first three exceeds their distances, in sides of 4, so their mean replaces
    # them. The last one is far away.
    np.testing.assert_allclose(merged, [[1 / 3, 1 / 3, 13 / 3, 13 / 3], [20, 20, 24, 24]])
    np.testing.assert_allclose(sums, [0.875, 0.5])


def test_the_pair_that_overlaps_more_is_merged_first():
    # By OverFeat's published sum, the second and third box would match better, although they
    # overlap less: 1 + 6 < 1 + 12.
    corners = [[0, 0, 4, 4], [1, 0, 5, 4], [4.0, 2.5, 8.0, 6.5]]
    near, far = (
        boxes.compute_iou(corners[0], corners[1])[0, 0],
        boxes.compute_iou(corners[1], corners[2])[0, 0],
    )
    assert near > far
    merged, _ = boxes.merge(corners, [1, 1, 1], most=-0.1)
    np.testing.assert_allclose(merged, [[0.5, 0, 4.5, 4], [4.0, 2.5, 8.0, 6.5]])


def test_the_order_of_the_boxes_does_not_matter():
    random = np.random.default_rng(0)
    corners, scores = random_boxes(40), random.uniform(0, 1, 40).round(1)
    corners[10:20] = corners[:10]  # includes ties
    expected = boxes.merge(corners, scores)
    assert 1 < len(expected[0]) < 40
    for _ in range(5):
        order = random.permutation(40)
        found = boxes.merge(corners[order], scores[order])
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b)


def test_merging_keeps_the_sum_of_scores_and_accepts_one_box_or_none():
    corners, scores = random_boxes(30), np.random.default_rng(0).uniform(0, 1, 30)
    assert boxes.merge(corners, scores)[1].sum() == pytest.approx(scores.sum())
    np.testing.assert_array_equal(boxes.merge(corners[:1], scores[:1])[0], corners[:1])
    assert len(boxes.merge(np.zeros((0, 4)), [])[0]) == 0
