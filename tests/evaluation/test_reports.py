"""Evaluation reports, read back."""

import base64
import csv
import html.parser
import io
import json
import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from vgg_tf.evaluation import class_names, metrics, reports
from vgg_tf.figures import charts
from vgg_tf.records.splits import Split

CLASSES = ("a <b> & c", "<script>alert(1)</script> | x", 'comma, "quote"')


@pytest.fixture(scope="module")
def case():
    """30 pictures, their probabilities and metrics."""
    random = np.random.default_rng(0)
    labels, contents = random.integers(0, 3, 30), []
    for _ in labels:
        data = io.BytesIO()
        PIL.Image.fromarray(random.integers(0, 256, (20, 30, 3), np.uint8)).save(data, "png")
        contents.append(data.getvalue())
    images = Split([f"odd, <name>\n{i}.png" for i in range(30)], labels, contents)
    posteriors = random.dirichlet([1, 1, 1], 30)
    return images, posteriors, metrics.compute_metrics(posteriors, labels, CLASSES)


@pytest.fixture(scope="module")
def folder(case, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "deep" / "report"
    images, posteriors, found = case
    page = reports.write_report(
        str(folder), "net & <co>", {"scale": "32 < 36"}, found, posteriors, images, CLASSES
    )
    assert page == str(folder / "report.html")
    return folder


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_report_json_contains_the_metrics(case, folder):
    assert json.loads((folder / "report.json").read_text()) == {"scale": "32 < 36", **case[2]}


def test_predictions_csv_gives_the_same_errors(case, folder):
    images, posteriors, found = case
    header, *lines = rows(folder / "predictions.csv")
    assert header == [
        "file",
        "class",
        "predicted",
        "posterior",
        "posterior_of_class",
        "rank_of_class",
    ]
    assert [line[0] for line in lines] == images.names
    assert 100 * np.mean([line[1] != line[2] for line in lines]) == pytest.approx(
        found["top1_error"]
    )
    for line, row, label in zip(lines, posteriors, images.labels, strict=True):
        assert line[1] == CLASSES[label]
        assert float(line[3]) == pytest.approx(row.max(), rel=1e-5)
        assert float(line[4]) == pytest.approx(row[label], rel=1e-5)
        assert int(line[5]) == 1 + sum(row > row[label])


def test_the_confusion_matrix_sums_to_the_images_of_each_class(case, folder):
    header, *lines = rows(folder / "confusion.csv")
    assert header[1:] == [line[0] for line in lines] == list(CLASSES)
    counts = np.array([line[1:] for line in lines], int)
    np.testing.assert_array_equal(counts.sum(1), np.bincount(case[0].labels))
    assert counts.trace() == 30 - round(case[2]["top1_error"] * 0.3)


class _Text(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.text, self.tags, self.sources = [], set(), []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_works_offline_and_shows_names_unchanged(case, folder):
    page = (folder / "report.html").read_text()
    assert not re.search("https?://|<script|<link", page)
    parsed = _Text()
    parsed.feed(page)
    assert "b" not in parsed.tags
    assert {"net & <co>", "32 < 36", *CLASSES} <= set(parsed.text)
    assert any(f"{case[2]['top1_error']:.2f} % (95 %" in text for text in parsed.text)
    assert len(parsed.sources) == 5
    for source in parsed.sources:
        kind, data = source.split(",")
        assert kind == "data:image/png;base64"
        assert (
            np.ptp(np.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(data))).convert("L")))
            > 100
        )


def test_a_report_without_mistakes_has_no_figure_of_them(tmp_path, case):
    images = case[0]
    posteriors = np.eye(3)[images.labels]
    found = metrics.compute_metrics(posteriors, images.labels, CLASSES)
    reports.write_report(str(tmp_path), "perfect", {}, found, posteriors, images, CLASSES)
    assert (tmp_path / "report.html").read_text().count("data:image/png") == 4
    assert found["confused"] == []


def test_figures_show_the_numbers(case):
    images, posteriors, found = case
    counts = metrics.count_confusion(images.labels, posteriors.argmax(1), 3)
    (axes, _) = charts.draw_confusion(counts, CLASSES).axes
    assert sorted(int(text.get_text()) for text in axes.texts) == sorted(counts[counts > 0])
    np.testing.assert_allclose(axes.images[0].get_array(), counts / counts.sum(1, keepdims=True))
    (axes,) = charts.draw_class_errors(found["per_class"]).axes
    assert [bar.get_width() for bar in axes.patches] == sorted(
        (row["top1_error"] for row in found["per_class"]), reverse=True
    )
    curve, bars = charts.draw_calibration(found["calibration"]).axes
    bins = found["calibration"]["bins"]
    np.testing.assert_allclose(
        curve.lines[1].get_xydata(), [[row["confidence"], row["accuracy"]] for row in bins]
    )
    assert [bar.get_height() for bar in bars.patches] == [row["n"] for row in bins]
    false, true = metrics.compute_roc(posteriors[:, 0], images.labels == 0)
    (axes,) = charts.draw_roc({"$a$": (false, true)}).axes
    np.testing.assert_allclose(axes.lines[0].get_xydata(), np.stack([false, true], 1))


def test_only_the_40_worst_of_many_classes_are_drawn():
    row = {"n": 5, "top1_interval": [0.0, 100.0]}
    found = [{"class": str(i), "top1_error": float(i), **row} for i in range(60)]
    (axes,) = charts.draw_class_errors(
        [*found, {"class": "none", "n": 0, "top1_error": None, "top1_interval": None}]
    ).axes
    assert [bar.get_width() for bar in axes.patches] == list(range(59, 19, -1))
    assert "the worst 40 of 60 classes" in axes.get_xlabel()


def test_the_page_shows_descriptions_and_the_tables_names(tmp_path, case):
    images, posteriors, _ = case
    names, texts = ("n01", "n02", "n03"), ("a tench", "a goldfish", "a <dog>")
    found = metrics.compute_metrics(posteriors, images.labels, names)
    page = reports.write_report(str(tmp_path), "test", {}, found, posteriors, images, names, texts)
    html = re.sub('base64,[^"]*', "", Path(page).read_text())
    for text in ("a tench", "a goldfish", "a &lt;dog&gt;"):
        assert f"<td>{text}</td>" in html
    assert "n01" not in html
    assert "n01,n02,n03" in (tmp_path / "confusion.csv").read_text()
    rows = json.loads((tmp_path / "report.json").read_text())["per_class"]
    assert {row["class"] for row in rows} == set(names)


def test_classes_with_the_same_text_or_none_keep_their_rows_and_curves(tmp_path):
    names, texts = ("n1", "n2", "n3", "n4"), ("crane", "", "crane", "owl")
    labels = np.arange(4).repeat(2)
    images = Split([f"{i}.png" for i in range(8)], labels, [b""] * 8)
    posteriors = np.eye(4)[labels]  # perfect, so all areas under the curves are equal
    found = metrics.compute_metrics(posteriors, labels, names)
    page = reports.write_report(str(tmp_path), "test", {}, found, posteriors, images, names, texts)
    shown = ("crane (n1)", "n2", "crane (n3)", "owl")
    html = Path(page).read_text()
    assert [text for text in shown if f"<td>{text}</td>" not in html] == []
    per_class = found["per_class"]
    curves = reports._compute_curves(
        posteriors, labels, class_names.describe_classes(names, texts), per_class
    )
    assert list(curves) == [f"{text} (1.0000)" for text in shown]
