"""Every format is read back by its own runtime and gives Keras' posteriors; what differs does not
count.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.making import call
from vgg_tf import build_vgg, export, write_weights
from vgg_tf.evaluation import checkpoint
from vgg_tf.formats import (
    calibration,
    coreml,
    litert,
    onnx,
    round_trip,
    runtimes,
    saved_model,
    source_network,
)
from vgg_tf.paper.architectures import ARCHITECTURES, Architecture
from vgg_tf.predict import main as predict
from vgg_tf.weights import container

ROOMS = {
    "onnx": (onnx, "a.onnx"),
    "savedmodel": (saved_model, "a"),
    "litert": (litert, "a.tflite"),
    "coreml": (coreml, "a.mlpackage"),
}
CLASSES = ("cat", "dog", "tench, Tinca tinca", "église")
# All kinds of layers in two or three convolutions, as the writers take layer by layer. `done` is of
# a real depth.
SHALLOW = {
    "shallow": Architecture("shallow", "-", ((3,), (), (), (), (3,))),
    "shallow_bn": Architecture("shallow_bn", "-", ((3,), (), (), (), (3,)), batch_norm=True),
    "shallow_c_bn": Architecture("shallow_c_bn", "-", ((3,), (), (), (), (3, 1)), batch_norm=True),
    "shallow_lrn": Architecture("shallow_lrn", "-", ((3,), (), (), (), (3,)), lrn=True),
}


@pytest.fixture(autouse=True)
def table(monkeypatch):
    for name, row in SHALLOW.items():
        monkeypatch.setitem(ARCHITECTURES, name, row)
    width = property(lambda weights: weights.layers["block5_conv1"]["kernel"].shape[-1] / 512)
    monkeypatch.setattr(container.Weights, "width", width)  # which asks for all stages


def test_a_digest_knows_neither_order_nor_the_sign_of_zero_but_every_number():
    random = np.random.default_rng(0)
    array = np.where(random.random((50, 40)) < 0.5, np.float32(0.0), np.float32(-0.0))
    array[:10] = random.normal(size=(10, 40))
    turned = random.permutation(array.ravel()).reshape(40, 50)
    assert source_network.compute_digest([turned, array[0]]) == source_network.compute_digest(
        [array[0], array]
    )
    turned[3, 4] += 1e-3
    assert source_network.compute_digest([turned, array[0]]) != source_network.compute_digest(
        [array[0], array]
    )


def weights(folder, arch="shallow_bn", crop=32, width=1 / 8):
    """A file of a tiny network whose posteriors have a spread."""
    model = build_vgg(
        arch,
        input_shape=(crop, crop, 3),
        classes=4,
        width=width,
        head_width=16,
        seed=0,
        std=(60, 50, 40),
        initializer="he",
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # not as they were made
            random = np.random.default_rng(1)
            shape = layer.gamma.shape
            layer.set_weights(
                [random.uniform(0.8, 1.2, shape), random.normal(0, 0.1, shape)] * 1
                + [random.normal(0, 0.1, shape), random.uniform(0.8, 1.2, shape)]
            )
    path = folder / f"{arch}.safetensors"
    write_weights(model, path, classes=CLASSES)
    return path


@pytest.fixture
def file(once, table):
    """A file of weights of `shallow_bn`."""
    return once("shipped_weights", weights) / "shallow_bn.safetensors"


_NETWORKS = {}  # made once for all formats


def network_of(folder, arch="shallow_bn", crop=32, size=None, width=1 / 8):
    key = (arch, crop, size, width)
    if key not in _NETWORKS:
        _NETWORKS[key] = source_network.prepare_network(
            checkpoint.open_checkpoint(weights(folder, arch, crop, width)), size
        )
    return _NETWORKS[key]


def pixels(h, w, n=3):
    return np.random.default_rng(0).integers(0, 256, (n, h, w, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", ROOMS)
@pytest.mark.parametrize(
    ("arch", "crop", "size"),
    [
        ("shallow", 32, None),
        ("shallow_c_bn", 64, None),
        ("shallow_bn", 32, (64, 96)),
        ("shallow_lrn", 32, None),
    ],
)
def test_a_file_gives_kerass_posteriors_and_tells_its_classes(kind, arch, crop, size, tmp_path):
    room, name = ROOMS[kind]
    network = network_of(tmp_path, arch, crop, size)
    path = str(tmp_path / name)
    if kind == "litert" and arch == "shallow_lrn":
        with pytest.raises(
            ValueError, match="LiteRT cannot carry the local response normalisation of shallow_lrn"
        ):
            room.write(network, path)
        assert not os.path.exists(path)
        return
    room.write(network, path)
    run, about = runtimes.open_model(path)
    found = source_network.compare(network, run, pixels(network.height, network.width))
    assert found["log_posterior"] < 2e-4  # float32, other orders of summation
    assert found["top1_agreement"] == 1
    assert tuple(about["classes"]) == CLASSES
    assert about["layers"] == SHALLOW[arch].weight_layers
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_the_comparison_sees_likely_mistakes(tmp_path):
    network = network_of(tmp_path)
    some = pixels(32, 32)

    def ours(batch):
        return network.model.predict_on_batch(np.float32(batch))

    assert source_network.compare(network, ours, some)["log_posterior"] < 1e-5
    for mistake in (
        lambda x: x[..., ::-1],
        lambda x: x / 255,
        lambda x: x[:, :, ::-1],
        lambda x: np.maximum(x, 5) - 5,
    ):
        assert (
            source_network.compare(network, lambda x, mistake=mistake: ours(mistake(x)), some)[
                "log_posterior"
            ]
            > 0.01
        )


def test_a_network_of_bfloat16_is_shipped_in_float32(file):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = source_network.prepare_network(checkpoint.open_checkpoint(file))
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in network.model.layers} == {"float32"}


def test_int8_takes_the_pixels_as_they_are_and_agrees_mostly(tmp_path):
    network = network_of(
        tmp_path, width=1 / 2
    )  # large enough that the weights take most of the file
    some = pixels(32, 32, 20)
    litert.write(network, str(tmp_path / "a.tflite"), "int8", some)
    run, _ = litert.read(str(tmp_path / "a.tflite"))
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(tmp_path / "a.tflite"))
    assert interpreter.get_input_details()[0]["quantization"] == (1.0, 0)
    assert source_network.compare(network, run, some)["top1_agreement"] > 0.8
    litert.write(network, str(tmp_path / "b.tflite"), "float16")
    litert.write(network, str(tmp_path / "c.tflite"))
    sizes = [os.path.getsize(tmp_path / f"{name}.tflite") for name in "abc"]
    assert sizes[0] < 0.4 * sizes[2]
    assert sizes[1] < 0.6 * sizes[2]
    with zipfile.ZipFile(tmp_path / "a.tflite") as archive:
        assert archive.read("labels.txt").decode().splitlines() == list(CLASSES)


def test_the_saved_model_takes_encoded_pictures_and_stores_its_variables_once(tmp_path):
    network = network_of(tmp_path)
    saved_model.write(network, str(tmp_path / "a"))
    picture = pixels(50, 70, 1)[0]
    call = tf.saved_model.load(str(tmp_path / "a")).signatures["encoded"]
    contents = [tf.io.encode_png(picture).numpy(), tf.io.encode_jpeg(picture, quality=95).numpy()]
    found = call(contents=tf.constant(contents))
    expected = network.model.predict_on_batch(np.float32(network.view(picture))[np.newaxis])[0]
    np.testing.assert_allclose(found["posteriors"][0], expected, atol=1e-5)
    assert [name.decode() for name in found["classes"].numpy()] == list(CLASSES)
    size = sum(path.stat().st_size for path in (tmp_path / "a/variables").iterdir())
    assert size < 1.2 * 4 * network.model.count_params() + 20_000


def picture(path, size=(70, 50)):
    Image.fromarray(pixels(size[1], size[0], 1)[0]).save(path)
    return str(path)


@pytest.fixture
def done(once):
    """A folder with all formats of one network: seconds, as each format has a writer and a reader
    of its own.
    """

    def make(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(calibration, "CALIBRATION", 20)  # each view takes milliseconds
            export.main(
                [str(weights(folder, "vgg11_bn")), "--out", str(folder / "out"), "--n", "6"]
            )

    return once("shipped", make)


def test_the_program_writes_all_formats_and_what_it_found(done):
    report = json.loads((done / "out/export.json").read_text())
    assert [row["format"] for row in report["formats"]] == list(round_trip.SUFFIXES)
    assert report["classes"] == list(CLASSES)
    for row in report["formats"]:
        assert row["n"] == 6
        assert row["layers"] == 11
        assert os.path.exists(row["file"])
        assert row["log_posterior"] < round_trip.LIMITS.get(row["format"], 1e-3)
    assert report["notes"] == [coreml.UNCHECKED]
    assert report["compared_on"] == "two photographs that scikit-learn carries"
    assert report["calibrated_on"] == "20 views of two photographs that scikit-learn carries"


def copied(path, to):
    """A copy of a file or folder of `done`: coremltools writes a package's manifest when it reads
    it.
    """
    return Path((shutil.copytree if path.is_dir() else shutil.copy)(path, to))


def answers(capsys, *words):
    predict([*words, "--format", "json"])
    out = capsys.readouterr().out
    return json.loads(out[out.index("[") :])


@pytest.fixture
def ours(done, once):
    """What predict says of `a.png` by the network itself, which is compiled for that, and that
    picture.
    """

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
def test_predict_runs_the_file_as_it_does_the_network(done, ours, kind, tmp_path, capsys):
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
        )  # PIL's pixels are within a grey level


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_that_needs_no_tensorflow(done, suffix, tmp_path):
    path = picture(tmp_path / "a.png")
    code = (
        "import sys; from vgg_tf.predict import main;"
        f"main(['--model', {str(done / 'out' / f'vgg11_bn{suffix}')!r}, {path!r}]);"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras')))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr + result.stdout
    assert "église" in result.stdout


def test_a_picture_that_cannot_be_read_is_named(done, tmp_path):
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
)  # of mode I;16, and I, in which older PILs open such a PNG
def test_sixteen_bit_pixels_keep_their_upper_byte(form):
    deep, file = np.random.default_rng(0).integers(0, 2**16, (32, 32), np.uint16), io.BytesIO()
    Image.fromarray(deep if form == "png" else deep.astype(np.int32)).save(file, form)
    found = runtimes.cut_view(file.getvalue(), {"scale": 32, "height": 32, "width": 32}, "deep")
    np.testing.assert_array_equal(found, np.repeat((deep >> 8)[:, :, None], 3, 2))


def test_a_picture_of_too_many_pixels_is_listed_and_the_others_are_named(tmp_path, monkeypatch):
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
def test_a_torn_or_foreign_file_is_refused(done, kind, tmp_path):
    path = tmp_path / ROOMS[kind][1]
    if kind in ("savedmodel", "coreml"):
        path.mkdir()
        (path / "Manifest.json").write_text("{}")
    else:
        whole = (done / "out" / f"vgg11_bn{round_trip.SUFFIXES[kind]}").read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="of vgg_tf, or torn"):
        runtimes.open_model(path)


def test_a_file_that_differs_is_removed(file, tmp_path, monkeypatch):
    monkeypatch.setattr(round_trip, "LIMIT", 0.0)
    with pytest.raises(ValueError, match=r"differs by .* in a log posterior; 0 is allowed"):
        export.main([str(file), "--format", "onnx", "--out", str(tmp_path / "out"), "--n", "2"])
    assert os.listdir(tmp_path / "out") == []


def contents(folder):
    """Bytes of all that lies in a folder, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", ["onnx", "coreml"])  # a file, and a folder
