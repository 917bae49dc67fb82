"""Benchmarks that train networks: printed errors and figures."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.making_calls import NUMBER, numbers
from tests.making import cells_of

TRAINING = [
    "--recipe",
    "digits",
    "--batch-size",
    4,
    "--strategy",
    "cpu",
    "--precision",
    "float32",
    "--head-width",
    8,
]


@pytest.mark.slow
def test_depth_prints_and_draws_the_mean_error_over_seeds(run, made, capsys):
    words = ["--epochs", 1, "--seeds", 2, "--networks", "vgg11_bn", "--width", 1 / 16, *TRAINING]
    head, *rows = cells_of(run("depth", made / "classes", *words))
    assert head == [
        "network",
        "parameters",
        "seed 0",
        "seed 1",
        "mean, 95 %",
        "minutes a run, at most",
    ]
    ((network, parameters, first, second, mean, _),) = rows
    assert network == "vgg11_bn"
    assert re.fullmatch(rf"{NUMBER} M", parameters)
    assert numbers([mean])[0] == pytest.approx(np.mean(numbers([first, second])), abs=0.01)
    assert Path("runs/depth/depth.png").stat().st_size > 5000
    with pytest.raises(SystemExit, match="2"):
        run("depth", made / "classes", "--seeds", 1)
    assert "--seeds must be at least 2" in capsys.readouterr().err


@pytest.mark.slow
def test_inheritance_prints_errors_and_draws_curves(run, made):
    head, *rows = cells_of(
        run("inheritance", made / "classes", "--epochs", 1, "--width", 1 / 16, *TRAINING)
    )
    assert head == ["training", "images seen", "validation error", "test top-1 / top-5 error"]
    assert [row[0] for row in rows] == ["vgg11", "vgg16-from-vgg11", "vgg16", "vgg16-long"]
    assert all(0 <= error <= 100 for row in rows for error in numbers(row[2:]))
    assert Path("docs/images/inheritance.png").stat().st_size > 5000


@pytest.mark.slow
def test_localization_compares_boxes_of_a_network_with_constant_boxes(run, made, start):
    words = ["--inherit", start, "--splits", 1, "--protocols", "dense --flip", "--epochs", 1]
    words += [
        "--batch-size",
        4,
        "--size",
        32,
        "--scale",
        "32,40",
        "--test-scale",
        32,
        "--precision",
        "float32",
    ]
    said = run("localization", made / "boxes", *words)
    head, *rows = cells_of(said)
    assert head == ["boxes right (IoU > 0.5), %", "split 0", "mean"]
    assert [row[0] for row in rows] == ["mean box", "whole picture", "dense --flip"]
    assert numbers(rows[0][1:]) == [100, 100]  # all pictures have the same box
    assert re.search(
        r"^dense --flip: -?\+?[\d.]+ points over the better baseline, n=2 per split$",
        said,
        re.MULTILINE,
    )
