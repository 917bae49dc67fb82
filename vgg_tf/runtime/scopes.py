"""Temporary process settings: environment variables and Keras' dtype policy."""

import contextlib
import os


@contextlib.contextmanager
def set_environment(**values):
    """Set environment variables, and restore them at the end.

    Libraries read theirs when they are imported or first used. If the variables stayed, all child
    processes would inherit them.
    """
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def set_precision(policy):
    """Context in which Keras builds layers in this dtype policy. Layers that were saved keep
    their own.
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
