"""Open a page that classifies pictures you drop on it: `python -m vgg_tf.demo RUN`."""

import sys
from dataclasses import dataclass
from typing import Annotated

import tyro

from vgg_tf.runtime import command_line, programs, quiet
from vgg_tf.runtime.devices import Precision, StrategyName, choose
from vgg_tf.runtime.engines import settle


@dataclass(frozen=True)
class Flags:
    """Open a page that classifies pictures you drop on it.

    The page shows the most likely classes, and a heatmap of the evidence for each of them. Only
    this computer can open it, and the pictures stay on this computer.

    Attributes:
        network: Required. Run folder of python -m vgg_tf.train, weight
            file (.keras, .weights.h5, .safetensors), or cifar10.
        boxes: Run folder of python -m vgg_tf.localize train, to draw the box of the object. A run
            with a box for each class needs the classes of the network.
        classes: Class names for weights that do not contain them: a run or shard folder, or a text
            file with one name per line.
        port: Port of the page; 0 is 8000, or any free port if 8000 is in use.
        browse: Open the page in the browser.
        precision: Precision of weight files, as for vgg_tf.train. A run always has the precision
            of its training.
        strategy: Device: auto is the first of tpu, gpu and cpu that is available.
    """

    network: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = ""
    boxes: str = ""
    classes: str = ""
    port: int = 0
    browse: bool = False
    precision: Precision = "auto"
    strategy: StrategyName = "auto"


def main(arguments=None):
    """Serve the page until Ctrl-C.

    Args:
        arguments: list of words; None takes the command line.
    """
    flags = command_line.parse_flags(Flags, arguments, "python -m vgg_tf.demo")
    command_line.check_network(flags.network)
    from vgg_tf.weights.reading import check_paths

    check_paths([flags.network, *filter(None, [flags.boxes])])
    settle(flags.strategy)
    quiet.quiet_tensorflow()

    from vgg_tf.evaluation.checkpoint import open_checkpoint
    from vgg_tf.evaluation.class_names import read_classes
    from vgg_tf.evaluation.demo_network import Demo
    from vgg_tf.evaluation.demo_server import open_server

    network = open_checkpoint(flags.network)
    classes, texts = read_classes(network, flags.classes)
    devices = choose(flags.strategy, flags.precision)
    print(devices.reason, file=sys.stderr)
    with devices.scope():
        locate = _open_boxes(flags, network) if flags.boxes else None
        demo = Demo(network, devices, classes, texts, locate)
    with open_server(demo, flags.port) as server:
        print(f"demo: {server.url} (Ctrl-C stops it)")
        if flags.browse:
            import webbrowser

            webbrowser.open(server.url)
        server.serve_forever()


def _open_boxes(flags, network):
    """Return the function of `demo_network.Demo` that predicts the box of the object.

    It predicts as `python -m vgg_tf.localize predict --classifier` does. A run with one box for all
    classes may have other classes than the network.

    Args:
        flags: the `Flags`.
        network: the `checkpoint.Checkpoint` that predicts the class.

    Returns:
        Function of a picture, uint8 `[h, w, 3]`, and the number of a class. It returns
        corners as fractions of the picture's sides, `[4]`, and whether they are for this class.
    """
    from vgg_tf.localization import inference
    from vgg_tf.localization.testing import make_rater

    localizer = inference.Localizer(flags.boxes)
    same = network.classes in (None, localizer.classes)
    rater = None
    if same or localizer.kind == "pcr":
        rater = make_rater([flags.network], localizer.classes)

    def locate(picture, label):
        windows = rater.rate(picture)[1] if rater else None
        scales, labels = [[localizer.test_scale]], [label if rater else 0]
        (found,) = inference.locate([localizer], scales, picture, labels, windows)
        return found.corners, rater is not None

    return locate


if __name__ == "__main__":
    programs.run(main)