def test_what_lies_there_stays_until_what_replaces_it_is_read_back(
    done, file, kind, tmp_path, monkeypatch
):
    name, out = f"shallow_bn{round_trip.SUFFIXES[kind]}", tmp_path / "out"
    out.mkdir()
    copied(done / "out" / f"vgg11_bn{round_trip.SUFFIXES[kind]}", out / name)
    before, words = contents(out), [str(file), "--format", kind, "--out", str(out), "--n", "2"]
    write, kept = ROOMS[kind][0].write, tmp_path / name

    def write_once(network, path):  # the same both times: Core ML takes two seconds
        if not kept.exists():
            write(network, str(kept))
        copied(kept, path)

    monkeypatch.setattr(ROOMS[kind][0], "write", write_once)
    with monkeypatch.context() as patch:
        patch.setattr(round_trip, "LIMIT", -1.0)
        with pytest.raises(
            ValueError, match=rf"{name} differs by .* in a log posterior; -1 is allowed"
        ):
            export.main(words)
    assert contents(out) == before
    stale = next(path for path in [out / name, *(out / name).rglob("*")] if path.is_file())
    stale.write_bytes(b"of another network")
    export.main(words)
    assert runtimes.open_model(out / name)[1]["classes"] == list(CLASSES)
    assert sorted(os.listdir(out)) == sorted(["export.json", name])


