"""Draw data, training runs and networks: `python -m vgg_tf.visualize WHAT ... --out FILE`."""

import os
import sys
from typing import Literal

import tyro

from vgg_tf.runtime import command_line, files, programs, quiet

Argument = tyro.conf.Positional
PROG = "python -m vgg_tf.visualize"


def sheet(source: Argument[str], split: str = "train", n: int = 24, out: str = "sheet.png"):
    """Draw example images with their class names and boxes.

    Args:
        source: Folder, tfds:NAME or digits.
        split: Split to draw: train, validation or test.
        n: Number of images.
        out: File of the figure; its suffix sets the format.
    """
    from vgg_tf.data.examples import show

    show(source, out, split, n)


def classes(source: Argument[str], out: str = "classes.png"):
    """Draw the number of images of each class, split by split.

    Args:
        source: Folder, tfds:NAME or digits.
        out: File of the figure; its suffix sets the format.
    """
    quiet.quiet_tensorflow()
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
    """Draw each step of a training view of a picture (section 3.1), and some random views.

    Args:
        picture: Picture file.
        size: Side of the crop, in pixels.
        scale: Smaller side of the rescaled picture, in pixels: S, or S_MIN,S_MAX for a range.
        shift: Standard deviation of the amounts of the RGB shift; 0 for none.
        padding: Pixels by which the crop may extend beyond the picture, which is mirrored there.
        cutout: Side of the cutout square, in pixels; 0 for none.
        seed: Seed of the random views.
        out: File of the figure; its suffix sets the format.
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
    """Draw the training curves of several runs in one figure.

    Args:
        runs: Run folders.
        what: Column of log.csv.
        out: File of the figure; its suffix sets the format.
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
    """Draw Grad-CAM, Grad-CAM++ or a saliency map over a picture.

    Args:
        network: Run folder, file of weights, or cifar10 (part of vgg_tf).
        picture: Picture file.
        layers: Names of layers, separated by commas, or blocks for the last convolution of each
            block; the last convolution by default.
        label: Name or index (from 0) of the class; the most probable one by default.
        method: Kind of heatmap; all draws the three next to each other.
        out: File of the figure; its suffix sets the format.
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
    """Draw the feature maps of a layer for a picture.

    Args:
        network: Run folder, file of weights, or cifar10 (part of vgg_tf).
        picture: Picture file.
        layer: Name of the layer.
        out: File of the figure; its suffix sets the format.
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
    """Draw the receptive field of a unit on a picture.

    Args:
        network: Run folder, file of weights, or cifar10 (part of vgg_tf).
        picture: Picture file.
        layer: Name of the layer.
        unit: Row and column of the unit in its feature map, from 0, such as 1,0; the unit in the
            middle by default.
        out: File of the figure; its suffix sets the format.
    """
    quiet.quiet_tensorflow()
    from vgg_tf.evaluation.explanations import draw_field

    _save(draw_field(network, picture, layer, unit), out)


def filters(network: Argument[str], out: str = "filters.png"):
    """Draw the filters of the first layer.

    Args:
        network: Run folder, file of weights, or cifar10 (part of vgg_tf).
        out: File of the figure; its suffix sets the format.
    """
    quiet.quiet_tensorflow()
    from vgg_tf.evaluation.explanations import draw_filters

    _save(draw_filters(network), out)


def mistakes(
    network: Argument[str], data: str = "", split: str = "test", out: str = "mistakes.png"
):
    """Draw a network's most confident mistakes, and the pairs of classes it confuses most often.

    The figure of the pairs gets the name FILE-pairs.

    Args:
        network: Run folder, file of weights, or cifar10 (part of vgg_tf).
        data: Folder, tfds:NAME or digits; the data of the run by default.
        split: Split to draw: train, validation or test.
        out: File of the figure; its suffix sets the format.
    """
    quiet.quiet_tensorflow()
    from vgg_tf.evaluation.mistakes import draw_network_mistakes

    sheet, pairs, n = draw_network_mistakes(network, data, split)
    if sheet is None:
        print(f"mistakes: 0 of {n:,} {split} images, no figure written")
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
    """Draw an architecture to scale, or as Keras' graph.

    Args:
        arch: Name of the architecture.
        size: Side of the crop, in pixels.
        classes: Number of classes.
        style: Blocks as high as their maps (scale), or Keras' plot (graph, needs graphviz).
        out: File of the figure; its suffix sets the format.
    """
    from vgg_tf.models import diagrams

    if style == "scale":
        _save(diagrams.draw_to_scale(arch, size, classes), out)
    else:
        diagrams.write_graph(arch, size, classes, out)
        print(out)


def table(size: int = 224, classes: int = 1000):
    """Print a table of all architectures, with their parameters and GFLOP.

    Args:
        size: Side of the crop, in pixels.
        classes: Number of classes.
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
    """Run the command that the first argument names."""
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
