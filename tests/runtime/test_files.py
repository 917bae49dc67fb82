"""Files are the same on a disk and on a remote file system, and are written whole."""

import os

import pytest
import tensorflow as tf

from tests.making import fill_disk
from vgg_tf.runtime import files
from vgg_tf.runtime.remote import is_remote


@pytest.fixture(params=["disk", "ram"])
def place(request, tmp_path):
    """Return a folder on the disk, and one on a remote file system."""
    folder = str(tmp_path / "place") if request.param == "disk" else f"ram://{tmp_path.name}/place"
    tf.io.gfile.makedirs(folder)
    return folder


def put(path, content=b"1"):
    """Write a file with TensorFlow, on any file system."""
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(content)


def got(path):
    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read()


# Existence and names


def test_only_local_paths_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert files.make_absolute("here") == str(tmp_path.resolve() / "here")
    assert files.make_absolute("gs://bucket/../x") == "gs://bucket/../x"


def test_files_folders_and_missing_paths_are_distinguished(place):
    put(f"{place}/folder/file")
    there = {
        name: (files.exists(f"{place}/{name}"), files.is_folder(f"{place}/{name}"))
        for name in ("folder", "folder/file", "x")
    }
    assert there == {"folder": (True, True), "folder/file": (True, False), "x": (False, False)}


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_names_in_a_folder_are_sorted_and_without_the_path(place, slash):
    for name in ("b/deep/er", "a", "C", ".hidden", "ä", "10", "9"):
        put(f"{place}/{name}")
    assert files.list_names(place + slash) == sorted(["b", "a", "C", ".hidden", "ä", "10", "9"])


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_walk_finds_all_files_that_are_not_hidden_or_in_hidden_folders(place, slash):
    shown = ["a", "deep/er/c.d", "deep/b", "deep.er/x", "not.hidden", "z z/ä"]
    hidden = [
        ".x",
        "deep/._b",
        ".git/config",
        ".git/deep/er",
        "deep/.cache/b",
        "deep/er/.hidden/deeper/still",
    ]
    for name in shown + hidden:
        put(f"{place}/{name}")
    assert files.walk(place + slash) == sorted(shown)


def test_a_walk_from_a_hidden_folder_finds_its_files(place):
    put(f"{place}/.cache/set/a/1")
    assert files.walk(f"{place}/.cache") == ["set/a/1"]


def test_a_walk_of_an_empty_folder_finds_nothing(place):
    assert files.walk(place) == []


# Reading


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, -1),
        (0, 0),
        (0, 3),
        (4, 3),
        (4, -1),
        (4, 0),
        (8, 9),
        (9, 1),
        (10, 1),
        (10, -1),
        (25, 3),
        (25, -1),
    ],
)
def test_a_read_returns_the_same_bytes_as_a_slice(place, offset, length):
    content = bytes([0, 10, 13, 26, 255, 5, 6, 7, 8, 9])  # with ends of lines and of files
    put(f"{place}/file", content)
    assert (
        files.read(f"{place}/file", offset, length)
        == content[offset:][: length if length >= 0 else None]
    )


def test_the_size_is_the_number_of_bytes(place):
    for n in (0, 1, 70_000):
        put(f"{place}/{n}", bytes(n))
        assert files.read_size(f"{place}/{n}") == n


@pytest.mark.parametrize("look", [files.read, files.read_size, files.list_names])
def test_the_error_of_a_missing_file_names_it(place, look):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        look(f"{place}/nowhere")


def test_an_error_of_an_unknown_file_system_names_path_and_scheme():
    with pytest.raises(
        OSError, match=r"cannot read nosuch://x/y: .*scheme 'nosuch' not implemented"
    ):
        files.read("nosuch://x/y")
    with pytest.raises(
        OSError, match=r"cannot make nosuch://x/y: .*scheme 'nosuch' not implemented"
    ):
        files.make_folder("nosuch://x/y")


# Making and removing


