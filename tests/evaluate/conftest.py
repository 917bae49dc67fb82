"""A run on the digits, and the results of its tests with center crops and several scales."""

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
    """Add the architecture `shallow`, with one convolution per stage.

    Weight files are recognized by all five stages.
    """
    with shallow(((3,),) * 5):
        yield


@pytest.fixture(scope="module")
def quick_run(digits_run, once):
    """The run on the digits with a random network of few convolutions."""

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
    """A run whose digits were tested with center crops, `run`, and the printed text, `said`.

    The network is compiled, the last batch is not full and has its own shape, and the report has
    figures.
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
    """A run that tested the pictures of `few` with dense and multi-crop at three scales, `run`.

    The printed text is in `said`. 2 s: 6 units, each with its own graph in the pipeline.
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
    """Write reports without figures and do not compile networks; see `sketch`."""
    sketch(monkeypatch)
