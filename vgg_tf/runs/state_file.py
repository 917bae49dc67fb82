"""State file of a run: variables as safetensors, the other values as JSON in the metadata."""

import json
from dataclasses import asdict

from vgg_tf.runs.state import Plateau, State, compute_checksum, list_variables
from vgg_tf.runtime import files, remote
from vgg_tf.weights import normalization

REMEDY = "Delete it. The training then continues from the previous state, or starts from scratch."


def encode_state(state, model, optimizer):
    """Return the bytes of the state file of a network and its optimizer."""
    from safetensors.numpy import save

    metadata = {
        "state": json.dumps(asdict(state)),
        "statistics": json.dumps(normalization.read_statistics(model)),
    }
    arrays = dict(list_variables(model, optimizer, read=True))
    metadata["checksum"] = compute_checksum(metadata["state"], arrays)
    return save(arrays, metadata=metadata)


def restore_state(path, model, optimizer):
    """Restore the variables of a network and its optimizer from a state file.

    Args:
        path: Path of the file, local or remote.
        model: Keras model, built as for the run that wrote the file.
        optimizer: Its optimizer.

    Returns:
        The `State`, or None if the file is truncated or damaged.

    Raises:
        ValueError: The arrays are intact, but the state is not JSON. The message names the file.
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
    # Mean and std of the input are constants, not variables. They may come from other weights.
    if statistics:
        normalization.set_statistics(model, *statistics)
    values |= {
        "rows": tuple(values["rows"]),
        "best": tuple(values["best"]),
        "plateau": Plateau(**values["plateau"]),
    }
    return State(**values)
