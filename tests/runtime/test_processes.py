"""Several processes train one network: real ones, on this machine, connected by JAX."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.making import QUICK, ROOT, TINY, call, epochs_done, noise, save, shallow, undrawn
from vgg_tf.data import opening
from vgg_tf.data.loading import load_dataset
from vgg_tf.data.selection import Selection
from vgg_tf.data.writing import write
from vgg_tf.records.collection import Collection
from vgg_tf.runtime.processes import Hosts

WORDS = ["--arch", "shallow_bn", *TINY, "--batch-size", "16", "--strategy", "cpu"]
# The second process compiles all anew at each start, as JAX keeps only what the first one compiles:
# QUICK takes a third off.
JAX = os.environ | {"JAX_PLATFORMS": "cpu"} | QUICK
SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_NODELIST": "127.0.0.1",
    "SLURM_NTASKS": "2",
    "SLURM_STEP_NUM_NODES": "1",
}
POD = {"TPU_WORKER_HOSTNAMES": "10.0.0.2,10.0.0.3", "TPU_WORKER_ID": "1"}


@pytest.mark.parametrize(
    ("flags", "environment", "told"),
    [
        (Hosts(), {}, Hosts("", 1, 0)),
        (Hosts("localhost:1234", 3, 2), {}, Hosts("localhost:1234", 3, 2)),
        (Hosts("localhost:1234", 3, 2), POD, Hosts("localhost:1234", 3, 2)),
        (Hosts(), SLURM | {"SLURM_PROCID": "1"}, Hosts("", 2, 1)),
        (Hosts(processes=1), SLURM | {"SLURM_PROCID": "1"}, Hosts("", 1, 0)),
        (Hosts(), SLURM | {"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, Hosts("", 1, 0)),
        (
            Hosts(),
            {"SLURM_NTASKS": "8", "SLURM_PROCID": "0"},
            Hosts("", 1, 0),
        ),  # sbatch without srun
        (Hosts(), POD, Hosts("10.0.0.2:8476", 2, 1)),
        (Hosts(), {"TPU_WORKER_HOSTNAMES": "localhost", "TPU_WORKER_ID": "0"}, Hosts("", 1, 0)),
    ],
)
def test_flags_say_who_is_who_and_else_slurm_or_the_pod(flags, environment, told):
    found = flags.complete(environment)
    assert (found.coordinator, max(found.processes, 1), found.process) == (
        told.coordinator,
        told.processes,
        told.process,
    )


def test_several_tpu_slices_are_not_taken_for_one():
    with pytest.raises(
        ValueError, match="Several TPU slices do not tell who is who: give --coordinator"
    ):
        Hosts().complete(POD | {"MEGASCALE_NUM_SLICES": "2"})


@pytest.mark.parametrize(
    "flags",
    [
        Hosts("localhost:1", 2, 2),
        Hosts("localhost:1", 2, -1),
        Hosts("", 2, 0),
        Hosts("localhost", 2, 0),
        Hosts("localhost:99999", 2, 0),
        Hosts("localhost:1"),
        Hosts("", 0, 1),
    ],
)
def test_flags_that_do_not_fit_together_are_refused(flags):
    with pytest.raises(
        ValueError,
        match="--coordinator HOST:PORT, --processes N of at least 2 and --process I below it",
    ):
        flags.complete({})


TRAIN, TEST = 37, 16  # images; batches of 6 divide neither


@pytest.fixture(scope="module")
def shards(once):
    """Images of three classes in two shards: of three processes two read from one each, and one
    from both.
    """

    def make(folder):
        for split, n in (("train", TRAIN), ("val", 4), ("test", TEST)):
            for i in range(n):
                save(
                    folder / "files" / split / ("ant", "bee", "cow")[i % 3] / f"{i}.png",
                    noise(16, 16, i),
                )
        write(
            opening.open_source(str(folder / "files")), folder / "shards", shards=2, progress=False
        )

    return str(once("two_shards", make) / "shards")


@pytest.fixture(scope="module")
def files(shards):
    """The same images as files."""
    return str(Path(shards).parent / "files")


def columns(source, n, epoch=0, **options):
    """Batches of a pass as `n` processes get them: for each process a list of batches of numpy
    arrays.
    """
    common = {
        "batch_size": 6,
        "size": 16,
        "scale": 16,
        "seed": 3,
        "epoch": epoch,
        "shift": 0,
        "flip": False,
    }
    parts = [load_dataset(source, part=(i, n), **common | options) for i in range(n)]
    return [[tuple(map(np.asarray, batch)) for batch in part] for part in parts]


@pytest.mark.parametrize("cache", ["none", "pixels"])
def test_rows_of_several_processes_are_those_that_one_process_has_from_files_and_from_a_cache(
    shards, files, cache
):
    source = shards if cache == "pixels" else files
    (alone,) = columns(source, 1, epoch=2, cache=cache)
    together = columns(source, 3, epoch=2, cache=cache)
    assert {len(part) for part in together} == {len(alone)} == {TRAIN // 6}
    for batch, *shares in zip(alone, *together, strict=True):
        for whole, *rows in zip(batch, *shares, strict=True):
            assert {len(row) for row in rows} == {2}
            np.testing.assert_array_equal(np.concatenate(rows), whole)


@pytest.mark.parametrize(
    ("classes", "images"), [((), TRAIN), (("ant", "cow"), 25)]
)  # a selection reads by a table of labels
@pytest.mark.parametrize("n", [3, pytest.param(7, marks=pytest.mark.slow)])
def test_from_shards_each_process_draws_from_its_own_and_all_have_the_same_number_of_batches(
    shards, n, classes, images
):
    options = {"selection": Selection(classes=classes), "batch_size": 2 * n}
    together = columns(shards, n, **options)
    assert {len(part) for part in together} == {images // (2 * n)}
    seen = [{view.tobytes() for images, _ in part for view in images} for part in together]
    assert len(set.union(*seen)) == images // (2 * n) * 2 * n  # none is another's
    other = [
        {view.tobytes() for images, _ in part for view in images}
        for part in columns(shards, n, epoch=1, **options)
    ]
    for i, views in enumerate(other):  # nor becomes it in another epoch
        assert not views & set.union(*(set(), *seen[:i], *seen[i + 1 :]))


@pytest.mark.parametrize("kind", ["files", "shards"])
def test_a_test_by_several_processes_counts_every_image_once(request, kind):
    source = request.getfixturevalue(kind)
    (alone,) = columns(source, 1, split="test")
    expected = sorted(view.tobytes() for images, _, mask in alone for view in images[mask > 0])
    assert len(expected) == TEST
    together = columns(source, 3, split="test")
    assert {len(part) for part in together} == {len(alone)}
    assert (
        sorted(
            view.tobytes()
            for part in together
            for images, _, mask in part
            for view in images[mask > 0]
        )
        == expected
    )


def test_batches_that_processes_cannot_share_and_splits_too_small_for_them_are_refused(shards):
    with pytest.raises(ValueError, match="5 processes share a batch; 6 does not divide by it"):
        columns(shards, 5)
    with pytest.raises(ValueError, match="16 test images are fewer than 20 processes"):
        load_dataset(shards, "test", batch_size=20, size=16, part=(0, 20))


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start(words, n=2, **environment):
    """`n` processes of a program, of shallow networks; they may use the port of nobody else."""
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
    """Exit code, output and errors of each."""
    said = [process.communicate(timeout=300) for process in processes]
    return [(process.returncode, *words) for process, words in zip(processes, said, strict=True)]


def assert_alike(one, other):
    """End states equal to 1e-4 after the few steps in which no unit falls on the other side of its
    ReLU by a rounding: sums
    of float32 in another order."""
    one, other = (load_file(folder / "last.safetensors") for folder in (one, other))
    assert one.keys() == other.keys()
    for key, value in one.items():
        np.testing.assert_allclose(other[key], value, rtol=1e-4, atol=1e-4, err_msg=key)


def assert_errors_alike(said, other):
    """The errors that two programs told last, of the same number of images; of 360, two may be
    close calls.
    """
    one, other = (
        re.findall(r"([\d.]+) %|(n=\d+)", text.splitlines()[-1]) for text in (said, other)
    )
    assert len(one) == len(other) > 1
    for (error, n), (other_error, other_n) in zip(one, other, strict=True):
        assert n == other_n
        assert float(error or 0) == pytest.approx(float(other_error or 0), abs=0.6)


DIGITS = [*WORDS, "--epochs", "1", "--steps-per-epoch", "3"]
OWN = [
    *WORDS,
    "--recipe",
    "digits",
    "--cache",
    "none",
    "--epochs",
    "1",
    "--steps-per-epoch",
    "2",
    "--data",
]

# One process trains on the digits, and then on the batches that two would have read, each from its
# own shards.
ALONE = """
import json, sys
import numpy as np
import tensorflow as tf
from tests.making import shallow
from vgg_tf import train
from vgg_tf.training.flags import parse
from vgg_tf.data import loading
from vgg_tf.runs import run_folder
from vgg_tf.runs.settings import Settings
from vgg_tf.runtime import devices
from vgg_tf.training import loop
from vgg_tf.training.model import arithmetic, build
folder, digits, shards, own = *sys.argv[1:3], sys.argv[3], json.loads(sys.argv[4])
def read(split, **options):
    options |= {"batch_size": plan.batch, "size": recipe.size, "seed": recipe.seed}
    parts = [loading.load_dataset(shards, split, part=(i, 2), **options) for i in range(2)]
    return tf.data.Dataset.zip(*parts).map(
        lambda one, two: tuple(tf.concat(rows, 0) for rows in zip(one, two))
    )
