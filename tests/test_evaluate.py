"""The program that tests, against images read, cut and predicted one by one; what it keeps, and
what it refuses.
"""

import csv
import functools
import json
import re
import shutil

import numpy as np
import pytest

from tests import making
from tests.making import noise, save, shallow
from vgg_tf import build_vgg, evaluate, train, write_weights
from vgg_tf.data import opening
from vgg_tf.data.writing import write
from vgg_tf.evaluate import PresetName
from vgg_tf.evaluation.checkpoint import open_checkpoint
from vgg_tf.images import decoding, rescaling
from vgg_tf.paper import protocols
from vgg_tf.paper.protocols import PROTOCOLS, ProtocolName
from vgg_tf.paper.results import PRESETS
from vgg_tf.records.collection import RECIPE_FILE
from vgg_tf.runs import run_folder

FEW = (
    "--data",
    "few",
    "--protocol",
    "dense",
    "--scales",
    "36",
)  # which the fixture `several` has seen


def call(*words):
    evaluate.main([*map(str, words), "--strategy", "cpu"])


def report(folder):
    return json.loads((folder / "report.json").read_text())


def predictions(folder):
    with (folder / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


@functools.cache
def digits():
    """The digits' test split. To encode all of them takes a third of a second."""
    return opening.open_source("digits").splits["test"]


def put(folder, numbers, name="{}.png"):
    """Write images of the digits' test split as class folders."""
    split = digits()
    for i in numbers:
        path = folder / str(split.labels[i]) / name.format(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(split.contents[i])


def put_few(folder):
    """Write 21 images to test, and to train one of each class, which alone would tell the
    classes.
    """
    labels = digits().labels
    put(folder / "train", [int(np.flatnonzero(labels == label)[-1]) for label in range(10)])
    put(folder / "test", range(21))
    return folder


def sketch(patch):
    """Let reports be written without the figures, which take two seconds, by networks that are not
    compiled, of few crops.
    """
    making.uncompile(patch)
    patch.setattr(protocols, "GRID", 2)
    making.undrawn(patch)


@pytest.fixture(autouse=True, scope="module")
def of_one_convolution():
    """The table has `shallow`, of one convolution a stage, as files of weights are known by all
    stages.
    """
    with shallow(((3,),) * 5):
        yield


@pytest.fixture(scope="module")
def quick_run(digits_run, once):
    """The run on the digits as if it had trained a network of few convolutions, which is random."""

    def make(folder):
        run = folder / "run"
        shutil.copytree(digits_run, run)
        asked = json.loads((run / RECIPE_FILE).read_text())
        assert asked["arch"] == "vgg11"
        (run / RECIPE_FILE).write_text(json.dumps(asked | {"arch": "shallow"}))
        words = {
            "input_shape": (32, 32, 3),
            "classes": 10,
            "width": 1 / 16,
            "head_width": 16,
            "std": (60, 60, 60),
            "seed": 0,
        }
        build_vgg("shallow", **words).save(run / "model.keras")

    return once("quick_run", make) / "run"


@pytest.fixture
def copied(quick_run, tmp_path, monkeypatch):
    """A copy of `quick_run` for one test, as `run` in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(quick_run, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="module")
def tested(quick_run, once):
    """`run`, a run whose digits were tested by their centre crops, and what that printed, `said`.

    A compiled network, with a second shape for the last batch, which is not full, and the figures
    of a report.
    """

    def make(folder):
        shutil.copytree(quick_run, folder / "run")
        result = making.call(
            "vgg_tf.evaluate", folder / "run", "--batch-size", 7, "--strategy", "cpu"
        )
        assert result.returncode == 0, result.stderr
        (folder / "said").write_text(result.stdout)

    return once("tested", make)


@pytest.fixture(scope="module")
def several(quick_run, once):
    """`run`, a run that saw the few pictures of `few` dense and in many crops, at three scales;
    what was printed, `said`.

    2 s: 6 units, each of which is a graph of its own in the pipeline.
    """

    def make(folder):
        shutil.copytree(quick_run, folder / "run")
        words = (
            folder / "run",
            "--data",
            put_few(folder / "few"),
            "--scales",
            "several",
            "--strategy",
            "cpu",
        )
        with pytest.MonkeyPatch.context() as patch:
            sketch(patch)
            results = [
                making.call("vgg_tf.evaluate", *words, "--protocol", name)
                for name in ("dense", "multi-crop")
            ]
        assert [result.returncode for result in results] == [0, 0], results
        (folder / "said").write_text("".join(result.stdout for result in results))

    return once("several", make)


@pytest.fixture
def seen(several, tmp_path, monkeypatch):
    """A copy of `several` for one test, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("run", "few"):
        shutil.copytree(several / name, tmp_path / name)
    return tmp_path / "run"


@pytest.fixture
def sketched(monkeypatch):
    sketch(monkeypatch)


def test_the_words_of_the_flags_are_the_protocols_and_the_tables():
    assert ProtocolName.__args__ == tuple(PROTOCOLS)
    assert PresetName.__args__ == ("none", *PRESETS)


def test_the_centre_crops_errors_are_those_of_images_predicted_one_by_one(tested):
    split, run = digits(), tested / "run"
    (path,) = (run / "posteriors").glob("*.npz")
    posteriors, labels = np.float64(np.load(path)["posteriors"]), split.labels
    model = run_folder.read_run(str(run)).load_best()
    for i in (*range(0, 360, 24), 357, 358, 359):  # from all batches, and the last one
        view = rescaling.center_view(decoding.decode(split.read(i)), 32, 32)
        np.testing.assert_allclose(posteriors[i], model(view[np.newaxis]).numpy()[0], atol=1e-6)
    found = report(run / "tests" / "test-center-32")
    wrong = np.mean(
        [np.argmax(row) != label for row, label in zip(posteriors, labels, strict=True)]
    )
    assert found["top1_error"] == pytest.approx(100 * wrong)
    in_order = [np.argsort(-row, kind="stable")[:5] for row in posteriors]
    assert found["top5_error"] == pytest.approx(
        100 * np.mean([y not in row for row, y in zip(in_order, labels, strict=True)])
    )
    assert found["loss"] == pytest.approx(
        -np.log(posteriors[np.arange(360), labels]).mean(), rel=1e-5
    )
    assert found["n"] == len(predictions(run / "tests" / "test-center-32")) == 360
    assert f"test top-1 error {100 * wrong:.2f} %" in (tested / "said").read_text()
    page = (run / "tests" / "test-center-32" / "report.html").read_text()
    assert page.count("data:image/png") == 5


def test_a_network_with_itself_is_the_network(seen, tmp_path, sketched):
    shutil.copytree(seen, tmp_path / "again")
    call("run", *FEW, "--out", "one")
    call("run", "again", "run", *FEW, "--out", "three")
    one, three = report(tmp_path / "one"), report(tmp_path / "three")
    assert one.pop("networks") != three.pop("networks")
    for key in (
        "Q, scales in pixels",
        "images",
        "protocol",
        "top1_error",
        "top5_error",
        "confused",
        "n",
    ):
        assert one[key] == three[key]
    assert one["loss"] == pytest.approx(three["loss"], rel=1e-12)


def test_what_is_known_is_not_computed_again_and_averages_as_section_3_2_says(
    several, seen, sketched, capsys
):
    assert (several / "said").read_text().count("images/s") == 2
    call(
        "run",
        "--data",
        "few",
        "--protocol",
        "multi-crop+dense",
        "--scales",
        "several",
        "--out",
        "both",
    )
    assert "images/s" not in capsys.readouterr().out
    kept = [np.load(path) for path in sorted((seen / "posteriors").glob("*.npz"))]
    assert sorted((str(file["views"]), int(file["scale"])) for file in kept) == [
        (kind, scale) for kind in ("dense", "multi-crop") for scale in (32, 34, 36)
    ]
    mean = np.mean([file["posteriors"] for file in kept], 0, dtype=np.float64)
    rows = predictions(seen.parent / "both")
    np.testing.assert_allclose([float(row["posterior"]) for row in rows], mean.max(1), rtol=1e-5)
    assert [row["file"] for row in rows] == kept[0]["names"].tolist()


def test_a_table_of_the_paper_is_printed_with_its_numbers(seen, tmp_path, capsys):
    call("run", "run", "--data", "few", "--preset", "paper-table6")
    text = capsys.readouterr().out
    (table,) = tmp_path.glob("evaluations/**/table.md")
    assert table.read_text() in text
    rows = [line for line in table.read_text().splitlines() if "run" in line]
    assert [row.split(" | ")[3] for row in rows] == ["dense", "multi-crop", "multi-crop+dense"]
    assert all("32, 34, 36" in row for row in rows)


def test_a_test_goes_on_from_what_was_saved(seen, sketched, capsys):
    call("run", *FEW)
    (folder,) = seen.glob("tests/test-of-few-*-dense-36")
    (path,) = (seen / "posteriors").glob("*-dense-36.npz")
    kept = dict(np.load(path))
    kept["done"][10:] = False  # as an interrupted one leaves it
    kept["posteriors"][10:] = np.nan
    kept["posteriors"][:10] = 0.1  # to be known by
    np.savez(path, **kept)
    before = report(folder)
    call("run", *FEW)
    assert "dense at 36: 11 images" in capsys.readouterr().out
    assert {row["posterior"] for row in predictions(folder)[:10]} == {"0.1"}
    assert report(folder)["loss"] != before["loss"]


def test_other_weights_and_other_images_of_the_same_names_have_posteriors_and_reports_of_their_own(
    seen, tmp_path, sketched, capsys
):
    # 2 s: other weights, and other images.
    shutil.copytree(seen, tmp_path / "b" / "run")
    model = run_folder.read_run("b/run").load_best()
    model.get_layer("predictions").bias.assign(
        model.get_layer("predictions").bias + 30 * np.arange(10.0)
    )
    model.save("b/run/model.keras")
    call("b/run", *FEW)
    assert "dense at 36: 21 images" in capsys.readouterr().out
    (folder,) = tmp_path.glob("b/run/tests/test-of-few-*-dense-36")
    assert {row["predicted"] for row in predictions(folder)} == {"9"}
    put_few(tmp_path / "b" / "few")
    put(tmp_path / "b" / "few" / "test", [21])
    for data in ("few", "b/few"):
        call("run", *FEW, "--data", data)
    for run in ("run", "b/run"):
        call(run, "run", *FEW)
    assert re.findall("dense at 36: (.*) images,", capsys.readouterr().out) == ["22"]
    assert len(list(seen.glob("tests/test-of-few-*-dense-36/report.json"))) == 2
    assert len(list(tmp_path.glob("evaluations/run+run-*/*/report.json"))) == 2


def test_pictures_of_the_same_names_and_labels_but_other_content_are_tested_anew(
    seen, tmp_path, sketched, capsys
):
    # 2 s: other pictures, by a run that saw those of the same names before and by one that did not.
    shutil.copytree(seen, tmp_path / "fresh")
    shutil.rmtree(tmp_path / "fresh" / "posteriors")
    call("run", *FEW, "--out", "before")
    paths = sorted(tmp_path.glob("few/test/*/*.png"))
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, reversed(contents), strict=True):
        path.write_bytes(content)
    for run in ("run", "fresh"):
        call(run, *FEW, "--out", f"of-{run}")
    before, again, fresh = (
        report(tmp_path / name) | {"networks": ""} for name in ("before", "of-run", "of-fresh")
    )
    assert again == fresh
    assert again != before
    assert re.findall("dense at 36: (.*) images,", capsys.readouterr().out) == [
        "20",
        "21",
    ]  # the one in the middle stays


def test_shards_and_folders_give_the_errors_of_the_digits(tested, copied, tmp_path, sketched):
    # 2 s: a network for each.
    put_few(tmp_path / "folders")
    write(opening.open_source(str(tmp_path / "folders")), tmp_path / "shards", progress=False)
    (path,) = (tested / "run" / "posteriors").glob("*.npz")
    posteriors, labels = np.load(path)["posteriors"][:21], digits().labels[:21]
    for name in ("folders", "shards"):
        call("run", "--data", name, "--out", f"of-{name}")
        found = report(tmp_path / f"of-{name}")
        assert found["n"] == 21
        assert found["loss"] == pytest.approx(
            -np.log(posteriors[range(21), labels]).mean(), rel=1e-5
        ), name
        assert found["top1_error"] == pytest.approx(
            100 * np.mean(posteriors.argmax(1) != labels)
        ), name
        shutil.rmtree(copied / "posteriors")


def test_bad_images_are_named_all_others_are_kept_and_only_they_are_read_again(
    copied, tmp_path, sketched, capsys
):
    # 2 s: two tests of a network.
    put_few(tmp_path / "data")
    bad = sorted(tmp_path.glob("data/train/*/*.png"))[3:5]
    whole = [path.read_bytes() for path in bad]
    for path in bad:
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match="2 images cannot be tested") as error:
        call("run", "--data", "data", "--split", "train")
    assert str(error.value).count(".png") == 2
    assert all(path.name in str(error.value) for path in bad)
    for path, content in zip(bad, whole, strict=True):
        path.write_bytes(content)
    capsys.readouterr()
    call("run", "--data", "data", "--split", "train")
    assert "center at 32: 2 images" in capsys.readouterr().out


