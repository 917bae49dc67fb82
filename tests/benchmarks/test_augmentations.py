"""The comparison of augmentations trains each with each seed, and prints intervals of the means."""

import numpy as np
import pytest
from scipy import stats

from tests.benchmarks.making_calls import load
from tests.making import cells_of

PAIRS = {"none": [(1.0, 26.0), (2.0, 28.0), (1.5, 26.4)], "mixup": [(30.0, 25.0)] * 3}


def test_augmentations_has_means_and_paired_differences_with_intervals(monkeypatch, capsys):
    load("augmentations", monkeypatch).print_table(PAIRS)
    header, none, mixup = cells_of(capsys.readouterr().out)
    assert header[0] == "augmentation"
    base = np.array(PAIRS["none"])[:, 1]
    mean = base.mean()
    reach = stats.t.interval(0.95, 2, mean, stats.sem(base))[1] - mean
    assert none == ["none", "1.50", "26.00 28.00 26.40", f"{mean:.2f} +- {reach:.2f}", ""]
    assert mixup[3:] == ["25.00 +- 0.00", f"{25 - mean:.2f} +- {reach:.2f}"]


# 20 s: four trainings.
@pytest.mark.slow
def test_augmentations_trains_each_with_each_seed(run, made, capsys, monkeypatch):
    module = load("augmentations", monkeypatch)
    monkeypatch.setattr(module, "WAYS", {name: module.WAYS[name] for name in ("none", "cutmix")})
    words = ["--epochs", 1, "--seeds", 2, "--width", 1 / 16, "--head-width", 8]
    words += ["--batch-size", 4, "--strategy", "cpu", "--precision", "float32"]
    header, *rows = cells_of(run(module, made / "classes", *words))
    assert [row[0] for row in rows] == ["none", "cutmix"]
    assert all(len(row) == len(header) for row in rows)
    with pytest.raises(SystemExit, match="2"):
        run(module, made / "classes", "--seeds", 1)
    assert "--seeds must be at least 2" in capsys.readouterr().err
