"""Batches of pictures with boxes (appendix A). The loss is in `task`.

The last fully connected layer predicts a box for each class (per-class regression, PCR) or one box
for all classes (single-class regression, SCR). A box is its center and size, as fractions of the
crop's side. The loss is half the squared distance to the box of the picture's own class.

The paper leaves three points open. If a picture has several objects of its class, one is drawn at
random each time. A crop that shows less than half of it is drawn again, up to ten times: a network
cannot learn the box of something unseen. The target is the box of the whole object, also if the
crop cuts it. So the boxes of many crops agree in the dense test.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from vgg_tf.data.batches import finish
from vgg_tf.images import views
from vgg_tf.images.decoding import decode, has_windows, make_key
from vgg_tf.images.rescaling import compute_rescaled_size, make_center_view
from vgg_tf.localization import boxes
from vgg_tf.records import stated_sizes
from vgg_tf.runtime import programs

SHOWN, TRIES = 0.5, 10  # fraction of an object that a crop must show; maximum number of draws
AUTO = tf.data.AUTOTUNE


@dataclass(frozen=True)
class BoxedImages:
    """Images with known objects.

    Attributes:
        images: the `splits.Split` of the images with a box of their own class.
        corners: for each image its boxes of its own class, float32 `[k, 4]`, as fractions of width
            and height. The largest comes first.
        sizes: for each image width and height in pixels.
        notes: a line about each image or box that was skipped, and about boxes that are read in
            another way than stated.
    """

    images: object
    corners: list
    sizes: list
    notes: tuple[str, ...] = ()

    def __len__(self):
        """Return the number of images."""
        return len(self.images)


def read_boxes(images, classes):
    """Read the boxes of a split that are of each image's own class.

    Boxes are clipped to the picture. Boxes without an area, and pictures without a box of their
    class, are skipped and noted.

    Args:
        images: a `splits.Split`.
        classes: class names.

    Returns:
        `BoxedImages`.

    Raises:
        ValueError: an annotation or a picture cannot be read, or no picture is left. The message
            names the file.
    """
    from tqdm import tqdm

    kept, corners, sizes, notes, remarks = [], [], [], [], {}
    for i in tqdm(
        range(len(images)), "boxes", unit=" images", disable=programs.hides_bar(), leave=False
    ):
        width, height = images.read_size(i)
        found = images.read_boxes(i, width, height, remarks)
        own = np.array([name in ("", classes[images.labels[i]]) for name in found.names], bool)
        area = (found.corners[:, 2:] - found.corners[:, :2]).prod(1)
        if none := int((own & ~(area > 0)).sum()):
            notes.append(
                f"{images.names[i]}: skipped {none} box{'es' * (none > 1)} without an area in the "
                "picture"
            )
        good = np.flatnonzero(own & (area > 0))
        if not len(good):
            notes.append(f"{images.names[i]}: skipped, has no box of {classes[images.labels[i]]}")
            continue
        kept.append(i)
        corners.append(found.corners[good[np.argsort(-area[good], kind="stable")]])
        sizes.append((width, height))
    if not kept:
        raise ValueError(
            f"At least one picture must have a box of its class. Received: {len(images)} pictures "
            "without one. Give Pascal VOC annotations, or shards with boxes."
        )
    notes = [*stated_sizes.count_remarks(remarks), *notes]
    return BoxedImages(images.take(kept), corners, sizes, tuple(notes))


def make_training_batches(pictures, recipe, plan, covariance=None):
    """Return a function of the epoch to batches of random views and their boxes.

    Args:
        pictures: `BoxedImages`.
        recipe: the `Recipe`.
        plan: the `StepPlan` of the training.
        covariance: `[3, 3]`, covariance of the colors, for the RGB shift.

    Returns:
        A function of the epoch, from 0, to a `tf.data.Dataset` of `(images, targets)`. Images are
        uint8 `[batch, size, size, 3]`. Targets are float32 `[batch, 5]`: center x and y, width and
        height as fractions of the crop's side, and the label.
    """
    example, view = _make_examples(pictures, recipe.cache != "none"), recipe.view(covariance)

    @tf.function(autograph=False)  # all epochs share one graph, which takes 2 s to trace
    def random(i, epoch):
        contents, corners, count, label = example(i)
        shape = tf.cond(
            has_windows(contents),
            lambda: tf.io.extract_jpeg_shape(contents),
            lambda: tf.shape(decode(contents)),
        )
        here = make_key(contents)
        number = epoch + (recipe.seed << 32)
        seeds = [tf.stack([here + tries, number]) for tries in range(TRIES)]
        drawn = tf.random.stateless_uniform([], seeds[0] + 3, 0, count, tf.int64)
        seed, box = _choose_view(seeds, tf.gather(corners, drawn), shape, view)
        return views.make_train_view(contents, seed, view), _make_target(box, label)

    def one(epoch):
        order = np.random.default_rng((recipe.seed, epoch)).permutation(len(pictures))
        numbers = tf.data.Dataset.from_tensor_slices(np.int64(order[: plan.steps * plan.batch]))
        number = tf.constant(epoch, tf.int64)
        seen = numbers.map(lambda i: random(i, number), num_parallel_calls=AUTO)
        return finish(seen.batch(plan.batch, drop_remainder=True), plan.steps)

    return one


def make_test_batches(pictures, recipe, batch):
    """Return batches of the center crops of all images, and their largest boxes.

    Args:
        pictures: `BoxedImages`.
        recipe: the `Recipe`.
        batch: images per batch.

    Returns:
        A `tf.data.Dataset` of `(images, targets, mask)`, as in `make_training_batches`. Black
        images with a mask of 0 fill up the last batch.
    """
    example, n = _make_examples(pictures, recipe.cache != "none"), len(pictures)
    Q, crop = recipe.evaluation_scale, recipe.size

    @tf.autograph.experimental.do_not_convert
    def center(i):
        contents, corners, _, label = example(i)
        pixels = decode(contents)
        size = tf.stack(compute_rescaled_size(tf.shape(pixels)[0], tf.shape(pixels)[1], Q))
        box = boxes.move_into_view(corners[0], size, (size - crop) // 2, crop)
        return make_center_view(pixels, crop, Q), _make_target(box, label), 1.0

    count = -(-n // batch)
    blank = (tf.zeros([crop, crop, 3], tf.uint8), tf.zeros([5]), 0.0)
    seen = tf.data.Dataset.range(n).map(center, num_parallel_calls=AUTO)
    seen = seen.concatenate(tf.data.Dataset.from_tensors(blank).repeat(count * batch - n))
    return finish(seen.batch(batch, drop_remainder=True), count)


def _make_examples(pictures, keep):
    """Return a function of an image's number to its bytes, boxes, number of boxes and label."""
    most = max(map(len, pictures.corners))
    corners = np.stack([np.resize(own, (most, 4)) for own in pictures.corners]).astype(np.float32)
    counts, labels = np.array([len(own) for own in pictures.corners]), pictures.images.labels
    kept = {}

    def read(i):
        i = int(i)
        contents = kept[i] if i in kept else pictures.images.read(i)
        if keep:
            kept[i] = contents
        return np.array(contents, object)

    def example(i):
        contents = tf.ensure_shape(tf.numpy_function(read, [i], tf.string), [])
        label = tf.cast(tf.gather(labels, i), tf.float32)
        return contents, tf.gather(corners, i), tf.gather(counts, i), label

    return example


def _choose_view(seeds, box, shape, view):
    """Choose the first view that shows enough of a box, else the one that shows the most.

    Args:
        seeds: list of seeds of views.
        box: float32 `[4]`, corners in the image.
        shape: shape of the image.
        view: the `augmentation.View`.

    Returns:
        The seed of the view, and the box in it, float32 `[4]`.
    """
    boxes_in_views = []
    for seed in seeds:
        size, corner, mirrored = views.locate_view(seed, shape, view)
        boxes_in_views.append(boxes.move_into_view(box, size, corner, view.crop, mirrored))
    seen = boxes.compute_shown(tf.stack(boxes_in_views))
    enough = tf.cast(seen >= SHOWN, tf.float32)
    best = tf.argmax(tf.where(tf.reduce_any(seen >= SHOWN), enough, seen))
    return tf.gather(seeds, best), tf.gather(boxes_in_views, best)


def _make_target(corners, label):
    return tf.concat([boxes.to_centers(corners), [label]], 0)
