"""State file of a run: variables as safetensors, the other values as JSON in the metadata.

A checksum covers all of it. Files of earlier versions have a checksum of the state and the bytes of
the arrays alone, or none.
"""

import json
import math
import zlib
from dataclasses import asdict

from vgg_tf.runs.state import Plateau, State, list_variables
from vgg_tf.runtime import remote
from vgg_tf.runtime.schemas import OBJECT, Fields, Flag, Many, Maybe, Number
from vgg_tf.weights import normalization
from vgg_tf.weights.file_checks import compute_checksum

VERSION = 2  # from 2 on a file without a checksum is damaged
_REAL = Number(-math.inf, math.inf, whole=False)
_PLATEAU = Fields({"best": _REAL, "waited": Number(), "drops": Number()})
_STATE = Fields(
    {
        "epoch": Number(),
        "best": Many(_REAL, 2, 2),
        "best_epoch": Number(),
        "plateau": _PLATEAU,
        "stopped": Flag(),
        "rows": Many(OBJECT, 10**6),
    }
)
_MOMENTS = Many(Number(-1e6, 1e6, whole=False), 1000, 1)
_STATISTICS = Maybe(Many(Maybe(_MOMENTS), 2, 2))


def encode_state(state, model, optimizer):
    """Return the bytes of the state file of a network and its optimizer."""
    from safetensors.numpy import save

    metadata = {
        "state": json.dumps(asdict(state) | {"version": VERSION}),
        "statistics": json.dumps(normalization.read_statistics(model)),
    }
    arrays = dict(list_variables(model, optimizer, read=True))
    metadata["checksum"] = compute_checksum(metadata.values(), arrays)
    return save(arrays, metadata=metadata)


def restore_state(path, model, optimizer):
    """Restore the variables of a network and its optimizer from a state file.

    Nothing is changed if anything in the file is wrong.

    Args:
        path: Path of the file, local or remote.
        model: Keras model, built as for the run that wrote the file.
        optimizer: Its optimizer.

    Returns:
        The `State`, or None if the file is truncated or damaged.
    """
    from safetensors import SafetensorError, safe_open

    variables = dict(list_variables(model, optimizer))
    # Changed bytes of a header can name a dtype that NumPy does not have.
    damage = (SafetensorError, ValueError, TypeError, AttributeError, LookupError)
    try:
        with remote.fetch(path) as copy, safe_open(copy, framework="numpy") as file:
            metadata = file.metadata()
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        values, statistics = _read_metadata(metadata, arrays)
        _check_shapes(arrays, variables, statistics, model)
    except damage:
        return None
    for key, variable in variables.items():
        variable.assign(arrays[key])
    # Mean and std of the input are constants, not variables. They may come from other weights.
    if statistics:
        normalization.set_statistics(model, *statistics)
    values |= {
        "rows": tuple(values["rows"]),
        "best": tuple(values["best"]),
        "plateau": Plateau(**_PLATEAU.select(values["plateau"])),
    }
    return State(**values)


def _read_metadata(metadata, arrays):
    """Return the values of the state, and mean and std of the input or None.

    Raises:
        ValueError: Anything in the metadata is wrong, or the arrays have another checksum.
        KeyError: The state is missing.
    """
    texts = [metadata["state"], metadata.get("statistics", "null")]
    state, statistics = map(json.loads, texts)
    _STATE.check(state)
    _STATISTICS.check(statistics, "statistics")
    checksum = metadata.get("checksum")
    if "version" in state or (checksum or "").startswith("crc32 of all"):
        expected = compute_checksum(texts, arrays)
    else:
        expected = _compute_first_checksum(texts[0], arrays) if checksum else None
    if checksum != expected:
        raise ValueError(f"{checksum} must be {expected}")
    return _STATE.select(state), statistics


def _compute_first_checksum(state, arrays):
    """Return the checksum of files of earlier versions."""
    crc = zlib.crc32(state.encode())
    for _, array in sorted(arrays.items()):
        crc = zlib.crc32(array.tobytes(), crc)
    return f"crc32 {crc:08x}"


def _check_shapes(arrays, variables, statistics, model):
    """Raise a ValueError if arrays or statistics do not fit the network and its optimizer."""
    shapes = {key: tuple(array.shape) for key, array in arrays.items()}
    if shapes != {key: tuple(variable.shape) for key, variable in variables.items()}:
        raise ValueError("arrays must have the names and shapes of the variables")
    channels = len(normalization.read_statistics(model)[0]) if statistics else 0
    if statistics and any(len(part) != channels for part in statistics if part is not None):
        raise ValueError("statistics must be those of the channels")
    if statistics and statistics[0] is None:
        raise ValueError("statistics must have a mean")
