"""The guide's lines that load each exported file without vgg_tf run, and agree with the network."""

import contextlib
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.formats.making_networks import copied, picture
from tests.making import ROOT
from vgg_tf.formats import round_trip, runtimes

pytestmark = [
    pytest.mark.usefixtures("table"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),  # short lines leave it
]
GUIDE = Path(ROOT, "docs", "guides", "export.md")
SNIPPETS = re.findall(
    r"```python\n(.*?)```", GUIDE.read_text().split("\n## Without vgg_tf")[1], re.S
)
WORDS = {
    "savedmodel": "saved_model.load",
    "litert-int8": "Interpreter(",
    "onnx": "InferenceSession",
    "coreml": "MLModel",
}


def snippet_with(word):
    (found,) = (code for code in SNIPPETS if word in code)
    return found


def run(code, monkeypatch):
    """Run lines of the guide, with vgg_tf not installed. Return what they print."""
    assert "vgg_tf" not in re.sub(r"\"vgg_tf[\w.]*\"", "", code)  # only the name of the metadata
    out = io.StringIO()
    with monkeypatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setitem(sys.modules, "vgg_tf", None)
        exec(compile(code, str(GUIDE), "exec"), {})
    return out.getvalue()


@pytest.fixture
def folder(done, tmp_path, monkeypatch):
    """Return the current folder, with the exported files of a tiny network and `view.png`."""
    exports = tmp_path / "exports" / "cifar10"
    exports.mkdir(parents=True)
    for suffix in round_trip.SUFFIXES.values():
        copied(done / "out" / f"vgg11_bn{suffix}", exports / f"cifar10{suffix}")
    (exports / "export.json").write_bytes((done / "out" / "export.json").read_bytes())
    monkeypatch.chdir(tmp_path)
    picture("temple.png")
    run(snippet_with("export.json"), monkeypatch)
    return tmp_path


def test_the_view_is_that_of_our_reader(folder):
    about = json.loads((folder / "exports/cifar10/export.json").read_text())
    ours = runtimes.cut_view(Path("temple.png").read_bytes(), about, "temple.png")
    np.testing.assert_array_equal(np.asarray(Image.open("view.png")), ours)


@pytest.mark.parametrize("kind", ["savedmodel", "litert-int8", "onnx"])
def test_the_lines_of_a_format_name_the_class_of_our_reader(kind, folder, monkeypatch):
    ours, about = runtimes.open_model(f"exports/cifar10/cifar10{round_trip.SUFFIXES[kind]}")
    view = np.asarray(Image.open("view.png"))[np.newaxis]
    probabilities = ours(view)[0]
    name, highest = run(snippet_with(WORDS[kind]), monkeypatch).rsplit(maxsplit=1)
    assert name == about["classes"][probabilities.argmax()]
    # The SavedModel rescales the picture itself, by a gray level different.
    limit = 0.02 if kind == "savedmodel" else 1e-5
    assert float(highest) == pytest.approx(probabilities.max(), abs=limit)


def test_the_lines_of_core_ml_use_the_names_of_the_package(folder, monkeypatch):
    # Core ML runs on macOS only. Elsewhere the names of the package answer in its place.
    ct = pytest.importorskip("coremltools")
    if sys.platform == "darwin":
        assert run(snippet_with("MLModel"), monkeypatch)
        return

    class Answering:
        def __init__(self, path):
            about = ct.utils.load_spec(path).description
            self.given = {one.name: one.type.imageType for one in about.input}
            labels, probabilities = about.predictedFeatureName, about.predictedProbabilitiesName
            self.answer = {labels: "cat", probabilities: {"cat": 0.75, "dog": 0.25}}

        def predict(self, values):
            assert values.keys() == self.given.keys()
            for name, image in values.items():
                assert image.size == (self.given[name].width, self.given[name].height)
                assert image.mode == "RGB"
            return self.answer

    monkeypatch.setattr(ct.models, "MLModel", Answering)
    assert run(snippet_with("MLModel"), monkeypatch) == "cat 0.75\n"
