"""What was changed in place is named, and nothing else; files are read only when it is needed."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from vgg_tf.records import contents
from vgg_tf.records.contents import CONTENTS_FILE, Contents
from vgg_tf.records.framing import Record
from vgg_tf.records.splits import Source, Split


@pytest.fixture
def source(tmp_path):
    """Three pictures with annotations, and one in memory with a list of boxes."""
    paths, annotations = [], []
    for i in range(3):
        paths.append(str(tmp_path / f"{i}.png"))
        annotations.append(str(tmp_path / f"{i}.xml"))
        (tmp_path / f"{i}.png").write_bytes(b"picture %d" % i)
        (tmp_path / f"{i}.xml").write_bytes(b"boxes %d" % i)
    train = Split(["0.png", "1.png", "2.png"], np.array([0, 1, 0]), paths, annotations)
    test = Split(["9.png"], np.array([1]), [b"picture 9"], [[("a", 1.0, 2.0, 3.0, 4.0)]])
    return Source("here", ("a", "b"), {"train": train, "test": test})


@pytest.fixture
def noted(source, tmp_path):
    """The contents of `source`, written and read."""
    made = Contents.look_at(source)
    made.hash_all(source)
    (tmp_path / "notes").mkdir()
    made.write(str(tmp_path / "notes"))
    return Contents.read(str(tmp_path / "notes"))


def put(path, data, seconds=5):
    """Write a file whose modification time is later by some seconds."""
    before = os.stat(path).st_mtime_ns
    path.write_bytes(data)
    os.utime(path, ns=(before, before + seconds * 10**9))


def exchange(one, other):
    """Exchange two files, which keep their times of modification."""
    other.rename(between := one.with_suffix(".tmp"))
    one.rename(other)
    between.rename(one)


def copy_with_time(path):
    """Replace a file by its copy, as `cp -p` and rsync do."""
    shutil.copy2(path, copy := path.with_suffix(".copy"))
    copy.rename(path)


CHANGES = {
    "nothing": (lambda root: None, []),
    "the time alone": (lambda root: put(root / "1.png", b"picture 1"), []),
    "the time of a copy that is older": (lambda root: put(root / "1.png", b"picture 1", -9), []),
    "a picture of the same size": (lambda root: put(root / "1.png", b"picture 7"), ["1.png"]),
    "a picture of another size": (lambda root: put(root / "1.png", b"other", 0), ["1.png"]),
    "an annotation": (lambda root: put(root / "2.xml", b"boxes 7"), ["2.xml"]),
    "a picture and its annotation": (
        lambda root: [put(root / f"0.{kind}", b"new") for kind in ("png", "xml")],
        ["0.png", "0.xml"],
    ),
    "pictures that were exchanged, with their times": (
        lambda root: exchange(root / "0.png", root / "1.png"),
        ["0.png", "1.png"],
    ),
    "a picture of the same size and time": (
        lambda root: put(root / "1.png", b"picture 7", 0),
        ["1.png"],
    ),
    "a copy with the same time": (lambda root: copy_with_time(root / "1.png"), []),
    "a picture that is gone": (lambda root: (root / "0.png").unlink(), ["0.png"]),
}


@pytest.mark.parametrize("case", CHANGES)
def test_only_files_with_other_bytes_have_changed(source, noted, tmp_path, case):
    change, names = CHANGES[case]
    change(tmp_path)
    assert [os.path.basename(found.name) for found in noted.list_changes(source)] == names


@pytest.fixture
def earlier(source, noted):
    """The contents as earlier versions noted them: with the times of the last modification."""
    for key, table in noted.tables.items():
        images = source.splits[key.split()[0]]
        paths = images.contents if key.endswith("pictures") else images.boxes
        for row, path in zip(table, paths, strict=True):
            if isinstance(path, str):
                os.utime(path, ns=(5, 7))
                row[contents.TIME] = 7
    return noted


def test_notes_of_earlier_versions_are_accepted(source, earlier, tmp_path):
    assert earlier.list_changes(source) == []
    put(tmp_path / "1.png", b"picture 7", 0)
    assert [change.name for change in earlier.list_changes(source)] == ["1.png"]


def test_a_change_shows_though_the_time_of_modification_is_in_the_future(source, tmp_path):
    os.utime(tmp_path / "0.png", ns=(4 * 10**18, 4 * 10**18))
    made = Contents.look_at(source)
    made.hash_all(source)
    assert made.list_changes(source) == []
    put(tmp_path / "0.png", b"picture 4", 0)
    assert [change.name for change in made.list_changes(source)] == ["0.png"]


def test_files_with_the_same_size_and_time_are_not_read(source, noted, monkeypatch):
    in_files = replace(source, splits={"train": source.splits["train"]})
    monkeypatch.setattr(contents.files, "read", None)
    assert noted.list_changes(in_files) == []


@pytest.mark.parametrize(
    ("part", "value"), [("contents", [b"picture 8"]), ("boxes", [[("a", 1.0, 2.0, 3.0, 5.0)]])]
)
def test_pictures_and_boxes_in_memory_are_compared(source, noted, part, value):
    test = replace(source.splits["test"], **{part: value})
    changes = noted.list_changes(replace(source, splits={**source.splits, "test": test}))
    assert changes == [("test", 0, "9.png")]


def test_annotations_that_were_added_or_removed_are_changes(source, noted):
    bare = replace(source.splits["train"], boxes=None)
    without = replace(source, splits={**source.splits, "train": bare})
    assert [change.row for change in noted.list_changes(without)] == [0, 1, 2]
    now = Contents.look_at(without)
    now.hash_all(without)
    assert now.list_changes(without) == []
    assert [change.row for change in now.list_changes(source)] == [0, 1, 2]


def test_what_changes_before_it_is_hashed_is_found_later(source, tmp_path):
    made = Contents.look_at(source)
    put(tmp_path / "0.png", b"picture 5")
    made.hash_all(source)
    assert [change.name for change in made.list_changes(source)] == ["0.png"]


def test_without_times_only_sizes_are_compared(source, tmp_path):
    made = Contents.look_at(source).drop_times()
    put(tmp_path / "0.png", b"picture 5")
    put(tmp_path / "1.png", b"longer than before")
    assert [change.name for change in made.list_changes(source)] == ["1.png"]


def test_records_and_files_on_other_machines_are_not_read(monkeypatch):
    far = Split(["a", "b"], np.array([0, 1]), [Record("x", 0, 12, 99), "gs://bucket/b.png"])
    source = Source("far", ("a", "b"), {"train": far})
    monkeypatch.setattr(contents.files, "read", None)
    made = Contents.look_at(source)
    made.hash_all(source)
    assert made.list_changes(source) == []
    longer = replace(far, contents=[Record("x", 0, 12, 98), far.contents[1]])
    changes = made.list_changes(replace(source, splits={"train": longer}))
    assert [change.name for change in changes] == ["a"]


def test_a_folder_without_notes_has_none(tmp_path):
    assert Contents.read(str(tmp_path)) is None


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "dtype", "pickle"])
def test_damaged_notes_are_refused_with_the_file_and_the_remedy(noted, tmp_path, damage):
    path = tmp_path / "notes" / CONTENTS_FILE
    whole = path.read_bytes()
    if damage in ("dtype", "pickle"):
        values = {"dtype": np.zeros((3, 3)), "pickle": np.array([None])}
        np.savez(path, **{"train pictures": values[damage]})
    else:
        path.write_bytes({"empty": b"", "text": b"hello", "cut": whole[: len(whole) // 2]}[damage])
    with pytest.raises(
        ValueError, match=r"contents\.npz must be a contents\.npz .* Received: .* Delete it"
    ):
        Contents.read(str(tmp_path / "notes"))


@pytest.mark.parametrize("n", [1, 20, 21, 1500])
def test_a_message_names_20_changes_and_counts_the_rest(n):
    changes = [contents.Change("train", i, f"{i:04d}.png") for i in range(n)]
    text = contents.format_changes(changes, "zoo")
    assert text.startswith("1 file of zoo" if n == 1 else f"{n:,} files of zoo")
    assert text.count(".png") == min(n, 20)
    assert text.endswith(f"and {n - 20:,} more") == (n > 20)
