"""The tables of the pages come from the files below results/."""

import json
from pathlib import Path

import pytest

from docs import results
from vgg_tf.evaluation.metrics import compute_interval

ROOT = Path(__file__).parent.parent


FILES = sorted(Path(ROOT, "results").rglob("*.json"))
RUNS = [path for path in FILES if path.parent.name not in ("tables", "tpu-reports")]
TABLE = {
    "command": "python x.py",
    "machine": "2 cores",
    "date": "2026-12-01",
    "n": 1000,
    "note": "A note.",
    "columns": ["a | b", "error, %"],
    "rows": [["x|y", 19.5], [1234, None]],
}
RUN = {
    "program": "vgg_tf.train",
    "command": "python -m vgg_tf.train",
    "version": None,
    "commit": None,
    "date": "2026-12-01",
    "machine": "2 cores",
    "strategy": "cpu",
    "precision": "float32",
    "arch": "vgg11",
    "parameters": 5,
    "data": "digits",
    "split": "test",
    "protocol": "center",
    "scales": None,
    "n": 360,
    "top1": {"error": 0.0139, "low": 0.0059, "high": 0.032},
    "top5": None,
    "loss": None,
    "seconds": 1234.5,
    "images_per_second": 580.7,
    "seed": 0,
    "note": None,
}


def make_tree(root, text, **files):
    """Write a page and JSON files into a folder, and return the path of the page."""
    Path(root, "docs").mkdir()
    Path(root, "results").mkdir()
    for name, found in files.items():
        text_of_file = found if isinstance(found, str) else json.dumps(found)
        Path(root, "results", f"{name}.json").write_text(text_of_file)
    page = Path(root, "docs", "page.md")
    page.write_text(text)
    return page


@pytest.mark.parametrize("path", results.find_pages(), ids=lambda path: path.stem)
def test_a_page_is_as_the_script_writes_it(path):
    assert results.fill_page(path) == path.read_text(), "run python docs/results.py"


def test_each_file_is_part_of_a_page():
    used = set()
    for page in results.find_pages():
        for match in results.MARKER.finditer(page.read_text()):
            used.update(results.find_files(match[2], may_lack=match[1] == "reports"))
    assert set(FILES) - used == set()
    assert len(RUNS) > 20
    assert len(FILES) - len(RUNS) > 20


def test_each_run_has_the_keys_of_a_run_and_wilsons_intervals():
    for path in RUNS:
        run = results.read_run(path)
        assert f"-m {run['program']} " in run["command"], path
        assert run["split"] == "test", path
        for error in (run["top1"], run["top5"]):
            interval = compute_interval(round(error["error"] * run["n"]), run["n"])
            assert [100 * error["low"], 100 * error["high"]] == pytest.approx(interval, abs=1e-3)


def test_a_table_shows_what_its_file_has(tmp_path):
    marker = "<!-- table results/t.json -->"
    page = make_tree(tmp_path, f"# A\n\n{marker}\nold\n<!-- end -->\n\nend\n", t=TABLE)
    text = results.fill_page(page, tmp_path)
    line = "Command: `python x.py`; machine: 2 cores; date: 2026-12-01; n=1,000."
    assert text.startswith(f"# A\n\n{marker}\n\n{line}\n\n|")
    assert r"a \| b" in text
    assert "| x\\|y     | 19.5       |\n| 1,234    |            |\n" in text
    assert text.endswith("A note.\n\n<!-- end -->\n\nend\n")
    page.write_text(text)
    assert results.fill_page(page, tmp_path) == text
    page.write_text(text.replace("19.5", "18.5"))
    assert results.fill_page(page, tmp_path) == text


def test_the_digits_of_a_number_stay(tmp_path):
    text = json.dumps(TABLE).replace("19.5", "19.50")
    page = make_tree(tmp_path, "<!-- table results/t.json -->\n<!-- end -->\n", t=text)
    assert "| 19.50 " in results.fill_page(page, tmp_path)


