"""Image descriptors for tasks that the network was not trained on (appendix B).

The image is rescaled so that its smaller side is Q, and the network runs as convolutions. The
outputs of fc2 after the ReLU are averaged over all positions and over the image and its flip. They
are 4096 numbers for the paper's networks and 512 for the CIFAR form. A network without a head
gives the channels of its last feature map.

Descriptors at several Q are averaged, stacked, or combined by their maximum, then divided by their
L2 norm. Descriptors of several networks are stacked and divided by their L2 norm again.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence

import numpy as np

from vgg_tf.data.opening import open_source
from vgg_tf.evaluation import checkpoint, posteriors
from vgg_tf.paper.protocols import Protocol
from vgg_tf.records.splits import Source
from vgg_tf.runtime import files
from vgg_tf.runtime.devices import Devices, choose

AGGREGATES = ("average", "stack", "max")
Network = str | os.PathLike | checkpoint.Checkpoint


def extract(
    images: Sequence[np.ndarray] | str | os.PathLike[str] | Source,
    networks: Network | Sequence[Network],
    scales: str = "one",
    how: str = "average",
    split: str = "train",
    batch_size: int = 0,
    devices: Devices | None = None,
    say: Callable[[str], object] = print,
) -> np.ndarray:
    """Return the descriptors of images.

    Descriptors of a source are stored in the run folder, or in `evaluations`, while they are
    computed. The same call resumes after an interruption.

    Args:
        images: a sequence of uint8 `[h, w, 3]`, RGB in 0..255; or a `splits.Source`, or a name or
            folder that `opening.open_source` opens.
        networks: a run folder or weight file, with or without a head, or a list of several, whose
            descriptors are stacked.
        scales: Q in pixels, separated by commas, such as `256,384,512`; `one` is the scale of the
            training, `several` the three scales of section 4.2.
        how: `average`, `stack` or `max` over the scales.
        split: name of the split of a source.
        batch_size: pixels per batch, in units of one crop; 0 chooses it from the size of the
            crops.
        devices: the `devices.Devices` that compute; None chooses them.
        say: function that is called with each line for the user.

    Returns:
        Float32 `[n, d]`, rows of L2 norm 1.

    Raises:
        ValueError: a scale is below the network's crop, or images cannot be read; the message
            names them.

    Examples:
        >>> import os, tempfile
        >>> import numpy as np
        >>> from vgg_tf import build_vgg, extract, write_weights
        >>> model = build_vgg(
        ...     "vgg11", input_shape=(32, 32, 3), classes=2, width=0.0625, head_width=16
        ... )
        >>> images = [np.zeros((40, 48, 3), np.uint8), np.full((32, 64, 3), 255, np.uint8)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "tiny.safetensors")
        ...     write_weights(model, path)
        ...     descriptors = extract(images, path, scales="32,48", how="stack")
        >>> descriptors.shape
        (2, 32)
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
    """Return one descriptor from those at several scales.

    Args:
        rows: float `[scales, n, d]`.
        how: `average`, `stack` or `max`.

    Returns:
        Float32 `[n, d]`, or `[n, scales * d]` for `stack`; rows of L2 norm 1.

    Raises:
        ValueError: `how` is something else.
    """
    rows = np.float64(rows)
    if how == "stack":
        return _unit_length(np.concatenate(list(rows), 1))
    if how not in AGGREGATES:
        raise ValueError(
            f"how must be one of {', '.join(AGGREGATES)}. Received: {how!r}. Try 'average'."
        )
    return _unit_length(rows.mean(0) if how == "average" else rows.max(0))


def _opened(network):
    return (
        network
        if isinstance(network, checkpoint.Checkpoint)
        else checkpoint.open_checkpoint(network, headless=True)
    )


def _unit_length(rows):
    """Return rows divided by their L2 norm; rows of zeros stay zero."""
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
    """Write descriptors into an .npz file, with names and labels.

    Args:
        path: path of the file.
        rows: float32 `[n, d]`.
        source: a `splits.Source` with one split, train.
    """
    images, data = source.splits["train"], io.BytesIO()
    np.savez(
        data,
        names=np.array(images.names),
        labels=images.labels,
        classes=np.array(source.classes),
        descriptors=rows,
    )
    files.write_whole(path, data.getvalue())
