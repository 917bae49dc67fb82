"""Pictures, programs and marks that several test modules use.

`python -m tests.making PROGRAM WORDS` runs a program with the architectures of `shallow`. Its child
programs have them, too.
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
}  # environment in which JAX compiles faster and computes more slowly
ROOT = str(Path(__file__).parent.parent)
SHALLOW = ["--arch", "shallow", "--strategy", "cpu", "--precision", "float32", "--smoke"]
TINY = ["--width", "0.0625", "--head-width", "16"]  # the smallest network that the flags allow

DATA = os.environ.get("VGG_TF_DATA")
real_data = pytest.mark.skipif(
    not DATA, reason="VGG_TF_DATA is not set to a folder with the unpacked pictures"
)
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed"
)


def program(*words, cwd=None, **options):
    """Run a program in its own process, which takes seconds for the imports.

    Use it for exit codes, signals and environments.
    """
    return subprocess.run(
        [sys.executable, "-m", *map(str, words)], capture_output=True, text=True, cwd=cwd, **options
    )


def shallow_program(*words, env=os.environ, **options):
    """Run a program in its own process, with the architectures of `shallow`."""
    return program("tests.making", *words, env=env | {"PYTHONPATH": ROOT}, **options)


def call(name, *words):
    """Run a program in this process, as the command line would.

    Returns:
        A namespace with `returncode`, `stdout` and `stderr`.
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
    """Return the number of epochs in the log of a run."""
    log = Path(folder) / "log.csv"
    return len(log.read_text().splitlines()) - 1 if log.exists() else 0


def undrawn(patch):
    """Draw no figures in runs and tests, which saves 1 to 4 s per program."""
    from vgg_tf.evaluation import reports
    from vgg_tf.runs import run_folder

    patch.setattr(run_folder.Run, "draw", lambda run, make: None)
    patch.setattr(reports, "render_page", lambda *_: "")


def fill_disk(patch, path):
    """Let `files.writing` of a path fail with a full disk."""
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
    """Return the rows of all Markdown tables in a text, as lists of cells."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line[:1] == "|"]
    rows = [[cell.strip() for cell in row] for row in rows]
    return [row for row in rows if not all(set(cell) <= set("-:") and cell for cell in row)]


def noise(h, w, seed=0):
    """Return random pixels, uint8 `[h, w, 3]`."""
    return np.random.default_rng([h, w, seed]).integers(0, 256, (h, w, 3), np.uint8)


def save(path, picture, **options):
    """Write pixels, or a PIL image, to a file, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(
        path, **options
    )


def pictures(folder, classes=3, n=8, side=36):
    """Fill a folder with PNG files; the class is the brightness."""
    random = np.random.default_rng(0)
    for label in range(classes):
        for i in range(n):
            pixels = random.integers(0, 60, (side, side, 3)) + 60 * label
            save(folder / f"class{label}" / f"{i}.png", pixels.astype(np.uint8))
    return folder


@contextlib.contextmanager
def shallow(kernels=((3,), (), (), (), ()), names=("shallow", "shallow_bn")):
    """Add networks with one convolution to the table of architectures.

    Tracing them takes a quarter of the time. They are for claims that do not depend on the depth.

    Args:
        kernels: Kernels of the five blocks, as in `vgg_tf.paper.architectures`.
        names: Names of the networks. Names of the paper replace its networks.
    """
    rows = {
        name: Architecture(name, "-", kernels, batch_norm=name.endswith("_bn")) for name in names
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, row in rows.items():
            patch.setitem(ARCHITECTURES, name, row)
        yield


def uncompile(patch):
    """Let networks predict without compilation, see the fixture `uncompiled`."""
    import keras

    from vgg_tf.evaluation import evaluator

    patch.setattr(keras.Model, "run_eagerly", True)
    patch.setattr(evaluator, "make_faster", lambda model: model)


def main():
    """Run a program, and the programs that it starts, with the architectures of `shallow`."""
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
