"""One writer holds a lock until it ends, and others are refused."""

import signal
import subprocess
import sys

import pytest
import tensorflow as tf

from vgg_tf.runtime import locks


def test_a_second_writer_is_turned_away_with_the_given_words_until_the_first_is_done(tmp_path):
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


def test_an_error_within_lets_go_of_the_lock_and_passes_through(tmp_path):
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


def test_a_lock_leaves_the_file_it_is_on_as_it_is(tmp_path):
    (tmp_path / "lock").write_text("kept")
    with locks.hold_lock(str(tmp_path / "lock"), "busy"):
        assert (tmp_path / "lock").read_text() == "kept"


def test_nothing_is_held_on_remote_file_systems(tmp_path):
    lock = f"ram://{tmp_path.name}/lock"
    with locks.hold_lock(lock, "busy"), locks.hold_lock(lock, "busy"):
        assert not tf.io.gfile.exists(lock)
