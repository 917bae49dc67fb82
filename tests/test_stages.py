"""The program trains the paper's stages in order, and continues after an interruption."""

import contextlib
import functools
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.making import TINY, call, shallow, undrawn
from vgg_tf.runtime import programs
from vgg_tf.stages import Flags, plan_runs
from vgg_tf.training import probe

SHORT = [
    *TINY,
    "--strategy",
    "cpu",
    "--precision",
    "float32",
    "--epochs",
    "1",
    "--steps-per-epoch",
    "2",
]
SHORT += ["--batch-size", "8"]


def test_each_stage_inherits_from_the_previous_run_and_gets_all_other_flags():
    stages = plan_runs(Flags(data="shards", arch="vgg16"), ["--epochs", "3"])
    runs = [str(out) for _, out, _ in stages]
    assert runs == [
        f"runs/vgg16-stages-shards/{n}"
        for n in ("1-vgg11-S256", "2-vgg16-S256", "3-vgg16-S384", "4-vgg16-S256-512")
    ]
    for i, (_, _, words) in enumerate(stages):
        assert words[words.index("--out") + 1] == runs[i]
        assert words[-2:] == ["--epochs", "3"]
        assert (words[words.index("--inherit") + 1] if i else None) == (runs[i - 1] if i else None)


@pytest.mark.parametrize(
    "word", ["--learning-rate", "--scale=256", "--inherit", "--inherit_layers", "--config"]
)
def test_flags_that_a_stage_sets_itself_are_refused(word):
    with pytest.raises(ValueError, match=rf"Each stage sets its own .*\. Received: {word}\."):
        plan_runs(Flags(data="shards"), [word, "1"])


# A and B with fewer convolutions: the paper copies four of A's, and not the fifth.
A, B = ((3,), (3,), (3, 3), (3,), ()), ((3, 3), (3, 3), (3, 3), (3,), ())
WORDS = ["--data", "digits", "--arch", "vgg13", "--size", "32", *SHORT]


def stage(words, env):
    """Run a stage in this process; test_survival.py tests that it is a separate process."""
    assert env is not None
    result = call(*words)
    print(result.stdout, end="")
    print(result.stderr, end="", file=sys.stderr)
    return result.returncode


def run(*words):
    """Run a program and its stages in this process, with shallow networks and without figures."""
    with pytest.MonkeyPatch.context() as patch, shallow(A, ["vgg11"]), shallow(B, ["vgg13"]):
        patch.setattr(programs, "call", stage)
        undrawn(patch)
        return call(*words)


@pytest.fixture
def trained(once, tmp_path, monkeypatch):
    """Return the output of the chain. A copy of its runs is in the current folder."""

    def make(folder):  # four trainings
        with contextlib.chdir(folder):
            result = run("vgg_tf.stages", *WORDS)
        assert result.returncode == 0, result.stderr
        (folder / "said").write_text(result.stdout)

    folder = once("stages", make)
    shutil.copytree(folder / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return (folder / "said").read_text()


RUNS = Path("runs", "vgg13-stages-digits")


@pytest.mark.slow
def test_the_chain_trains_every_stage_from_the_one_before(trained):
    assert sorted(path.name for path in RUNS.iterdir()) == [
        "1-vgg11-S37",
        "2-vgg13-S37",
        "3-vgg13-S55",
        "4-vgg13-S37-73",
    ]
    copied = re.findall(r"weights from .*/(\S+) \(a run folder\): (.*)", trained)
    assert copied == [
        ("1-vgg11-S37", "7 layers copied, 3 unchanged"),
        ("2-vgg13-S37", "all 10 layers copied"),
        ("3-vgg13-S55", "all 10 layers copied"),
    ]
    report = (RUNS / "2-vgg13-S37" / "inherited.txt").read_text()
    assert "kept     block1_conv2, block2_conv2, block4_conv1" in report


@pytest.mark.slow
def test_a_moved_chain_continues_with_the_unfinished_stage(trained):
    RUNS.rename("moved")
    last = Path("moved", "4-vgg13-S37-73")
    (last / "report.json").unlink()
    result = run("vgg_tf.stages", *WORDS, "--out", "moved")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("is done; delete it or choose another --out to train again") == 3
    assert "continuing after epoch 1" in result.stdout
    assert result.stdout.count("weights from") == 0, "the state holds the weights"
    assert (last / "report.json").exists()
    result = run("vgg_tf.stages", *WORDS, "--out", "moved")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("is done") == 4


@pytest.mark.slow
def test_the_plan_shows_images_and_hours_and_trains_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        probe, "measure_throughput", functools.partial(probe.measure_throughput, seconds=0.0)
    )
    result = run("vgg_tf.stages", *WORDS, "--plan")
    assert result.returncode == 0, result.stderr
    rows = re.findall(r"^(\d-\S+) +(\d+) +([\d.]+) +([\d.]+)", result.stdout, re.M)
    assert [(name, images) for name, images, _, _ in rows] == [
        (name, "16") for name in ("1-vgg11-S37", "2-vgg13-S37", "3-vgg13-S55", "4-vgg13-S37-73")
    ]
    assert all(float(speed) > 0 for _, _, speed, _ in rows)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_chain_with_other_flags_is_refused(trained):
    result = run("vgg_tf.stages", *WORDS, "--seed", "3")
    assert result.returncode == 1
    assert "stage" not in result.stdout, "all stages are checked before the first one is trained"
    assert "1-vgg11-S37 holds another run: seed 0 there, 3 here" in result.stderr


@pytest.mark.slow
def test_a_stage_is_refused_if_the_weights_it_inherited_have_changed(trained):
    shutil.copy(RUNS / "2-vgg13-S37" / "model.keras", RUNS / "1-vgg11-S37" / "model.keras")
    result = run("vgg_tf.stages", *WORDS)
    assert result.returncode == 1
    assert "2-vgg13-S37 holds another run: other weights by --inherit" in result.stderr


@pytest.mark.slow
def test_freezing_layers_with_random_weights_is_refused(trained):
    words = [
        "--arch",
        "vgg13",
        "--data",
        "digits",
        "--recipe",
        "paper",
        "--size",
        "32",
        "--scale",
        "37",
        *SHORT,
    ]
    words += ["--inherit", RUNS / "2-vgg13-S37", "--freeze-until", "block3", "--out", "frozen"]
    result = run("vgg_tf.train", *words, "--inherit-layers", "paper")
    assert result.returncode == 1
    assert (
        "must freeze only inherited layers. Received: random weights in block1_conv2, "
        "block2_conv2. Use --inherit-layers all-match" in result.stderr
    )
    result = run("vgg_tf.train", *words)
    assert result.returncode == 0, result.stderr
