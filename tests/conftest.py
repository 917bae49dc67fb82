"""TensorFlow without messages, float32 in each test module, and folders that are made once."""

import atexit
import fcntl
import os
import shutil
import tempfile

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
if (
    "JAX_COMPILATION_CACHE_DIR" not in os.environ
):  # pytest's workers and all programs use the cache of the first process
    compiled = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, compiled, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"


@pytest.fixture(autouse=True, scope="module")
def float32():
    """Start each test module in float32, because programs change Keras' dtype policy."""
    import keras

    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def once(tmp_path_factory, worker_id):
    """Return a function `once(name, make)` that returns a folder filled by `make(folder)`.

    Each folder is made once for all workers, and tests only read it. A worker that changes one
    fails at its end.
    """
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "once"
    root.mkdir(exist_ok=True)
    seen = {}

    def state(folder):
        # The service of W&B ends its own logs later.
        paths = (path for path in sorted(folder.rglob("*")) if "wandb" not in path.parts)
        return {str(path): path.stat().st_mtime_ns for path in paths}

    def make_once(name, make):
        folder, done = root / name, root / f"{name}.done"
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        seen.setdefault(folder, state(folder))
        return folder

    yield make_once
    for folder, before in seen.items():
        assert state(folder) == before, (
            f"{folder.name} is shared by all tests. One of them has changed it: copy it first."
        )


@pytest.fixture(scope="session")
def digits_trained(once):
    """Return a folder with `run`, two steps of vgg11 on scikit-learn's digits at 32 pixels.

    A separate process trains it. Its output is in `said` and `errors`.
    """
    from tests.making import program

    def make(folder):
        words = "--arch vgg11 --data digits --strategy cpu --precision float32 --smoke".split()
        result = program("vgg_tf.train", *words, "--out", folder / "run")
        assert result.returncode == 0, result.stderr
        (folder / "said").write_text(result.stdout)
        (folder / "errors").write_text(result.stderr)

    return once("digits_trained", make)


@pytest.fixture(scope="session")
def digits_run(digits_trained):
    """Return a finished run of two steps of vgg11 on scikit-learn's digits at 32 pixels."""
    return digits_trained / "run"


@pytest.fixture(scope="session")
def digits_shards(once):
    """Return scikit-learn's digits as shards: train, validation and test."""
    from vgg_tf.data import opening
    from vgg_tf.writing.write import write

    def make(folder):
        write(opening.open_source("digits"), folder / "shards", progress=False)

    return once("digits_shards", make) / "shards"


@pytest.fixture
def copied(digits_run, tmp_path, monkeypatch):
    """Return a copy of `digits_run` for one test, as `run` in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(digits_run, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="session")
def pictures_folder(once):
    """Return three class folders of eight PNG files of 36 pixels; the class is the brightness."""
    from tests.making import pictures

    return once("pictures", pictures)


@pytest.fixture(scope="session")
def all_trained(once):
    """Return a folder with `run`, a shallow network on the digits 3 and 8, and its output `said`.

    Nothing is held out for validation.
    """
    from tests.making import SHALLOW, call, shallow

    def make(folder):
        words = [*SHALLOW, "--hold-out", "0"]
        with shallow():
            result = call("vgg_tf.train", *words, "--classes", "3", "8", "--out", folder / "run")
        assert result.returncode == 0, result.stderr
        (folder / "said").write_text(result.stdout)

    return once("all_trained", make)


@pytest.fixture
def uncompiled(monkeypatch):
    """Let networks predict without compilation, which saves a second per network and shape."""
    from tests.making import uncompile

    uncompile(monkeypatch)


@pytest.fixture
def shallow_known():
    """Add `shallow` and `shallow_bn` to the table of architectures."""
    from tests.making import shallow

    with shallow():
        yield
