"""train_localizer, evaluate_localizer and locate_objects: box regression (appendix A)."""

import os
import sys
import time
from dataclasses import dataclass
from typing import Any

from vgg_tf.functions.keywords import Paths, list_paths, make_words, raising
from vgg_tf.functions.results import Result
from vgg_tf.localization import session, testing
from vgg_tf.localization.flags import PROG, Evaluate, Predict, Train
from vgg_tf.localization.testing import make_rater, parse_scales
from vgg_tf.runtime import command_line, files, programs, quiet
from vgg_tf.runtime.devices import choose
from vgg_tf.runtime.engines import settle


@dataclass(frozen=True, repr=False)
class LocalizerTraining(Result):
    """A finished training of box regression.

    Attributes:
        folder: The run folder.
        split: Split of the error: validation, or train without one.
        n: Number of its images.
        error: Share of boxes inside the center crop that are wrong, in %; the class is known.
        epochs: Number of epochs.
        best_epoch: Epoch of the best network, from 1.
        seconds: Duration of the training.
    """

    folder: str
    split: str
    n: int
    error: float
    epochs: int
    best_epoch: int
    seconds: float

    def __str__(self):
        return f"{session.format_result(vars(self))} {self.folder}"


@dataclass(frozen=True, repr=False)
class LocalizerEvaluation(Result):
    """The result of a test of box regression.

    Attributes:
        split: The split that was tested.
        n: Number of its images.
        error: Localization error in %: of the five most likely classes, or of the known class.
        interval: Its 95 % interval, in %.
        class_known: Whether the class was given.
        seconds: Duration of the test.
        folder: Folder of the report.
    """

    split: str
    n: int
    error: float
    interval: tuple[float, float]
    class_known: bool
    seconds: float
    folder: str

    def __str__(self):
        (low, high), kind = self.interval, "class known" if self.class_known else "top-5"
        return (
            f"{self.split} localization error {self.error:.2f} % ({kind}; 95 %: {low:.2f} to "
            f"{high:.2f}), n={self.n:,}, {self.seconds:.0f} s; {self.folder}"
        )


@dataclass(frozen=True, repr=False)
class Boxes(Result):
    """Boxes in pictures.

    Attributes:
        folder: Folder of the drawn pictures and of boxes.json.
        pictures: Rows of boxes.json, a dict for each picture: its file, its boxes with class,
            confidence and corners in pixels.
        problems: Pictures that cannot be read, with the reason.
    """

    folder: str
    pictures: tuple[dict, ...]
    problems: tuple[str, ...]

    def __str__(self):
        lines = [f"{programs.count(len(self.pictures), 'picture')}; {self.folder}"]
        return "\n".join([*lines, *self.problems])


def train_localizer(
    data: str | os.PathLike[str], inherit: str | os.PathLike[str], **options: Any
) -> LocalizerTraining:
    """Train a network that predicts boxes, as `python -m vgg_tf.localize train` does.

    Args:
        data: Pictures with boxes.
        inherit: Classification network to start from: a run folder, a weight file or `"cifar10"`.
        **options: The other flags of the program, with underscores.

    Returns:
        The `LocalizerTraining`.

    Raises:
        TypeError: The program has no flag of this name.
        ValueError: A value cannot be meant, or the data have no boxes.
        FileNotFoundError: The data or the network do not exist.
    """
    words = make_words(Train, "train_localizer", {"data": data, "inherit": inherit, **options})
    with raising("train_localizer"):
        begun, flags = session.parse(words)
    return run_training(begun, flags)


def run_training(begun, flags):
    """Train the network that the flags describe.

    Args:
        begun: `checkpoint.Checkpoint` to start from.
        flags: `localization.flags.Train`.

    Returns:
        The `LocalizerTraining`.
    """
    folder, report = session.run_training(begun, flags)
    names = ("split", "n", "error", "epochs", "best_epoch", "seconds")
    return LocalizerTraining(folder, *(report[name] for name in names))


def evaluate_localizer(runs: Paths, **options: Any) -> LocalizerEvaluation:
    """Test box regression, as `python -m vgg_tf.localize evaluate` does.

    Args:
        runs: Run folder, or a sequence of them, whose boxes are merged.
        **options: The flags of the program, with underscores.

    Returns:
        The `LocalizerEvaluation`.

    Raises:
        TypeError: The program has no flag of this name.
        ValueError: A value cannot be meant, or runs and data do not fit together.
        FileNotFoundError: A run or the data do not exist.
    """
    words = make_words(Evaluate, "evaluate_localizer", options, runs)
    with raising("evaluate_localizer"):
        flags = command_line.parse_flags(Evaluate, words, f"{PROG} evaluate")
    return run_test(flags)


