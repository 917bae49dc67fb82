"""Pictures of data, trainings and networks: `python -m vgg_tf.visualize WHAT ... --out FILE`."""

import csv
import importlib.util
import os
import shutil
from dataclasses import replace
from typing import Literal

import tyro

from vgg_tf.runtime import files, programs, quiet

Argument = tyro.conf.Positional
PROG = "python -m vgg_tf.visualize"


def sheet(source: Argument[str], split: str = "train", n: int = 24, out: str = "sheet.png"):
    """Examples with their class names and boxes.

    Args:
        source: a folder, tfds:NAME or digits.
        split: train, validation or test.
        n: how many.
        out: the picture; its suffix says the format.
    """
    from vgg_tf.data.examples import show

    show(source, out, split, n)


def classes(source: Argument[str], out: str = "classes.png"):
    """How many images of each class there are, split by split.

    Args:
        source: a folder, tfds:NAME or digits.
        out: the picture.
    """
    import numpy as np

    from vgg_tf.data import opening
    from vgg_tf.figures import charts
    from vgg_tf.records.collection import Collection, holds_shards

    if holds_shards(source):
        collection = Collection.read(source)
        names, per_class = (
            collection.classes,
            {name: told["per_class"] for name, told in collection.splits.items()},
        )
    else:
        opened = opening.open_source(source)
        names = opened.classes
        per_class = {
            name: np.bincount(part.labels, minlength=len(names)).tolist()
            for name, part in opened.splits.items()
        }
    _save(
        charts.draw_counts(names, per_class, f"images of {os.path.basename(source.rstrip('/'))}"),
        out,
    )


def views(
    picture: Argument[str],
    size: int = 224,
    scale: str = "256,512",
    shift: float = 0.1,
    padding: int = 0,
    cutout: int = 0,
    seed: int = 0,
    out: str = "views.png",
):
    """An image before and after each step of the train view of section 3.1, and some views of it.

    Args:
        picture: a file.
        size: side of the crop, in pixels.
        scale: S, or S_MIN,S_MAX, in pixels.
        shift: standard deviation of the RGB shift.
        padding: pixels that the crop may reach beyond the image.
        cutout: side of the square that is cut out, in pixels.
        seed: of the views.
        out: the picture.
    """
    import numpy as np

    quiet.quiet_tensorflow()
    from vgg_tf.figures import sheets
    from vgg_tf.images import decoding
    from vgg_tf.images.augmentation import View
    from vgg_tf.images.rescaling import rescale
    from vgg_tf.images.views import geometry, train_view

    S = tuple(int(word) for word in scale.split(","))
    S = (S[0], S[-1])
    whole, contents = decoding.decode_named(files.read(picture), picture), files.read(picture)
    first, every = np.array([seed, 0]), View(size, S, True, shift, None, padding, cutout)
    plain = replace(every, shift=0.0, cutout=0)
    new, corner, mirrored = (np.asarray(value) for value in geometry(first, whole.shape[:2], every))
    rescaled = rescale(whole, int(new.min())).numpy()
    steps = {
        ("as it is", f"{whole.shape[1]} x {whole.shape[0]}"): whole,
        (f"rescaled, S = {new.min()}", f"{new[1]} x {new[0]}"): rescaled,
        (f"cropped at {corner[1]}, {corner[0]}", f"{size} x {size}"): (
            first,
            replace(plain, flip=False),
        ),
        f"mirrored: {'yes' if mirrored else 'no'}": (first, plain),
        "colours shifted": (first, replace(every, cutout=0)),
    }
    if cutout:
        steps["cut out"] = (first, every)
    while len(steps) % 5:
        steps[f"another view, {len(steps)}"] = (np.array([seed, len(steps)]), every)
    shown = [
        value if isinstance(value, np.ndarray) else train_view(contents, *value).numpy()
        for value in steps.values()
    ]
    none = ((), ())
    _save(
        sheets.draw_contact_sheet(
            shown, list(steps), [none] * len(shown), os.path.basename(picture), 5
        ),
        out,
    )


