"""`predict` runs an exported file like the network, and names pictures it cannot read."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.formats.making_networks import ROOMS, copied, picture
from tests.making import call
from vgg_tf.formats import round_trip, runtimes
from vgg_tf.predict import main as predict

pytestmark = pytest.mark.usefixtures("table")


def answers(capsys, *words):
    predict([*words, "--format", "json"])
    out = capsys.readouterr().out
    return json.loads(out[out.index("[") :])


@pytest.fixture
def ours(done, once):
    """Return the prediction of the network itself for `a.png`, and that picture."""

    def make(folder):
        words = (
            done / "vgg11_bn.safetensors",
            picture(folder / "a.png"),
            "--precision",
            "float32",
            "--format",
            "json",
        )
        result = call("vgg_tf.predict", *words, "--out", folder / "said.json")
        assert result.returncode == 0, result.stderr

    folder = once("predicted", make)
    (row,) = json.loads((folder / "said.json").read_text())
    return row, str(folder / "a.png")


@pytest.mark.parametrize("kind", ["savedmodel", "litert", "onnx", "coreml"])
def test_predict_with_an_exported_file_agrees_with_the_network(done, ours, kind, tmp_path, capsys):
    ours, path = ours
    file = copied(
        done / "out" / f"vgg11_bn{round_trip.SUFFIXES[kind]}",
        tmp_path / f"a{round_trip.SUFFIXES[kind]}",
    )
    (theirs,) = answers(capsys, "--model", str(file), path)
    assert [row["class"] for row in theirs["classes"]] == [row["class"] for row in ours["classes"]]
    for a, b in zip(theirs["classes"], ours["classes"], strict=True):
        assert a["posterior"] == pytest.approx(
            b["posterior"], abs=0.02
        )  # PIL's pixels differ by at most a gray level


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_predict_with_an_exported_file_needs_no_tensorflow(done, suffix, tmp_path):
    path = picture(tmp_path / "a.png")
    code = (
        "import sys; from vgg_tf.predict import main;"
        f"main(['--model', {str(done / 'out' / f'vgg11_bn{suffix}')!r}, {path!r}]);"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras')))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr + result.stdout
    assert "église" in result.stdout


def test_the_error_of_an_unreadable_picture_names_it(done, tmp_path):
    (tmp_path / "b.png").write_bytes(b"nothing")
    with pytest.raises(SystemExit, match=r"1 of 2 pictures could not be read:\n.*b\.png"):
        predict(
            [
                "--model",
                str(done / "out/vgg11_bn.onnx"),
                picture(tmp_path / "a.png"),
                str(tmp_path / "b.png"),
            ]
        )


@pytest.mark.parametrize(
    "form", ["png", "tiff"]
)  # PIL's modes I;16 and I; older versions open such a PNG in mode I
def test_sixteen_bit_pixels_keep_their_upper_byte(form):
    deep, file = np.random.default_rng(0).integers(0, 2**16, (32, 32), np.uint16), io.BytesIO()
    Image.fromarray(deep if form == "png" else deep.astype(np.int32)).save(file, form)
    found = runtimes.cut_view(file.getvalue(), {"scale": 32, "height": 32, "width": 32}, "deep")
    np.testing.assert_array_equal(found, np.repeat((deep >> 8)[:, :, None], 3, 2))


def test_a_picture_with_too_many_pixels_is_listed_and_the_others_are_classified(
    tmp_path, monkeypatch
):
    about = {"scale": 32, "height": 32, "width": 32, "classes": ["a", "b"]}
    monkeypatch.setattr(
        runtimes, "open_model", lambda path: (lambda pixels: np.float32([[0.2, 0.8]]), about)
    )
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # PIL refuses twice as many
    small, large = (
        picture(tmp_path / "small.png", (40, 40)),
        picture(tmp_path / "large.png", (70, 70)),
    )
    rows, bad, _ = runtimes.classify("a.onnx", [large, small])
    assert (list(rows), list(bad)) == ([small], [large])
    assert "large.png: Image size (4900 pixels) exceeds limit" in bad[large]


@pytest.mark.parametrize("kind", ROOMS)
def test_an_incomplete_or_third_party_file_is_refused(done, kind, tmp_path):
    path = tmp_path / ROOMS[kind][1]
    if kind in ("savedmodel", "coreml"):
        path.mkdir()
        (path / "Manifest.json").write_text("{}")
    else:
        whole = (done / "out" / f"vgg11_bn{round_trip.SUFFIXES[kind]}").read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"must be a complete .* from vgg_tf"):
        runtimes.open_model(path)
