"""Ship a network: `python -m vgg_tf.export RUN_OR_FILE --format all`, each file read back before it counts."""

import contextlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import tyro

from vgg_tf.runtime import files, programs, quiet, scopes

FormatName = Literal["savedmodel", "litert", "litert-float16", "litert-int8", "onnx", "coreml", "all"]
SUFFIXES = {
    "savedmodel": "-savedmodel", "litert": ".tflite", "litert-float16": "-float16.tflite", "litert-int8": "-int8.tflite",
    "onnx": ".onnx", "coreml": ".mlpackage",
}  # fmt: skip
# The largest difference of a log posterior that passes; float16 rounds weights to three digits, int8 is told and not judged.
LIMITS = {"litert-float16": 0.2, "litert-int8": np.inf}
LIMIT = 1e-3
AGREEING = 0.9  # share of equal top-1 classes below which a file is kept, and told about
CALIBRATION = 100  # pictures for int8, none of them compared
PHOTOGRAPHS = "two photographs that scikit-learn carries"


@dataclass(frozen=True)
class Flags:
    """A network in files that other programs run: raw pixels in, posteriors out, preprocessing and names of classes inside."""

    network: Annotated[str, tyro.conf.Positional]
    """Run folder of python -m vgg_tf.train, a file of weights, or cifar10."""
    format: FormatName = "all"
    """savedmodel; litert (TensorFlow Lite), of float32, float16 or int8 weights; onnx; coreml; or all of them."""
    size: str = ""
    """HxW in pixels, such as 224x320; the training's crop by default. Larger than that: scores averaged over all positions."""
    out: str = ""
    """Folder of the files; exports/<name> by default."""
    pictures: str = ""
    """Real pictures to compare on: a folder or pattern; by default the run's own data, else photographs of scikit-learn. Others
    calibrate int8: of the run's train split where that is there, else of these, else of those photographs."""
    n: int = 32
    """How many are compared."""


def main(arguments=None):
    """Write each format, read it back, compare, print the table; what differs is not kept, and what was there before stays."""
    flags = tyro.cli(Flags, args=arguments, prog="python -m vgg_tf.export")
    size = _size(flags.size)
    if flags.n < 1:
        raise ValueError(f"--n is at least 1. Received: {flags.n}.")
    formats = list(SUFFIXES) if flags.format == "all" else [flags.format]
    _take_tensorflow()

    from vgg_tf.evaluation import checkpoint
    from vgg_tf.formats import artifact

    opened = checkpoint.open_trained(flags.network)
    network = artifact.network_of(opened, size)
    pixels, where, learnt, calibrated = _pictures(flags, opened, network, "litert-int8" in formats)
    name = opened.name if opened.run else os.path.splitext(opened.name)[0]  # the dots of a run are no suffix
    folder = flags.out or os.path.join("exports", name)
    files.make_folder(folder)
    _check_space(folder, network, len(formats))
    layers, arrays = network.contents()
    sides = f"{network.height} x {network.width} pixels"
    print(f"{opened.path}: {network.arch}, {layers} layers with weights, {sides}; compared on {len(pixels)} views of {where}")
    if calibrated:
        print(f"  int8 is calibrated on {calibrated}")
    rows, left, notes = [], [], []
    for kind in formats:
        path = os.path.join(folder, name + SUFFIXES[kind])
        try:
            row = {"format": kind, "file": path, **_ship(kind, network, path, learnt, pixels, layers, arrays)}
        except (ModuleNotFoundError, ValueError) as error:
            if flags.format != "all" or not _may_lack(error, kind, network):
                raise
            left.append(f"{kind}: {error}")
            continue
        rows.append(row)
        if row["top1_agreement"] < AGREEING:
            notes.append(
                f"{kind} names another class than the network on {1 - row['top1_agreement']:.0%} of the views: calibrate and "
                "compare it on pictures of the kind that it was trained on (--pictures FOLDER), or ship float16."
            )
        print(f"  {kind}: {row['bytes'] / 1e6:.1f} MB, {row['ms_an_image']:.2f} ms an image")
    if "coreml" in formats and any(row["format"] == "coreml" for row in rows):
        from vgg_tf.formats.coreml import UNCHECKED

        notes.append(UNCHECKED)
    report = {**json.loads(network.about()), "compared_on": where, "calibrated_on": calibrated}
    report |= {"formats": rows, "left_out": left, "notes": notes}
    files.write_whole(os.path.join(folder, "export.json"), json.dumps(report, indent=1).encode())
    print(f"\n{_table(rows)}\n")
    for note in (*notes, *(f"left out: {line}" for line in left)):
        print(note)
    if not rows:
        raise ValueError("No format could be written.")
    print(f"{len(rows)} files read back, largest difference of a log posterior in float32 {_largest(rows)}; {folder}")


