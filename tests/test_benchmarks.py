"""Every benchmark runs, with the smallest numbers and on networks of one convolution, and prints
its table.
"""

import dataclasses
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tests.making import call, cells_of, noise, save, uncompile, undrawn
from vgg_tf import build_vgg, load_dataset, write_weights
from vgg_tf.data import opening
from vgg_tf.data.selection import Selection
from vgg_tf.data.writing import write
from vgg_tf.paper.architectures import ARCHITECTURES
from vgg_tf.records import collection

BENCHMARKS = sorted((Path(__file__).parent.parent / "benchmarks").glob("*.py"))
NUMBER = r"\d[\d,.]*"


def load(name, monkeypatch):
    """A benchmark as a module, whose child processes are calls in this process; their environments
    go to `environments`.
    """
    path = BENCHMARKS[0].parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    module.environments = []

    def run(command, env=None, **options):
        module.environments.append(env)
        assert command[0] == sys.executable
        if command[1] == "-m":
            result = call(*command[2:])
            assert result.returncode == 0, result.stderr
            return result
        assert command[1] == str(path)
        with redirect_stdout(io.StringIO()) as out:
            module.main(command[2:])
        return SimpleNamespace(stdout=out.getvalue())

    stand_in = SimpleNamespace(
        run=run, PIPE=subprocess.PIPE, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT
    )
    if hasattr(module, "subprocess"):
        monkeypatch.setattr(module, "subprocess", stand_in)
    return module


def numbers(cells):
    """The first number in each cell."""
    return [float(re.search(NUMBER, cell)[0].replace(",", "")) for cell in cells]


def of_one_convolution(monkeypatch, stages=1):
    """Let all architectures have one convolution in each of some stages, and none in the others."""
    for name, row in ARCHITECTURES.items():
        kernels = ((3,),) * stages + ((),) * (5 - stages)
        monkeypatch.setitem(ARCHITECTURES, name, dataclasses.replace(row, kernels=kernels))


@pytest.fixture
def start(monkeypatch, run):
    """Weights of a network with a convolution in each stage, without which its width cannot be
    told, in a file.
    """
    of_one_convolution(monkeypatch, stages=5)
    options = {
        "input_shape": (32, 32, 3),
        "classes": 2,
        "width": 1 / 16,
        "head_width": 8,
        "std": (60, 60, 60),
    }
    write_weights(build_vgg("vgg11_bn", **options), "start.safetensors", classes=("a", "b"))
    return "start.safetensors"


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """A function that runs a benchmark with words on the command line, in an empty folder, and
    returns what it prints.

    All architectures have one convolution, and trainings and predictions are not compiled: a tenth
    of the time.
    """
    of_one_convolution(monkeypatch)
    compiled = keras.Model.compile
    options = {"run_eagerly": True, "jit_compile": False}
    monkeypatch.setattr(
        keras.Model, "compile", lambda *words, **named: compiled(*words, **named | options)
    )
    uncompile(monkeypatch)
    undrawn(monkeypatch)
    monkeypatch.chdir(tmp_path)

    def run(name, *words):
        module = name if hasattr(name, "main") else load(name, monkeypatch)
        module.main([*map(str, words)])
        return capsys.readouterr().out

    yield run
    keras.config.set_dtype_policy("float32")


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


@pytest.fixture(scope="module")
def made(once):
    """Class folders `train` and `test` of PNG files, of JPEGs, and of pictures with boxes; shards
    of the JPEGs.
    """

    def make(folder):
        for label in "ab":
            for i in range(6):
                pixels = noise(32, 32, i) // 2 + 100 * (label == "b")
                save(
                    folder / "classes" / ("test" if i < 2 else "train") / label / f"{i}.png", pixels
                )
                if (label, i) != ("a", 0):  # 5 and 6 of them
                    save(folder / "jpegs" / label / f"{i}.jpg", noise(300, 260, i))
                save(folder / "boxes" / "images" / f"{label}{i}.png", pixels)
                corners = "<xmin>2</xmin><ymin>4</ymin><xmax>20</xmax><ymax>30</ymax>"
                xml = (
                    f"<annotation><object><name>{label}</name>"
                    f"<bndbox>{corners}</bndbox></object></annotation>"
                )
                (folder / "boxes" / "annotations").mkdir(exist_ok=True)
                (folder / "boxes" / "annotations" / f"{label}{i}.xml").write_text(xml)
        source = opening.open_source(str(folder / "jpegs"), Selection(hold_out=0))
        write(source, str(folder / "shards"), shards=2, progress=False)

    return once("for_benchmarks", make)


