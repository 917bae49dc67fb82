"""Inputs and loss of box regression, and a perfect network in the dense test."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vgg_tf.images.rescaling import compute_rescaled_size
from vgg_tf.localization import boxes, inference, inputs
from vgg_tf.localization.inputs import make_test_batches, make_training_batches, read_boxes
from vgg_tf.localization.task import compute_distance, judge_boxes
from vgg_tf.paper.recipes import Recipe
from vgg_tf.records.splits import Split
from vgg_tf.training.model import StepPlan

RECIPE = Recipe(size=32, scale=(32, 48), rgb_shift=0.0, batch_size=4, cache="bytes")


def png(h, w, box):
    """Return a PNG of a bright rectangle on a dark background; corners in pixels."""
    picture = np.zeros((h, w, 3), np.uint8)
    xmin, ymin, xmax, ymax = box
    picture[ymin:ymax, xmin:xmax] = 255
    return tf.io.encode_png(picture).numpy()


def split(objects, h=60, w=80):
    """Return a split with a picture for each list of `(class, xmin, ymin, xmax, ymax)`.

    The class of a picture is that of its first object.
    """
    contents = [png(h, w, row[0][1:]) if row else png(h, w, (0, 0, 1, 1)) for row in objects]
    labels = np.array(["ab".index(row[0][0]) if row else 0 for row in objects])
    return Split([f"{i}.png" for i in range(len(objects))], labels, contents, list(objects))


def test_empty_boxes_and_pictures_without_a_box_are_skipped_and_named():
    found = read_boxes(
        split(
            [
                [("a", 10, 10, 30, 30), ("b", 0, 0, 80, 60), ("a", 20, 20, 70, 50)],
                [("b", 5, 5, 5, 20), ("b", 90, 10, 95, 20), ("b", 40, 10, 90, 30)],
                [("a", 100, 100, 120, 120)],
                [],
            ]
        ),
        ("a", "b"),
    )
    assert found.images.names == ["0.png", "1.png"]
    np.testing.assert_allclose(
        found.corners[0] * [80, 60, 80, 60], [[20, 20, 70, 50], [10, 10, 30, 30]], atol=1e-4
    )
    np.testing.assert_allclose(
        found.corners[1] * [80, 60, 80, 60], [[40, 10, 80, 30]], atol=1e-4
    )  # clipped at the border
    assert found.sizes == [(80, 60)] * 2
    assert found.notes == (
        "2 images: boxes end far outside of the picture, and are cut at its edge, first 1.png",
        "1.png: skipped 2 boxes without an area in the picture",
        "2.png: skipped 1 box without an area in the picture",
        "2.png: skipped, has no box of a",
        "3.png: skipped, has no box of a",
    )
    with pytest.raises(
        ValueError, match=r"must have a box of its class. Received: 1 pictures without one"
    ):
        read_boxes(split([[("a", 100, 100, 120, 120)]]), ("a", "b"))


def bright(view):
    lit = view[..., 0] > 127
    across, down = np.flatnonzero(lit.any(0)), np.flatnonzero(lit.any(1))
    return np.array([across[0], down[0], across[-1] + 1, down[-1] + 1])


def test_targets_match_the_object_in_the_view_and_half_of_it_is_visible():
    pictures = read_boxes(
        split([[("b", 5, 8, 25, 30)], [("a", 50, 30, 78, 58)], [("a", 2, 40, 30, 58)]] * 4),
        ("a", "b"),
    )
    of_epoch = make_training_batches(pictures, RECIPE, StepPlan(4, 3))  # 2 s: traces ten draws
    labels, first = [], {}
    for epoch in range(4):
        for views, targets in of_epoch(epoch):
            first.setdefault(epoch, views.numpy())
            for view, target in zip(views.numpy(), targets.numpy(), strict=True):
                corners = boxes.to_corners(target[:4])
                inside = np.clip(corners, 0, 1)
                assert (inside[2:] - inside[:2]).prod() >= 0.5 * (
                    corners[2:] - corners[:2]
                ).prod() - 1e-6
                assert np.abs(inside * 32 - bright(view)).max() <= 1
                labels.append(target[4])
    assert sorted(labels) == [0.0] * 32 + [1.0] * 16  # each picture once per epoch
    again = next(iter(of_epoch(1)))[0].numpy()
    np.testing.assert_array_equal(first[1], again)
    assert (first[2] != again).any()


def test_each_of_several_objects_is_drawn_as_a_target(monkeypatch):
    monkeypatch.setattr(inputs, "TRIES", 1)  # traces faster
    pictures = read_boxes(split([[("a", 5, 8, 25, 28), ("a", 50, 30, 60, 40)]] * 8), ("a", "b"))
    recipe = Recipe(size=60, scale=(60, 60), flip=False, rgb_shift=0.0, batch_size=8)
    of_epoch = make_training_batches(pictures, recipe, StepPlan(8, 1))
    found = np.concatenate(
        [targets.numpy() for epoch in range(4) for _, targets in of_epoch(epoch)]
    )
    assert set(np.round(found[:, 2] * 60)) == {20, 10}


def test_test_batches_have_each_center_crop_once_and_a_mask():
    pictures = read_boxes(
        split([[("b", 30, 20, 50, 40)], [("a", 25, 15, 55, 45)], [("a", 32, 22, 40, 30)]]),
        ("a", "b"),
    )
    recipe = Recipe(size=48, scale=(60, 60), rgb_shift=0.0)
    rows = list(make_test_batches(pictures, recipe, 2).as_numpy_iterator())
    assert [mask.tolist() for _, _, mask in rows] == [[1, 1], [1, 0]]
    for views, targets, mask in rows:
        for view, target, real in zip(views, targets, mask, strict=True):
            if real:
                assert np.abs(boxes.to_corners(target[:4]) * 48 - bright(view)).max() <= 1


@pytest.mark.parametrize("classes", [1, 3])
def test_loss_and_metric_of_the_pictures_class_equal_those_of_numpy(classes):
    random = np.random.default_rng(0)
    targets = np.concatenate(
        [random.uniform(0.3, 0.7, (50, 4)), random.integers(0, 3, (50, 1))], 1
    ).astype(np.float32)
    outputs = random.uniform(0.3, 0.7, (50, 4 * classes)).astype(np.float32)
    own = [
        row.reshape(-1, 4)[int(target[4]) if classes > 1 else 0]
        for row, target in zip(outputs, targets, strict=True)
    ]
    losses = [((box - target[:4]) ** 2).sum() / 2 for box, target in zip(own, targets, strict=True)]
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(compute_distance(targets, outputs)), losses, rtol=1e-5
    )
    overlaps = [
        boxes.compute_iou(boxes.to_corners(box), boxes.to_corners(target[:4]))[0, 0]
        for box, target in zip(own, targets, strict=True)
    ]
    expected = np.array(overlaps) > 0.5
    assert 0 < expected.sum() < 50
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(judge_boxes(targets, outputs)), expected
    )


class Perfect:
    """A network that knows where the one object is, in every window."""

    def __init__(self, corners, crop, classes):
        self.corners, self.crop, self.classes = np.float64(corners), crop, classes

    def seen(self, size, top, left):
        h, w = size
        box = (self.corners * [w, h, w, h] - [left, top, left, top]) / self.crop
        return np.tile(boxes.to_centers(box), self.classes)

    def predict_on_batch(self, batch):
        _, h, w, _ = batch.shape
        if (h, w) == (self.crop, self.crop) and self.centred:
            top, left = ((side - self.crop) // 2 for side in self.centred)
            return self.seen(self.centred, top, left)[np.newaxis]
        rows, columns = h // 32 - self.crop // 32 + 1, w // 32 - self.crop // 32 + 1
        return np.array(
            [[[self.seen((h, w), 32 * i, 32 * j) for j in range(columns)] for i in range(rows)]]
        )


class Any:
    """A network whose boxes depend on the left half of a window, not on the right half."""

    def predict_on_batch(self, batch):
        rows, columns = batch.shape[1] // 32 - 1, batch.shape[2] // 32 - 1
        every = [
            [
                batch[0, 32 * i : 32 * i + 64, 32 * j : 32 * j + 32].mean((0, 1)) / 255
                for j in range(columns)
            ]
            for i in range(rows)
        ]
        return np.concatenate([np.array(every), np.full((rows, columns, 1), 0.4)], -1)[np.newaxis]


@pytest.mark.parametrize("Q", [64, 90])
def test_flips_make_the_boxes_of_a_picture_and_its_mirror_image_equal(Q):
    random, localizer = np.random.default_rng(0), object.__new__(inference.Localizer)
    localizer.crop, localizer.model, localizer._dense = 64, Any(), Any()
    picture = random.integers(0, 256, (100, 150, 3), np.uint8)
    picture[:, :60] //= 4
    turned = picture[:, ::-1]
    centre = localizer.centre(picture, Q, flip=True)
    np.testing.assert_allclose(
        boxes.mirror(localizer.centre(turned, Q, flip=True)), centre, atol=1e-6
    )
    assert (
        np.abs(boxes.mirror(localizer.centre(turned, Q)) - localizer.centre(picture, Q)).max()
        > 0.05
    )
    (found, middles), (theirs, others) = (
        localizer.windows(side, Q, flip=True) for side in (picture, turned)
    )
    half = len(found) // 2
    np.testing.assert_allclose(boxes.mirror(theirs[half:]), found[:half], atol=1e-6)
    np.testing.assert_allclose([1, 0] - others[half:] * [1, -1], middles[:half], atol=1e-9)
    np.testing.assert_allclose(boxes.mirror(theirs[:half]), found[half:], atol=1e-6)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize(("h", "w"), [(120, 160), (201, 133), (64, 300)])
def test_a_perfect_network_has_no_error_in_the_dense_test(h, w, classes):
    picture, corners = np.zeros((h, w, 3), np.uint8), np.array([0.21, 0.33, 0.87, 0.71])
    localizer = object.__new__(inference.Localizer)
    localizer.crop = 64
    localizer._dense = localizer.model = Perfect(corners, 64, classes)
    localizer.model.centred = None
    found = inference.locate([localizer, localizer], [[64, 100], [131]], picture, [0, classes - 1])
    for box, label in zip(found, (0, classes - 1), strict=True):
        np.testing.assert_allclose(box.corners, corners, atol=1e-9)
        assert box.label == label
    localizer.model.centred = tuple(int(side) for side in compute_rescaled_size(h, w, 80))
    np.testing.assert_allclose(localizer.centre(picture, 80)[0], corners, atol=1e-9)
    told = inference.measure_errors([found], [0], [corners[np.newaxis]])
    assert (told["top1_error"], told["top5_error"]) == (0, 0)
    target = np.append(boxes.to_centers(corners), 0)[np.newaxis].astype(np.float32)
    perfect = np.tile(target[:, :4], classes)
    assert float(compute_distance(target, perfect)[0]) == 0


def test_top5_needs_one_box_with_the_right_class_and_place_among_the_first_five():
    good, bad = np.array([0.1, 0.1, 0.5, 0.5]), np.array([0.6, 0.6, 0.9, 0.9])

    def boxes_of(*rows):
        return [inference.Found(label, 1.0, corners) for label, corners in rows]

    found = [
        boxes_of((0, good)),
        boxes_of((1, good), (0, good)),
        boxes_of((0, bad), (1, good)),
        boxes_of((1, good), (2, good), (3, good), (4, good), (5, good), (0, good)),
    ]
    told = inference.measure_errors(
        found, [0] * 4, [np.stack([good, bad + 0.01])] * 3 + [good[np.newaxis]]
    )
    assert (told["top1_error"], told["top5_error"], told["n"]) == (50, 25, 4)


def test_a_window_has_the_probability_of_the_classifiers_nearest_window():
    middles = np.array([[0.1, 0.1], [0.9, 0.9]])
    theirs = (np.array([[0.2, 0.8], [0.7, 0.3]]), np.array([[0.2, 0.2], [0.8, 0.8]]))
    np.testing.assert_array_equal(inference._rated(middles, [theirs], 2), theirs[0])
    np.testing.assert_array_equal(inference._rated(middles, None, 2), np.ones((2, 2)))
