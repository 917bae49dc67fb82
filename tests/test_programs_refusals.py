"""Wrong input is refused in one line, before a slow import or a training run."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.making import TINY, call, pictures, program
from tfrecords_tools import write
from vgg_tf.training.flags import parse


@pytest.fixture
def inputs(once, tmp_path, monkeypatch):
    """Return the current folder, with good data, damaged data, and a folder of other files."""

    def make(folder):
        (folder / "empty").mkdir()
        pictures(folder / "one", classes=1)
        pictures(folder / "good")
        for path in pictures(folder / "bad").rglob("*.png"):
            path.write_bytes(path.read_bytes()[:60])
        pictures(folder / "bad-test" / "train")
        pictures(folder / "bad-test" / "test", n=1)
        (folder / "bad-test" / "test" / "class0" / "0.png").write_bytes(b"Dear diary")
        (folder / "thesis").mkdir()
        (folder / "thesis" / "thesis.txt").write_text("years of work")

    folder = shutil.copytree(once("inputs", make), tmp_path / "inputs")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.usefixtures("shallow_known")
@pytest.mark.parametrize(
    ("run", "words", "message"),
    [
        (
            program,
            ["vgg_tf.train", "--arch", "vgg17"],
            r"error: Unknown architecture 'vgg17'\. Expected one of: vgg11, .*vgg19_bn\.\n$",
        ),
        (
            call,
            ["vgg_tf.train", "--recipe", "magic"],
            r"error: Unknown recipe 'magic'\. Expected one of: auto, paper, .*finetune\.\n$",
        ),
        (
            call,
            ["vgg_tf.train", "--data", "empty"],
            r"error: empty must have at least 2 class folders with images\. Received: 0\..*\n$",
        ),
        (
            call,
            ["vgg_tf.train", "--data", "one"],
            r"error: one must have at least 2 class folders with images\. Received: 1\..*\n$",
        ),
        (
            call,
            ["vgg_tf.train", "--data", "nowhere"],
            r"error: No folder 'nowhere'\. Give digits, tfds:NAME, a folder of class folders.*\n$",
        ),
        (
            call,
            ["vgg_tf.train", "--data", "good", "--out", "thesis"],
            r"error: --out must be empty or contain a run\. Received: thesis .*--out\.\n$",
        ),
        (
            call,
            ["vgg_tf.train", "--data", "good", "--strategy", "tpu"],
            r"error: No TPU found by TensorFlow( or JAX)?\..*--strategy auto\.\n$",
        ),
        (
            call,
            ["vgg_tf.train", "--data", "good", "--scale", "16"],
            r"error: --scale must be .* not below the crop's side of 32",
        ),
        (
            call,
            ["vgg_tf.train", "--data", "bad", *TINY],
            r"error: cannot read class0/0\.png: .*\n$",
        ),
        pytest.param(
            call,
            ["vgg_tf.train", "--arch", "shallow", "--data", "bad-test", "--epochs", "1", *TINY],
            r"error: Unreadable files or records: 1\..*\n  cannot read test/class0/0.png",
            marks=pytest.mark.slow,
        ),
        (
            call,
            ["vgg_tf.train", "--data", "good", "--initializer", "magic"],
            r"error: Unknown initializer 'magic'\..*\n$",
        ),
        (call, ["vgg_tf.train", "--epoch", "3"], r"--epochs"),
        (
            call,
            ["vgg_tf.evaluate", "thesis"],
            r"error: thesis must contain weights\. Received: thesis\.txt\. "
            r"Supported formats: a run folder, .*\n$",
        ),
        (
            program,
            ["tfrecords_tools.write", "empty", "out"],
            r"error: empty must have at least 2 class folders.*\n$",
        ),
        (
            call,
            ["tfrecords_tools.write", "good", "out", "--seed", "-1"],
            r"error: --seed and --shards must be 0 or more.*\n$",
        ),
        (
            call,
            ["tfrecords_tools.write", "good", "thesis"],
            r"error: thesis must be empty or have shards\..*\n$",
        ),
        (
            call,
            ["tfrecords_tools.write", "bad", "out"],
            r"(?s)error: 24 of 24 images cannot be read.*class2/3\.png.*\n$",
        ),
    ],
)
def test_wrong_input_is_an_error_in_one_line_and_changes_no_file(inputs, run, words, message):
    result = run(*words)
    assert result.returncode != 0
    assert re.search(message, result.stderr or result.stdout), result.stderr + result.stdout
    assert "Traceback" not in result.stderr
    assert [path.name for path in (inputs / "thesis").iterdir()] == ["thesis.txt"]
    assert not list(inputs.rglob("report.json"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--arch", "vgg99"], "Unknown architecture 'vgg99'"),
        (["--recipe", "magic"], "Unknown recipe 'magic'"),
        (["--data", "nowhere"], "No folder 'nowhere'"),
        (["--scale", "16"], "not below the crop's side of 32"),
        (["--track", "magic"], "Received: 'magic'"),
    ],
)
def test_wrong_flags_are_refused_before_tensorflow_is_imported(words, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        parse(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["empty", "out"], "empty must have at least 2 class folders"),
        (["good", "out", "--seed", "-1"], "--seed and --shards must be 0 or more"),
        (["good", "thesis"], "thesis must be empty or have shards"),
    ],
)
def test_wrong_input_for_shards_is_refused_before_tensorflow_is_imported(
    words, message, inputs, monkeypatch
):
    monkeypatch.setattr(sys, "argv", ["write", *words])
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises((ValueError, FileExistsError), match=message):
        write.main()


@pytest.mark.parametrize("name", ["build_vgg", "process_path", "load_dataset"])
def test_a_missing_tensorflow_is_an_error_with_the_pip_command(name):
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
sys.meta_path.insert(0, Absent())
from vgg_tf import {name}
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr.splitlines()[-1].startswith("ModuleNotFoundError: vgg_tf needs TensorFlow")
    assert "pip install tensorflow-cpu" in result.stderr