def test_the_dots_of_a_run_are_no_suffix(file, tmp_path, monkeypatch):
    opened = checkpoint.open_checkpoint(file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        checkpoint, "open_checkpoint", lambda path: replace(opened, path=path, run="a run")
    )
    for name in ("vgg11-lr0.01", "vgg11-lr0.05"):
        export.main([f"runs/{name}", "--format", "onnx", "--n", "2"])
        assert (tmp_path / "exports" / name / f"{name}.onnx").exists()


def greys(folder, levels):
    """Pictures that are each of one grey level."""
    folder.mkdir(parents=True)
    for level in levels:
        Image.fromarray(np.full((32, 32, 3), level, np.uint8)).save(folder / f"{level:03d}.png")
    return str(folder)


def levels_of(views):
    """Grey levels of the views that are of one."""
    return [int(view.min()) for view in views if view.min() == view.max()]


@pytest.mark.parametrize(("n", "others"), [(30, 20), (12, 7), (5, 0)])
def test_int8_is_calibrated_on_a_hundred_pictures_none_of_which_is_compared(
    n, others, file, tmp_path, monkeypatch
):
    opened = checkpoint.open_checkpoint(file)
    assert calibration.CALIBRATION == 100
    monkeypatch.setattr(calibration, "CALIBRATION", 20)  # each view takes milliseconds
    flags = export.Flags("", pictures=greys(tmp_path / "pictures", range(n)), n=5)
    compared, where, learnt, told = calibration.choose_views(
        flags, opened, network_of(tmp_path), True
    )
    assert (len(levels_of(compared)), len(levels_of(learnt)), where) == (5, others, flags.pictures)
    assert len({*levels_of(compared), *levels_of(learnt)}) == 5 + others
    assert learnt.shape == (20, 32, 32, 3)
    assert (f"{20 - others} views of two photographs" in told) == (others < 20)


