"""A run on a full disk ends like a run without an interruption."""

import re
import shutil

import keras
import pytest

from tests.making import SHALLOW, call, fill_disk, shallow, undrawn
from tests.making_survivals import PLATEAU, noise_batches, same_bits, same_end
from vgg_tf import build_vgg
from vgg_tf.paper.recipes import Recipe
from vgg_tf.runs import run_folder
from vgg_tf.runs.settings import Settings
from vgg_tf.training import loop as training_loop

# The loop without its program, with one convolution: a training run takes 1 s of CPU time.
RECIPE = Recipe(
    epochs=4,
    batch_size=8,
    learning_rate=1e-7,
    patience=2,
    size=32,
    scale=(32, 32),
    dropout=0.2,
    standardize=True,
    seed=5,
)


def loop(folder):
    """Train four epochs of two steps, and return the lines of the log."""
    batches, validation = noise_batches()
    settings, lines = Settings("shallow_bn", "noise", "0" * 16, "float32", RECIPE), []
    keras.utils.set_random_seed(RECIPE.seed)
    with run_folder.open_run(folder, settings) as run, shallow():
        shape = {"input_shape": (32, 32, 3), "classes": 2, "width": 0.0625, "head_width": 16}
        model = build_vgg(
            "shallow_bn", **shape, dropout=RECIPE.dropout, std=(75,) * 3, seed=RECIPE.seed
        )
        feed = training_loop.Feed(2, 8, lambda epoch: batches, validation)
        training_loop.train(run, model, feed, training_loop.Hooks(lines.append))
    return lines


@pytest.fixture(scope="module")
def four(once):
    """Return a run of four epochs without an interruption."""
    folder = once(
        "four", lambda folder: (folder / "said").write_text("\n".join(loop(folder / "run")))
    )
    assert PLATEAU in (folder / "said").read_text()
    return folder / "run"


@pytest.mark.parametrize(
    "name", [run_folder.LAST, "model.keras", pytest.param("log.csv", marks=pytest.mark.slow)]
)
def test_a_full_disk_loses_no_saved_epoch(four, tmp_path, monkeypatch, name):
    # Two training runs, each of 1 s of CPU time.
    folder = tmp_path / "run"
    save, check = run_folder.Run.save_last, run_folder.Run.check_space
    undrawn(monkeypatch)

    def save_and_fill(run, state, *rest):
        save(run, state, *rest)
        if state.epoch == 2:
            fill_disk(patch, folder / name)

    with monkeypatch.context() as patch:
        if name == "model.keras":  # the best network may be that of the first epoch
            patch.setattr(
                run_folder.Run,
                "check_space",
                lambda run, *networks: (check(run, *networks), fill_disk(patch, folder / name)),
            )
        else:
            patch.setattr(run_folder.Run, "save_last", save_and_fill)
        with pytest.raises(
            OSError,
            match=(
                rf"cannot write .*/{name}: no space is left\. "
                r"Free some space, then run the same command again"
            ),
        ):
            loop(folder)
    lines = loop(folder)
    epochs = {
        run_folder.LAST: 2,
        "log.csv": 3,
    }  # the state is written before the log, and contains it
    assert (
        lines[0] == f"continuing after epoch {epochs[name]}"
        if name in epochs
        else lines[0].startswith("check of one batch")
    )
    assert same_bits(four, folder)


@pytest.mark.slow
def test_a_full_disk_costs_one_curve_with_a_note_and_the_run_continues(
    four, tmp_path, monkeypatch, capsys
):
    check = run_folder.Run.check_space
    monkeypatch.setattr(
        run_folder.Run,
        "check_space",
        lambda run, *networks: (
            check(run, *networks),
            fill_disk(monkeypatch, tmp_path / "run" / "history.png"),
        ),
    )
    loop(tmp_path / "run")
    (note,) = capsys.readouterr().err.splitlines()
    assert re.search(r"history\.png .*cannot write .*/history\.png: no space is left", note)
    assert same_bits(four, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.usefixtures("shallow_known")
def test_the_same_command_continues_after_a_full_disk_to_the_same_result(
    all_trained, tmp_path, monkeypatch
):
    # Runs the whole program: it trains the second of its two epochs, and tests twice.
    monkeypatch.chdir(tmp_path)
    undrawn(monkeypatch)
    copied = shutil.copytree(all_trained / "run", tmp_path / "run")
    words = [*SHALLOW, "--hold-out", "0", "--classes", "3", "8", "--out", "run"]
    for name in (run_folder.LAST, "report.json"):  # as after the first epoch
        (copied / name).unlink()
    with pytest.MonkeyPatch.context() as patch:
        write = run_folder.Run.write_report
        patch.setattr(
            run_folder.Run,
            "write_report",
            lambda run, report: (fill_disk(patch, copied / "report.json"), write(run, report)),
        )
        result = call("vgg_tf.train", *words)
    assert result.returncode == 1
    assert "continuing after epoch 1" in result.stdout
    assert result.stderr == (
        "error: cannot write run/report.json: no space is left. Free some space, then run the same "
        "command again.\n"
    )
    assert not (copied / "report.json").exists()
    result = call("vgg_tf.train", *words)
    assert result.returncode == 0, result.stderr
    assert "continuing after epoch 2" in result.stdout
    assert same_end(all_trained / "run", copied)


def test_a_run_is_refused_if_the_disk_has_no_space_for_two_states_and_two_networks(
    tmp_path, monkeypatch
):
    # 138,357,544 weights of D (section 2.3), with momentum: 3.3 GB.
    class Weight:
        shape = (138_357_544,)

    class Network:
        weights = variables = (Weight,)

    run = run_folder.Run(str(tmp_path), None)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=3_300_000_000))
    with pytest.raises(OSError, match=r"must have 3,322 MB free. Received: 3,300 MB"):
        run.check_space(Network, Network)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=3_330_000_000))
    run.check_space(Network, Network)
