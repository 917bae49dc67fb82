"""Measure the time per image of each test protocol (section 3.2), versus a loop over views.

    python benchmarks/protocols.py FOLDER_OF_IMAGES --images 4

The loop decodes the image, cuts the view and predicts for each view separately. Both ways use the
same images and the same network with random weights, and alternate in one process. Logits are
scaled to a standard deviation of 3, so that differences show. The script prints the largest
difference of the log probabilities.
"""

import statistics
import time
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import tyro

from vgg_tf.runtime import quiet


@dataclass(frozen=True)
class Flags:
    """Measure the time per image of each test protocol, versus a plain loop over views.

    Attributes:
        folder: Folder with images, at any depth.
        arch: Architecture, at 224 pixels with 1,000 classes.
        images: Number of images.
        rounds: Number of rounds; the medians are printed.
        scales: Test scales Q in pixels, separated by commas. The center crop and the ten crops use
            the first one.
        protocols: Protocols, separated by commas. The default is all.
        width: Multiplier of the number of channels.
        head_width: Number of outputs of fc1 and fc2.
        static: Round image sides to multiples of 32 pixels, as for JAX and TPUs, and print the
            difference. Only the dense protocol is run.
    """

    folder: Annotated[str, tyro.conf.Positional]
    arch: str = "vgg16"
    images: int = 4
    rounds: int = 3
    scales: str = "256,384,512"
    protocols: str = ""
    width: float = 1.0
    head_width: int = 4096
    static: bool = False


def main(arguments=None):
    """Print a line for each protocol."""
    flags = tyro.cli(Flags, args=arguments)
    quiet.quiet_tensorflow()
    from vgg_tf import convert_head
    from vgg_tf.paper.protocols import PROTOCOLS, Protocol

    contents = _read_images(flags.folder, flags.images)
    model = _make_network(flags, contents)
    scales = tuple(map(int, flags.scales.split(",")))
    if flags.static:
        _print_rounding(model, contents, scales)
        return
    networks = model, convert_head(model)
    print(
        f"{flags.arch}, {len(contents)} images of {flags.folder}, medians of {flags.rounds} rounds"
    )
    print(
        f"{'protocol':18}{'Q':>14}{'views':>7}{'loop, s/image':>15}{'ours, s/image':>15}"
        f"{'ratio':>7}{'difference':>12}"
    )
    for name in flags.protocols.split(",") if flags.protocols else PROTOCOLS:
        protocol = Protocol(name, scales if "multi" in name or name == "dense" else scales[:1])
        slow, fast, difference = _compare(protocol, networks, contents, flags.rounds)
        where = ",".join(map(str, protocol.scales))
        print(
            f"{name:18}{where:>14}{protocol.views:>7}{slow:>15.3f}{fast:>15.3f}"
            f"{slow / fast:>7.2f}{difference:>12.1e}",
            flush=True,
        )


def _read_images(folder, n):
    """Return the contents of `n` evenly spaced image files of a folder."""
    from vgg_tf.layouts import folders
    from vgg_tf.runtime import files

    paths = folders.find_pictures((folder,))
    places = np.unique(np.linspace(0, len(paths) - 1, n).astype(int))
    return [files.read(paths[i]) for i in places]


def _make_network(flags, contents):
    """Return a network with random weights, whose logits have a standard deviation of 3."""
    import keras

    from vgg_tf import build_vgg
    from vgg_tf.images import decoding
    from vgg_tf.images.rescaling import make_center_view

    model = build_vgg(
        flags.arch, classes=1000, seed=0, width=flags.width, head_width=flags.head_width
    )
    head = model.get_layer("predictions")
    some = np.stack(
        [make_center_view(decoding.decode(data), 224, 256).numpy() for data in contents]
    )
    spread = keras.Model(model.input, head.output).predict_on_batch(some).std()
    head.kernel.assign(head.kernel * (3 / spread))
    return model


def _compare(protocol, networks, contents, rounds):
    """Compare a protocol with the loop.

    Args:
        protocol: a `paper.protocols.Protocol`.
        networks: the network, and its dense form.
        contents: encoded images.
        rounds: number of rounds.

    Returns:
        `(loop, protocol, difference)`: median seconds per image of both ways, and the largest
        difference of the log probabilities.
    """
    from vgg_tf.evaluation.evaluator import Evaluator

    evaluator = Evaluator(networks[0], protocol.units)
    _predict_together(evaluator, contents)  # warm-up: compiles, and fills caches
    _predict_alone(*networks, contents[0], protocol)
    slow, fast = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        expected = [_predict_alone(*networks, data, protocol) for data in contents]
        middle = time.perf_counter()
        found = _predict_together(evaluator, contents)
        slow.append((middle - start) / len(contents))
        fast.append((time.perf_counter() - middle) / len(contents))
    difference = np.abs(np.log(found) - np.log(expected)).max()
    return statistics.median(slow), statistics.median(fast), difference


def _predict_together(evaluator, contents):
    """Return the probabilities of images from the evaluator of vgg_tf."""
    from vgg_tf.images import decoding

    views = (
        (i, [view.numpy() for view in evaluator.cut_views(decoding.decode(data))])
        for i, data in enumerate(contents)
    )
    found = dict(evaluator.see(views))
    return np.stack([found[i].mean(0) for i in range(len(contents))])


def _predict_alone(model, dense, data, protocol):
    """Return the probabilities of an image from a loop that decodes the file for each view."""
    return np.mean(
        [
            np.mean(_predict_unit(model, dense, data, scale, kind), 0)
            for scale, kind in protocol.units
        ],
        0,
    )


def _predict_unit(model, dense, data, scale, kind):
    """Return the probabilities of each view of an image at one scale."""
    from vgg_tf.evaluation.evaluator import softmax
    from vgg_tf.images import decoding
    from vgg_tf.images.rescaling import rescale
    from vgg_tf.paper.protocols import place_crops

    rows, flips = [], 1 if kind in ("center", "dense") else 2
    while True:
        whole = rescale(decoding.decode(data), scale).numpy()
        if kind == "padded-ten-crop":
            whole = np.pad(whole, [(14, 14), (14, 14), (0, 0)], "reflect")
        places = [None, None] if kind == "dense" else place_crops(*whole.shape[:2], 224, kind)
        if len(rows) == len(places) * flips:
            return rows
        place, flipped = places[len(rows) // flips], len(rows) % 2 and kind != "center"
        view = whole
        if place is not None:
            view = whole[place[0] : place[0] + 224, place[1] : place[1] + 224]
        view = view[np.newaxis, :, :: -1 if flipped else 1]
        if kind == "dense":
            rows.append(softmax(np.float64(dense(view)).mean((0, 1, 2))))
        else:
            rows.append(np.float64(model(view))[0])


def _print_rounding(model, contents, scales):
    """Print how the probabilities change if sides are rounded to multiples of 32 pixels."""
    from vgg_tf.evaluation.evaluator import Evaluator

    units = [(scale, "dense") for scale in scales]
    exact, rounded = (
        _predict_together(Evaluator(model, units, static=static), contents)
        for static in (False, True)
    )
    apart = np.abs(exact - rounded).max()
    same = (exact.argmax(1) == rounded.argmax(1)).mean()
    logs = np.abs(np.log(exact) - np.log(rounded))
    print(
        f"sides rounded to multiples of 32, dense at {', '.join(map(str, scales))}, "
        f"{len(contents)} images: probabilities differ by up to {apart:.3g}, their logs by up "
        f"to {logs.max():.3g} (median {np.median(logs):.2g}); same class for {same:.1%}"
    )


if __name__ == "__main__":
    main()
