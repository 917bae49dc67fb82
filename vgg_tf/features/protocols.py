"""The protocols of appendix B, from a source to a report.

Splits are merged, descriptors are scored by linear SVMs, nearest neighbors are drawn.
"""

import os

import numpy as np

from vgg_tf.runtime import programs

NEIGHBOURS, QUERIES = 5, 8  # neighbors per picture, and pictures, of the sheet


def merge_splits(source, protocol):
    """Merge all images of a source into one split, sorted by name.

    Args:
        source: a `splits.Source`.
        protocol: `caltech`, which needs 2 pictures per category, `voc` or `none`.

    Returns:
        source: the `splits.Source` with one split, train.
        skipped: list of notes on categories that were removed.
        tested: bool `[n]`, whether an image belongs to the test split.

    Raises:
        ValueError: fewer than 2 categories remain.
    """
    from dataclasses import replace

    from vgg_tf.records.splits import Split

    parts = list(source.splits.values())
    names = [name for part in parts for name in part.names]
    labels = np.concatenate([part.labels for part in parts])
    contents = [content for part in parts for content in part.contents]
    boxes = [box for part in parts for box in (part.boxes or [None] * len(part))]
    images = Split(names, labels, contents, boxes)
    tested = np.concatenate(
        [np.full(len(part), split == "test") for split, part in source.splits.items()]
    )
    counts = np.bincount(labels, minlength=len(source.classes))
    few = [i for i in range(len(source.classes)) if counts[i] < 2] if protocol == "caltech" else []
    kept = sorted(np.flatnonzero(~np.isin(labels, few)), key=names.__getitem__)
    skipped = [f"skipped {source.classes[i]}: {counts[i]} of at least 2 pictures" for i in few]
    if len(source.classes) - len(few) < 2:
        raise ValueError(
            f"{source.name} must have at least 2 categories of 2 pictures or more. Received: "
            f"{len(source.classes) - len(few)}. Add pictures, or choose more classes."
        )
    return replace(source, splits={"train": images.take(kept)}), skipped, tested[kept]


def _caltech(rows, source, tested, flags, folder):
    """Score the mean class recall over random splits, and draw the confusion matrix."""
    from vgg_tf.features import svm
    from vgg_tf.figures import charts, drawing

    labels = source.splits["train"].labels
    every = [
        svm.run_caltech(rows, labels, seed, flags.train, flags.test) for seed in range(flags.splits)
    ]
    means = 100 * np.array([found.mean for found in every])
    counts = np.sum([found.counts for found in every], 0)
    some = np.flatnonzero(counts.sum(1))
    drawn = os.path.join(folder, "confusion.png")
    with programs.noting(drawn):
        drawing.save(
            charts.draw_confusion(counts[np.ix_(some, some)], [source.classes[i] for i in some]),
            drawn,
        )
    spread = f" +- {means.std(ddof=1):.1f}" if len(means) > 1 else ""
    report = {
        "protocol": "caltech",
        "train": flags.train,
        "test": flags.test,
        "mean_class_recall": means.tolist(),
        "costs": [found.cost for found in every],
        "per_class": {source.classes[i]: float(counts[i, i] / counts[i].sum()) for i in some},
    }
    asked = sum(len(found.test) for found in every) // len(every)
    words = (
        f"mean class recall {means.mean():.1f}{spread} % over {len(means)} splits of "
        f"{len(some)} categories, "
    )
    return f"{words}{len(every[0].train):,} training and {asked:,} test pictures; ", report


def _voc(rows, source, tested, flags, folder):
    """Score the mean average precision of images that may show several classes."""
    from vgg_tf.features import svm
    from vgg_tf.records.schema import is_nameless

    images = source.splits["train"]
    named = [
        {name for name in images.read_boxes(i, 1, 1).names if not is_nameless(name)}
        | {source.classes[images.labels[i]]}
        for i in range(len(images))
    ]
    classes = sorted(set().union(*named))
    targets = np.array([[name in there for name in classes] for there in named])
    ask = tested.copy()
    if not ask.any():
        ask[np.random.default_rng(0).permutation(len(ask))[: max(1, len(ask) // 5)]] = True
    every = [
        svm.run_voc(rows, targets, np.flatnonzero(~ask), np.flatnonzero(ask), seed)
        for seed in range(flags.splits)
    ]
    means = {
        form: 100 * np.array([svm.average_recalls(found[form]) for found, _ in every])
        for form in every[0][0]
    }
    report = {
        "protocol": "voc",
        "test_images": int(ask.sum()),
        "costs": [cost for _, cost in every],
        "mean_average_precision": {form: values.tolist() for form, values in means.items()},
        "per_class": {
            name: {form: every[0][0][form][i] for form in means} for i, name in enumerate(classes)
        },
    }
    scores = ", ".join(f"{values.mean():.1f} % ({form})" for form, values in means.items())
    return (
        f"mean average precision {scores} of {len(classes)} classes on {ask.sum():,} pictures, ",
        report,
    )


def _nothing(rows, source, tested, flags, folder):
    """Score nothing: the descriptors are the result."""
    return "", {"protocol": "none"}


def draw_neighbors(rows, images, classes, path):
    """Draw some pictures, each with its nearest neighbors.

    Args:
        rows: descriptors, float32 `[n, d]`, of L2 norm 1.
        images: the `splits.Split`.
        classes: class names.
        path: path of the figure.
    """
    from vgg_tf.figures import drawing, sheets
    from vgg_tf.images import decoding

    shown, titles, columns = [], [], min(NEIGHBOURS + 1, len(rows))
    for query in np.unique(np.linspace(0, len(rows) - 1, QUERIES).astype(int)):
        nearness = rows @ rows[query]
        nearness[query] = np.inf
        for i in np.argsort(-nearness, kind="stable")[:columns]:
            shown.append(decoding.decode_named(images.read(int(i)), images.names[i]))
            name = classes[images.labels[i]]
            titles.append(name if i == query else (name, f"{nearness[i]:.2f}"))
    none = ((), ())
    title = "pictures and their nearest neighbors, by cosine similarity of descriptors"
    drawing.save(
        sheets.draw_contact_sheet(shown, titles, [none] * len(shown), title, columns), path
    )


PROTOCOLS = {"caltech": _caltech, "voc": _voc, "none": _nothing}
