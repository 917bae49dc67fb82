"""Pictures of data, trainings and networks: `python -m vgg_tf.visualize WHAT ... --out FILE`."""

import os
import sys
from typing import Literal

import tyro

from vgg_tf.runtime import command_line, files, programs, quiet

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
    from vgg_tf.data.drawings import draw_class_counts

    _save(draw_class_counts(source), out)


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
    quiet.quiet_tensorflow()
    from vgg_tf.data.drawings import draw_view_steps
    from vgg_tf.images.augmentation import View

    S = tuple(int(word) for word in scale.split(","))
    view = View(size, (S[0], S[-1]), True, shift, None, padding, cutout)
    _save(draw_view_steps(picture, view, seed), out)


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
    from vgg_tf.runs.curves import draw_runs

    _save(draw_runs(runs, what), out)


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
    from vgg_tf.evaluation.explanations import draw_heat

    _save(draw_heat(network, picture, layers, label, method), out)


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
    from vgg_tf.evaluation.explanations import draw_features

    _save(draw_features(network, picture, layer), out)


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
    from vgg_tf.evaluation.explanations import draw_field

    _save(draw_field(network, picture, layer, unit), out)


def filters(network: Argument[str], out: str = "filters.png"):
    """The first layer's filters.

    Args:
        network: a run folder, a file of weights, or cifar10.
        out: the picture.
    """
    quiet.quiet_tensorflow()
    from vgg_tf.evaluation.explanations import draw_filters

    _save(draw_filters(network), out)


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
    from vgg_tf.evaluation.mistakes import draw_network_mistakes

    sheet, pairs, n = draw_network_mistakes(network, data, split)
    if sheet is None:
        print(f"none of {n:,} {split} images is taken for something else: nothing to draw")
        return
    stem, suffix = os.path.splitext(out)
    _save(sheet, out)
    _save(pairs, f"{stem}-pairs{suffix}")


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
    from vgg_tf.models import diagrams

    if style == "scale":
        _save(diagrams.draw_to_scale(arch, size, classes), out)
    else:
        diagrams.write_graph(arch, size, classes, out)
        print(out)


def table(size: int = 224, classes: int = 1000):
    """All architectures with their parameters and GFLOPs, as a table.

    Args:
        size: side of the crop, in pixels.
        classes: number of classes.
    """
    from vgg_tf.models import costs
    from vgg_tf.models.diagrams import choose_head_width

    print(costs.make_table(size, classes, head_width=choose_head_width(size)))


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
    command_line.print_version(sys.argv[1:] if arguments is None else arguments)
    tyro.extras.subcommand_cli_from_dict(WHAT, args=arguments, prog=PROG, description=__doc__)


def _save(figure, out):
    from vgg_tf.figures import drawing

    drawing.check_suffix(out)
    files.make_folder_of(out)
    drawing.save(figure, out, dpi=150)
    print(out)


if __name__ == "__main__":
    programs.run(main)