@pytest.fixture(scope="module")
def odd(quick_run, tmp_path_factory):
    """Networks and pictures that cannot be tested, beside a run that can."""
    from safetensors.numpy import load_file, save_file

    folder = tmp_path_factory.mktemp("odd")
    for name in ("run", "unready"):
        shutil.copytree(quick_run, folder / name)
    (folder / "unready" / "model.keras").unlink()
    for name in "ab":
        save(folder / "folders" / name / "x.png", noise(8, 8))
    model = run_folder.read_run(str(quick_run)).load_best()
    write_weights(model, folder / "w.safetensors")
    arrays = load_file(folder / "w.safetensors")
    save_file({key: value * np.nan for key, value in arrays.items()}, folder / "nan.safetensors")
    trunk = build_vgg("shallow", include_top=False, input_shape=(32, 32, 3), width=1 / 16)
    write_weights(trunk, folder / "headless.safetensors")
    return folder


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
        (
            ("headless.safetensors", "--data", "digits"),
            "has no fc1, fc2, predictions, and so no posteriors",
        ),
        (
            ("nan.safetensors", "--data", "digits"),
            r"nan.safetensors has weights that are not numbers \(NaN or infinite\)",
        ),
        (("unready",), "has no model.keras yet: its first epoch is not done"),
    ],
)
def test_what_cannot_be_tested_is_refused_in_words(odd, monkeypatch, words, message):
    monkeypatch.chdir(odd)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        call(*words)


