"""Figures show any name unchanged."""

import inspect
import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.legend import Legend
from matplotlib.text import Text

from vgg_tf.figures import charts, drawing, networks, sheets
from vgg_tf.figures.charts import (
    draw_class_errors,
    draw_confused_pairs,
    draw_confusion,
    draw_counts,
    draw_curves,
    draw_history,
    draw_roc,
)
from vgg_tf.figures.drawing import add_legend, make_line
from vgg_tf.figures.networks import (
    draw_architecture,
    draw_field,
    draw_heat,
    draw_kernels,
    draw_maps,
)
from vgg_tf.figures.sheets import draw_contact_sheet
from vgg_tf.records.annotations import Boxes

# Names, and what a figure shows if that is not the name itself.
NAMES = {
    "cost_$5_vs_$6": None,
    "$": None,
    "$$": None,
    r"$\frac$": None,
    r"\$5 or \\$6": None,
    r"\alpha^{_%&#~": None,
    "_under": None,
    "_nolegend_": None,
    "": None,
    " ": None,
    "100 %s of {x}": None,
    "<b>&amp;": None,
    "漢字 مرحبا 🐈": None,
    "\ue000\u200b\xa0": None,
    "two\nlines": r"two\nlines",
    "tab\t, nul\0, esc\x1b": r"tab\t, nul\x00, esc\x1b",
    "undecodable \udce9": r"undecodable \udce9",
    "separated\u2028\x85": r"separated\u2028\x85",
    "first " + "$_" * 200 + " last": "first "
    + 22 * "$_"
    + "\N{HORIZONTAL ELLIPSIS}"
    + 22 * "$_"
    + " last",
    "\n" * 300: 25 * r"\n" + "\N{HORIZONTAL ELLIPSIS}" + "n" + 24 * r"\n",
}
# Names for every figure: all difficulties in one name, short enough for the label of a tick. Only
# the test of `make_line` needs all of NAMES.
HOSTILE = {"_$5$漢\n\udce9": r"_$5$漢\n\udce9", "": None, "long $_\n" * 60: None}
IMAGE = np.zeros((4, 6, 3), np.uint8)
INTERVAL = {"top1_error": 1.0, "top1_interval": [0.0, 2.0], "n": 3}
LAYERS = [{"shape": (8, 8, 4), "name": "block1_conv1", "parameters": 1, "flops": 1}]
LOG = {
    "epoch": 1,
    "train_error": 1,
    "validation_error": 2,
    "validation_top5_error": 1,
    "loss": 1,
    "validation_loss": 1,
}

# Function to a call of it with the given name in all places that take one.
FIGURES = {
    draw_contact_sheet: lambda name: draw_contact_sheet(
        [IMAGE] * 3,
        ["x", name, ("first", name)],
        [Boxes(np.array([[0, 0, 1, 1]]), [name]), ((), ()), ((), ())],
        name,
    ),
    draw_curves: lambda name: draw_curves(
        {name: ([1, 2], [3, 4], "C0-"), "other": ([1], [1], "C1-")}, name, name, name
    ),
    draw_history: lambda name: draw_history([LOG | {"learning_rate": 0.1}], name),
    draw_confusion: lambda name: draw_confusion(np.eye(2, dtype=int), [name, "other"]),
    draw_class_errors: lambda name: draw_class_errors([INTERVAL | {"class": name}]),
    draw_roc: lambda name: draw_roc({name: ([0, 1], [0, 1]), "other": ([0, 1], [0, 1])}),
    draw_heat: lambda name: draw_heat(IMAGE, {name: np.ones((2, 2))}, name),
    draw_maps: lambda name: draw_maps(np.ones((2, 2, 2)), name),
    draw_kernels: lambda name: draw_kernels(np.ones((2, 3, 3, 3)), name),
    draw_field: lambda name: draw_field(IMAGE, (0, 0, 3, 3), name),
    draw_counts: lambda name: draw_counts([name, "other"], {name: [1, 2]}, name),
    draw_confused_pairs: lambda name: draw_confused_pairs(
        [{"true": name, "predicted": name, "n": 1, "share": 0.5}], name
    ),
    draw_architecture: lambda name: draw_architecture([LAYERS[0] | {"name": name}], name),
}
PLACES = {
    draw_contact_sheet: 4,
    draw_curves: 4,
    draw_history: 1,
    draw_confusion: 2,
    draw_class_errors: 1,
    draw_roc: 1,
    draw_heat: 2,
    draw_maps: 1,
    draw_kernels: 1,
    draw_field: 1,
    draw_counts: 3,
    draw_confused_pairs: 3,
    draw_architecture: 2,
}  # number of times that the figure shows the name