def curves(
    runs: Argument[tuple[str, ...]],
    what: Literal["validation_error", "train_error", "loss"] = "validation_error",
    out: str = "curves.png",
):
    """Training curves of several runs, one over the other.

    Args:
        runs: run folders.
        what: column of log.csv.
        out: the picture.
    """
    from vgg_tf.figures import charts

    if not runs:
        raise ValueError("No run. Give run folders of python -m vgg_tf.train.")
    lines = {}
    for i, run in enumerate(runs):
        path = os.path.join(run, "log.csv")
        if not files.exists(path):
            raise FileNotFoundError(
                f"{run} has no log.csv: it is no run folder, or its first epoch is not done."
            )
        rows = [row for row in csv.DictReader(files.read_text(path).splitlines()) if row[what]]
        if not rows:
            raise ValueError(f"{path} has no {what}.")
        lines[run] = (
            [int(row["epoch"]) for row in rows],
            [float(row[what]) for row in rows],
            f"C{i % 10}-",
        )
    units = "nats, with the L2 term" if what == "loss" else "%"
    _save(
        charts.draw_curves(
            lines, what.replace("_", " "), "epoch", f"{what.replace('_', ' ')} ({units})"
        ),
        out,
    )


def heat(
    network: Argument[str],
    picture: Argument[str],
    layers: str = "",
    label: str = "",
    method: Literal["grad-cam", "grad-cam++", "saliency", "all"] = "grad-cam",
    out: str = "heat.png",
):
    """Grad-CAM, Grad-CAM++ or a saliency map over a picture.

    Args:
        network: a run folder, a file of weights, or cifar10.
        picture: a file.
        layers: names with commas between; the last convolution by default; blocks: the last one of
            each block.
        label: the class, a name or a number from 0; the likeliest by default.
        method: what is drawn; all draws the three beside each other.
        out: the picture.
    """
    quiet.quiet_tensorflow()
    from vgg_tf.evaluation.checkpoint import find_label, open_network_and_view
    from vgg_tf.figures import networks
    from vgg_tf.models import chain, heatmaps

    model, opened, view = open_network_and_view(network, picture)
    known = chain.layer_names(model)
    named = [chain.last_map(model)]
    if layers:
        last = {name.split("_")[0]: name for name in known if "conv" in name}
        named = (
            list(last.values())
            if layers == "blocks"
            else [name.strip() for name in layers.split(",")]
        )
    number, maps = find_label(label, opened), {}
    for each in ("grad-cam", "grad-cam++", "saliency") if method == "all" else (method,):
        for layer in named if each != "saliency" else [""]:
            found, said = heatmaps.heat(model, view, layer or None, number, each)
            maps[f"{each} {layer}".strip()] = found
    name = opened.classes[said] if opened.classes else f"class {said}"
    _save(
        networks.draw_heat(view, maps, f"{os.path.basename(picture)}: what speaks for {name}"), out
    )


def features(
    network: Argument[str],
    picture: Argument[str],
    layer: str = "block1_conv1",
    out: str = "features.png",
):
    """Maps of features that a layer makes of a picture.

    Args:
        network: a run folder, a file of weights, or cifar10.
        picture: a file.
        layer: its name.
        out: the picture.
    """
    quiet.quiet_tensorflow()
    from vgg_tf.evaluation.checkpoint import open_network_and_view
    from vgg_tf.figures import networks
    from vgg_tf.models import heatmaps

    model, _, view = open_network_and_view(network, picture)
    values = heatmaps.features(model, view, layer)
    h, w, channels = values.shape
    _save(
        networks.draw_maps(
            values, f"{layer} of {os.path.basename(picture)}: {channels} maps of {w} x {h}"
        ),
        out,
    )


