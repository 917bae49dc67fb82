"""Ship a network: `python -m vgg_tf.export RUN_OR_FILE --format all`, each file read back before it counts."""

import json
import os
import shutil
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import tyro

from vgg_tf import files, programs

FormatName = Literal["savedmodel", "litert", "litert-float16", "litert-int8", "onnx", "coreml", "all"]
SUFFIXES = {
    "savedmodel": "-savedmodel", "litert": ".tflite", "litert-float16": "-float16.tflite", "litert-int8": "-int8.tflite",
    "onnx": ".onnx", "coreml": ".mlpackage",
}  # fmt: skip
# The largest difference of a log posterior that passes; float16 rounds weights to three digits, int8 is told and not judged.
LIMITS = {"litert-float16": 0.2, "litert-int8": np.inf}
LIMIT = 1e-3
AGREEING = 0.9  # share of equal top-1 classes below which a file is kept, and told about
CALIBRATION = 100  # pictures for int8


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
    """Real pictures to compare on: a folder or pattern; by default the run's own data, else photographs of scikit-learn."""
    n: int = 32
    """How many are compared."""


def main(arguments=None):
    """Write each format, read it back, compare, print the table; a file that differs is removed."""
    flags = tyro.cli(Flags, args=arguments, prog="python -m vgg_tf.export")
    size = _size(flags.size)
    if flags.n < 1:
        raise ValueError(f"--n is at least 1. Received: {flags.n}.")
    formats = list(SUFFIXES) if flags.format == "all" else [flags.format]
    programs.quiet_tensorflow()

    from vgg_tf import exports, trained

    opened = trained.open_trained(flags.network)
    network = exports.network_of(opened, size)
    pixels, learnt, where = _pictures(flags, opened, network)
    name = os.path.splitext(opened.name)[0]
    folder = flags.out or os.path.join("exports", name)
    files.make_folder(folder)
    _check_space(folder, network, len(formats))
    layers, arrays = network.contents()
    sides = f"{network.height} x {network.width} pixels"
    print(f"{opened.path}: {network.arch}, {layers} layers with weights, {sides}; compared on {len(pixels)} views of {where}")
    rows, left, notes = [], [], []
    for kind in formats:
        path = os.path.join(folder, name + SUFFIXES[kind])
        try:
            _write(kind, network, path, learnt)
            row = {"format": kind, "file": path, **_read_back(kind, network, path, pixels, layers, arrays)}
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
        from vgg_tf.coreml_files import UNCHECKED

        notes.append(UNCHECKED)
    report = {**json.loads(network.about()), "compared_on": where, "formats": rows, "left_out": left, "notes": notes}
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


def _pictures(flags, opened, network):
    """Views to compare on and to calibrate by, uint8 `[n, height, width, 3]` each, and where they come from, in words."""
    from vgg_tf import measures, sources
    from vgg_tf.predict import picture_paths

    if flags.pictures:
        paths = picture_paths((flags.pictures,))
        chosen = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, flags.n).astype(int))]
        views = np.stack([network.view(measures.decode_named(files.read(path), path)) for path in chosen])
        return views, views, flags.pictures
    try:
        source = sources.open_source(opened.data, opened.selection) if opened.data else None
    except (FileNotFoundError, ValueError):
        source = None  # moved away; the comparison does without
    if source is None:
        return *(_photographs(network, flags.n),) * 2, "two photographs that scikit-learn carries"

    def some(split, n):
        part = source.splits[split]
        numbers = np.unique(np.linspace(0, len(part) - 1, n).astype(int))
        return np.stack([network.view(measures.decode_named(part.read(int(i)), part.names[i])) for i in numbers])

    split = "test" if "test" in source.splits else "validation" if "validation" in source.splits else "train"
    return some(split, flags.n), some("train", CALIBRATION), f"{source.name}, {split}"


def _photographs(network, n):
    """Windows of two photographs, at several sizes."""
    from sklearn.datasets import load_sample_images

    views, random = [], np.random.default_rng(0)
    photographs = load_sample_images().images
    for i in range(n):
        photograph = photographs[i % 2]
        side = int(random.integers(min(photograph.shape[:2]) // 3, min(photograph.shape[:2]) + 1))
        top, left = (int(random.integers(0, whole - side + 1)) for whole in photograph.shape[:2])
        views.append(network.view(photograph[top : top + side, left : left + side]))
    return np.stack(views)


def _check_space(folder, network, formats):
    """Refuse a disk without room for the files, one more for the file under way."""
    needed = 4 * network.model.count_params() * (formats + 1) + 10**6
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"{folder} lies on a disk with {free / 1e6:,.0f} MB left; up to {needed / 1e6:,.0f} MB are needed.")


def _write(kind, network, path, pictures):
    if kind == "savedmodel":
        from vgg_tf import saved_models

        saved_models.write(network, path)
    elif kind == "onnx":
        from vgg_tf import onnx_files

        onnx_files.write(network, path)
    elif kind == "coreml":
        from vgg_tf import coreml_files

        coreml_files.write(network, path)
    else:
        from vgg_tf import litert_files

        litert_files.write(network, path, kind.partition("-")[2] or "float32", pictures)


def _read_back(kind, network, path, pixels, layers, arrays):
    """What the file's own runtime says; a file that differs is removed.

    Raises:
        ValueError: other layers, other weights, or other posteriors than the network's.
    """
    from vgg_tf import exports, shipped

    try:
        run, about = shipped.open_model(path)
        found, theirs = getattr(run, "layers", None), None
        if kind in ("onnx", "savedmodel"):
            from vgg_tf import onnx_files, saved_models

            found, theirs = (onnx_files if kind == "onnx" else saved_models).contents(path)
        if found != layers or (theirs is not None and exports.digest(theirs) != exports.digest(arrays)):
            raise ValueError(f"{path} has {found} layers with weights, {layers} were written, or other weights.")
        if tuple(about["classes"]) != network.classes:
            raise ValueError(f"{path} names other classes than the network.")
        row = exports.compare(network, run, pixels)
        if not row["log_posterior"] <= LIMITS.get(kind, LIMIT):
            limit = LIMITS.get(kind, LIMIT)
            raise ValueError(f"{path} differs by {row['log_posterior']:.3g} in a log posterior; {limit:g} is allowed.")
    except ValueError:
        (shutil.rmtree if os.path.isdir(path) else files.remove)(path)
        raise
    return {
        **row,
        "bytes": _bytes(path),
        "layers": found,
        "weights": "equal" if theirs is not None else "within its operations",
    }


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
