"""Benchmarks of networks: times and outputs of several ways to compute."""

import re

import keras
import pytest

from tests.benchmarks.making_calls import NUMBER, load, numbers, small_vgg16
from tests.making import cells_of


def test_train_step_compares_with_keras_and_reports_missing_torch(run, monkeypatch):
    module = load("train_step", monkeypatch)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr(keras.applications, "VGG16", small_vgg16)
    words = ["--cases", "32x2", "--rounds", 1, "--seconds", 0.01, "--matrix", 64]
    said = run(module, *words, "--subjects", "vgg_tf,Keras,torch")
    assert [line for line in said.splitlines() if "torch" in line] == [
        'torch: not installed, skipped. Install: pip install -e ".[cpu,benchmarks]"'
    ]
    head, *rows = cells_of(said)
    assert head[-1] == "peak memory, GiB"
    assert [row[0] for row in rows] == ["vgg_tf", "Keras"]
    for row in rows:
        assert len(row) == 7
        assert row[1] in ("float32", "bfloat16")
        training, prediction, memory = numbers([row[2], row[4], row[6]])
        assert min(training, prediction, memory) > 0
    assert re.search(
        rf"^vgg_tf versus Keras: {NUMBER} times in train, {NUMBER} times in predict$",
        said,
        re.MULTILINE,
    )


def test_onednn_compares_both_settings(run, monkeypatch):
    module = load("onednn", monkeypatch)
    said = run(module, 2, "--rounds", 1, "--steps", 1)
    off, on, ratio = numbers(
        re.search(rf"off ({NUMBER}), on ({NUMBER}) images/s, ratio ({NUMBER})", said).groups()
    )
    assert ratio == pytest.approx(on / off, rel=0.1, abs=0.01)
    assert [environment["TF_ENABLE_ONEDNN_OPTS"] for environment in module.environments] == [
        "0",
        "1",
    ]


def test_passes_prints_the_delay_of_each_setting(run):
    lines = run("passes", 1, "--steps", 1, "--batch", 2).splitlines()
    for line, way in zip(lines, ("with the autotuner", "without"), strict=True):
        assert re.fullmatch(
            rf"{way}: {NUMBER} s per pass \(median of 1\), late passes: [01], "
            rf"delay up to {NUMBER} s",
            line,
        )


def test_small_maps_prints_three_times_for_each_convolution(run):
    _, head, *rows = run("small_maps", "float32", 1, "--sides", "2,14").splitlines()
    assert head.split("   ")[0] == "side channels filters"
    assert [row.split()[:3] for row in rows] == [["2", "512", "512"], ["14", "512", "512"]]
    assert all(len(re.findall(rf"{NUMBER} / {NUMBER}", row)) == 3 for row in rows)


def test_small_views_prints_the_throughput_of_both_ways(run):
    lines = run("small_views", 1, "--images", 16, "--batch", 8).splitlines()
    for line, way in zip(lines, ("one by one", "batch by batch"), strict=True):
        rate, work = numbers(
            re.fullmatch(
                rf"{way}: ({NUMBER}) images/s, ({NUMBER}) ms of .* \(medians of 1\)", line
            ).groups()
        )
        assert rate > 0
        assert work > 0


def test_protocols_compares_times_and_probabilities_with_a_loop(run, made):
    words = [
        made / "jpegs",
        "--images",
        1,
        "--rounds",
        1,
        "--width",
        1 / 16,
        "--head-width",
        16,
        "--scales",
        "224,256",
    ]
    _, head, *rows = run("protocols", *words, "--protocols", "center,ten-crop,dense").splitlines()
    assert head.split()[:3] == ["protocol", "Q", "views"]
    assert [row.split()[:3] for row in rows] == [
        ["center", "224", "1"],
        ["ten-crop", "224", "10"],
        ["dense", "224,256", "4"],
    ]
    for row in rows:
        *seconds, ratio, difference = map(float, row.split()[3:])
        assert min(*seconds, ratio) > 0
        assert difference < 1e-3
    (line,) = run("protocols", *words, "--static").splitlines()
    assert "sides rounded to multiples of 32, dense at 224, 256, 1 images: " in line
    assert "probabilities differ by up to" in line


def test_descriptors_prints_recall_and_throughput(run, made, start, monkeypatch):
    words = ["--weights", start, "--scales", "32", "--splits", 2]
    head, *rows = cells_of(run("descriptors", "worth", made / "classes", *words))
    assert head == ["descriptor", "numbers", "mean class recall, 2 splits"]
    assert [row[1] for row in rows] == ["3,072", "512", "8"]
    assert all(0 <= value <= 100 for value in numbers([row[2] for row in rows]))
    monkeypatch.setattr(keras.applications, "VGG16", small_vgg16)
    head, *rows = cells_of(
        run(
            "descriptors",
            "speed",
            made / "classes",
            "--pictures",
            1,
            "--rounds",
            1,
            "--width",
            1 / 16,
            "--head-width",
            8,
        )
    )
    assert head == ["way", "descriptors/s", "versus the loop"]
    assert len(rows) in (2, 3)  # also bfloat16 where it is faster
    assert all(value > 0 for row in rows for value in numbers(row[1:]))
