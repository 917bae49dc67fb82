"""A fixture that runs a benchmark, and the pictures and weights for benchmarks."""

import dataclasses

import keras
import pytest

from tests.benchmarks.making_calls import load
from tests.making import noise, save, uncompile, undrawn
from vgg_tf import build_vgg, write_weights
from vgg_tf.data import opening
from vgg_tf.data.selection import Selection
from vgg_tf.paper.architectures import ARCHITECTURES
from vgg_tf.writing.write import write


def of_one_convolution(monkeypatch, stages=1):
    """Reduce all architectures to one convolution in each of the first stages."""
    for name, row in ARCHITECTURES.items():
        kernels = ((3,),) * stages + ((),) * (5 - stages)
        monkeypatch.setitem(ARCHITECTURES, name, dataclasses.replace(row, kernels=kernels))


@pytest.fixture
def start(monkeypatch, run):
    """A weight file of a network with a convolution in each stage, which shows its width."""
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
    """A function that runs a benchmark in an empty folder and returns its output.

    All architectures have one convolution, and nothing is compiled, which takes a tenth of the
    time.
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


@pytest.fixture(scope="module")
def made(once):
    """Folders of PNG files, of JPEGs and of pictures with boxes, and shards of the JPEGs."""

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
