"""Concurrent writers of a file do not interfere, and leftovers of killed ones are removed."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
import tensorflow as tf

from vgg_tf.runtime import files, temporary

WRITE = """
import sys, time
from vgg_tf.runtime import files
with getattr(files, sys.argv[1])(sys.argv[2]) as temporary:
    print(temporary, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer():
    """Return a function that starts a process which writes a path and does not finish."""
    started = []

    def start(how, path):
        words = [sys.executable, "-c", WRITE, how, str(path)]
        child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        started.append(child)
        return child, child.stdout.readline().strip()

    yield start
    for child in started:
        child.kill()
        child.wait()
        child.stdout.close()


def kill(child):
    child.send_signal(signal.SIGKILL)
    child.wait()


def fill(folder, content):
    os.mkdir(folder)
    for name in ("a", "b"):
        with open(os.path.join(folder, name), "w") as file:
            file.write(content)


@pytest.mark.parametrize("how", ["writing", "writing_folder"])
def test_the_next_write_removes_leftovers_of_killed_writers_and_not_of_running_ones(
    tmp_path, writer, how
):
    dead, left = writer(how, tmp_path / "out")
    _, live = writer(how, tmp_path / "out")
    _, other = writer(how, tmp_path / "other")
    kill(dead)
    assert os.path.exists(os.path.dirname(left))
    with getattr(files, how)(tmp_path / "out") as path:
        (fill if how == "writing_folder" else lambda name, _: open(name, "x").close())(path, "x")
    assert not os.path.exists(os.path.dirname(left))
    assert os.path.exists(os.path.dirname(live))
    assert os.path.exists(os.path.dirname(other))
    assert (tmp_path / "out").exists()


def test_the_only_writer_of_a_folder_removes_all_leftovers_of_killed_writers(tmp_path, writer):
    dead, left = writer("writing", tmp_path / "some.png")
    _, live = writer("writing", tmp_path / "more.png")
    kill(dead)
    (tmp_path / ".tmp.model.keras").touch()  # a leftover of an earlier version
    (tmp_path / ".hidden").touch()
    (tmp_path / "kept").touch()
    temporary.remove_unfinished(str(tmp_path))
    names = set(os.listdir(tmp_path))
    assert names == {".hidden", "kept", os.path.basename(os.path.dirname(live))}
    assert not os.path.exists(left)


def test_many_writers_of_one_folder_leave_one_complete_folder(tmp_path):
    path, errors = tmp_path / "out", []

    def write(number):
        try:
            for _ in range(10):
                with files.writing_folder(path) as folder:
                    fill(folder, number)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert (path / "a").read_text() == (path / "b").read_text()
    assert os.listdir(tmp_path) == ["out"]


def test_an_old_folder_stays_after_an_error_and_after_a_failed_rename(tmp_path, monkeypatch):
    path = tmp_path / "out"
    with files.writing_folder(path) as folder:
        fill(folder, "old")
    with pytest.raises(TypeError), files.writing_folder(path) as folder:
        fill(folder, 0)
    assert (path / "a").read_text() == "old"
    rename = os.rename

    def fail(old, new):
        if new == str(path) and not path.exists() and not old.endswith(".before"):
            raise OSError(errno.EIO, "Input/output error")
        rename(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail)
        with (
            pytest.raises(OSError, match=r"cannot write .*/out: Input/output"),
            files.writing_folder(path) as folder,
        ):
            fill(folder, "new")
    assert (path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_is_synced_before_it_gets_its_name(tmp_path, monkeypatch):
    synced, path, sync = [], tmp_path / "out", os.fsync
    monkeypatch.setattr(
        os,
        "fsync",
        lambda held: (
            synced.append((os.readlink(f"/proc/self/fd/{held}"), path.exists())),
            sync(held),
        ),
    )
    with files.writing_folder(path) as folder:
        fill(folder, "new")
        (tmp_path / "sub").mkdir()
        os.rename(tmp_path / "sub", os.path.join(folder, "sub"))
    *inside, last = synced
    assert last == (str(tmp_path), True)
    assert {os.path.relpath(name, folder) for name, _ in inside} == {"a", "b", "sub", "."}
    assert not any(there for _, there in inside)


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_a_written_file_has_the_mode_of_an_ordinary_open(tmp_path, mask):
    before = os.umask(mask)
    try:
        files.write_whole(tmp_path / "file", b"1")
        open(tmp_path / "ordinary", "w").close()
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "ordinary")]
    assert modes[0] == modes[1] == 0o666 & ~mask


def test_a_long_name_can_be_written(tmp_path):
    name = f"{'é' * 120}.png"  # 244 of the 255 bytes of a name
    files.write_whole(tmp_path / name, b"1")
    assert os.listdir(tmp_path) == [name]


def test_an_error_names_the_file_and_not_its_temporary_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"/missing/file'$"):
        files.write_whole(tmp_path / "missing" / "file", b"1")


def test_remote_leftovers_of_the_same_name_are_removed_when_they_are_a_day_old(
    tmp_path, monkeypatch
):
    folder = f"ram://{tmp_path.name}-leftovers"
    tf.io.gfile.makedirs(folder)
    for name in (".tmp.0123abcd.file", ".tmp.0123abcd.other"):
        with tf.io.gfile.GFile(f"{folder}/{name}", "wb") as file:
            file.write(b"1")
    real, now = tf.io.gfile.stat, time.time()
    for age, left in ((3600, 3), (25 * 3600, 2)):
        times = {"mtime_nsec": 1e9 * (now - age)}
        monkeypatch.setattr(tf.io.gfile, "stat", lambda path, times=times: SimpleNamespace(**times))
        files.write_whole(f"{folder}/file", b"1")
        assert len(files.list_names(folder)) == left
    monkeypatch.setattr(tf.io.gfile, "stat", real)
    assert files.list_names(folder) == [".tmp.0123abcd.other", "file"]
