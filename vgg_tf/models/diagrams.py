"""An architecture drawn to scale, or as Keras' graph."""

import importlib.util
import shutil

from vgg_tf.paper import architectures
from vgg_tf.runtime import files, quiet


def choose_head_width(size):
    """Return the number of outputs of fc1 and fc2 for a crop of this side, as in the recipes."""
    return 512 if size < 64 else architectures.HEAD_WIDTH


def draw_to_scale(arch, size, classes):
    """Draw an architecture with blocks as high as their feature maps.

    Args:
        arch: Name of the architecture.
        size: Side of the crop, in pixels.
        classes: Number of classes.

    Returns:
        A matplotlib `Figure`.
    """
    from vgg_tf.figures import networks
    from vgg_tf.models import costs

    architectures.find_architecture(arch)
    rows = list(costs.list_costs(arch, size, classes, head_width=choose_head_width(size)))
    return networks.draw_architecture(rows, f"{arch}, {size} x {size} pixels")


def write_graph(arch, size, classes, path):
    """Write Keras' plot of a network into a file.

    Args:
        arch: Name of the architecture.
        size: Side of the crop, in pixels.
        classes: Number of classes.
        path: Path of the image file; its suffix sets the format.

    Raises:
        ValueError: Graphviz or pydot is missing; the message says what to install.
    """
    architectures.find_architecture(arch)
    if not (shutil.which("dot") and importlib.util.find_spec("pydot")):
        raise ValueError(
            f"--style graph needs graphviz and pydot to write {path}, but one of them is missing. "
            "Run `apt-get install graphviz` and `pip install pydot`, or use --style scale."
        )
    quiet.quiet_tensorflow()
    import keras

    from vgg_tf.models.vgg import build_vgg

    model = build_vgg(arch, input_shape=(size, size, 3), classes=classes)
    with files.writing(path) as temporary:
        keras.utils.plot_model(
            model, temporary, show_shapes=True, show_layer_names=True, splines="spline"
        )
