"""Pictures with boxes as batches (appendix A). The loss is in `task`.

The last fully connected layer gives a box for each class (PCR, per-class regression) or one for all
(SCR, single-class regression): its centre and size as shares of the crop's side. The loss is
Euclidean, half the squared distance, of the box of the picture's own class. What the paper leaves
open: of several objects of that class one is drawn each time; a crop that shows less than half of
it is drawn again, up to ten times, as a box of something unseen cannot be learnt; the box is that
of the whole object, also where the crop cuts it, as the boxes of many crops are to agree in the
dense test.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from vgg_tf.images import views
from vgg_tf.images.colors import IMAGENET_COVARIANCE
from vgg_tf.images.decoding import decode, is_jpeg, key
from vgg_tf.localization import boxes
from vgg_tf.runtime.pipelines import untuned

SHOWN, TRIES = 0.5, 10  # share of an object that a crop must show, and crops that are drawn for it
AUTO = tf.data.AUTOTUNE


@dataclass(frozen=True)
class Annotated:
    """Pictures whose objects are known.

    Attributes:
        images: the `splits.Split` of those that have a box of their own class.
        corners: of each, float32 `[k, 4]`, its boxes of its own class as shares of width and
            height, the largest first.
        sizes: of each, width and height in pixels.
        notes: what was left out, in words, a line each.
    """

    images: object
    corners: list
    sizes: list
    notes: tuple[str, ...] = ()

    def __len__(self):
        """Count the pictures."""
        return len(self.images)


def annotated(images, classes):
    """Read the boxes of a split, those of each picture's own class.

    Args:
        images: a `splits.Split`.
        classes: names.

    Returns:
        `Annotated`: boxes are cut at the picture's border; those that are then of no size, and
        pictures without a box of their class, are left out and noted.

    Raises:
        ValueError: an annotation or a picture that cannot be read: the message names it; or no
            picture is left.
    """
    from tqdm import tqdm

    kept, corners, sizes, notes = [], [], [], []
    for i in tqdm(range(len(images)), "boxes", unit=" images", disable=None, leave=False):
        width, height = images.size(i)
        found = images.boxes_of(i, width, height)
        own = np.array([name in ("", classes[images.labels[i]]) for name in found.names], bool)
        area = (found.corners[:, 2:] - found.corners[:, :2]).prod(1)
        if none := int((own & ~(area > 0)).sum()):
            notes.append(
                f"{images.names[i]}: {none} box{'es' * (none > 1)} of no size within the "
                "picture left out"
            )
        good = np.flatnonzero(own & (area > 0))
        if not len(good):
            notes.append(f"{images.names[i]} has no box of {classes[images.labels[i]]}: left out")
            continue
        kept.append(i)
        corners.append(found.corners[good[np.argsort(-area[good], kind="stable")]])
        sizes.append((width, height))
    if not kept:
        raise ValueError(
            "None of the pictures has a box of its class. Give Pascal-VOC annotations, or "
            "shards with boxes."
        )
    return Annotated(images.take(kept), corners, sizes, tuple(notes))


def batches(pictures, recipe, batch, steps=None, covariance=IMAGENET_COVARIANCE):
    """Batches of pictures and what is to be learnt of them.

    Args:
        pictures: `Annotated`.
        recipe: the `Recipe`.
        batch: pictures a batch.
        steps: batches of a training pass. None: not for training, but each picture once, its centre
            crop, its largest box.
        covariance: of the colours, for the RGB shift.

    Returns:
        Training: a function of the epoch, from 0, that gives a `tf.data.Dataset` of `(images,
        targets)`, uint8 `[batch, size, size, 3]` and float32 `[batch, 5]`: centre x and y, width,
        height as shares of the crop's side, and the label. Else the dataset of `(images, targets,
        mask)`, the last batch filled up with black images of mask 0.
    """
    most = max(map(len, pictures.corners))
    corners = np.stack([np.resize(own, (most, 4)) for own in pictures.corners]).astype(np.float32)
    counts, labels = np.array([len(own) for own in pictures.corners]), pictures.images.labels
    kept = {}

    def read(i):
        i = int(i)
        contents = kept[i] if i in kept else pictures.images.read(i)
        if recipe.cache != "none":
            kept[i] = contents
        return np.array(contents, object)

    def at(i):
        contents = tf.ensure_shape(tf.numpy_function(read, [i], tf.string), [])
        return (
            contents,
            tf.gather(corners, i),
            tf.gather(counts, i),
            tf.cast(tf.gather(labels, i), tf.float32),
        )

    def target(corners, label):
        return tf.concat([boxes.centred(corners), [label]], 0)

    @tf.autograph.experimental.do_not_convert
    def random(i, epoch):
        contents, own, count, label = at(i)
        shape = tf.cond(
            is_jpeg(contents),
            lambda: tf.io.extract_jpeg_shape(contents),
            lambda: tf.shape(decode(contents)),
        )
        here = key(contents)
        seeds = [tf.stack([here + tries, epoch + (recipe.seed << 32)]) for tries in range(TRIES)]
        box = tf.gather(own, tf.random.stateless_uniform([], seeds[0] + 3, 0, count, tf.int64))
        view = {
            "crop": recipe.size,
            "scale": recipe.scale,
            "flip": recipe.flip,
            "padding": recipe.padding,
        }
        lying = [boxes.into_view(box, *_place(seed, shape, view)) for seed in seeds]
        seen = boxes.shown(tf.stack(lying))
        enough = tf.cast(seen >= SHOWN, tf.float32)
        # The first that shows enough, else the most.
        best = tf.argmax(tf.where(tf.reduce_any(seen >= SHOWN), enough, seen))
        look = views.train_view(
            contents,
            tf.gather(seeds, best),
            shift=recipe.rgb_shift,
            covariance=covariance,
            cutout=recipe.cutout,
            **view,
        )
        return look, target(tf.gather(lying, best), label)

    @tf.autograph.experimental.do_not_convert
    def centre(i):
        contents, own, _, label = at(i)
        pixels = decode(contents)
        Q, crop = recipe.evaluation_scale, recipe.size
        size = tf.stack(views.rescaled_size(tf.shape(pixels)[0], tf.shape(pixels)[1], Q))
        box = boxes.into_view(own[0], size, (size - crop) // 2, crop)
        return views.center_view(pixels, crop, Q), target(box, label), 1.0

    def dataset(numbers, view, count, padding=None):
        found = tf.data.Dataset.from_tensor_slices(np.int64(numbers)).map(
            view, num_parallel_calls=AUTO
        )
        if padding is not None:
            found = found.concatenate(padding)
        found = (
            found.batch(batch, drop_remainder=True)
            .apply(tf.data.experimental.assert_cardinality(count))
            .prefetch(2)
        )
        options = tf.data.Options()
        options.deterministic = True
        return untuned(found.with_options(options))

    n = len(pictures)
    if steps is None:
        count = -(-n // batch)
        blank = (tf.zeros([recipe.size, recipe.size, 3], tf.uint8), tf.zeros([5]), 0.0)
        return dataset(
            range(n), centre, count, tf.data.Dataset.from_tensors(blank).repeat(count * batch - n)
        )

    # All epochs share one graph, which takes 2 s to trace.
    view = tf.function(random, autograph=False)

    def one(epoch):
        order = np.random.default_rng((recipe.seed, epoch)).permutation(n)[: steps * batch]
        return dataset(order, lambda i: view(i, tf.constant(epoch, tf.int64)), steps)

    return one


def _place(seed, shape, view):
    """Arguments of `boxes.into_view` for the view of a seed."""
    size, corner, mirrored = views.geometry(seed, shape, **view)
    return size, corner, view["crop"], mirrored
