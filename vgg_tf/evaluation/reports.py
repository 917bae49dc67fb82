"""Evaluation reports: `report.json`, `predictions.csv`, `confusion.csv` and `report.html`.

The HTML page works offline.
"""

import base64
import io
import os
from importlib import resources

import numpy as np

from vgg_tf.evaluation import metrics, mistakes
from vgg_tf.evaluation.class_names import describe_classes
from vgg_tf.figures import charts
from vgg_tf.figures.markdown import format_csv
from vgg_tf.runtime import files, programs

CURVES = 10  # maximum number of ROC curves; the classes with the smallest areas come first


def write_report(folder, title, facts, found, posteriors, images, classes, texts=()):
    """Write all files of an evaluation report into a folder.

    Args:
        folder: path; the folder is created if it does not exist.
        title: title of the page.
        facts: dict that describes the test, for `report.json` and the page.
        found: metrics from `metrics.compute_metrics`.
        posteriors: probabilities `[n, classes]`.
        images: the `splits.Split`, for names, labels and pictures.
        classes: class names.
        texts: descriptions of the classes, such as words for synsets, which the page shows instead
            of the names; see `class_names.describe_classes`. The other files have the names.

    Returns:
        Path of the page.
    """
    files.make_folder(folder)
    labels = np.asarray(images.labels)
    counts = metrics.count_confusion(labels, posteriors.argmax(1), len(classes))
    files.write_json(os.path.join(folder, "report.json"), facts | found)
    _write_text(
        folder, "predictions.csv", format_csv(_list_predictions(posteriors, images, classes))
    )
    _write_text(
        folder,
        "confusion.csv",
        format_csv(
            [
                ["true \\ predicted", *classes],
                *([name, *row] for name, row in zip(classes, counts.tolist(), strict=True)),
            ]
        ),
    )
    shown = describe_classes(classes, texts)
    found = _describe_classes(found, dict(zip(classes, shown, strict=True)))
    figures = {
        "Error of each class": lambda: charts.draw_class_errors(found["per_class"]),
        "Confusion matrix": lambda: charts.draw_confusion(counts, shown),
        "Calibration": lambda: charts.draw_calibration(found["calibration"]),
        "ROC curve of each class": lambda: charts.draw_roc(
            _compute_curves(posteriors, labels, shown, found["per_class"])
        ),
    }
    if len(wrong := metrics.find_worst_mistakes(posteriors, labels, mistakes.SHOWN)):
        figures["Most confident mistakes"] = lambda: mistakes.draw_mistakes(
            wrong, posteriors, images, shown
        )
    _write_text(folder, "report.html", render_page(title, facts, found, figures))
    return os.path.join(folder, "report.html")


def _describe_classes(found, texts):
    """Return metrics with descriptions of the classes instead of their names."""
    per_class = [row | {"class": texts[row["class"]]} for row in found["per_class"]]
    confused = [
        row | {"true": texts[row["true"]], "predicted": texts[row["predicted"]]}
        for row in found["confused"]
    ]
    return found | {"per_class": per_class, "confused": confused}


def _write_text(folder, name, text):
    files.write_whole(os.path.join(folder, name), text.encode("utf-8", "surrogateescape"))


def _list_predictions(posteriors, images, classes):
    """Yield the rows of `predictions.csv`: a header, then a row per image.

    Args:
        posteriors: probabilities `[n, classes]`.
        images: the `splits.Split`.
        classes: class names.

    Yields:
        A list of the cells. The rank of the true class counts from 1.
    """
    yield ["file", "class", "predicted", "posterior", "posterior_of_class", "rank_of_class"]
    places, best = metrics.rank_labels(posteriors, images.labels), posteriors.argmax(1)
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


def _compute_curves(posteriors, labels, classes, per_class):
    """Return `{class and area: (false, true positive rates)}`, the smallest areas first."""
    known = sorted((row["auc"], i) for i, row in enumerate(per_class) if row["auc"] is not None)[
        :CURVES
    ]
    return {
        f"{classes[i]} ({area:.4f})": metrics.compute_roc(posteriors[:, i], labels == i)
        for area, i in known
    }


def render_page(title, facts, found, figures):
    """Return the report as one page of HTML.

    Args:
        title: title of the page.
        facts: dict that describes the test.
        found: metrics from `metrics.compute_metrics`.
        figures: dict of a heading to a function that draws the figure.

    Returns:
        The HTML text.
    """
    import jinja2

    template = resources.files("vgg_tf.evaluation").joinpath("report.html").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    images = {}
    for heading, make in figures.items():
        images[heading] = ""
        with programs.noting(f"the figure '{heading}' of the report of {title}"):
            images[heading] = _encode_figure(make())
    confused = [
        (row["true"], row["predicted"], row["n"], f"{row['share']:.1%}")
        for row in found["confused"]
    ]
    columns = ("class", "n", "top1_error", "top5_error", "precision", "recall", "f1", "auc")
    return environment.from_string(template).render(
        title=title,
        numbers=_format_numbers(found),
        facts=facts,
        figures=images,
        confused=confused,
        class_columns=("class", "images", "top-1 error (%)", "top-5 error (%)", *columns[4:]),
        per_class=[[_shorten(row[key]) for key in columns] for row in found["per_class"]],
    )


def _encode_figure(figure):
    """Return a figure as a PNG in base64."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return base64.b64encode(data.getvalue()).decode()


def _format_numbers(found):
    """Return the metrics over all images as text: `{name: value}`."""
    low, high = found["top1_interval"]
    low5, high5 = found["top5_interval"]
    area = found["auc_macro"]
    means = {
        f"precision, recall, F1 ({how})": ", ".join(
            f"{found[how][key]:.4f}" for key in ("precision", "recall", "f1")
        )
        for how in ("macro", "weighted")
    }
    return {
        "top-1 error": f"{found['top1_error']:.2f} % (95 %: {low:.2f} to {high:.2f})",
        "top-5 error": f"{found['top5_error']:.2f} % (95 %: {low5:.2f} to {high5:.2f})",
        "images": f"{found['n']:,} of {found['classes']:,} classes",
        "loss": f"{found['loss']:.4f} nats",
        "mean class recall": f"{found['mean_class_recall']:.4f}",
        **means,
        "area under ROC (mean over classes)": "-" if area is None else f"{area:.4f}",
        "expected calibration error": f"{found['calibration']['ece']:.4f}",
    }


def _shorten(value):
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else value
