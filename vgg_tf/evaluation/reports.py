"""What is left of a test: `report.json`, `class_names.csv`, `confusion.csv`, and `report.html`,
which opens offline.
"""

import base64
import csv
import html
import io
import json
import os

import numpy as np

from vgg_tf.evaluation import metrics
from vgg_tf.figures import charts, sheets
from vgg_tf.images import decoding
from vgg_tf.runtime import files, programs

MISTAKES = 24  # pictures of the worst
CURVES = 10  # ROC curves: of all classes up to so many, else of the classes with the smallest areas
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 "
    "1em;color:#222}img{max-width:100%}table{border-collapse:collapse;margin:1em 0}"
    "td,th{padding:.2em .7em;border-bottom:1px solid "
    "#ddd;text-align:right}td:first-child,th:first-child{text-align:left}"
)


def write_report(folder, title, facts, found, posteriors, images, classes):
    """Write all files of a test into a folder.

    Args:
        folder: path; made where it is not there.
        title: of the page.
        facts: dict of what was tested how, for `report.json` and the page.
        found: what `metrics.compute_metrics` says.
        posteriors: `[n, classes]`.
        images: the `splits.Split`, for names, labels and pictures.
        classes: names.

    Returns:
        path of the page.
    """
    files.make_folder(folder)
    labels = np.asarray(images.labels)
    counts = metrics.confusion(labels, posteriors.argmax(1), len(classes))
    _put(folder, "report.json", json.dumps(facts | found, indent=1))
    _put(folder, "predictions.csv", _csv(_predictions(posteriors, images, classes)))
    _put(
        folder,
        "confusion.csv",
        _csv(
            [
                ["true \\ predicted", *classes],
                *([name, *row] for name, row in zip(classes, counts.tolist(), strict=True)),
            ]
        ),
    )
    figures = {
        "Where it errs": lambda: charts.draw_class_errors(found["per_class"]),
        "What is taken for what": lambda: charts.draw_confusion(counts, classes),
        "Right as often as it says?": lambda: charts.draw_calibration(found["calibration"]),
        "Each class against the others": lambda: charts.draw_roc(
            _curves(posteriors, labels, classes, found["per_class"])
        ),
    }
    if len(wrong := metrics.find_worst_mistakes(posteriors, labels, MISTAKES)):
        figures["The worst mistakes: surest, and wrong"] = lambda: draw_mistakes(
            wrong, posteriors, images, classes
        )
    _put(folder, "report.html", _page(title, facts, found, figures))
    return os.path.join(folder, "report.html")


def _put(folder, name, text):
    files.write_whole(os.path.join(folder, name), text.encode("utf-8", "surrogateescape"))


def _csv(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _predictions(posteriors, images, classes):
    """A row an image: its own class, the most likely one, their posteriors, and the place of its
    own, from 1.
    """
    yield ["file", "class", "predicted", "posterior", "posterior_of_class", "rank_of_class"]
    places, best = metrics.ranks(posteriors, images.labels), posteriors.argmax(1)
    for i, (name, label) in enumerate(zip(images.names, images.labels.tolist(), strict=True)):
        row = posteriors[i]
        yield [
            name,
            classes[label],
            classes[best[i]],
            f"{row[best[i]]:.6g}",
            f"{row[label]:.6g}",
            places[i] + 1,
        ]


def _curves(posteriors, labels, classes, per_class):
    """`{class with its area: (false, true positive rate)}`, the smallest areas first."""
    known = sorted((row["auc"], i) for i, row in enumerate(per_class) if row["auc"] is not None)[
        :CURVES
    ]
    return {
        f"{classes[i]} ({area:.4f})": metrics.roc(posteriors[:, i], labels == i)
        for area, i in known
    }


def draw_mistakes(numbers, posteriors, images, classes):
    """A sheet of images that were taken for something else, by their `numbers` in the
    `splits.Split`.
    """
    seen = [decoding.decode_named(images.read(int(i)), images.names[i]) for i in numbers]
    told = [
        (
            f"{classes[posteriors[i].argmax()]} {posteriors[i].max():.3f}",
            f"is {classes[images.labels[i]]}",
        )
        for i in numbers
    ]
    none = ((), ())
    return sheets.draw_contact_sheet(
        seen, told, [none] * len(seen), "what it said, how sure it was, and what it is"
    )


def _page(title, facts, found, figures):
    """All of it in one file of HTML, with the figures in it: heading to function that gives a
    figure.
    """
    low, high = found["top1_interval"]
    low5, high5 = found["top5_interval"]
    area = found["auc_macro"]
    numbers = {
        "top-1 error": f"{found['top1_error']:.2f} % (95 %: {low:.2f} to {high:.2f})",
        "top-5 error": f"{found['top5_error']:.2f} % (95 %: {low5:.2f} to {high5:.2f})",
        "images": f"{found['n']:,} of {found['classes']:,} classes",
        "loss": f"{found['loss']:.4f} nats",
        "mean class recall": f"{found['mean_class_recall']:.4f}",
        **{
            f"precision, recall, F1 ({how})": ", ".join(
                f"{found[how][key]:.4f}" for key in ("precision", "recall", "f1")
            )
            for how in ("macro", "weighted")
        },
        "area under ROC (mean over classes)": "-" if area is None else f"{area:.4f}",
        "expected calibration error": f"{found['calibration']['ece']:.4f}",
    }
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _table(numbers.items()),
        "<h2>What was tested</h2>",
        _table(facts.items()),
    ]
    for heading, make in figures.items():
        data, image = io.BytesIO(), "<p>This figure could not be drawn.</p>"
        with programs.noting(f"the figure '{heading}' of the report of {title}"):
            make().savefig(data, format="png", dpi=110)
            source = base64.b64encode(data.getvalue()).decode()
            image = f'<img alt="{html.escape(heading)}" src="data:image/png;base64,{source}">'
        parts.append(f"<h2>{html.escape(heading)}</h2>{image}")
    confused = [
        (row["true"], row["predicted"], row["n"], f"{row['share']:.1%}")
        for row in found["confused"]
    ]
    parts += [
        "<h2>Most confused</h2>",
        _table(confused, ("is", "taken for", "images", "of its class")),
    ]
    columns = ("class", "n", "top1_error", "top5_error", "precision", "recall", "f1", "auc")
    rows = [[_short(row[key]) for key in columns] for row in found["per_class"]]
    parts += [
        "<h2>Each class</h2>",
        _table(rows, ("class", "images", "top-1 error (%)", "top-5 error (%)", *columns[4:])),
    ]
    head = (
        '<!doctype html><html lang="en"><meta '
        f'charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    )
    return head + "\n".join(parts) + "</html>\n"


def _short(value):
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else value


def _table(rows, header=()):
    heading = (
        "<tr>" + "".join(f"<th>{html.escape(name)}</th>" for name in header) + "</tr>"
        if header
        else ""
    )
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table>{heading}{body}</table>"