def test_runs_show_errors_in_percent_with_intervals(tmp_path):
    page = make_tree(tmp_path, "<!-- runs results/*.json -->\n<!-- end -->\n", a=RUN, b=RUN)
    *_, first, second, _, _ = results.fill_page(page, tmp_path).splitlines()
    assert first == second
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    assert cells == [
        *("`python -m vgg_tf.train`", "1.39 (0.59 to 3.20)", "", "360", "1,234", "581"),
        *("2 cores, float32", "2026-12-01", ""),
    ]


REPORT = {
    **{key: RUN[key] for key in ("program", "command", "version", "commit", "date", "machine")},
    "size": "full",
    "seconds": 300.5,
    "checks": {
        "versions": {"passed": True, "jax": "0.10.2", "libtpu": "0.0.42.1"},
        "step": {"passed": True, "images_per_second": 7123.4, "share_of_peak": 0.4069},
        "input": {"passed": False, "error": "a traceback"},
        "memory": {"passed": True, "device_bytes": 3 * 2**29},
        "parity": {"passed": True, "loss_float32": 1.2e-6},
    },
}


def test_a_report_of_a_machine_fills_the_row_that_is_empty_without_one(tmp_path):
    marker = "<!-- reports results/*.json -->\n<!-- end -->\n"
    page = make_tree(tmp_path, marker)
    text = results.fill_page(page, tmp_path)
    assert "| no TPU has been measured yet |" in text
    page.write_text(text)
    (tmp_path / "results" / "kaggle.json").write_text(json.dumps(REPORT))
    *_, row, _, _ = results.fill_page(page, tmp_path).splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        *("2 cores", "2026-12-01", "4 of 5", "7,123", "40.7", "failed", "1.50", "1.2e-06"),
        "jax 0.10.2, libtpu 0.0.42.1",
    ]


@pytest.mark.parametrize(
    ("kind", "found", "words"),
    [
        ("table", "{", "must be JSON"),
        ("table", [1], "Received: list"),
        ("table", TABLE | {"x": 1}, "keys must be command"),
        ("table", TABLE | {"n": True}, "n must be int or str or NoneType"),
        ("table", TABLE | {"rows": [[1]]}, "a row must have 2 cells"),
        ("table", TABLE | {"rows": [[1, [2]]]}, "a row must have 2 cells"),
        ("table", TABLE | {"command": None, "note": None}, "a note that says"),
        ("runs", {k: v for k, v in RUN.items() if k != "n"}, "keys must be program"),
        ("runs", RUN | {"seconds": "5"}, "seconds must be int or float"),
        ("runs", RUN | {"date": "today"}, "YYYY-MM-DD"),
        ("runs", RUN | {"top1": {"error": 0.1}}, "top1: keys must be error"),
    ],
)
def test_malformed_files_are_named(tmp_path, kind, found, words):
    page = make_tree(tmp_path, f"<!-- {kind} results/t.json -->\n<!-- end -->\n", t=found)
    with pytest.raises(ValueError, match=words) as caught:
        results.fill_page(page, tmp_path)
    assert str(page) in str(caught.value)
    assert "results/t.json" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<!-- table results/no.json -->\n<!-- end -->", "results/no.json, which is missing"),
        ("<!-- runs results/*.json -->\n<!-- end -->", r"results/\*.json, which is missing"),
        ("<!-- table results/no.json -->\n", "1 markers, 0 with an end"),
        ("<!-- table a -->\n<!-- table b -->\n<!-- end -->", "2 markers, 1 with an end"),
    ],
)
def test_markers_without_files_or_end_are_named(tmp_path, text, words):
    page = make_tree(tmp_path, text)
    with pytest.raises(ValueError, match=words) as caught:
        results.fill_page(page, tmp_path)
    assert str(page) in str(caught.value)
