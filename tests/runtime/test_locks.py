"""One writer holds a lock until it ends, and others are refused."""

import errno
import fcntl
import os
import signal
import subprocess
import sys

import pytest
import tensorflow as tf

from vgg_tf.runtime import locks


def test_a_second_writer_is_refused_with_the_given_message_until_the_first_ends(tmp_path):
    lock = str(tmp_path / "lock")
    for _ in range(2):
        with locks.hold_lock(lock, "busy here"):
            with (
                pytest.raises(BlockingIOError, match=r"^busy here$"),
                locks.hold_lock(lock, "busy here"),
            ):
                pytest.fail("two writers at once")
            with locks.hold_lock(str(tmp_path / "other"), "busy there"):
                pass


def test_an_error_releases_the_lock_and_is_raised(tmp_path):
    with (
        pytest.raises(ZeroDivisionError, match="division"),
        locks.hold_lock(str(tmp_path / "lock"), "busy"),
    ):
        _ = 1 / 0
    with locks.hold_lock(str(tmp_path / "lock"), "busy"):
        pass


HOLD = """
import sys, time
from vgg_tf.runtime import locks
assert "tensorflow" not in sys.modules
with locks.hold_lock(sys.argv[1], "busy"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_holds_the_lock_until_it_is_killed(tmp_path):
    lock = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        try:
            with (
                pytest.raises(BlockingIOError, match=r"^busy$"),
                locks.hold_lock(str(lock), "busy"),
            ):
                pytest.fail("two writers at once")
        finally:
            process.send_signal(signal.SIGKILL)
    with locks.hold_lock(str(lock), "busy"):  # the file still exists, but nobody holds the lock
        assert lock.exists()


def test_a_lock_does_not_change_its_file(tmp_path):
    (tmp_path / "lock").write_text("kept")
    with locks.hold_lock(str(tmp_path / "lock"), "busy"):
        assert (tmp_path / "lock").read_text() == "kept"


def test_remote_file_systems_have_no_locks(tmp_path):
    lock = f"ram://{tmp_path.name}/lock"
    with locks.hold_lock(lock, "busy"), locks.hold_lock(lock, "busy"):
        assert not tf.io.gfile.exists(lock)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_with_its_holder_is_the_lock_where_the_file_system_has_none(
    tmp_path, monkeypatch, number
):
    def without_locks(file, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", without_locks)
    lock, holder = str(tmp_path / "lock"), tmp_path / "lock.holder"
    with locks.hold_lock(lock, "busy."):
        assert f"process {os.getpid()} on " in holder.read_text()
        with (
            pytest.raises(BlockingIOError, match=r"^busy\. .* Received: .*lock\.holder of process"),
            locks.hold_lock(lock, "busy."),
        ):
            pytest.fail("two writers at once")
    assert not holder.exists()
    holder.write_text("process 1 on elsewhere, 2026-01-01 00:00:00")  # left by a killed process
    with (
        pytest.raises(BlockingIOError, match=r"of process 1 on elsewhere.* delete this file"),
        locks.hold_lock(lock, "busy."),
    ):
        pytest.fail("the holder is unknown")
    holder.unlink()
    with locks.hold_lock(lock, "busy."):
        pass


def test_another_error_of_a_lock_is_raised(tmp_path, monkeypatch):
    def broken(file, how):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="broken"), locks.hold_lock(str(tmp_path / "lock"), "busy"):
        pytest.fail("not locked")