def displayed(figure):
    """Return what matplotlib draws of each line of each text, and whether it draws a formula."""
    texts = [text for text in figure.findobj(Text) if text.get_visible()]
    return [text._preprocess_math(part) for text in texts for part in text.get_text().split("\n")]


def test_every_function_that_draws_is_in_the_table():
    public = {
        function
        for module in (charts, drawing, networks, sheets)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and name[0] != "_"
    }
    assert (
        public
        - {drawing.check_suffix, make_line, add_legend, drawing.save, charts.draw_calibration}
        == set(FIGURES)
        == set(PLACES)
    )


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:20])
@pytest.mark.parametrize("make", FIGURES, ids=lambda make: make.__name__)
def test_every_figure_shows_any_name_unchanged(make, name):
    figure = FIGURES[make](name)
    figure.draw_without_rendering()  # layout, formulas and fonts, in half the time of a rendering
    texts = displayed(figure)
    if 1 < len(name) < 20:
        assert sum(part.count(HOSTILE[name]) for part, math in texts if not math) == PLACES[make]
    assert all(
        "mathdefault" in part for part, math in texts if math
    )  # matplotlib's own powers of ten
    assert max(len(part) for part, _ in texts) < 120


def test_any_name_is_drawn_character_by_character():
    figure = drawing.Drawing(8, 8)
    for i, name in enumerate(NAMES):
        figure.text(0, i / len(NAMES), make_line(name))
    figure.savefig(io.BytesIO(), dpi=20, bbox_inches="tight")
    shown = [name if NAMES[name] is None else NAMES[name] for name in NAMES]
    assert displayed(figure) == [(text, False) for text in shown]


def test_a_shortened_name_keeps_both_ends():
    assert [make_line("abcdefgh", n) for n in (9, 8, 7, 4)] == [
        "abcdefgh",
        "abcdefgh",
        "abc…fgh",
        "ab…h",
    ]


def test_a_legend_names_every_artist():
    figure = drawing.Drawing(4, 3)
    axes = figure.subplots()
    names = ["_under", "_nolegend_", "", "$5", "$5 and $6", "x" * 50]
    add_legend(axes, {name: axes.plot([0, 1])[0] for name in names})
    (made,) = axes.findobj(Legend)
    shown = ["_under", "_nolegend_", "", r"\$5", r"\$5 and \$6", f"{'x' * 20}…{'x' * 19}"]
    assert [text.get_text() for text in made.get_texts()] == shown
    assert [handle.get_color() for handle in made.legend_handles] == [
        drawn.get_color() for drawn in axes.lines
    ]


def test_figures_are_made_and_saved_in_one_place():
    """Only drawing.py makes and saves figures, so `make_line` and notes apply to all."""
    for package in ("vgg_tf", "tfrecords_tools"):
        for path in (Path(__file__).parents[2] / package).rglob("*.py"):
            found = {
                word
                for word in ("Figure(", "savefig(", "parse_math", "suptitle(")
                if word in path.read_text()
            }
            assert (
                not found
                or path.name == "drawing.py"
                or (path.name, found) == ("reports.py", {"savefig("})
            ), path
