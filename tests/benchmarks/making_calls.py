"""Benchmarks as modules, and the numbers in their output."""

import importlib.util
import io
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import keras

from tests.making import call

FOLDER = Path(__file__).parents[2] / "benchmarks"
# The other modules are imported by these.
BENCHMARKS = sorted(path for path in FOLDER.glob("*.py") if "__main__" in path.read_text())
NUMBER = r"\d[\d,.]*"


def load(name, monkeypatch):
    """Return a benchmark as a module that runs its child processes as calls in this process.

    Their environment variables are appended to `environments` of the module.
    """
    path = FOLDER / f"{name}.py"
    monkeypatch.syspath_prepend(FOLDER)  # as the folder of a script is
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    module.environments = []

    def run(command, env=None, **options):
        module.environments.append(env)
        assert command[0] == sys.executable
        if command[1] == "-m":
            result = call(*command[2:])
            assert result.returncode == 0, result.stderr
            return result
        assert command[1] == str(path)
        with redirect_stdout(io.StringIO()) as out:
            module.main(command[2:])
        return SimpleNamespace(stdout=out.getvalue())

    stand_in = SimpleNamespace(
        run=run, PIPE=subprocess.PIPE, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT
    )
    if hasattr(module, "subprocess"):
        monkeypatch.setattr(module, "subprocess", stand_in)
    return module


def numbers(cells):
    """Return the first number in each cell."""
    return [float(re.search(NUMBER, cell)[0].replace(",", "")) for cell in cells]


def small_vgg16(weights, include_top, input_shape, **options):
    """Replace Keras' VGG16, whose 13 convolutions take seconds."""
    assert weights is None
    inputs = keras.Input(input_shape)
    x = keras.layers.Conv2D(4, 3, strides=32, padding="same")(inputs)
    return keras.Model(
        inputs, keras.layers.GlobalAveragePooling2D()(x) if options.get("pooling") else x
    )
