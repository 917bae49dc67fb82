"""A test of box regression: boxes of all images of a split, and their errors."""

from dataclasses import dataclass

from vgg_tf.paper.recipe_checks import LARGEST_SIDE
from vgg_tf.runtime import programs, quiet
from vgg_tf.runtime.devices import choose
from vgg_tf.runtime.engines import settle


@dataclass(frozen=True)
class Subject:
    """A network to test, or several whose boxes are merged.

    Attributes:
        name: name in the tables.
        localizers: list of `inference.Localizer`.
        scales: for each localizer a list of Q, in pixels.
    """

    name: str
    localizers: list
    scales: list


def run_test(flags):
    """Predict boxes of all images of a split, print the tables and write the report.

    Args:
        flags: `Evaluate`.

    Returns:
        folder: the folder of the report.
        errors: dict of the errors of the last line of the tables.
        known: whether the class was given.

    Raises:
        ValueError: no run is given.
    """
    if not flags.runs:
        raise ValueError(
            f"At least one run is required. Received: {len(flags.runs)}. Give run folders of "
            "python -m vgg_tf.localize train."
        )
    from vgg_tf.weights.reading import check_paths

    check_paths([*flags.runs, *flags.classifier])
    settle(flags.strategy)
    quiet.quiet_tensorflow()

    from vgg_tf.data.describing import list_notes
    from vgg_tf.localization import inference, inputs
    from vgg_tf.runs import run_folder

    run_folder.refuse_run(flags.out)
    devices = choose(flags.strategy, "auto")
    with devices.scope():
        localizers = [inference.Localizer(path) for path in flags.runs]
        rater = make_rater(flags.classifier, localizers[0].classes)
    source = _open_source(localizers, flags)
    images = inputs.read_boxes(source.splits[flags.split], source.classes)
    for note in list_notes(images.notes):
        print(note)
    subjects = _list_subjects(localizers, flags)
    print(devices.reason, *list_notes(source.notes, source.name), sep="\n  ")
    with devices.scope():
        found = _find_all(subjects, images, rater, flags)
    labels = images.images.labels.tolist()
    errors = [inference.measure_errors(of, labels, images.corners) for of in found]
    known = rater is None or flags.protocol == "center"
    facts = {
        "networks": [localizer.path for localizer in localizers],
        "classifier": [] if known else list(flags.classifier),
        "images": f"{source.name}, {flags.split}",
        "protocol": flags.protocol,
        "scales": [scales for subject in subjects[: len(localizers)] for scales in subject.scales],
        "flip": flags.flip,
    }
    folder = _report(subjects, found, errors, facts, images, flags)
    return folder, errors[-1], known


def _open_source(localizers, flags):
    """Open the test data, whose classes must be those of the networks.

    Args:
        localizers: list of `inference.Localizer`.
        flags: `Evaluate`.

    Returns:
        A `splits.Source`.

    Raises:
        ValueError: the classes differ, or the data have no such split.
    """
    from vgg_tf.data import opening
    from vgg_tf.data.training_images import note_training_images

    selections = [localizer.run.settings.selection for localizer in localizers]
    own_data = localizers[0].run.settings.data
    source = opening.open_tested(
        flags.split, selections, own_data, flags.data, skip_bad=flags.skip_bad
    )
    for localizer in localizers:
        if localizer.classes != tuple(source.classes):
            known, asked = (
                ", ".join(classes[:5]) for classes in (localizer.classes, source.classes)
            )
            raise ValueError(
                f"{source.name} must have the classes of {localizer.path} ({known}). Received: "
                f"{asked}. Choose data with the same classes in the same order."
            )
    source.count_images(flags.split)
    if flags.data or flags.split != "train":
        runs = [localizer.run for localizer in localizers]
        source = note_training_images(source, flags.split, runs)
    return source


def _list_subjects(localizers, flags):
    """List each network alone and, by the dense protocol, all networks merged."""
    scales = [parse_scales(flags.scales, localizer) for localizer in localizers]
    subjects = [
        Subject(str(localizer.path), [localizer], [own])
        for localizer, own in zip(localizers, scales, strict=True)
    ]
    if len(localizers) > 1 and flags.protocol == "dense":
        subjects.append(Subject("all, merged", localizers, scales))
    return subjects


def _find_all(subjects, images, rater, flags):
    """Return, for each subject, a list for each image of a list of `inference.Found`."""
    import numpy as np
    from tqdm import tqdm

    from vgg_tf.images import decoding
    from vgg_tf.localization import inference

    found = [[] for _ in subjects]
    for i in tqdm(range(len(images)), "locate", unit=" images", disable=programs.hides_bar()):
        image = decoding.decode_named(images.images.read(i), images.images.names[i])
        labels, windows = [int(images.images.labels[i])], None
        if rater and flags.protocol == "dense":
            posteriors, windows = rater.rate(image)
            labels = np.argsort(-posteriors, kind="stable")[: inference.TOP].tolist()
        for subject, into in zip(subjects, found, strict=True):
            if flags.protocol == "center":
                corners = subject.localizers[0].centre(image, subject.scales[0][0], flags.flip)
                corners = corners[labels[0] if len(corners) > 1 else 0]
                into.append([inference.Found(labels[0], 1.0, np.clip(corners, 0, 1))])
            else:
                into.append(
                    inference.locate(
                        subject.localizers, subject.scales, image, labels, windows, flip=flags.flip
                    )
                )
    return found


def _report(subjects, found, errors, facts, images, flags):
    """Print the tables and write the report; return its folder."""
    from vgg_tf.localization import reports

    lines = [(subject.name, subject.localizers, subject.scales) for subject in subjects]
    text = reports.format_tables(flags.protocol, lines, errors, not facts["classifier"])
    results = {subject.name: error for subject, error in zip(subjects, errors, strict=True)}
    first = subjects[0].localizers[0]
    folder = flags.out or reports.choose_folder(first.run.folder, flags.split, facts)
    facts = facts | {"tables": text, "results": results}
    reports.write_report(folder, facts, found[-1], images, first.classes)
    print(f"\n{text}\n")
    return folder


def make_rater(paths, classes):
    """Return the `inference.Rater` of classification networks.

    Args:
        paths: paths of the networks.
        classes: class names, which the networks must have.

    Returns:
        A `Rater`; None without networks.
    """
    from vgg_tf.evaluation import checkpoint
    from vgg_tf.localization import inference

    if not paths:
        return None
    networks = [checkpoint.open_checkpoint(path) for path in paths]
    for network in networks:
        network.check_classes(classes, "the run of box regression")
    return inference.Rater(networks)


def parse_scales(words, localizer):
    """Return the list of Q in pixels that a value of --scales means.

    Args:
        words: numbers separated by commas, or `one`.
        localizer: the `inference.Localizer`.

    Returns:
        List of int.

    Raises:
        ValueError: a word is not a number, or a scale is below the crop.
    """
    if words == "one":
        return [localizer.test_scale]
    numbers = [int(word) if word.strip().isdigit() else 0 for word in words.split(",")]
    if min(numbers) < localizer.crop or max(numbers) > LARGEST_SIDE:
        raise ValueError(
            f"--scales must be pixels from the crop's {localizer.crop} to {LARGEST_SIDE}, or one. "
            f"Received: {words!r}. Try --scales {localizer.test_scale}."
        )
    return numbers
