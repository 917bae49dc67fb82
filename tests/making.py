"""What several files of tests make or call: pictures, programs, and the marks of what may be
missing.

`python -m tests.making PROGRAM WORDS` runs a program of ours that knows the architectures of
`shallow`; so do its children.
"""

import contextlib
import importlib
import importlib.util
import io
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from vgg_tf.paper.architectures import ARCHITECTURES, Architecture
from vgg_tf.runtime import programs

QUICK = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"
}  # an environment in which JAX compiles sooner and computes later
ROOT = str(Path(__file__).parent.parent)
SHALLOW = ["--arch", "shallow", "--strategy", "cpu", "--precision", "float32", "--smoke"]
TINY = ["--width", "0.0625", "--head-width", "16"]  # the smallest network that the flags give

DATA = os.environ.get("VGG_TF_DATA")
real_data = pytest.mark.skipif(
    not DATA, reason="VGG_TF_DATA names no folder with the unpacked pictures"
)
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed"
)


def program(*words, cwd=None, **options):
    """Run a program in a process of its own: seconds for the imports alone. For exit codes, signals
    and environments.
    """
    return subprocess.run(
        [sys.executable, "-m", *map(str, words)], capture_output=True, text=True, cwd=cwd, **options
    )


def shallow_program(*words, env=os.environ, **options):
    """The same, of a program that knows the architectures of `shallow`."""
    return program("tests.making", *words, env=env | {"PYTHONPATH": ROOT}, **options)


def call(name, *words):
    """Run a program in this process, as the command line would. The result has `returncode`,
    `stdout` and `stderr`.
    """
    main, out, errors, code = importlib.import_module(name).main, io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            programs.run(lambda: main([*map(str, words)]))
        except SystemExit as end:
            code = end.code
    if isinstance(code, str):
        errors.write(f"{code}\n")
        code = 1
    return SimpleNamespace(returncode=code or 0, stdout=out.getvalue(), stderr=errors.getvalue())


def epochs_done(folder):
    """How many epochs the log of a run has."""
    log = Path(folder) / "log.csv"
    return len(log.read_text().splitlines()) - 1 if log.exists() else 0


def undrawn(patch):
    """Let runs and tests draw no figures, by a `pytest.MonkeyPatch`: that saves one to four seconds
    a program.
    """
    from vgg_tf.evaluation import reports
    from vgg_tf.runs import run_folder

    patch.setattr(run_folder.Run, "draw", lambda run, make: None)
    patch.setattr(reports, "render_page", lambda *_: "")


def fill_disk(patch, path):
    """Let `files.writing` of a path meet a full disk, by a `pytest.MonkeyPatch`."""
    from vgg_tf.runtime import files

    make = files.temporary_folder

    @contextlib.contextmanager
    def make_full(of):
        with make(of) as folder:
            if Path(of).resolve() == Path(path).resolve():
                (Path(folder) / Path(of).name).symlink_to("/dev/full")
            yield folder

    patch.setattr(files, "temporary_folder", make_full)


def cells_of(text):
    """The rows of all Markdown tables in a text, without their rules: lists of cells."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line[:1] == "|"]
    rows = [[cell.strip() for cell in row] for row in rows]
    return [row for row in rows if not all(set(cell) <= set("-:") and cell for cell in row)]


def noise(h, w, seed=0):
    """Random pixels, uint8 `[h, w, 3]`."""
    return np.random.default_rng([h, w, seed]).integers(0, 256, (h, w, 3), np.uint8)


def save(path, picture, **options):
    """Write pixels, or a PIL image, to a file whose folder need not be there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(
        path, **options
    )


def pictures(folder, classes=3, n=8, side=36):
    """Fill a folder with PNG files whose brightness tells the class."""
    random = np.random.default_rng(0)
    for label in range(classes):
        for i in range(n):
            pixels = random.integers(0, 60, (side, side, 3)) + 60 * label
            save(folder / f"class{label}" / f"{i}.png", pixels.astype(np.uint8))
    return folder


@contextlib.contextmanager
def shallow(kernels=((3,), (), (), (), ()), names=("shallow", "shallow_bn")):
    """Within, the table has `shallow`, and `shallow_bn` with batch normalization: one convolution,
    so tracing takes a quarter.

    For claims that do not depend on the depth. `kernels` are those of the five stages, as in
    `vgg_tf.paper.architectures`; `names` may be those of the paper, where a program has them
    itself.
    """
    rows = {
        name: Architecture(name, "-", kernels, batch_norm=name.endswith("_bn")) for name in names
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, row in rows.items():
            patch.setitem(ARCHITECTURES, name, row)
        yield


def uncompile(patch):
    """Let networks predict layer by layer, as they are, by a `pytest.MonkeyPatch`: see the fixture
    `uncompiled`.
    """
    import keras

    from vgg_tf.evaluation import evaluator

    patch.setattr(keras.Model, "run_eagerly", True)
    patch.setattr(evaluator, "make_faster", lambda model: model)


def main():
    """Run the program that the words name, within `shallow`, in this process; programs that it
    starts are run like that too.
    """
    _, name, *sys.argv[1:] = sys.argv
    start = programs.call
    with shallow(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            programs,
            "call",
            lambda words, *rest, **options: start(["tests.making", *words], *rest, **options),
        )
        runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
