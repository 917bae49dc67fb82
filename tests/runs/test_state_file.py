"""A state file is restored as a whole or not at all, and files of earlier versions still are."""

import json
import zlib
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save

from vgg_tf.runs import state_file
from vgg_tf.runs.state import Plateau, State

STATE = State(3, (12.5, float("inf")), 2, Plateau(12.5, 1, 0), False, ({"epoch": 1},))


@pytest.fixture
def model():
    moments = {"mean": [1.0, 2.0, 3.0], "variance": [1.0, 4.0, 9.0]}
    normalize = keras.layers.Normalization(**moments, name="normalize")
    return keras.Sequential([keras.Input((3,)), normalize, keras.layers.Dense(2)])


OPTIMIZER = SimpleNamespace(variables=[])


@pytest.fixture
def parts(model, tmp_path):
    """Return the arrays and metadata of a state file."""
    path = tmp_path / "written"
    path.write_bytes(state_file.encode_state(STATE, model, OPTIMIZER))
    with safe_open(path, framework="numpy") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118


def restore(model, tmp_path, arrays, metadata):
    path = tmp_path / "last.safetensors"
    path.write_bytes(save(arrays, metadata))
    return state_file.restore_state(str(path), model, OPTIMIZER)


def as_before(parts, checksum=True, statistics=True):
    """Return arrays and metadata as earlier versions wrote them."""
    arrays, metadata = parts
    values = json.loads(metadata["state"])
    del values["version"]
    old = {"state": json.dumps(values)}
    if statistics:
        old["statistics"] = metadata["statistics"]
    if checksum:
        data = old["state"].encode() + b"".join(a.tobytes() for _, a in sorted(arrays.items()))
        old["checksum"] = f"crc32 {zlib.crc32(data):08x}"
    return arrays, old


def test_a_state_is_restored_as_it_was_written(model, parts, tmp_path):
    assert restore(model, tmp_path, *parts) == STATE


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("statistics", [True, False])
def test_states_of_earlier_versions_are_restored(model, parts, tmp_path, checksum, statistics):
    assert restore(model, tmp_path, *as_before(parts, checksum, statistics)) == STATE
    arrays, metadata = as_before(parts)
    arrays = arrays | {"model/0000": arrays["model/0000"] + 1}
    assert restore(model, tmp_path, arrays, metadata) is None


def of_metadata(**changes):
    return lambda arrays, metadata: (arrays, metadata | changes)


def without(key):
    return lambda arrays, metadata: (arrays, {k: v for k, v in metadata.items() if k != key})


def of_arrays(change):
    return lambda arrays, metadata: (dict(change(arrays)), metadata)


@pytest.mark.parametrize(
    "change",
    [
        without("checksum"),
        without("statistics"),
        without("state"),
        of_metadata(statistics="[[1.0, 2.0, 3.5], [1.0, 2.0, 3.0]]"),
        of_metadata(statistics="{"),
        of_metadata(state="{"),
        of_metadata(state="{}"),
        of_arrays(lambda arrays: {f"other/{key}": array for key, array in arrays.items()}),
        of_arrays(lambda arrays: {key: array.view(np.int32) for key, array in arrays.items()}),
        of_arrays(lambda arrays: {key: array[None] for key, array in arrays.items()}),
        of_arrays(lambda arrays: list(arrays.items())[1:]),
    ],
)
def test_a_state_with_anything_wrong_is_not_restored(model, parts, tmp_path, change):
    before = [variable.numpy().tobytes() for variable in model.variables]
    assert restore(model, tmp_path, *change(*parts)) is None
    assert [variable.numpy().tobytes() for variable in model.variables] == before


@pytest.mark.parametrize(
    "statistics", ["[[1.0], [1.0]]", "[null, null]", "[[NaN, 1, 1], null]", "3", "[[1, 2, 3]]"]
)
def test_impossible_statistics_of_earlier_versions_are_not_restored(
    model, parts, tmp_path, statistics
):
    arrays, metadata = as_before(parts)
    assert restore(model, tmp_path, arrays, metadata | {"statistics": statistics}) is None