def test_every_benchmark_has_a_test():
    assert [
        path.stem
        for path in BENCHMARKS
        if not any(name.startswith(f"test_{path.stem}_") for name in globals())
    ] == []


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_each_prints_its_usage(path, monkeypatch, capsys):
    module = load(path.stem, monkeypatch)
    with pytest.raises(SystemExit, match=r"^0$"):
        module.main(["--help"])
    assert capsys.readouterr().out.startswith("usage: ")


# Trainings


def test_depth_tells_the_mean_of_each_network_over_the_seeds_and_draws_it(run, made, capsys):
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
    assert "an interval needs two --seeds" in capsys.readouterr().err


def test_inheritance_tells_what_each_training_reached_and_draws_the_curves(run, made):
    head, *rows = cells_of(
        run("inheritance", made / "classes", "--epochs", 1, "--width", 1 / 16, *TRAINING)
    )
    assert head == ["training", "images seen", "validation error", "test top-1 / top-5 error"]
    assert [row[0] for row in rows] == ["vgg11", "vgg16-from-vgg11", "vgg16", "vgg16-long"]
    assert all(0 <= error <= 100 for row in rows for error in numbers(row[2:]))
    assert Path("results/inheritance.png").stat().st_size > 5000


def test_localization_compares_the_boxes_of_a_network_with_those_of_who_does_not_look(
    run, made, start
):
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
    assert numbers(rows[0][1:]) == [100, 100]  # all boxes are the same here
    assert re.search(
        r"^dense --flip: -?\+?[\d.]+ points over the better baseline, n=2 a split$",
        said,
        re.MULTILINE,
    )


# Times