def test_int8_is_calibrated_on_the_pictures_of_the_training_where_they_are_at_hand(
    file, tmp_path, monkeypatch
):
    monkeypatch.setattr(calibration, "CALIBRATION", 40)
    for split, first in (("train", 0), ("test", 200)):
        for i, name in enumerate("ab"):
            greys(tmp_path / "data" / split / name, range(first + 20 * i, first + 20 * i + 20))
    opened = replace(checkpoint.open_checkpoint(file), data=str(tmp_path / "data"))
    network, pictures = network_of(tmp_path), greys(tmp_path / "pictures", range(100, 110))
    for flags, least, most in (
        (export.Flags("", n=4), 200, 239),
        (export.Flags("", pictures=pictures, n=4), 100, 109),
    ):
        compared, _, learnt, told = calibration.choose_views(flags, opened, network, True)
        assert all(least <= level <= most for level in levels_of(compared))
        assert len(levels_of(compared)) == 4
        assert len(set(levels_of(learnt))) == 36  # a tenth is held out
        assert max(levels_of(learnt)) < 40
        assert told.startswith(f"36 views of {opened.data}, train and 4 views of ")


@pytest.mark.slow  # a process of its own, on another engine
def test_files_are_written_by_tensorflow_also_where_keras_is_to_run_on_jax(file, tmp_path):
    words = [str(file), "--format", "savedmodel", "--out", str(tmp_path), "--n", "2"]
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    code = f"""
from tests.making import shallow
from vgg_tf import export
from vgg_tf.weights import container
container.Weights.width = 1 / 8  # as in the fixture `table`
with shallow({SHALLOW["shallow_bn"].kernels}):
    export.main({words})
import keras, os
assert (keras.config.backend(), os.environ['KERAS_BACKEND']) == ('tensorflow', 'jax')
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )  # seconds: imports
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "shallow_bn-savedmodel" / "saved_model.pb").exists()


def test_a_keras_on_another_engine_is_refused(file, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(
        ValueError, match="Files are written by TensorFlow, but Keras was imported on jax"
    ):
        export.main([str(file)])


def test_a_file_with_other_layers_does_not_count(file, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "read_contents", lambda path: (3, []))
    with pytest.raises(ValueError, match="has 3 layers with weights, 5 were written"):
        export.main([str(file), "--format", "onnx", "--out", str(tmp_path / "out"), "--n", "2"])
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "16x32"], "crops of 32 pixels: both sides are at least that. Received: 16x32"),
        (["--size", "big"], "--size is HxW"),
        (["--n", "0"], "--n is at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(file, words, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export.main([str(file), "--out", str(tmp_path / "out"), *words])
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_told_before(file, tmp_path, monkeypatch):
    monkeypatch.setattr(
        round_trip.shutil, "disk_usage", lambda path: type("usage", (), {"free": 1000})()
    )
    with pytest.raises(OSError, match="lies on a disk with 0 MB left"):
        export.main([str(file), "--out", str(tmp_path / "out")])


@pytest.mark.parametrize(
    ("kind", "package"),
    [("onnx", "onnx"), ("litert", "ai_edge_litert.interpreter"), ("coreml", "coremltools")],
)
def test_a_missing_package_is_told_with_what_to_install(file, kind, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=rf'pip install "vgg_tf\[{kind}\]"'):
        export.main([str(file), "--format", kind, "--out", str(tmp_path / "out"), "--n", "2"])
    assert os.listdir(tmp_path / "out") == []


def test_something_else_in_the_place_of_a_folder_is_not_touched(file, tmp_path):
    (tmp_path / "shallow_bn-savedmodel").mkdir()
    Path(tmp_path, "shallow_bn-savedmodel/mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is no SavedModel"):
        export.main([str(file), "--format", "savedmodel", "--out", str(tmp_path), "--n", "2"])
    assert Path(tmp_path, "shallow_bn-savedmodel/mine.txt").read_text() == "mine"
