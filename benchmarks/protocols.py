"""Seconds an image of each protocol of section 3.2, beside the obvious loop: each view decoded, cut
and predicted alone.

    python benchmarks/protocols.py FOLDER_OF_IMAGES --images 4

Both see the same images by the same network with random weights, whose scores are stretched to a
spread of 3 so that differences show; the largest difference of the log-posteriors is printed. Side
by side in one process, in turn.
"""

import statistics
import sys
import time
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import tyro

from vgg_tf.runtime import quiet


@dataclass(frozen=True)
class Flags:
    """What to measure."""

    folder: Annotated[str, tyro.conf.Positional]
    """With images, anywhere below it."""
    arch: str = "vgg16"
    """The architecture, 224 pixels, 1,000 classes."""
    images: int = 4
    """How many images."""
    rounds: int = 3
    """Alternations; the median is told."""
    scales: str = "256,384,512"
    """Q of all protocols but center and the ten crops, which take the first."""
    protocols: str = ""
    """Which of them, separated by commas; all where it is empty."""
    width: float = 1.0
    """Multiplier of the number of channels."""
    head_width: int = 4096
    """Outputs of fc1 and fc2."""
    static: bool = False
    """Round sides to multiples of 32 pixels as for JAX and TPUs, and tell the difference that
    this makes; dense only.
    """


def main(arguments=None):
    """Print a table."""
    flags = tyro.cli(Flags, args=arguments)
    quiet.quiet_tensorflow()

    import keras

    from vgg_tf import build_vgg, convert_head
    from vgg_tf.data import folders
    from vgg_tf.evaluation.evaluator import Evaluator
    from vgg_tf.images import decoding
    from vgg_tf.images.rescaling import center_view
    from vgg_tf.paper.protocols import PROTOCOLS, Protocol
    from vgg_tf.runtime import files

    paths = folders.find_pictures((flags.folder,))
    paths = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, flags.images).astype(int))]
    contents = [files.read(path) for path in paths]
    model = build_vgg(
        flags.arch, classes=1000, seed=0, width=flags.width, head_width=flags.head_width
    )
    head = model.get_layer("predictions")
    some = np.stack([center_view(decoding.decode(data), 224, 256).numpy() for data in contents])
    spread = keras.Model(model.input, head.output).predict_on_batch(some).std()
    head.kernel.assign(head.kernel * (3 / spread))
    scales = tuple(map(int, flags.scales.split(",")))
    if flags.static:
        return _static(model, contents, scales)
    dense = convert_head(model)
    print(
        f"{flags.arch}, {len(contents)} images of {flags.folder}, median of {flags.rounds} "
        "alternations"
    )
    print(
        f"{'protocol':18}{'Q':>14}{'views':>7}{'loop, s/image':>15}{'ours, s/image':>15}"
        f"{'ratio':>7}{'difference':>12}"
    )
    for name in flags.protocols.split(",") if flags.protocols else PROTOCOLS:
        protocol = Protocol(name, scales if "multi" in name or name == "dense" else scales[:1])
        evaluator, slow, fast = Evaluator(model, protocol.units), [], []
        _ours(evaluator, contents)  # what is compiled once, or remembered
        _alone(model, dense, contents[0], protocol)
        for _ in range(flags.rounds):
            expected, seconds = _timed(
                lambda protocol=protocol: [
                    _alone(model, dense, data, protocol) for data in contents
                ]
            )
            slow.append(seconds / len(contents))
            found, seconds = _timed(lambda evaluator=evaluator: _ours(evaluator, contents))
            fast.append(seconds / len(contents))
        slow, fast = statistics.median(slow), statistics.median(fast)
        difference = np.abs(np.log(found) - np.log(expected)).max()
        where = ",".join(map(str, protocol.scales))
        print(
            f"{name:18}{where:>14}{protocol.views:>7}{slow:>15.3f}{fast:>15.3f}"
            f"{slow / fast:>7.2f}{difference:>12.1e}",
            flush=True,
        )
    return None


def _timed(work):
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def _ours(evaluator, contents):
    from vgg_tf.images import decoding

    views = (
        (i, [view.numpy() for view in evaluator.cut_views(decoding.decode(data))])
        for i, data in enumerate(contents)
    )
    found = dict(evaluator.see(views))
    return np.stack([found[i].mean(0) for i in range(len(contents))])


def _alone(model, dense, data, protocol):
    """Posteriors of an image, each view of it by itself from the file on."""
    from vgg_tf.evaluation.evaluator import softmax
    from vgg_tf.images import decoding
    from vgg_tf.images.rescaling import rescale
    from vgg_tf.paper.protocols import corners

    units = []
    for scale, kind in protocol.units:
        rows, number = [], 0
        while True:
            whole = rescale(decoding.decode(data), scale).numpy()
            if kind == "padded-ten-crop":
                whole = np.pad(whole, [(14, 14), (14, 14), (0, 0)], "reflect")
            places = [None, None] if kind == "dense" else corners(*whole.shape[:2], 224, kind)
            flips = 1 if kind in ("center", "dense") else 2
            if number == len(places) * flips:
                break
            place, flipped = places[number // flips], number % 2 and kind != "center"
            view = (
                whole
                if place is None
                else whole[place[0] : place[0] + 224, place[1] : place[1] + 224]
            )
            view = view[np.newaxis, :, :: -1 if flipped else 1]
            if kind == "dense":
                rows.append(softmax(np.float64(dense(view)).mean((0, 1, 2))))
            else:
                rows.append(np.float64(model(view))[0])
            number += 1
        units.append(np.mean(rows, 0))
    return np.mean(units, 0)


def _static(model, contents, scales):
    from vgg_tf.evaluation.evaluator import Evaluator

    units = [(scale, "dense") for scale in scales]
    exact, rounded = (
        _ours(Evaluator(model, units, static=static), contents) for static in (False, True)
    )
    apart = np.abs(exact - rounded).max()
    same = (exact.argmax(1) == rounded.argmax(1)).mean()
    alike = f"same class for {same:.1%}"
    logs = np.abs(np.log(exact) - np.log(rounded))
    print(
        f"sides rounded to multiples of 32, dense at {', '.join(map(str, scales))}, "
        f"{len(contents)} images: posteriors differ by up to {apart:.3g}, log-posteriors by up "
        f"to {logs.max():.3g} (median {np.median(logs):.2g}); {alike}"
    )


if __name__ == "__main__":
    sys.exit(main())