def test_a_folder_is_made_with_its_parents_and_unchanged_if_it_exists(place):
    files.make_folder(f"{place}/a/b/c")
    put(f"{place}/a/b/c/file", b"kept")
    files.make_folder(f"{place}/a/b/c")
    assert got(f"{place}/a/b/c/file") == b"kept"


def test_a_folder_is_not_made_over_a_file(place):
    put(f"{place}/file", b"kept")
    with pytest.raises(OSError, match="place/file"):
        files.make_folder(f"{place}/file")
    assert got(f"{place}/file") == b"kept"


def test_removal_deletes_a_file_or_a_folder_with_its_contents_and_nothing_else(place):
    # TensorFlow's ram:// fails if the name of another folder begins with that of the removed one.
    beside = "other" if is_remote(place) else "folder2"
    for name in ("a", "ab", "folder/x", "folder/.hidden/y", f"{beside}/z"):
        put(f"{place}/{name}")
    files.remove(f"{place}/a")
    files.remove(f"{place}/folder")
    files.remove(f"{place}/never was")
    assert files.list_names(place) == ["ab", beside]
    assert files.walk(place) == ["ab", f"{beside}/z"]


# Writing


def test_a_file_is_written_whole_over_an_old_one_and_no_other_file_remains(place):
    for content in (b"first, and longer", b"", b"\x00\r\n\xff"):
        files.write_whole(f"{place}/file", content)
        assert got(f"{place}/file") == content
    assert files.list_names(place) == ["file"]


def test_an_interrupted_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    files.write_whole(path, b"old")
    with pytest.raises(TypeError, match="bytes-like"):
        files.write_whole(path, "text instead of bytes")  # fails after the file is opened
    assert path.read_bytes() == b"old"
    files.write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_remote_write_keeps_the_old_file(tmp_path):
    path = f"ram://{tmp_path.name}/file"
    files.write_whole(path, b"old")
    with pytest.raises(TypeError, match="bytes-like object is required"):
        files.write_whole(path, 5)
    assert got(path) == b"old"
    files.write_whole(path, b"new")
    assert got(path) == b"new"
    assert files.list_names(f"ram://{tmp_path.name}") == ["file"]


def test_a_file_has_a_hidden_temporary_name_while_it_is_written(tmp_path, monkeypatch):
    """A reader before the rename finds the old bytes."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen = []

    def looking(step):
        def look(*arguments):
            seen.append((path.read_bytes(), files.walk(str(tmp_path))))
            return step(*arguments)

        return look

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, looking(getattr(os, name)))
    files.write_whole(path, b"new")
    # First the contents are synced, then the file is renamed, then its folder is synced.
    assert seen == [(b"old", ["file"])] * 2 + [(b"new", ["file"])]
    assert path.read_bytes() == b"new"


def test_a_full_disk_keeps_the_old_file_and_the_error_names_file_and_remedy(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    fill_disk(monkeypatch, path)
    with pytest.raises(
        OSError,
        match=(
            r"^cannot write .*/file: no space is left\. "
            r"Free some space, then run the same command again\.$"
        ),
    ):
        files.write_whole(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_file_is_settled_by_a_rename_over_the_old_one(place):
    put(f"{place}/final", b"old")
    put(f"{place}/making/part", b"new")
    files.settle(f"{place}/making/part", f"{place}/final")
    assert got(f"{place}/final") == b"new"
    assert files.walk(place) == ["final"]


@pytest.mark.skipif(
    not os.path.exists("/proc/self/mem"), reason="needs a file that opens but cannot be read"
)
def test_the_error_of_a_file_that_cannot_be_read_names_it():
    with pytest.raises(OSError, match=r"Input/output error: '/proc/self/mem'"):
        files.read("/proc/self/mem")


def test_the_error_of_a_remote_lookup_names_the_path():
    with pytest.raises(
        OSError,
        match="cannot look for nowhere://bucket/x: File system scheme 'nowhere' not implemented",
    ):
        files.exists("nowhere://bucket/x")
