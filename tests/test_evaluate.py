"""The program that tests, against images read, cut and predicted one by one; what it keeps, and what it refuses."""

import csv
import json
import shutil

import numpy as np
import PIL.Image
import pytest

from tfrecords_tools.write import write
from vgg_tf import build_vgg, decoding, evaluate, images, runs, sources, train, write_weights
from vgg_tf.evaluate import PresetName, ProtocolName
from vgg_tf.protocols import PROTOCOLS
from vgg_tf.tables import PRESETS
from vgg_tf.trained import open_trained


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of few steps on the digits."""
    folder = tmp_path_factory.mktemp("evaluate") / "run"
    words = ["--arch", "vgg11", "--data", "digits", "--strategy", "cpu", "--precision", "float32", "--smoke"]
    train.main([*words, "--out", str(folder)])
    return folder


@pytest.fixture
def copied(run, tmp_path, monkeypatch):
    """The run, for one test."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


def call(*words):
    evaluate.main([*map(str, words), "--strategy", "cpu"])


def report(folder):
    return json.loads((folder / "report.json").read_text())


def predictions(folder):
    with (folder / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def one_by_one(run):
    """Posteriors and labels of the digits' test images, each predicted by itself."""
    model, split = runs.read_run(str(run)).load_best(), sources.open_source("digits").splits["test"]
    rows = [model(images.center_view(decoding.decode(split.read(i)), 32, 32)[np.newaxis]).numpy()[0] for i in range(len(split))]
    return np.float64(rows), split.labels


def test_the_words_of_the_flags_are_the_protocols_and_the_tables():
    assert ProtocolName.__args__ == tuple(PROTOCOLS)
    assert PresetName.__args__ == ("none", *PRESETS)


def test_the_centre_crops_errors_are_those_of_images_predicted_one_by_one(copied, one_by_one, capsys):
    posteriors, labels = one_by_one
    call("run", "--batch-size", 7)
    found = report(copied / "tests" / "test-center-32")
    wrong = np.mean([np.argmax(row) != label for row, label in zip(posteriors, labels, strict=True)])
    assert found["top1_error"] == pytest.approx(100 * wrong)
    in_order = [np.argsort(-row, kind="stable")[:5] for row in posteriors]
    assert found["top5_error"] == pytest.approx(100 * np.mean([y not in row for row, y in zip(in_order, labels, strict=True)]))
    assert found["loss"] == pytest.approx(-np.log(posteriors[np.arange(360), labels]).mean(), rel=1e-5)
    assert found["n"] == len(predictions(copied / "tests" / "test-center-32")) == 360
    assert f"test top-1 error {100 * wrong:.2f} %" in capsys.readouterr().out


def test_a_network_with_itself_is_the_network(copied, tmp_path):
    shutil.copytree(copied, tmp_path / "again")
    call("run", "--protocol", "dense", "--scales", "36", "--out", "one")
    call("run", "again", "run", "--protocol", "dense", "--scales", "36", "--out", "three")
    one, three = report(tmp_path / "one"), report(tmp_path / "three")
    assert one.pop("networks") != three.pop("networks")
    for key in ("Q, scales in pixels", "images", "protocol", "top1_error", "top5_error", "confused", "n"):
        assert one[key] == three[key]
    assert one["loss"] == pytest.approx(three["loss"], rel=1e-12)


def test_what_is_known_is_not_computed_again_and_averages_as_section_3_2_says(copied, capsys):
    call("run", "--protocol", "dense", "--scales", "several")
    call("run", "--protocol", "multi-crop", "--scales", "several")
    assert capsys.readouterr().out.count("images/s") == 2
    call("run", "--protocol", "multi-crop+dense", "--scales", "several", "--out", "both")
    assert "images/s" not in capsys.readouterr().out
    kept = [np.load(path) for path in sorted((copied / "posteriors").glob("*.npz"))]
    assert sorted((str(file["views"]), int(file["scale"])) for file in kept) == [
        (kind, scale) for kind in ("dense", "multi-crop") for scale in (32, 34, 36)
    ]
    mean = np.mean([file["posteriors"] for file in kept], 0, dtype=np.float64)
    rows = predictions(copied.parent / "both")
    np.testing.assert_allclose([float(row["posterior"]) for row in rows], mean.max(1), rtol=1e-5)
    assert [row["file"] for row in rows] == kept[0]["names"].tolist()


def test_a_test_goes_on_from_what_was_saved(copied, capsys):
    call("run")
    (path,) = (copied / "posteriors").glob("*.npz")
    kept = dict(np.load(path))
    kept["done"][100:] = False  # as an interrupted one leaves it
    kept["posteriors"][100:] = np.nan
    kept["posteriors"][:100] = 0.1  # to be known by
    np.savez(path, **kept)
    before = report(copied / "tests" / "test-center-32")
    capsys.readouterr()
    call("run")
    assert "center at 32: 260 images" in capsys.readouterr().out
    rows = predictions(copied / "tests" / "test-center-32")
    assert {row["posterior"] for row in rows[:100]} == {"0.1"}
    assert report(copied / "tests" / "test-center-32")["loss"] != before["loss"]


def test_posteriors_of_other_weights_or_other_images_are_not_taken(copied, tmp_path, capsys):
    call("run")
    model = runs.read_run(str(copied)).load_best()
    model.get_layer("predictions").bias.assign(model.get_layer("predictions").bias + np.arange(10.0))
    model.save(copied / "model.keras")
    capsys.readouterr()
    call("run")
    assert "360 images" in capsys.readouterr().out
    assert {row["predicted"] for row in predictions(copied / "tests" / "test-center-32")} == {"9"}
    call("run", "--split", "validation")
    assert "center at 32" in capsys.readouterr().out


def test_shards_and_folders_give_the_errors_of_the_digits(copied, tmp_path):
    call("run", "--out", "expected")
    write(sources.open_source("digits"), tmp_path / "shards", progress=False)
    call("run", "--data", "shards", "--out", "shards-report")
    split = sources.open_source("digits").splits["test"]
    for part in ("train", "test"):
        for name, label, content in zip(split.names, split.labels, split.contents, strict=True):
            path = tmp_path / "folders" / part / str(label) / name.replace("/", "-")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    call("run", "--data", "folders", "--out", "folders-report")
    expected = report(tmp_path / "expected")
    for name in ("shards-report", "folders-report"):
        found = report(tmp_path / name)
        assert found["n"] == 360
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-6), name
        assert found["top1_error"] == pytest.approx(expected["top1_error"]), name


