"""The file of a run's state: all variables as safetensors, the rest as JSON in its metadata."""

import json
from dataclasses import asdict

from vgg_tf.runs.state import Plateau, State, compute_checksum, list_variables
from vgg_tf.runtime import files, remote
from vgg_tf.weights import normalization

REMEDY = "Delete it: the training continues from the state before, or starts again."


def encode_state(state, model, optimizer):
    """Return the bytes of the file: the state and all variables of a network and its optimizer."""
    from safetensors.numpy import save

    metadata = {
        "state": json.dumps(asdict(state)),
        "statistics": json.dumps(normalization.read_statistics(model)),
    }
    arrays = dict(list_variables(model, optimizer, read=True))
    metadata["checksum"] = compute_checksum(metadata["state"], arrays)
    return save(arrays, metadata=metadata)


def restore_state(path, model, optimizer):
    """Set all variables to those of the file.

    Returns:
        The `State`, or None where the file is torn.

    Raises:
        ValueError: the file is whole, but its state is not JSON; the message names the file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with remote.fetch(path) as copy, safe_open(copy, framework="numpy") as file:
            metadata = file.metadata()
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError:
        return None
    whole = compute_checksum(metadata["state"], arrays)
    if metadata.get("checksum", whole) != whole:
        return None
    values = files.parse_json(metadata["state"], path, REMEDY)
    text = f'{{"statistics": {metadata.get("statistics", "null")}}}'  # a list, or null
    statistics = files.parse_json(text, path, REMEDY)["statistics"]
    for key, variable in list_variables(model, optimizer):
        variable.assign(arrays[key])
    # Constants, perhaps of the network inherited from.
    if statistics:
        normalization.set_statistics(model, *statistics)
    values |= {
        "rows": tuple(values["rows"]),
        "best": tuple(values["best"]),
        "plateau": Plateau(**values["plateau"]),
    }
    return State(**values)
