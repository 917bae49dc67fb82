"""If a process is lost or has other flags, all processes end with a reason."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.making import ROOT, epochs_done
from tests.runtime.making_processes import JAX, WORDS, end, free_port, start


def wait_for_epochs(run, more=2, seconds=200):
    """Wait until the log of a run has `more` epochs more than now."""
    begin, wanted = time.monotonic(), epochs_done(run) + more
    while epochs_done(run) < wanted:
        assert time.monotonic() - begin < seconds, f"{epochs_done(run)} of {wanted} epochs in {run}"
        time.sleep(0.1)


@pytest.mark.slow
def test_a_lost_process_is_reported_within_a_minute_and_the_same_commands_continue(
    tmp_path,
):
    pytest.importorskip("jax")
    words = [
        "vgg_tf.train",
        *WORDS,
        "--epochs",
        240,
        "--steps-per-epoch",
        4,
        "--out",
        tmp_path / "run",
    ]
    for victim, blow in (
        (0, signal.SIGKILL),
        (1, signal.SIGSTOP),
    ):  # a killed process, and a machine that hangs
        processes = start(words)
        wait_for_epochs(tmp_path / "run")
        child = int(
            subprocess.run(
                ["pgrep", "-P", str(processes[victim].pid)], capture_output=True, text=True
            ).stdout
        )
        os.kill(child, blow)
        begin = time.monotonic()
        survivor = processes[1 - victim]
        said, errors = survivor.communicate(timeout=60)
        assert time.monotonic() - begin < 60
        assert ("continuing after epoch" in said) == (victim == 1)  # only the first process prints
        assert survivor.returncode == 1
        assert errors == (
            f"error: process {1 - victim} of 2 lost another process, which ended, was killed or "
            "cannot be reached. All finished epochs are saved. Run the same commands again on all "
            "machines.\n"
        )
        if blow == signal.SIGSTOP:
            os.kill(child, signal.SIGKILL)
        processes[victim].communicate()
    processes = start(words)
    wait_for_epochs(tmp_path / "run")
    for process in processes:  # as a scheduler does
        process.terminate()
    (code, said, errors), (other, *_) = end(processes)
    assert "continuing after epoch" in said
    assert {code, other} <= {75, 1}  # the first one to end may break the other's step
    assert 75 in (code, other)


@pytest.mark.slow
def test_a_process_with_other_flags_ends_all_processes_with_a_reason(tmp_path):
    pytest.importorskip("jax")
    port = free_port()
    common = [
        *WORDS,
        "--epochs",
        "1",
        "--steps-per-epoch",
        "2",
        "--coordinator",
        f"127.0.0.1:{port}",
        "--processes",
        "2",
    ]
    flags = [["--out", "run"], ["--out", "run", "--learning-rate", "0.123"]]
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.making",
                "vgg_tf.train",
                *common,
                "--process",
                str(i),
                *own,
            ],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=JAX | {"PYTHONPATH": ROOT},
        )
        for i, own in enumerate(flags)
    ]
    (first, _, _), (second, _, errors) = end(processes)
    assert (first, second) == (1, 1)
    assert (
        errors == "error: Process 1 must have the flags and data of the first process. Received: "
        "learning_rate 0.02 there, 0.123 here. Start all processes with the same command.\n"
    )


# 15 s: three processes, one of which ends; the others would wait for minutes.
@pytest.mark.slow
def test_two_processes_of_one_number_are_named(tmp_path):
    pytest.importorskip("jax")
    common = [sys.executable, "-m", "tests.making", "vgg_tf.train", *WORDS, "--processes", "3"]
    common += ["--coordinator", f"127.0.0.1:{free_port()}", "--out", "run"]
    options = {"text": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    options |= {"cwd": tmp_path, "env": JAX | {"PYTHONPATH": ROOT}}
    processes = [
        subprocess.Popen([*common, "--process", str(number)], **options) for number in (0, 1, 1)
    ]
    try:
        for _ in range(600):
            ended = [process for process in processes if process.poll() is not None]
            if ended:
                break
            time.sleep(0.1)
        (one,) = ended
        assert one.returncode == 1
        assert one.stderr.read() == (
            "error: two processes are number 1 of 3. Give each of them its own --process, from 0 "
            "to 2, and start all of them again.\n"
        )
    finally:
        for process in processes:
            process.terminate()
            process.communicate()
