"""Appendix B: descriptors of images, for other tasks than the network was trained for.

The image is rescaled so that its smaller side is Q, and goes through the network as convolutions.
The outputs of fc2, after their ReLU (4096 in the paper's networks, 512 in the CIFAR form), are
averaged over all positions and over the image and its flip; a network without a head gives the
channels of its last map. Several Q are averaged, stacked, or the largest taken, and the descriptor
is divided by its length. Of several networks the descriptors are stacked, each of length 1, and the
whole is divided by its length once more.
"""

import io
import os

import numpy as np

from vgg_tf.data.opening import open_source
from vgg_tf.evaluation import checkpoint, posteriors
from vgg_tf.paper.protocols import Protocol
from vgg_tf.records.splits import Source
from vgg_tf.runtime import files
from vgg_tf.runtime.devices import choose

AGGREGATES = ("average", "stack", "max")


def extract(
    images,
    networks,
    scales="one",
    how="average",
    split="train",
    batch_size=0,
    devices=None,
    say=print,
):
    """Descriptors of images.

    Args:
        images: a sequence of uint8 `[h, w, 3]`, RGB 0..255; or a source, a `splits.Source` or what
            `opening.open_source` opens.
        networks: a run folder, a file of weights, with a head or without, or a list of several,
            whose descriptors are stacked.
        scales: Q in pixels, with commas between, such as `256,384,512`; `one`, the training's, or
            `several` (section 4.2).
        how: `average`, `stack` or `max` over the scales.
        split: of a source.
        batch_size: crops' worth of pixels that go through a network at a time; 0: by the size of
            the crops.
        devices: the `devices.Devices`; None: what is there.
        say: called with lines for the user.

    Returns:
        float32 `[n, d]`, rows of length 1. Of a source they are kept beside the run, or in
        `evaluations`, as they are computed: the same call goes on where it was interrupted.

    Raises:
        ValueError: scales below the network's crop, images that cannot be read: the message names
            them.
    """
    networks = [
        _opened(network)
        for network in (networks if isinstance(networks, list | tuple) else [networks])
    ]
    devices = devices or choose("auto", "auto")
    from_source = isinstance(images, str | os.PathLike | Source)
    source = images if isinstance(images, Source) or not from_source else open_source(images)
    found = []
    for network in networks:
        units = Protocol("dense", network.scales(scales), network.crop).units
        if from_source:
            rows, problems = posteriors.compute_posteriors(
                network, source, split, units, devices, batch_size, say, describe=True
            )
            posteriors.refuse_unreadable(problems)
        else:
            rows = _of_arrays(images, network, units, batch_size, devices)
        found.append(aggregate_scales(rows, how))
    return _unit_length(np.concatenate(found, 1))


def aggregate_scales(rows, how):
    """One descriptor of those at several scales.

    Args:
        rows: float `[scales, n, d]`.
        how: `average`, `stack` or `max`.

    Returns:
        float32 `[n, d]`, for `stack` `[n, scales * d]`, rows of length 1.
    """
    rows = np.float64(rows)
    if how == "stack":
        return _unit_length(np.concatenate(list(rows), 1))
    if how not in AGGREGATES:
        raise ValueError(f"Scales are joined by {', '.join(AGGREGATES)}. Received: {how!r}.")
    return _unit_length(rows.mean(0) if how == "average" else rows.max(0))


def _opened(network):
    return (
        network
        if isinstance(network, checkpoint.Checkpoint)
        else checkpoint.open_checkpoint(network, headless=True)
    )


def _unit_length(rows):
    """Rows divided by their length; a row of zeros, of an image that no unit answers to, stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.float32(rows / np.where(lengths > 0, lengths, 1))


def _of_arrays(images, network, units, batch_size, devices):
    evaluator = posteriors.make_evaluator(network, units, devices, batch_size, describe=True)
    with devices.scope():
        rows = dict(
            evaluator.see(
                (i, [view.numpy() for view in evaluator.cut_views(image)])
                for i, image in enumerate(images)
            )
        )
    return np.stack([rows[i] for i in range(len(images))], 1)


def write_descriptors(path, rows, source):
    """Write the descriptors of a source of one split, with names and labels, into an .npz file."""
    images, data = source.splits["train"], io.BytesIO()
    np.savez(
        data,
        names=np.array(images.names),
        labels=images.labels,
        classes=np.array(source.classes),
        descriptors=rows,
    )
    files.write_whole(path, data.getvalue())