def test_weights_without_a_run_are_tested_as_the_run_on_pictures_of_32_pixels_and_no_smaller_ones(
    copied, tmp_path, sketched
):
    # 3 s: three networks.
    write_weights(run_folder.read_run(str(copied)).load_best(), tmp_path / "w.safetensors")
    put_few(tmp_path / "few")
    with pytest.raises(
        ValueError, match=r"21 images cannot be tested.*\n.*has a side of 8 pixels, less than 32"
    ) as error:
        call("w.safetensors", "--data", "few", "--scales", "32")
    assert str(error.value).endswith("and 1 more")
    for i in range(20):
        save(tmp_path / "data" / str(i % 10) / f"{i}.png", noise(40, 32, i))
    for name in ("run", "w.safetensors"):
        words = (
            "--data",
            "data",
            "--split",
            "validation",
            "--scales",
            "33",
            "--protocol",
            "dense",
            "--precision",
            "float32",
        )
        call(name, *words, "--out", f"of-{name}")
    found, expected = (predictions(tmp_path / f"of-{name}") for name in ("w.safetensors", "run"))
    assert len(found) == 10  # one of the two of each class is held out
    assert [row["predicted"] for row in found] == [row["predicted"] for row in expected]
    values = [[float(row["posterior_of_class"]) for row in rows] for rows in (found, expected)]
    np.testing.assert_allclose(*values, rtol=1e-5)


