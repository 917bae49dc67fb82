"""The program trains the paper's stages one after the other, and continues them."""

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


def test_each_stage_takes_the_run_before_and_the_flags_of_all():
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
    "word", ["--learning-rate", "--scale=256", "--inherit", "--inherit_layers"]
)
def test_what_is_a_stages_own_is_refused(word):
    with pytest.raises(ValueError, match=f"{word}: each stage has its own"):
        plan_runs(Flags(data="shards"), [word, "1"])


# A and B with fewer convolutions: the paper copies four of them, and not A's fifth.
A, B = ((3,), (3,), (3, 3), (3,), ()), ((3, 3), (3, 3), (3, 3), (3,), ())
WORDS = ["--data", "digits", "--arch", "vgg13", "--size", "32", *SHORT]


def stage(words, env):
    """A stage in this process: that it is one of its own is a claim of test_survival.py."""
    assert env is not None
    result = call(*words)
    print(result.stdout, end="")
    print(result.stderr, end="", file=sys.stderr)
    return result.returncode


def run(*words):
    """A program, in the current folder; its children in this process, of shallow networks, without
    figures.
    """
    with pytest.MonkeyPatch.context() as patch, shallow(A, ["vgg11"]), shallow(B, ["vgg13"]):
        patch.setattr(programs, "call", stage)
        undrawn(patch)
        return call(*words)


@pytest.fixture
def trained(once, tmp_path, monkeypatch):
    """What the chain has said. Its runs are below the current folder, for one test."""

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
def test_a_chain_that_was_moved_goes_on_with_the_stage_that_is_not_done(trained):
    RUNS.rename("moved")
    last = Path("moved", "4-vgg13-S37-73")
    (last / "report.json").unlink()
    result = run("vgg_tf.stages", *WORDS, "--out", "moved")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("is done; delete it or choose another --out to train again") == 3
    assert "continuing after epoch 1" in result.stdout
    assert result.stdout.count("weights from") == 0, "the state has them"
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
def test_a_chain_is_not_given_other_flags(trained):
    result = run("vgg_tf.stages", *WORDS, "--seed", "3")
    assert result.returncode == 1
    assert "stage" not in result.stdout, "nothing is trained before all stages are looked at"
    assert "1-vgg11-S37 holds another run: seed 0 there, 3 here" in result.stderr


@pytest.mark.slow
def test_a_stage_of_other_weights_than_those_it_came_from_is_refused(trained):
    shutil.copy(RUNS / "2-vgg13-S37" / "model.keras", RUNS / "1-vgg11-S37" / "model.keras")
    result = run("vgg_tf.stages", *WORDS)
    assert result.returncode == 1
    assert "2-vgg13-S37 holds another run: other weights by --inherit" in result.stderr


@pytest.mark.slow
def test_layers_that_stay_random_are_not_frozen(trained):
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
    result = run("vgg_tf.train", *words)
    assert result.returncode == 1
    assert (
        "would keep random weights permanently in block1_conv2, block2_conv2. Give "
        "--inherit-layers all-match" in result.stderr
    )
    result = run("vgg_tf.train", *words, "--inherit-layers", "all-matching")
    assert result.returncode == 0, result.stderr
