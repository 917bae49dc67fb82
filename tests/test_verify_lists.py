"""Verification counts copies, which are no errors, and lists 20 errors; the rest is in a file."""

import shutil

import pytest

from tests.making import call, noise, save
from vgg_tf.data.opening import open_source
from vgg_tf.records.integrity import examine
from vgg_tf.writing.write import write

VERIFY = "tfrecords_tools.verify"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Shards of 30 training pictures, five of them twice, and 4 test pictures, two from train."""
    root = tmp_path_factory.mktemp("verify_lists")
    for i in range(30):
        save(root / "in" / "train" / "ab"[i % 2] / f"{i:02d}.png", noise(6, 9, i % 25))
    for i in range(4):
        seed = i if i < 2 else 100 + i
        save(root / "in" / "test" / "ab"[i % 2] / f"{i}.png", noise(6, 9, seed))
    save(root / "in" / "val" / "a" / "0.png", noise(6, 9, 200))
    write(open_source(str(root / "in")), root / "shards", shards=25, progress=False)
    return root / "shards"


def test_copies_are_counted_and_named_and_are_no_errors(made):
    result = call(VERIFY, made)
    assert result.returncode == 0, result.stderr
    first, second, last = result.stdout.splitlines()
    assert first == "copies: 7 images have the same bytes as another image"
    assert second.startswith("copies: 2 images have the same bytes as an image of another split: ")
    assert "test/a/0.png (test) as train/a/00.png (train)" in second
    assert last.endswith("no errors")


def test_shards_without_copies_have_no_line_about_them(tmp_path):
    for i in range(6):
        save(tmp_path / "in" / "ab"[i % 2] / f"{i}.png", noise(4, 4, i))
    write(open_source(str(tmp_path / "in")), tmp_path / "out", progress=False)
    findings, copies = examine(tmp_path / "out", progress=False)
    assert (findings, copies.describe()) == ([], [])
    assert "copies: " not in call(VERIFY, tmp_path / "out").stdout


@pytest.fixture
def damaged(made, tmp_path):
    """A copy of the shards in which the 25 shards of train are no shards."""
    folder = shutil.copytree(made, tmp_path / "damaged")
    for path in folder.glob("train-*"):
        path.write_bytes(b"nothing")
    return folder


@pytest.mark.parametrize("report", [None, "here.txt"])
def test_20_errors_are_listed_and_all_are_in_a_file(damaged, tmp_path, report):
    file = tmp_path / report if report else tmp_path / "damaged-errors.txt"
    result = call(VERIFY, damaged, *(["--report", file] if report else []))
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(str(damaged)))
    written = file.read_text().splitlines()
    assert lines[first : first + 20] == written[:20]
    n = len(written) - 20
    assert lines[first + 20] == f"and {n} more; all of them are in {file}"
    assert f"{len(written)} errors in " in lines[-1]
    assert n >= 5


def test_few_errors_are_written_into_a_file_only_if_asked_for(made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "few")
    next(folder.glob("validation-*")).unlink()
    asked = call(VERIFY, folder, "--report", tmp_path / "asked.txt")
    assert (tmp_path / "asked.txt").read_text().splitlines() == asked.stdout.splitlines()[2:-1]
    call(VERIFY, folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asked.txt", "few"]


def test_a_list_that_cannot_be_written_is_still_begun(damaged, monkeypatch):
    def refuse(path, data):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("vgg_tf.runtime.files.write_whole", refuse)
    result = call(VERIFY, damaged)
    assert result.returncode == 1
    assert "more (" in result.stdout
    assert "was not written: " in result.stdout