def test_a_run_that_held_nothing_out_trains_on_all_keeps_the_last_network_and_has_no_validation(
    all_trained, pictures_folder, tmp_path, monkeypatch
):
    said = (all_trained / "said").read_text()
    assert "285 train, 72 test images of 2 classes" in said
    assert "no validation: the last network is kept" in said
    assert json.loads((all_trained / "run" / "report.json").read_text())["best_epoch"] == 2
    with pytest.raises(ValueError, match=r"digits has no split 'validation'\. It has train, test"):
        call(all_trained / "run", "--split", "validation")
    monkeypatch.chdir(tmp_path)
    words = [
        "--arch",
        "vgg11",
        "--data",
        str(pictures_folder),
        "--smoke",
        "--hold-out",
        "0",
        "--schedule",
        "plateau",
    ]
    with pytest.raises(ValueError, match="--hold-out 0 leaves nothing to see a plateau on"):
        train.main([*words, "--out", "plateau"])


def test_a_torn_file_of_posteriors_is_named(seen):
    (path,) = (seen / "posteriors").glob("*-dense-36.npz")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        ValueError,
        match=r"posteriors/test-.*npz cannot be read .*Delete it: it will be computed anew",
    ):
        call("run", *FEW)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"posteriors/test-.*npz cannot be read"):
        call("run", *FEW)


def test_the_result_of_a_training_is_not_written_over(copied):
    before = (copied / "report.json").read_bytes()
    with pytest.raises(ValueError, match="run holds a run, whose report would be written over"):
        call("run", "--out", "run")
    assert (copied / "report.json").read_bytes() == before


def test_weights_that_do_not_tell_their_mean_are_tested_with_imagenets_and_that_is_said(
    copied, capsys
):
    run_folder.read_run("run").load_best().save_weights("bare.weights.h5")
    open_checkpoint("bare.weights.h5")
    assert "bare.weights.h5: the mean of its input is not told" in capsys.readouterr().err


def test_scales_are_taken_once_and_a_trunk_is_asked_at_the_papers(copied, tmp_path):
    network = open_checkpoint("run")
    assert network.scales("40,48,40") == (40, 48)
    model = build_vgg("shallow", include_top=False, input_shape=(None, None, 3), width=1 / 16)
    write_weights(model, tmp_path / "trunk.safetensors")
    assert open_checkpoint("trunk.safetensors", headless=True).scales("several") == (224, 256, 288)