def field(
    network: Argument[str],
    picture: Argument[str],
    layer: str = "block5_conv1",
    unit: str = "",
    out: str = "field.png",
):
    """The receptive field of a unit, on a picture.

    Args:
        network: a run folder, a file of weights, or cifar10.
        picture: a file.
        layer: its name.
        unit: row and column of the unit in its map, from 0, such as 1,0; the middle one by default.
        out: the picture.
    """
    quiet.quiet_tensorflow()
    from vgg_tf.evaluation.checkpoint import open_network_and_view
    from vgg_tf.figures import networks
    from vgg_tf.models import heatmaps

    model, _, view = open_network_and_view(network, picture)
    seen = heatmaps.receptive_field(model, layer)
    h, w, _ = heatmaps.features(model, view, layer).shape
    row, column = map(int, unit.split(",")) if unit else (h // 2, w // 2)
    if not (0 <= row < h and 0 <= column < w):
        raise ValueError(f"{layer} has units 0,0 to {h - 1},{w - 1}. Received: {unit}.")
    _save(networks.draw_field(view, seen.of(row, column), f"{layer} at {row}, {column}"), out)


def filters(network: Argument[str], out: str = "filters.png"):
    """The first layer's filters.

    Args:
        network: a run folder, a file of weights, or cifar10.
        out: the picture.
    """
    quiet.quiet_tensorflow()
    from vgg_tf.evaluation import checkpoint
    from vgg_tf.figures import networks
    from vgg_tf.models import heatmaps

    opened = checkpoint.open_checkpoint(network, headless=True)
    found = heatmaps.filters(opened.load())
    _save(
        networks.draw_kernels(found, f"filters of {opened.name}'s first layer, grey is no weight"),
        out,
    )


def mistakes(
    network: Argument[str], data: str = "", split: str = "test", out: str = "mistakes.png"
):
    """The worst mistakes in pictures, and beside them (FILE-pairs) the pairs of classes that are
    confused most often.

    Args:
        network: a run folder, a file of weights, or cifar10.
        data: the images; the run's own by default.
        split: train, validation or test.
        out: the picture.
    """
    quiet.quiet_tensorflow()
    from vgg_tf.data import opening
    from vgg_tf.evaluation import checkpoint, metrics, reports
    from vgg_tf.evaluation.posteriors import compute_posteriors, refuse_unreadable
    from vgg_tf.figures.charts import draw_confused_pairs
    from vgg_tf.paper import protocols
    from vgg_tf.runtime.devices import choose

    opened = checkpoint.open_checkpoint(network)
    if not (data or opened.data):
        raise ValueError(f"{network} does not tell what it was trained on. Give --data.")
    source = opening.open_tested(split, [opened.selection], opened.data, data)
    opened.check_classes(source.classes, source.name)
    source.count_images(split)
    units = protocols.Protocol("center", opened.scales("one"), opened.crop).units
    rows, problems = compute_posteriors(opened, source, split, units, choose("auto", "auto"))
    refuse_unreadable(problems)
    images = source.splits[split]
    found = metrics.compute_metrics(rows[0], images.labels, source.classes)
    wrong = metrics.find_worst_mistakes(rows[0], images.labels, reports.MISTAKES)
    if not len(wrong):
        print(
            f"none of {len(images):,} {split} images is taken for something else: nothing to draw"
        )
        return
    _save(reports.draw_mistakes(wrong, rows[0], images, source.classes), out)
    stem, suffix = os.path.splitext(out)
    title = f"{opened.name}, {split}: {found['top1_error']:.2f} % of {len(images):,} wrong"
    _save(draw_confused_pairs(found["confused"], title), f"{stem}-pairs{suffix}")


def network(
    arch: Argument[str] = "vgg16",
    size: int = 224,
    classes: int = 1000,
    style: Literal["scale", "graph"] = "scale",
    out: str = "network.png",
):
    """An architecture drawn to scale, or as Keras' graph.

    Args:
        arch: its name.
        size: side of the crop, in pixels.
        classes: number of classes.
        style: scale: blocks as high as the maps; graph: Keras' own plot, which needs graphviz.
        out: the picture.
    """
    from vgg_tf.figures import networks
    from vgg_tf.models import costs
    from vgg_tf.paper import architectures

    architectures.architecture(arch)
    head = 512 if size < 64 else architectures.HEAD_WIDTH
    if style == "scale":
        rows = list(costs.layers(arch, size, classes, head_width=head))
        _save(networks.draw_architecture(rows, f"{arch}, {size} x {size} pixels"), out)
        return
    if not (shutil.which("dot") and importlib.util.find_spec("pydot")):
        raise ValueError(
            "Keras' plot needs graphviz and pydot: apt-get install graphviz; pip install "
            "pydot. Or --style scale."
        )
    quiet.quiet_tensorflow()
    import keras

    from vgg_tf.models.vgg import build_vgg

    model = build_vgg(arch, input_shape=(size, size, 3), classes=classes)
    keras.utils.plot_model(model, out, show_shapes=True, show_layer_names=True, splines="spline")
    print(out)


def table(size: int = 224, classes: int = 1000):
    """All architectures with their parameters and GFLOPs, as a table.

    Args:
        size: side of the crop, in pixels.
        classes: number of classes.
    """
    from vgg_tf.models import costs
    from vgg_tf.paper import architectures

    print(costs.table(size, classes, head_width=512 if size < 64 else architectures.HEAD_WIDTH))


WHAT = {
    function.__name__: function
    for function in (
        sheet,
        classes,
        views,
        curves,
        heat,
        features,
        field,
        filters,
        mistakes,
        network,
        table,
    )
}


def main(arguments=None):
    """Draw what the first word names."""
    tyro.extras.subcommand_cli_from_dict(WHAT, args=arguments, prog=PROG, description=__doc__)


def _save(figure, out):
    from vgg_tf.figures import drawing

    drawing.check_suffix(out)
    files.make_folder_of(out)
    drawing.save(figure, out, dpi=150)
    print(out)


if __name__ == "__main__":
    programs.run(main)