def training_batches(epoch):
    views = {"scale": recipe.scale, "flip": recipe.flip, "shift": recipe.rgb_shift}
    return read("train", epoch=epoch, steps=plan.steps, **views)
with shallow():
    train.main([*json.loads(digits), "--out", f"{folder}/digits"])
    flags, _ = parse([*own, shards])
    recipe, collection = flags.numbers, train.Collection.read(shards)
    device = devices.choose("cpu")
    import keras
    keras.utils.set_random_seed(recipe.seed)
    plan = arithmetic(recipe, collection.count_images("train"))
    settings = Settings(flags.arch, shards, collection.fingerprint, device.policy, recipe)
    with run_folder.open_run(f"{folder}/own", settings) as run:
        model = build(flags.arch, recipe, collection)
        validation = read("validation", scale=recipe.evaluation_scale)
        feed = loop.Feed(plan.steps, plan.batch, training_batches, validation)
        loop.train(run, model, feed)
"""


@pytest.fixture
def alone(once, shards):
    """What one process makes of the same: `digits`, whose streams are in `said`, and `own`."""

    def make(folder):
        words = [sys.executable, "-c", ALONE, folder, json.dumps(DIGITS), shards, json.dumps(OWN)]
        result = subprocess.run(
            [*map(str, words)],
            capture_output=True,
            text=True,
            env=JAX | {"KERAS_BACKEND": "jax"},
            cwd=ROOT,
        )
        assert result.returncode == 0, result.stderr
        (folder / "said").write_text(
            next(line for line in result.stdout.splitlines() if line.startswith("test top-1"))
        )

    pytest.importorskip("jax")
    return once("hosts_alone", make)


@pytest.mark.slow
def test_two_processes_train_and_test_as_one_does(tmp_path, alone, monkeypatch):
    # Four processes on JAX.
    (code, said, errors), (other_code, other_said, _) = end(
        start(["vgg_tf.train", *DIGITS, "--out", tmp_path / "two"])
    )
    assert (code, other_code, errors) == (0, 0, "")
    assert "2 cpus in 2 processes" in said
    assert "error" not in other_said  # the first one speaks
    assert_alike(alone / "digits", tmp_path / "two")
    assert_errors_alike(said, (alone / "said").read_text())
    names = [
        sorted(path.name for path in folder.iterdir())
        for folder in (alone / "digits", tmp_path / "two")
    ]
    assert names[0] == names[1]
    assert Collection.read(tmp_path / "two").count_images("test") == 360
    (code, said, _), *_ = end(
        start(["vgg_tf.evaluate", tmp_path / "two", "--batch-size", 48, "--strategy", "cpu"])
    )
    assert code == 0
    assert [path.name.count(".") for path in (tmp_path / "two" / "posteriors").iterdir()] == [
        1
    ]  # their parts are put together
    shutil.rmtree(tmp_path / "two" / "posteriors")  # or the next one would take them
    undrawn(monkeypatch)
    with shallow():
        one = call("vgg_tf.evaluate", tmp_path / "two", "--strategy", "cpu")
    assert one.returncode == 0, one.stderr
    assert_errors_alike(said, one.stdout)


@pytest.mark.slow
def test_two_processes_with_own_shards_train_as_one_on_the_same_batches_and_slurm_needs_no_flags(
    tmp_path, alone, shards
):
    port = 61440 + free_port() % 4096  # JAX makes the port of the job's number
    environment = SLURM | {
        "SLURM_JOB_ID": str(port - 61440),
        "SLURM_PROCID": "{}",
        "SLURM_LOCALID": "{}",
    }
    results = end(start(["vgg_tf.train", *OWN, shards, "--out", tmp_path / "two"], **environment))
    assert [code for code, *_ in results] == [0, 0], results
    assert "2 cpus in 2 processes" in results[0][1]
    assert_alike(alone / "own", tmp_path / "two")


def wait_for_epochs(run, more=2, seconds=200):
    """Wait until the log of a run has so many epochs more than now."""
    begin, wanted = time.monotonic(), epochs_done(run) + more
    while epochs_done(run) < wanted:
        assert time.monotonic() - begin < seconds, f"{epochs_done(run)} of {wanted} epochs in {run}"
        time.sleep(0.1)


@pytest.mark.slow
def test_a_lost_process_is_told_in_one_line_within_a_minute_and_the_same_commands_continue(
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
    ):  # killed, or a machine that hangs
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
        assert ("continuing after epoch" in said) == (victim == 1)  # the first one speaks
        assert survivor.returncode == 1
        assert errors == (
            f"error: process {1 - victim} of 2 has lost another one, which has ended, was "
            "killed or cannot be reached. All epochs that were done are saved: give the same "
            "commands again on all machines.\n"
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
    assert {code, other} <= {75, 1}  # whoever ends first may tear the other from its step
    assert 75 in (code, other)


@pytest.mark.slow
def test_a_process_with_other_flags_or_without_the_folder_ends_all_with_a_reason(tmp_path):
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
        errors == "error: Process 1 has other flags or data than the first one: learning_rate 0.02 "
        "there, 0.123 here.\n"
    )
