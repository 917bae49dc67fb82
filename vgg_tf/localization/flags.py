"""The flags of `python -m vgg_tf.localize`."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from vgg_tf.data.selection import Selection
from vgg_tf.paper import presets, recipes
from vgg_tf.runtime.devices import Precision, StrategyName

PROG = "python -m vgg_tf.localize"


@dataclass(frozen=True)
class Words:
    """The flags that the defaults of the recipe depend on.

    Attributes:
        data: Pictures with boxes: a folder with Pascal VOC annotations, the folder of the ILSVRC
            competition, or shards with boxes.
        inherit: Classification network to start from: a run folder, a weight file, or cifar10.
        recipe: Default of the numbers below: boxes (the paper's: S=256, learning rate 1e-3),
            small (for networks with crops below 64 pixels; trains on crops of 64 pixels), or
            auto (chooses from the network).
        strategy: Device: auto is the first of tpu, gpu and cpu that is available.
    """

    data: str = ""
    inherit: str = ""
    recipe: Literal["auto", "boxes", "small"] = "auto"
    strategy: StrategyName = "auto"


@dataclass(frozen=True)
class Train(Words):
    """Train a network to predict the box of the object.

    The run folder contains all results. The same command resumes an interrupted training.

    Attributes:
        regression: Boxes that the network predicts: pcr (a box for each class) or scr (one box for
            all classes). To train only the fully connected layers, add --freeze-until fc1.
        out: Run folder; the default is runs/ with the regression and the name of the data.
        precision: Numerical precision, as for vgg_tf.train.
        grace: Seconds to finish an epoch after SIGTERM, as for vgg_tf.train.
        selection: Classes and images to use.
        numbers: The recipe.
    """

    regression: Literal["pcr", "scr"] = "pcr"
    out: str = ""
    precision: Precision = "auto"
    grace: float = 25.0
    selection: Annotated[Selection, tyro.conf.arg(name="")] = field(default_factory=Selection)
    numbers: Annotated[recipes.Recipe, tyro.conf.arg(name="")] = field(
        default_factory=lambda: presets.BOXES
    )


@dataclass(frozen=True)
class Evaluate:
    """Test box regression of a network, or of several whose boxes are merged.

    Prints tables in the form of the paper's Tables 8 to 10.

    Attributes:
        runs: Run folders of python -m vgg_tf.localize train.
        data: Pictures with boxes; the default is the data of the first run.
        skip_bad: Leave out pictures and annotations that cannot be read, with a note.
        split: Split to test on: train, validation or test. Tables 8 and 9 of the paper use
            validation.
        protocol: Test: center (protocol 1: center crop, class given) or dense (protocol 2: whole
            picture at all --scales, boxes merged, classes predicted by --classifier).
        scales: Smaller side of the rescaled picture (Q in the paper), in pixels, such as 352,384.
            The value one is the test scale of the recipe.
        flip: Also use the mirror image: boxes of the center crop are averaged, boxes of windows
            are merged.
        classifier: Classification networks that predict the classes for protocol 2, averaged.
            Without them, the class is given.
        out: Folder of the report; the default is in the folder of the first run.
        strategy: Device: auto is the first of tpu, gpu and cpu that is available.
    """

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN [RUN ...]")]
    data: str = ""
    skip_bad: bool = False
    split: str = "validation"
    protocol: Literal["center", "dense"] = "dense"
    scales: str = "one"
    flip: bool = False
    classifier: tuple[str, ...] = ()
    out: str = ""
    strategy: StrategyName = "auto"


@dataclass(frozen=True)
class Predict:
    """Predict boxes in pictures, draw them, and write them as JSON.

    Attributes:
        run: Required. Run folder of python -m vgg_tf.localize train.
        pictures: Required. Picture files, folders (with all folders in them), or patterns such
            as 'holiday/**/*.jpg'.
        classifier: Classification networks that predict the classes; an alternative is --label.
        label: Class of the object to find.
        top: Number of classes per picture.
        scales: Smaller side of the rescaled picture (Q in the paper), in pixels, such as 352,384.
            The value one is the test scale of the recipe.
        out: Folder of the drawn pictures and of boxes.json.
        strategy: Device: auto is the first of tpu, gpu and cpu that is available.
    """

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = ""
    pictures: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PICTURES")
    ] = ()
    classifier: tuple[str, ...] = ()
    label: str = ""
    top: int = 1
    scales: str = "one"
    out: str = "boxes"
    strategy: StrategyName = "auto"


COMMANDS = {"train": Train, "evaluate": Evaluate, "predict": Predict}
