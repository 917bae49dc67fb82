"""The comparison of fine-tuning divides the pictures once, and prints intervals of the means."""

import pytest

from tests.benchmarks.making_calls import load
from tests.making import cells_of, undrawn

PAIRS = {"fine-tuned": [(80.0, 60.0), (82.0, 62.0)], "Keras script": [(40.0, 60.0), (40.0, 62.0)]}


def test_fine_tuning_prints_means_with_intervals(monkeypatch, capsys):
    load("fine_tuning", monkeypatch).print_table(PAIRS)
    header, tuned, keras = cells_of(capsys.readouterr().out)
    assert header[0] == "training"
    # Student's t for one degree of freedom is 12.706, and the deviation is the root of 2.
    assert tuned == ["fine-tuned", "80.0 82.0", f"81.00 +- {12.706:.2f}", "61"]
    assert keras[2:] == ["40.00 +- 0.00", "61"]


# 40 s: six trainings, four of them of the network that is part of the package.
@pytest.mark.slow
def test_fine_tuning_trains_three_ways_on_one_split(made, monkeypatch, capsys, tmp_path):
    module = load("fine_tuning", monkeypatch)
    undrawn(monkeypatch)
    monkeypatch.chdir(tmp_path)
    words = ["--seeds", "2", "--epochs", "1", "--batch-size", "4", "--strategy", "cpu"]
    module.main([str(made / "classes"), *words, "--precision", "float32"])
    header, *rows = cells_of(capsys.readouterr().out)
    assert [row[0] for row in rows] == ["fine-tuned", "from scratch", "Keras script"]
    assert all(len(row) == len(header) for row in rows)
    with pytest.raises(SystemExit, match="2"):
        module.main([str(made / "classes"), "--seeds", "1"])
    assert "--seeds must be at least 2" in capsys.readouterr().err
