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
    """The flags that the defaults of the numbers hang on."""

    data: str = ""
    """Pictures with Pascal-VOC annotations, the ILSVRC competition's folder, or shards with
    boxes.
    """
    inherit: str = ""
    """The classification network that it starts from: a run folder, a file of weights, or
    cifar10.
    """
    recipe: Literal["auto", "boxes", "small"] = "auto"
    """boxes: the paper's, S=256 and a rate of 1e-3; small: for networks whose crops are below 64
    pixels, on crops of 64; auto: by the network.
    """
    strategy: StrategyName = "auto"
    """Where to train; auto is the first of tpu, gpu, cpu that is there."""


@dataclass(frozen=True)
class Train(Words):
    """Train a network to give the box of the object, and keep everything in a run folder that
    the same command continues.
    """

    regression: Literal["pcr", "scr"] = "pcr"
    """pcr: a box for each class; scr: one for all. With --freeze-until fc1 the fully connected
    layers learn alone.
    """
    out: str = ""
    """Run folder; runs/<regression>-<name of the data> by default."""
    precision: Precision = "auto"
    """As for vgg_tf.train."""
    grace: float = 25.0
    """Seconds that SIGTERM leaves, as for vgg_tf.train."""
    selection: Annotated[Selection, tyro.conf.arg(name="")] = field(default_factory=Selection)
    numbers: Annotated[recipes.Recipe, tyro.conf.arg(name="")] = field(
        default_factory=lambda: presets.BOXES
    )


@dataclass(frozen=True)
class Evaluate:
    """Localisation errors of one network, or of several whose boxes are merged; tables in the
    form of the paper's 8 to 10.
    """

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Run folders of localize train."""
    data: str = ""
    """Pictures with boxes; the first run's own data by default."""
    split: str = "validation"
    """train, validation or test; the paper's tables 8 and 9 are of validation."""
    protocol: Literal["center", "dense"] = "dense"
    """center: the centre crop, the class known (protocol 1). dense: the whole picture at all
    --scales, boxes merged, classes by --classifier (protocol 2).
    """
    scales: str = "one"
    """Q in pixels, such as 352,384; one: the training's."""
    flip: bool = False
    """Look at each picture's mirror image as well: two boxes of the centre crop are averaged,
    those of windows merged.
    """
    classifier: tuple[str, ...] = ()
    """Classification networks that name and rate, several together; without any the class is
    known (protocol 2).
    """
    out: str = ""
    """Folder of the report; in the first run's folder by default."""
    strategy: StrategyName = "auto"
    """Where to compute."""


@dataclass(frozen=True)
class Predict:
    """Draw boxes on pictures, and write them as JSON."""

    run: Annotated[str, tyro.conf.Positional]
    """Run folder of localize train."""
    pictures: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Files, folders (with all below them), or patterns."""
    classifier: tuple[str, ...] = ()
    """Classification networks that tell which classes are asked for; or give --label."""
    label: str = ""
    """The class whose box is asked for."""
    top: int = 1
    """How many classes of each picture."""
    scales: str = "one"
    """Q in pixels, such as 352,384; one: the training's."""
    out: str = "boxes"
    """Folder of the drawn pictures and of boxes.json."""
    strategy: StrategyName = "auto"
    """Where to compute."""