def run_test(flags):
    """Test box regression.

    Args:
        flags: `localization.flags.Evaluate`.

    Returns:
        The `LocalizerEvaluation`.
    """
    start = time.perf_counter()
    folder, last, known = testing.run_test(flags)
    seconds, interval = time.perf_counter() - start, tuple(last["top5_interval"])
    numbers = last["n"], last["top5_error"], interval, known, seconds
    return LocalizerEvaluation(flags.split, *numbers, folder)


def locate_objects(run: str | os.PathLike[str], pictures: Paths, **options: Any) -> Boxes:
    """Predict boxes in pictures, and draw them, as `python -m vgg_tf.localize predict` does.

    Args:
        run: Run folder of `train_localizer`.
        pictures: Picture file, folder or pattern such as `"holiday/**/*.jpg"`, or a sequence.
        **options: The flags of the program, with underscores, such as `label="cat"` or
            `classifier=["run"]`.

    Returns:
        The `Boxes`. Pictures that cannot be read are in its `problems`.

    Raises:
        TypeError: The program has no flag of this name.
        ValueError: A value cannot be meant, or the class of the boxes is unknown.
        FileNotFoundError: The run or the pictures do not exist.
    """
    words = make_words(Predict, "locate_objects", options, [run, *list_paths(pictures)])
    with raising("locate_objects"):
        flags = command_line.parse_flags(Predict, words, f"{PROG} predict")
    return run_prediction(flags)


def run_prediction(flags):
    """Predict boxes in pictures, draw them and write them.

    Args:
        flags: `localization.flags.Predict`.

    Returns:
        The `Boxes`.

    Raises:
        ValueError: No run is given, or the class of the boxes is unknown.
    """
    if not flags.run:
        raise ValueError(
            f"A run is required. Received: {flags.run!r}. Give a run folder of {PROG} train."
        )
    from vgg_tf.weights.reading import check_paths

    check_paths([flags.run, *flags.classifier])
    settle(flags.strategy)
    quiet.quiet_tensorflow()

    from vgg_tf.layouts.folders import find_pictures
    from vgg_tf.localization import inference

    paths = find_pictures(flags.pictures)
    devices = choose(flags.strategy, "auto")
    with devices.scope():
        localizer = inference.Localizer(flags.run)
        rater = make_rater(flags.classifier, localizer.classes)
    _check_label(flags, localizer, rater)
    print(devices.reason, file=sys.stderr)
    files.make_folder(flags.out)
    with devices.scope():
        rows, bad = _locate_all(paths, localizer, rater, flags)
    path = os.path.join(flags.out, "boxes.json")
    files.write_json(path, rows)
    return Boxes(flags.out, tuple(rows), tuple(bad))


def _check_label(flags, localizer, rater):
    """Raise a ValueError if the class of the boxes is unknown."""
    if flags.label and flags.label not in localizer.classes:
        raise ValueError(
            f"--label must be a class of {flags.run}. Received: --label {flags.label}. Choose "
            f"from: {', '.join(localizer.classes)}."
        )
    if rater is None and not flags.label and localizer.kind == "pcr":
        raise ValueError(
            f"{flags.run} predicts a box for each class, so it needs to know the class. Received: "
            "neither --classifier nor --label. Give --classifier RUN or --label CLASS."
        )


def _locate_all(paths, localizer, rater, flags):
    """Predict boxes in pictures, and draw them.

    Args:
        paths: paths of the pictures.
        localizer: the `inference.Localizer`.
        rater: the `inference.Rater`, or None.
        flags: `Predict`.

    Returns:
        rows: rows of boxes.json.
        bad: problems of the pictures that cannot be read.
    """
    import numpy as np
    from tqdm import tqdm

    from vgg_tf.images import decoding, rescaling
    from vgg_tf.localization import inference, reports

    rows, bad, classes = [], [], localizer.classes
    scales, named = [parse_scales(flags.scales, localizer)], rater or flags.label
    for number, path in enumerate(
        tqdm(paths, "locate", unit=" pictures", disable=programs.hides_bar())
    ):
        try:
            picture = decoding.decode_named(files.read(path), path)
            rescaling.check_proportions(*picture.shape[:2], max(scales[0]), path)
        except (ValueError, OSError) as error:
            bad.append(str(error))
            continue
        posteriors, windows = rater.rate(picture) if rater else (None, None)
        labels = [classes.index(flags.label) if flags.label else 0]
        if rater and not flags.label:
            labels = np.argsort(-posteriors, kind="stable")[: flags.top].tolist()
        found = inference.locate([localizer], scales, picture, labels, windows)
        names = classes if named else ["object"]
        rows.append(reports.make_row(path, found, names, picture.shape[1::-1]))
        stem = os.path.splitext(os.path.basename(path))[0]
        out = os.path.join(flags.out, f"{number:04d}-{stem}.png")
        reports.draw_boxes(picture, os.path.basename(path), found, names, out)
    return rows, bad