def test_train_step_compares_with_keras_and_says_that_torch_is_missing(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(keras.applications, "VGG16", small_vgg16)
    words = ["--cases", "32x2", "--rounds", 1, "--seconds", 0.01, "--matrix", 64]
    said = run("train_step", *words, "--subjects", "vgg_tf,Keras,torch")
    assert [line for line in said.splitlines() if "torch" in line] == [
        'torch: not installed, left out; pip install -e ".[cpu,benchmarks]"'
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
        rf"^vgg_tf beside Keras: {NUMBER} times in train, {NUMBER} times in predict$",
        said,
        re.MULTILINE,
    )


def small_vgg16(weights, include_top, input_shape, **options):
    """In place of Keras' VGG16, whose 13 convolutions would take seconds."""
    assert weights is None
    inputs = keras.Input(input_shape)
    x = keras.layers.Conv2D(4, 3, strides=32, padding="same")(inputs)
    return keras.Model(
        inputs, keras.layers.GlobalAveragePooling2D()(x) if options.get("pooling") else x
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


def test_passes_tells_how_late_each_way_ends(run):
    lines = run("passes", 1, "--steps", 1, "--batch", 2).splitlines()
    for line, way in zip(lines, ("with the autotuner", "without"), strict=True):
        assert re.fullmatch(
            rf"{way}: {NUMBER} s a pass \(median of 1\), [01] of them late, by up to {NUMBER} s",
            line,
        )


def test_small_maps_tells_the_milliseconds_of_three_passes_of_each_convolution(run):
    _, head, *rows = run("small_maps", "float32", 1, "--sides", "2,14").splitlines()
    assert head.split("   ")[0] == "side channels filters"
    assert [row.split()[:3] for row in rows] == [["2", "512", "512"], ["14", "512", "512"]]
    assert all(len(re.findall(rf"{NUMBER} / {NUMBER}", row)) == 3 for row in rows)


def test_small_views_tells_images_a_second_of_both_ways(run):
    lines = run("small_views", 1, "--images", 16, "--batch", 8).splitlines()
    for line, way in zip(lines, ("one by one", "batch by batch"), strict=True):
        rate, work = numbers(
            re.fullmatch(
                rf"{way}: ({NUMBER}) images/s, ({NUMBER}) ms of .* \(medians of 1\)", line
            ).groups()
        )
        assert rate > 0
        assert work > 0


def test_protocols_tells_seconds_beside_a_loop_and_the_difference_of_both(run, made):
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
    assert (
        "sides rounded to multiples of 32, dense at 224, 256, 1 images: posteriors differ by up to"
        in line
    )


def test_descriptors_tells_what_they_are_worth_and_how_fast_they_come(
    run, made, start, monkeypatch
):
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
    assert head == ["way", "descriptors/s", "beside the loop"]
    assert len(rows) in (2, 3)  # in bfloat16, too, where that is faster
    assert all(value > 0 for row in rows for value in numbers(row[1:]))


def test_writing_compares_with_decoding_and_copying(run, made, tmp_path):
    # Beside its folder, which is shared, it makes another.
    (tmp_path / "jpegs").symlink_to(made / "jpegs")
    first, *lines = run("writing", tmp_path / "jpegs", "--rounds", 1).splitlines()
    assert first.startswith("11 JPEGs of ")
    rates = dict(
        re.fullmatch(rf"(\D+) ({NUMBER}) images/s, {NUMBER} ms .*", line).groups()
        for line in lines[:4]
    )
    assert [name.strip() for name in rates] == [
        "decoding alone",
        "write",
        "copying alone",
        "write --no-check",
    ]
    assert min(numbers(rates.values())) > 0
    for line, pair in zip(
        lines[4:], ("write / decoding alone", "write --no-check / copying alone"), strict=True
    ):
        assert re.fullmatch(rf"{pair}: {NUMBER} \(of processor time {NUMBER}\)", line)


def test_input_pipeline_compares_all_ways_and_says_which_are_not_installed(run, made, monkeypatch):
    module = load("input_pipeline", monkeypatch)
    for name in ("nvidia.dali", "torchvision"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(module, "BATCH", 4)
    monkeypatch.setattr(module, "LINKED", 12)
    said = run(module, made / "shards", "--rounds", 1, "--seconds", 0.01, "--warm-up", 0)
    missing = [line for line in said.splitlines() if "not installed" in line]
    assert [line.split(":")[0] for line in missing] == ["DALI", "torchvision"]
    assert all("pip install" in line for line in missing)
    head, *rows = cells_of(said)
    assert head == ["way", "images/s", "to textbook", "to full decode", "lowest-highest", "CPU ms"]
    assert [row[0] for row in rows] == [
        "full decode alone",
        "window decode alone",
        "textbook",
        "textbook, antialiased",
        "ours",
    ]
    assert all(min(numbers(row[1:])) > 0 for row in rows)
    assert rows[2][2] == rows[0][3] == "1.00"
    with pytest.raises(SystemExit, match="holds no shards"):
        run(module, made / "jpegs")


@pytest.mark.parametrize(
    "counted", [True, False], ids=["counts a shard", "without, as earlier versions wrote"]
)
def test_input_pipeline_reads_shards_of_fewer_images_than_a_batch_again_and_again(
    counted, made, tmp_path, monkeypatch
):
    shards = shutil.copytree(made / "shards", tmp_path / "shards")
    written = collection.Collection.read(shards)
    if not counted:
        del written.splits["train"]["per_shard"]
        written.write(shards)
    (tmp_path / "linked").mkdir()
    module = load("input_pipeline", monkeypatch)
    monkeypatch.setattr(module, "LINKED", 20)
    links = module.linked(str(shards), str(tmp_path / "linked"))
    assert len(links) == 4  # 11 images twice
    train = collection.Collection.read(tmp_path / "linked").splits["train"]
    assert (train["images"], train["shards"], sum(train["per_class"])) == (22, 4, 22)
    assert os.path.realpath(links[3]) == str(tmp_path / "shards" / "train-00001-of-00002")
    ((_, labels),) = load_dataset(str(tmp_path / "linked"), batch_size=22, size=32, epoch=0)
    np.testing.assert_array_equal(np.bincount(labels), [10, 12])