def test_a_table_of_the_paper_is_printed_with_its_numbers(copied, tmp_path, capsys):
    call("run", "run", "--preset", "paper-table6")
    text = capsys.readouterr().out
    (table,) = tmp_path.glob("evaluations/**/table.md")
    assert table.read_text() in text
    rows = [line for line in table.read_text().splitlines() if "run" in line]
    assert [row.split(" | ")[3] for row in rows] == ["dense", "multi-crop", "multi-crop+dense"]
    assert all("32, 34, 36" in row for row in rows)


def test_bad_images_are_named_all_others_are_kept_and_only_they_are_read_again(copied, tmp_path, capsys):
    split = sources.open_source("digits").splits["test"]
    for i, (label, content) in enumerate(zip(split.labels, split.contents, strict=True)):
        path = tmp_path / "data" / str(label) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content[:50] if i in (3, 200) else content)
    words = ("run", "--data", "data", "--split", "train")
    with pytest.raises(ValueError, match=r"2 images cannot be tested.*\n.*(3|200)\.png") as error:
        call(*words)
    assert str(error.value).count(".png") == 2
    for i in (3, 200):
        (tmp_path / "data" / str(split.labels[i]) / f"{i}.png").write_bytes(split.contents[i])
    capsys.readouterr()
    call(*words)
    assert "center at 32: 2 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "No network. Give a run folder"),
        (("nowhere",), "nowhere"),
        (("run", "--scales", "31"), r"at least the crop's 32 pixels. Received: \(31,\)"),
        (("run", "--scales", "big"), "numbers of pixels such as 256,384,512"),
        (("run", "--split", "tset"), "no split 'tset'. It has train, test, validation"),
        (("run", "--preset", "paper-table6"), "Give two runs or more"),
        (
            ("run", "--data", "folders", "--split", "train"),
            r"knows 10 classes \(0, 1, 2, ...\), folders has 2 classes \(a, b\)",
        ),
        (("w.safetensors",), "does not tell what it was trained on. Give --data"),
        (("headless.safetensors", "--data", "digits"), "has no fc1, fc2, predictions, and so no posteriors"),
        (("nan.safetensors", "--data", "digits"), r"nan.safetensors has weights that are not numbers \(NaN or infinite\)"),
        (("unready",), "has no model.keras yet: its first epoch is not done"),
    ],
)
def test_what_cannot_be_tested_is_refused_in_words(copied, tmp_path, words, message):
    for name in "ab":
        shutil.copytree(tmp_path / "run", tmp_path / "unready", dirs_exist_ok=True)
        (tmp_path / "folders" / name).mkdir(parents=True)
        (tmp_path / "folders" / name / "x.png").write_bytes(sources.open_source("digits").splits["test"].contents[0])
    (tmp_path / "unready" / "model.keras").unlink()
    model = runs.read_run(str(copied)).load_best()
    write_weights(model, tmp_path / "w.safetensors")
    if "nan.safetensors" in words:
        from safetensors.numpy import load_file, save_file

        arrays = load_file(tmp_path / "w.safetensors")
        save_file({key: value * np.nan for key, value in arrays.items()}, tmp_path / "nan.safetensors")
    if "headless.safetensors" in words:
        from vgg_tf import build_vgg

        write_weights(build_vgg("vgg11", include_top=False, input_shape=(32, 32, 3)), tmp_path / "headless.safetensors")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        call(*words)


