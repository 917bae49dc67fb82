"""`--skip-bad` leaves out what cannot be read, with a note, in every program."""

import re

import pytest

from tests.data.making_pictures import fill
from tests.making import call, pictures, undrawn
from vgg_tf.data.opening import open_source, open_tested
from vgg_tf.data.selection import Selection
from vgg_tf.writing.write import write


@pytest.fixture
def damaged(tmp_path):
    """Return class folders with two training pictures and a test picture that cannot be read."""
    fill(tmp_path / "d", train__ant=12, train__bee=12, test__ant=4, test__bee=4)
    for name in ("train/ant/000.png", "train/bee/003.png", "test/bee/001.png"):
        path = tmp_path / "d" / name
        path.write_bytes(path.read_bytes()[:40])
    return str(tmp_path / "d")


def test_unreadable_pictures_are_left_out_counted_and_named(damaged):
    source = open_source(damaged, Selection(skip_bad=True, hold_out=0.0))
    assert source.count_per_class() == {"train": [11, 11], "test": [4, 3]}
    (note,) = (note for note in source.notes if "cannot be read" in note)
    assert note.startswith("3 images left out that cannot be read: ")
    for name in ("train/ant/000.png", "train/bee/003.png", "test/bee/001.png"):
        assert name in note


def test_a_class_without_a_readable_training_picture_is_named(tmp_path):
    fill(tmp_path / "d", train__ant=3, train__bee=3, train__fox=2, test__fox=1, test__ant=1)
    for path in (tmp_path / "d" / "train" / "fox").iterdir():
        path.write_bytes(b"\x89PNG")
    note = "fox has no readable training image"
    path = str(tmp_path / "d")
    source = open_source(path, Selection(skip_bad=True, hold_out=0.0))
    assert source.classes == ("ant", "bee", "fox")
    assert note in source.notes
    whole = open_source(path, Selection(hold_out=0.0))
    assert note not in whole.notes
    assert note in write(whole, tmp_path / "out", skip_bad=True, progress=False).notes


def test_a_whole_source_stays_as_it_is(tmp_path):
    fill(tmp_path, ant=3, bee=3)
    plain, skipped = (open_source(str(tmp_path), Selection(skip_bad=bad)) for bad in (False, True))
    assert plain.fingerprint() == skipped.fingerprint()
    assert plain.notes == skipped.notes


def test_tests_of_networks_skip_too(damaged):
    source = open_tested("test", [Selection()], "elsewhere", damaged, skip_bad=True)
    assert source.count_per_class()["test"] == [4, 3]


def test_a_source_without_a_readable_training_picture_is_refused(tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match="must have a readable training image"):
        open_source(str(tmp_path), Selection(skip_bad=True))


@pytest.mark.slow
def test_a_damaged_folder_trains_and_is_tested_with_the_flag(tmp_path, monkeypatch):
    # Slow: trains a network.
    undrawn(monkeypatch)
    damaged = tmp_path / "d"
    for split in ("train", "test"):
        pictures(damaged / split)
    for name in ("train/class0/0.png", "train/class1/3.png", "test/class2/1.png"):
        path = damaged / name
        path.write_bytes(path.read_bytes()[:40])
    words = ["--arch", "vgg11", "--data", damaged, "--strategy", "cpu", "--smoke"]
    words += ["--precision", "float32", "--size", "32", "--scale", "32"]
    without = call("vgg_tf.train", *words, "--out", tmp_path / "a")
    assert without.returncode == 1
    assert "--skip-bad" in without.stderr
    result = call("vgg_tf.train", *words, "--skip-bad", "--out", tmp_path / "b")
    assert result.returncode == 0, result.stderr
    assert re.search("3 images left out that cannot be read", result.stdout)
    again = call("vgg_tf.evaluate", tmp_path / "b", "--split", "test", "--out", tmp_path / "c")
    assert again.returncode == 0, again.stderr
    assert "n=23" in again.stdout
