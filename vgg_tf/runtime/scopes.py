"""Temporary environment variables and dtype policy."""

import contextlib
import os


@contextlib.contextmanager
def set_environment(**values):
    """Set environment variables, and restore them at the end.

    Libraries read them at import or first use. Permanent changes would reach all child processes.

    Args:
        **values: Name to value of each variable, str.
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
    """Set Keras' dtype policy, and restore it at the end.

    Layers of saved models keep their own policy.

    Args:
        policy: Name of a policy, such as `mixed_bfloat16`.
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