def _size(words):
    """`(height, width)`, or None for the crop's."""
    if not words:
        return None
    sides = words.lower().split("x")
    if len(sides) != 2 or not all(side.isdigit() and int(side) > 0 for side in sides):
        raise ValueError(f"--size is HxW in pixels, such as 224x320. Received: {words!r}.")
    return int(sides[0]), int(sides[1])


def _may_lack(error, kind, network):
    """Whether `all` goes on without a format: its package is missing, or it cannot carry a layer."""
    return isinstance(error, ModuleNotFoundError) or (kind.startswith("litert") and "lrn" in network.arch)


def _take_tensorflow():
    """Import Keras on TensorFlow, by whose graphs files are written, whatever the training runs on.

    Raises:
        ValueError: it was imported on another engine.
    """
    if "keras" not in sys.modules:
        with scopes.environment(KERAS_BACKEND="tensorflow"):
            quiet.quiet_tensorflow()
            import keras  # noqa: F401
    elif (engine := sys.modules["keras"].config.backend()) != "tensorflow":
        raise ValueError(
            f"Files are written by TensorFlow, but Keras was imported on {engine}. Export in a process of its own: "
            "python -m vgg_tf.export."
        )


def _pictures(flags, opened, network, calibrate):
    """Views to compare on and, for int8, others to calibrate by.

    Returns:
        pixels: uint8 `[n, height, width, 3]`, to compare on.
        where: they come from, in words.
        learnt: uint8 `[CALIBRATION, height, width, 3]`: of the run's train split where its data open, else of --pictures, none
            of which is compared; where these are too few, windows of photographs. None without `calibrate`.
        calibrated: where they come from, in words; empty without.
    """
    from vgg_tf.data import opening
    from vgg_tf.data.folders import picture_paths
    from vgg_tf.images import decoding
    from vgg_tf.records.splits import Split

    def views(split, numbers):
        return [network.view(decoding.decode_named(split.read(i), split.names[i])) for i in numbers]

    source = compared = None
    if opened.data and (calibrate or not flags.pictures):
        with contextlib.suppress(FileNotFoundError, ValueError):  # moved away: it is done without
            source = opening.open_source(opened.data, opened.selection)
    if flags.pictures:
        paths = picture_paths((flags.pictures,))
        compared, where = Split(paths, np.zeros(len(paths), np.int64), paths), flags.pictures
    elif source:
        split = next(name for name in ("test", "validation", "train") if name in source.splits)
        compared, where = source.splits[split], f"{source.name}, {split}"
    if compared:
        chosen = _spread(range(len(compared)), flags.n)
        pixels, seen = views(compared, chosen), {_known(compared.contents[i]) for i in chosen}
    else:
        pixels, where, seen = _photographs(network, flags.n), PHOTOGRAPHS, set()
    if not calibrate:
        return np.stack(pixels), where, None, ""
    train, words = (source.splits["train"], f"{source.name}, train") if source else (compared, flags.pictures)
    rest = [i for i, content in enumerate(train.contents) if _known(content) not in seen] if train else []
    learnt = views(train, _spread(rest, CALIBRATION))
    parts = {words: len(learnt), PHOTOGRAPHS: CALIBRATION - len(learnt)}
    learnt += _photographs(network, parts[PHOTOGRAPHS], seed=1)
    return np.stack(pixels), where, np.stack(learnt), " and ".join(f"{n} views of {of}" for of, n in parts.items() if n)


def _known(content):
    """What tells an image from others, however its path is written."""
    return files.absolute(content) if isinstance(content, str) else content


def _spread(numbers, n):
    """Up to `n` of these, evenly spread."""
    return [numbers[i] for i in np.unique(np.linspace(0, len(numbers) - 1, min(n, len(numbers))).astype(int))]


