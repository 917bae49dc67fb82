"""Quiet TensorFlow, oneDNN as in the programs, float32 wherever a program was run before."""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@pytest.fixture(autouse=True, scope="module")
def float32():
    """Each file of tests begins in float32: programs leave Keras in the precision that is best for the machine."""
    import keras

    keras.config.set_dtype_policy("float32")
