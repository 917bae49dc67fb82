"""The paper's chain of trainings."""

import contextlib
import functools
import re
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from tests.making import TINY, call, noise, save, shallow, undrawn
from vgg_tf import build_vgg, read_weights, write_weights
from vgg_tf.forecast import trial
from vgg_tf.paper.recipes import Recipe
from vgg_tf.paper.stages import Stage, list_stages
from vgg_tf.runtime import programs
from vgg_tf.stages import Flags, plan_runs
from vgg_tf.training import flags, probe, session

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


@pytest.mark.parametrize("arch", ["vgg13", "vgg16c", "vgg16", "vgg19"])
def test_b_to_e_come_from_a_then_384_from_256_then_the_jitter_from_384(arch):
    # Sections 3.1 and 4.1.
    assert list_stages(arch) == [
        Stage("vgg11", "paper", (256, 256), ""),
        Stage(arch, "paper", (256, 256), "paper"),
        Stage(arch, "paper384", (384, 384), "all-matching"),
        Stage(arch, "paper-jitter", (256, 512), "all-matching"),
    ]


def test_with_batch_normalisation_a_has_it_too():
    assert [stage.arch for stage in list_stages("vgg19_bn")] == [
        "vgg11_bn",
        "vgg19_bn",
        "vgg19_bn",
        "vgg19_bn",
    ]


@pytest.mark.parametrize("arch", ["vgg11", "vgg11_lrn", "vgg11_bn"])
def test_a_and_a_lrn_begin_with_themselves(arch):
    assert [(stage.arch, stage.layers) for stage in list_stages(arch)] == [
        (arch, ""),
        (arch, "all-matching"),
        (arch, "all-matching"),
    ]


def test_smaller_crops_have_their_scales_in_proportion():
    # 256 / 224 of 32 is 36.6, 384 / 224 is 54.9, 512 / 224 is 73.1.
    assert [stage.scale for stage in list_stages("vgg16", 32)] == [
        (37, 37),
        (37, 37),
        (55, 55),
        (37, 73),
    ]


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
        ("1-vgg11-S37", "7 layers copied, 3 left as they were"),
        ("2-vgg13-S37", "all 10 layers copied"),
        ("3-vgg13-S55", "all 10 layers copied"),
    ]
    report = (RUNS / "2-vgg13-S37" / "inherited.txt").read_text()
    assert "left     block1_conv2, block2_conv2, block4_conv1" in report


@pytest.mark.slow
def test_a_chain_that_was_moved_goes_on_with_the_stage_that_is_not_done(trained):
    RUNS.rename("moved")
    last = Path("moved", "4-vgg13-S37-73")
    (last / "report.json").unlink()
    result = run("vgg_tf.stages", *WORDS, "--out", "moved")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("is done; delete it or choose another --out to train anew") == 3
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
        probe, "images_per_second", functools.partial(probe.images_per_second, seconds=0.0)
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
        "would keep random weights for ever in block1_conv2, block2_conv2. Give "
        "--inherit-layers all-match" in result.stderr
    )
    result = run("vgg_tf.train", *words, "--inherit-layers", "all-matching")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("word", "value"), [("--inherit-layers", "fc1"), ("--freeze-until", "block4")]
)
def test_what_needs_inherited_weights_is_refused_without_them(word, value):
    with pytest.raises(
        ValueError, match=f"{word} is for weights that come from elsewhere: give --inherit as well"
    ):
        flags.parse(["--data", "digits", word, value])


def test_the_short_timing_goes_on_where_the_images_make_one_batch_only(tmp_path, monkeypatch):
    # Two epochs, whose pipelines are traced, and the training step: a CPU second and a half.
    for label in "ab":
        for i in range(4):
            save(tmp_path / label / f"{i}.png", noise(40, 40, i))
    monkeypatch.setattr(
        probe, "images_per_second", functools.partial(probe.images_per_second, seconds=0.0)
    )
    words = [
        "--arch",
        "shallow",
        "--data",
        str(tmp_path),
        "--size",
        "32",
        "--scale",
        "36",
        "--epochs",
        "3",
        *TINY,
    ]
    with shallow():
        images, speed = trial.time_training(words)
    assert images == 3 * 6, "one of four of each class is held out"
    assert speed > 0


def test_data_are_opened_once_for_all_stages():
    words = ["--arch", "vgg11", "--data", "digits"]
    _, source = flags.parse(words)
    assert flags.parse(words, source)[1] is source


@pytest.mark.parametrize(
    ("layers", "mean", "std", "expected"),
    [
        ("paper", (9.0,) * 3, (5.0,) * 3, True),
        ("all-matching", (9.0,) * 3, None, False),
        ("block1_conv1, fc1", (9.0,) * 3, (5.0,) * 3, True),
        ("fc1,fc2", (9.0,) * 3, (5.0,) * 3, None),  # statistics stay at home
        ("paper", None, None, None),  # not told
    ],
)
def test_kernels_that_stay_random_suit_the_input_that_the_network_will_have(
    layers, mean, std, expected
):
    settings, weights = (
        types.SimpleNamespace(inherit_layers=layers),
        types.SimpleNamespace(mean=mean, std=std),
    )
    assert session._standardized(weights, settings) is expected
    assert session._standardized(None, settings) is None


def test_of_several_processes_the_first_alone_notes_what_was_inherited(tmp_path, capsys):
    source, target = (
        build_vgg("vgg11", input_shape=(32, 32, 3), classes=2, width=1 / 16, seed=i)
        for i in range(2)
    )
    write_weights(source, tmp_path / "w.safetensors")
    settings = types.SimpleNamespace(inherit_layers="all-matching", recipe=Recipe())
    for writes in (False, True):
        run = types.SimpleNamespace(
            path=lambda name: str(tmp_path / name), settings=settings, writes=writes
        )
        session._inherit(run, target, read_weights(tmp_path / "w.safetensors"), None)
        np.testing.assert_array_equal(
            target.get_layer("fc1").kernel.numpy(), source.get_layer("fc1").kernel.numpy()
        )
        assert (tmp_path / "inherited.txt").exists() == writes
        assert ("11 layers copied" in capsys.readouterr().out) == writes