def test_weights_without_a_run_are_tested_as_the_run_on_pictures_of_32_pixels_and_no_smaller_ones(copied, tmp_path):
    write_weights(runs.read_run(str(copied)).load_best(), tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"360 images cannot be tested.*\n.*has a side of 8 pixels, less than 32"):
        call("w.safetensors", "--data", "digits", "--scales", "32")
    random = np.random.default_rng(0)
    for i in range(20):
        path = tmp_path / "data" / str(i % 10) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(random.integers(0, 256, (40, 32, 3), np.uint8)).save(path)
    for name in ("run", "w.safetensors"):
        words = ("--data", "data", "--split", "train", "--scales", "33", "--protocol", "dense", "--precision", "float32")
        call(name, *words, "--out", f"of-{name}")
    found, expected = (predictions(tmp_path / f"of-{name}") for name in ("w.safetensors", "run"))
    assert [row["predicted"] for row in found] == [row["predicted"] for row in expected]
    values = [[float(row["posterior_of_class"]) for row in rows] for rows in (found, expected)]
    np.testing.assert_allclose(*values, rtol=1e-5)


def test_pictures_of_the_same_names_and_labels_but_other_content_are_tested_anew(copied, tmp_path, capsys):
    split = sources.open_source("digits").splits["test"]
    for folder, step in (("data", 1), ("other", -1)):
        for i in range(20):
            path = tmp_path / folder / str(i % 10) / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(split.contents[::step][i])
    found = {}
    for folder in ("data", "other"):
        shutil.copytree(copied, tmp_path / f"run-{folder}")
        call(f"run-{folder}", "--data", folder, "--split", "train")
        call("run", "--data", folder, "--split", "train")
        reports = [next(tmp_path.glob(f"{name}/tests/*{folder}*/report.json")) for name in (f"run-{folder}", "run")]
        found[folder], again = ({**json.loads(path.read_text()), "networks": ""} for path in reports)
        assert again == found[folder]
    assert found["data"] != found["other"]
    assert capsys.readouterr().out.count(": 10 images,") == 4  # half of 20, the others being held out


def test_a_run_that_held_nothing_out_trains_on_all_keeps_the_last_network_and_has_no_validation(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train.main(["--arch", "vgg11", "--strategy", "cpu", "--smoke", "--hold-out", "0", "--out", "all"])
    said = capsys.readouterr().out
    assert "1,437 train, 360 test images" in said
    assert "no validation: the last network is kept" in said
    assert json.loads((tmp_path / "all" / "report.json").read_text())["best_epoch"] == 2
    with pytest.raises(ValueError, match=r"digits has no split 'validation'\. It has train, test"):
        call("all", "--split", "validation")
    with pytest.raises(ValueError, match="--hold-out 0 leaves nothing to see a plateau on"):
        train.main(["--arch", "vgg11", "--smoke", "--hold-out", "0", "--schedule", "plateau", "--out", "plateau"])


def test_a_torn_file_of_posteriors_is_named(copied):
    call("run")
    (path,) = (copied / "posteriors").glob("*.npz")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"posteriors/test-.*npz cannot be read .*Delete it: it will be computed anew"):
        call("run")
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"posteriors/test-.*npz cannot be read"):
        call("run")


def test_the_result_of_a_training_is_not_written_over(copied):
    before = (copied / "report.json").read_bytes()
    with pytest.raises(ValueError, match="run holds a run, whose report would be written over"):
        call("run", "--out", "run")
    assert (copied / "report.json").read_bytes() == before


def test_other_images_and_other_networks_of_the_same_names_have_a_report_of_their_own(copied, tmp_path):
    split = sources.open_source("digits").splits["test"]
    for i in range(40):
        path = tmp_path / "ab"[i % 2] / "data" / str(i // 2 % 10) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(split.contents[i])
    for place in "ab":
        shutil.copytree(copied, tmp_path / place / "run")
    model = runs.read_run("b/run").load_best()
    model.get_layer("predictions").bias.assign(model.get_layer("predictions").bias + np.arange(10.0))
    model.save("b/run/model.keras")
    for place in "ab":
        call("run", "--data", f"{place}/data", "--split", "train")
        call(f"{place}/run", "run")
    assert len(list((copied / "tests").glob("train-of-data-*/report.json"))) == 2
    assert len(list(tmp_path.glob("evaluations/run+run-*/*/report.json"))) == 2


def test_weights_that_do_not_tell_their_mean_are_tested_with_imagenets_and_that_is_said(copied, capsys):
    runs.read_run("run").load_best().save_weights("bare.weights.h5")
    open_trained("bare.weights.h5")
    assert "bare.weights.h5: the mean of its input is not told" in capsys.readouterr().err


def test_scales_are_taken_once_and_a_trunk_is_asked_at_the_papers(copied, tmp_path):
    network = open_trained("run")
    assert network.scales("40,48,40") == (40, 48)
    model = build_vgg("vgg11", include_top=False, input_shape=(None, None, 3), width=1 / 16)
    write_weights(model, tmp_path / "trunk.safetensors")
    assert open_trained("trunk.safetensors", headless=True).scales("several") == (224, 256, 288)
