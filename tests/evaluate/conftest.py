"""A run on the digits, and what its tests by center crops and at several scales wrote."""

import json
import shutil

import pytest

from tests import making
from tests.evaluate.making_reports import put_few, sketch
from tests.making import shallow
from vgg_tf import build_vgg
from vgg_tf.records.collection import RECIPE_FILE


@pytest.fixture(autouse=True, scope="module")
def of_one_convolution():
    """The table has `shallow`, of one convolution a stage, as files of weights are known by all
    stages.
    """
    with shallow(((3,),) * 5):
        yield


@pytest.fixture(scope="module")
def quick_run(digits_run, once):
    """The run on the digits as if it had trained a network of few convolutions, which is random."""

    def make(folder):
        run = folder / "run"
        shutil.copytree(digits_run, run)
        asked = json.loads((run / RECIPE_FILE).read_text())
        assert asked["arch"] == "vgg11"
        (run / RECIPE_FILE).write_text(json.dumps(asked | {"arch": "shallow"}))
        words = {
            "input_shape": (32, 32, 3),
            "classes": 10,
            "width": 1 / 16,
            "head_width": 16,
            "std": (60, 60, 60),
            "seed": 0,
        }
        build_vgg("shallow", **words).save(run / "model.keras")

    return once("quick_run", make) / "run"


@pytest.fixture
def copied(quick_run, tmp_path, monkeypatch):
    """A copy of `quick_run` for one test, as `run` in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(quick_run, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="module")
def tested(quick_run, once):
    """`run`, a run whose digits were tested by their centre crops, and what that printed, `said`.

    A compiled network, with a second shape for the last batch, which is not full, and the figures
    of a report.
    """

    def make(folder):
        shutil.copytree(quick_run, folder / "run")
        result = making.call(
            "vgg_tf.evaluate", folder / "run", "--batch-size", 7, "--strategy", "cpu"
        )
        assert result.returncode == 0, result.stderr
        (folder / "said").write_text(result.stdout)

    return once("tested", make)


@pytest.fixture(scope="module")
def several(quick_run, once):
    """`run`, a run that saw the few pictures of `few` dense and in many crops, at three scales;
    what was printed, `said`.

    2 s: 6 units, each of which is a graph of its own in the pipeline.
    """

    def make(folder):
        shutil.copytree(quick_run, folder / "run")
        words = (
            folder / "run",
            "--data",
            put_few(folder / "few"),
            "--scales",
            "several",
            "--strategy",
            "cpu",
        )
        with pytest.MonkeyPatch.context() as patch:
            sketch(patch)
            results = [
                making.call("vgg_tf.evaluate", *words, "--protocol", name)
                for name in ("dense", "multi-crop")
            ]
        assert [result.returncode for result in results] == [0, 0], results
        (folder / "said").write_text("".join(result.stdout for result in results))

    return once("several", make)


@pytest.fixture
def seen(several, tmp_path, monkeypatch):
    """A copy of `several` for one test, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("run", "few"):
        shutil.copytree(several / name, tmp_path / name)
    return tmp_path / "run"


@pytest.fixture
def sketched(monkeypatch):
    sketch(monkeypatch)
