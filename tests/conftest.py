"""Quiet TensorFlow, oneDNN as in the programs, float32 wherever a program was run before, JAX' programs compiled once."""

import atexit
import os
import shutil
import tempfile

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # pytest's workers and all programs find the one of the first process
    compiled = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, compiled, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"


@pytest.fixture(autouse=True, scope="module")
def float32():
    """Each file of tests begins in float32: programs leave Keras in the precision that is best for the machine."""
    import keras

    keras.config.set_dtype_policy("float32")
