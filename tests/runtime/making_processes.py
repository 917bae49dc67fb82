"""Processes of a program on this machine that train one network together."""

import os
import socket
import subprocess
import sys

from tests.making import QUICK, ROOT, TINY

WORDS = ["--arch", "shallow_bn", *TINY, "--batch-size", "16", "--strategy", "cpu"]
# The second process compiles everything at each start, because JAX caches only what the first one
# compiles. QUICK saves a third of that time.
JAX = os.environ | {"JAX_PLATFORMS": "cpu"} | QUICK
SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_NODELIST": "127.0.0.1",
    "SLURM_NTASKS": "2",
    "SLURM_STEP_NUM_NODES": "1",
}


TRAIN, TEST = 37, 16  # images; batches of 6 divide neither


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start(words, n=2, **environment):
    """Start `n` processes of a program that knows shallow networks, on a free port."""
    words, port = ["tests.making", *map(str, words)], free_port()
    processes = []
    for i in range(n):
        flags = (
            []
            if environment
            else ["--coordinator", f"127.0.0.1:{port}", "--processes", str(n), "--process", str(i)]
        )
        own = {key: value.format(i) for key, value in environment.items()}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", *words, *flags],
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=JAX | own,
                cwd=ROOT,
            )
        )
    return processes


def end(processes):
    """Return the exit code, output and errors of each process, after its end."""
    said = [process.communicate(timeout=300) for process in processes]
    return [(process.returncode, *words) for process, words in zip(processes, said, strict=True)]
