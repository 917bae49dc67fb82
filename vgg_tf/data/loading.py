"""Read a source as batches of static shape: one finite pass an epoch.

The view of each image is keyed by seed, epoch and image.
"""

from vgg_tf.data.batches import Plan, finish, make_epochs
from vgg_tf.data.selection import EVERYTHING
from vgg_tf.images.augmentation import View
from vgg_tf.runtime import passes


def load_dataset(
    source,
    split="train",
    *,
    batch_size,
    epoch=None,
    size=224,
    scale=None,
    seed=0,
    training=None,
    steps=None,
    flip=True,
    shift=0.1,
    covariance=None,
    padding=0,
    cutout=0,
    cache="none",
    selection=EVERYTHING,
    part=(0, 1),
):
    """Read a split as batches, for `fit`, `evaluate` or a loop.

    Example:
        Each pass of a training dataset has an order and views of its own:

            batches = load_dataset("digits", batch_size=32, size=32, flip=False)
            model.fit(batches, epochs=12, shuffle=False)

    Args:
        source: a folder of our shards (with their `dataset.json`); anything that
            `opening.open_source` opens, such as class folders, the ILSVRC competition's, others'
            shards, `tfds:NAME`, `digits`; or an opened `splits.Source`.
        split: `train`, `validation` or `test`.
        batch_size: images a batch.
        epoch: int, the one pass to read, from 0. None: each pass over the dataset is the next
            epoch, from 0. Keras may open a pass that it does not train on (JAX does so in the first
            `fit`); where the number of the pass must be the number of the epoch, use `load_epochs`.
        size: side of the crop, in pixels.
        scale: smaller side of the rescaled image, in pixels; `(S_min, S_max)` to draw one per image
            of a training pass, where other passes take the middle. None is 256 for 224, in this
            proportion for other sizes.
        seed: with the epoch and the image itself it fixes order and views, whatever the number of
            threads or devices.
        training: random order and views; without it a fixed order (shards interleaved) and centre
            crops. None: for `train`.
        steps: batches in a training pass; None for as many as are full. The images beyond are left
            out by chance.
        flip, shift, covariance, padding, cutout: as for `views.make_train_view`; covariance None is
            the shards' own, and ImageNet's published one for images in files.
        cache: keep the images in memory, `bytes` as encoded, `pixels` decoded (before any random
            step), or `none`.
        selection: a `selection.Selection` of classes and images; of our shards it means to read
            them through once more.
        part: `(process, processes)`, of several processes that share each batch. A training pass
            from shards takes this process's share from shards of its own. From files, and from a
            cache, it takes its rows of the batches that one process alone would make. Other passes
            take a range of the split. All have the same number of batches.

    Returns:
        A `tf.data.Dataset` of known length. Training: `(images, labels)`, uint8 `[batch_size, size,
        size, 3]` and int32 `[batch_size]`. Else `(images, labels, mask)`: the last batch is filled
        up with black images of mask 0, so that a mean weighted by the mask, float32 `[batch_size]`,
        counts each image once. Of several processes each has its part of these rows.

    Raises:
        ValueError: no such split, more steps than the images give, or sizes that do not fit; the
            message says what would.
        FileNotFoundError: no such source, or shards missing.
    """
    one = load_epochs(
        source,
        split,
        batch_size=batch_size,
        size=size,
        scale=scale,
        seed=seed,
        training=training,
        steps=steps,
        flip=flip,
        shift=shift,
        covariance=covariance,
        padding=padding,
        cutout=cutout,
        cache=cache,
        selection=selection,
        part=part,
    )
    if epoch is not None:
        return one(epoch)
    first = one(0)
    if len(first.element_spec) == 3:  # with a mask: all passes are the same
        return first
    return finish(passes.count_passes(one, len(first)), len(first))


def load_epochs(
    source,
    split="train",
    *,
    batch_size,
    size=224,
    scale=None,
    seed=0,
    training=None,
    steps=None,
    flip=True,
    shift=0.1,
    covariance=None,
    padding=0,
    cutout=0,
    cache="none",
    selection=EVERYTHING,
    part=(0, 1),
):
    """Return a function of the epoch that reads it as `load_dataset` does; its epochs share one
    cache.

    Args:
        source, split, batch_size, size, scale, seed, training, steps, flip, shift, covariance,
            padding, cutout, cache: as for `load_dataset`.
        selection, part: as for `load_dataset`.

    Returns:
        A function: epoch, an int or an int64 scalar tensor, to a `tf.data.Dataset` as
        `load_dataset` gives it.

    Raises:
        ValueError, FileNotFoundError: as `load_dataset`.
    """
    if training is None:
        training = split == "train"
    scale = scale or round(size * 256 / 224)
    view = View(size, scale, flip, shift, covariance, padding, cutout)
    plan = Plan(batch_size, training, steps, seed, cache, part)
    return make_epochs(source, split, view, plan, selection)