def _photographs(network, n, seed=0):
    """Windows of two photographs, at several sizes; those of another seed are others."""
    from sklearn.datasets import load_sample_images

    views, random = [], np.random.default_rng(seed)
    photographs = load_sample_images().images
    for i in range(n):
        photograph = photographs[i % 2]
        side = int(random.integers(min(photograph.shape[:2]) // 3, min(photograph.shape[:2]) + 1))
        top, left = (int(random.integers(0, whole - side + 1)) for whole in photograph.shape[:2])
        views.append(network.view(photograph[top : top + side, left : left + side]))
    return views


def _check_space(folder, network, formats):
    """Refuse a disk without room for the files, one more for the file under way."""
    needed = 4 * network.model.count_params() * (formats + 1) + 10**6
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"{folder} lies on a disk with {free / 1e6:,.0f} MB left; up to {needed / 1e6:,.0f} MB are needed.")


def _room(kind):
    """The room of a format."""
    if kind == "savedmodel":
        from vgg_tf.formats import saved_model as room
    elif kind == "onnx":
        from vgg_tf.formats import onnx as room
    elif kind == "coreml":
        from vgg_tf.formats import coreml as room
    else:
        from vgg_tf.formats import litert as room
    return room


def _ship(kind, network, path, pictures, *known):
    """Write a file or folder beside its place, read it back, and only then put it there; what lay there stays till then.

    Args:
        kind, network: the format, and the `exports.Network`.
        path: its place.
        pictures: to calibrate int8 by.
        known: what `_read_back` compares with.

    Returns:
        dict: what `_read_back` found.
    """
    room, name = _room(kind), os.path.basename(path)
    if hasattr(room, "check"):
        room.check(path)
    aside = os.path.join(os.path.dirname(path), f".tmp.{name}")
    fresh = os.path.join(aside, name)
    files.remove(aside)  # of a process that was killed
    os.mkdir(aside)
    try:
        more = (kind.partition("-")[2] or "float32", pictures) if kind.startswith("litert") else ()
        room.write(network, fresh, *more)
        row = _read_back(kind, room, network, fresh, *known)
        if os.path.isdir(fresh) and os.path.isdir(path):  # which no other folder can replace
            os.rename(path, os.path.join(aside, "before"))
        os.replace(fresh, path)
    finally:
        files.remove(aside)
    return row


def _read_back(kind, room, network, path, pixels, layers, arrays):
    """What the file's own runtime says.

    Raises:
        ValueError: other layers, other weights, or other posteriors than the network's.
        ModuleNotFoundError: the runtime is not installed.
    """
    from vgg_tf.formats import artifact, serving

    name = os.path.basename(path)
    run, about = serving.open_model(path)
    found, theirs = room.contents(path) if hasattr(room, "contents") else (run.layers, None)
    if found != layers or (theirs is not None and artifact.digest(theirs) != artifact.digest(arrays)):
        raise ValueError(f"{name} has {found} layers with weights, {layers} were written, or other weights.")
    if tuple(about["classes"]) != network.classes:
        raise ValueError(f"{name} names other classes than the network.")
    row, limit = artifact.compare(network, run, pixels), LIMITS.get(kind, LIMIT)
    if not row["log_posterior"] <= limit:
        raise ValueError(f"{name} differs by {row['log_posterior']:.3g} in a log posterior; {limit:g} is allowed.")
    weights = "equal" if theirs is not None else "within its operations"
    return {**row, "bytes": _bytes(path), "layers": found, "weights": weights}


def _bytes(path):
    """Size of a file or of all files in a folder."""
    if os.path.isdir(path):
        return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)
    return os.path.getsize(path)


def _table(rows):
    lines = ["| format | MB | ms an image | top-1 agreement | largest difference of a log posterior | of a posterior |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        lines.append(
            f"| {row['format']} | {row['bytes'] / 1e6:.2f} | {row['ms_an_image']:.2f} | {row['top1_agreement']:.1%} | "
            f"{row['log_posterior']:.2g} | {row['posterior']:.2g} |"
        )
    return "\n".join(lines)


def _largest(rows):
    known = [row["log_posterior"] for row in rows if row["format"] not in LIMITS]
    return f"{max(known):.2g}" if known else "not compared"


if __name__ == "__main__":
    programs.run(main)
