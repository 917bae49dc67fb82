"""A call leaves precision, random numbers, environment, signals and warnings unchanged."""

import ast
import importlib.util
import json
import locale
import logging
import os
import random
import signal
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import keras
import matplotlib
import numpy as np
import pytest
import sklearn.svm  # noqa: F401 - changes by the first import are not those of a call
import tensorflow as tf
import tqdm  # noqa: F401
import tyro._unsafe_cache  # noqa: F401
from PIL import Image, ImageFile

import vgg_tf
from tests.global_state.making_calls import OTHERS, PUBLIC
from tests.making import shallow, uncompile

if importlib.util.find_spec("jax"):
    import jax

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def settings():
    """Return the settings that all code in the process shares."""
    return {
        "dtype policy": keras.config.dtype_policy().name,
        "floatx": (keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()),
        "backend": keras.config.backend(),
        "distribution": (keras.distribution.distribution(), tf.distribute.has_strategy()),
        "devices": tf.config.get_visible_devices(),
        "TensorFlow": (
            tf.config.functions_run_eagerly(),
            tf.config.optimizer.get_jit(),
            tf.config.get_soft_device_placement(),
            tf.config.threading.get_inter_op_parallelism_threads(),
            tf.config.threading.get_intra_op_parallelism_threads(),
            tf.random.get_global_generator().state.numpy().tolist(),
        ),
        "JAX": "jax" in sys.modules
        and (jax.config.jax_default_device, jax.config.jax_platforms, jax.config.jax_enable_x64),
        "folder": os.getcwd(),
        "path": list(sys.path),
        "streams": (sys.stdout, sys.stderr, sys.excepthook),
        "warnings": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "logging": [
            logging.getLogger(name).level
            for name in ("", "tensorflow", "absl", "jax", "matplotlib", "PIL")
        ],
        "figures": dict(dict.items(matplotlib.rcParams)),
        "NumPy": (np.geterr(), np.get_printoptions()),
        "PIL": (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES),
        "locale": locale.setlocale(locale.LC_ALL),
    } | {f"environment's {name}": value for name, value in os.environ.items()}


def numbers():
    """Return the next number of each random generator that all code in the process shares."""
    return [
        random.random(),
        np.random.random(),
        float(keras.random.uniform([])),
        float(tf.random.uniform([])),
    ]


SLOW = (
    *("describe_pictures", "evaluate_localizer", "evaluate_network", "locate_objects"),
    *("train_localizer", "trial.time_training"),
)
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
    for name in (PUBLIC | OTHERS)
]


@pytest.mark.parametrize("name", NAMES)
def test_a_call_does_not_change_the_process(name, place, monkeypatch):
    keras.config.set_dtype_policy(
        "float32"
    )  # else a change by one call would hide that of the next call
    monkeypatch.delenv("TPU_SKIP_MDS_QUERY", raising=False)
    keras.utils.set_random_seed(7)
    expected = numbers()
    keras.utils.set_random_seed(7)
    before = settings()
    with monkeypatch.context() as patch, shallow():
        patch.setattr(
            "tyro._unsafe_cache.sys", SimpleNamespace(modules={})
        )  # tyro draws random numbers if pytest is imported
        if name.startswith("extract "):  # `extract` itself compiles
            uncompile(patch)
        (PUBLIC | OTHERS)[name](patch)
    after = settings()
    assert {
        key: (before.get(key), after.get(key))
        for key in before | after
        if before.get(key) != after.get(key)
    } == {}
    assert numbers() == expected


def test_every_public_function_is_in_the_table():
    assert {name for name in vgg_tf.__all__ if callable(getattr(vgg_tf, name))} == PUBLIC.keys()


def called(notebook):
    """Return the calls of this package in a notebook: `function` or `module.function`."""
    cells = json.loads(notebook.read_text())["cells"]
    lines = "".join(
        "".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code"
    ).splitlines()
    tree = list(
        ast.walk(ast.parse("\n".join(line for line in lines if line[:1] not in ("%", "!"))))
    )
    imports = [node for node in tree if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if node.module.split(".")[0] in ("vgg_tf", "tfrecords_tools")]
    names = {alias.name for node in ours for alias in node.names}
    calls = [ast.unparse(node.func) for node in tree if isinstance(node, ast.Call)]
    return {call for call in calls if call.split(".")[0] in names and "(" not in call}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_every_call_of_a_notebook_is_in_the_table(notebook):
    assert called(notebook) - (PUBLIC | OTHERS).keys() == set()
