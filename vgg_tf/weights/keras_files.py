"""Arrays of Keras' files, by the names of the layers. Their order is never used."""

import contextlib
import io
import json
import re

import h5py

WEIGHTS = "model.weights.h5"  # in a .keras archive


@contextlib.contextmanager
def open_hdf5(source, called):
    """Open an HDF5 file for reading, if the file contains all of its data.

    External links, external storage and virtual datasets of HDF5 read other files of this machine.
    A third-party file must not do that. All HDF5 files are therefore opened by this function.

    Args:
        source: Path, or a file-like object.
        called: Path for messages.

    Yields:
        The open `h5py.File`.

    Raises:
        ValueError: A part of the data is in another file. No data have been read.
    """
    with h5py.File(source, "r") as file:
        if found := next(_find_external(file), None):
            raise ValueError(
                f"{called} must contain all of its weights. Received: {found[0]} is {found[1]}, "
                "which reads another file of this machine. Save the network again with model.save "
                "or model.save_weights of Keras."
            )
        yield file


def open_archive(archive, called):
    """Open the weights in a `.keras` archive for reading.

    Args:
        archive: Open `zipfile.ZipFile` that contains model.weights.h5.
        called: Path for messages.

    Returns:
        The context manager of `open_hdf5`.
    """
    return open_hdf5(io.BytesIO(archive.read(WEIGHTS)), called)


def _find_external(file):
    """Yield the place and kind of each part of an open HDF5 file that is in another file.

    Soft links are not followed. Their targets in this file are visited anyway. They reach other
    files only through an external link, which is found.
    """
    seen, waiting = {file}, [file]  # hard links can form cycles
    while waiting:
        group = waiting.pop()
        for name in group:
            place, link = f"{group.name.rstrip('/')}/{name}", group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                yield place, f"an external link to {link.filename}"
            if not isinstance(link, h5py.HardLink) or (part := group[name]) in seen:
                continue
            seen.add(part)
            if isinstance(part, h5py.Group):
                waiting.append(part)
            elif isinstance(part, h5py.Dataset) and part.external:
                yield place, f"external storage in {part.external[0][0]}"
            elif isinstance(part, h5py.Dataset) and part.is_virtual:
                yield place, "a virtual dataset"


def read_archive(archive):
    """Read the arrays and the configuration of a `.keras` file.

    Args:
        archive: Open `zipfile.ZipFile` that contains config.json and model.weights.h5.

    Returns:
        arrays: Dict from layer to a list of arrays, in Keras' order of variables.
        config: Configuration of the model.
    """
    with open_archive(archive, archive.filename) as file:
        config = json.loads(archive.read("config.json"))
        return _read_keras3(file, archive.filename), config


def read_hdf5(file):
    """Read the arrays and the configuration of a `.weights.h5` of Keras 3 or `.h5` of Keras 2.

    A `.h5` file contains weights or a complete model.

    Args:
        file: Open `h5py.File` of `open_hdf5`.

    Returns:
        arrays: As `read_archive` returns them.
        config: Configuration of the model; None for a file of weights alone.
    """
    if "layer_names" not in file.attrs and "model_weights" not in file:
        return _read_keras3(file, file.filename), None
    config = file.attrs.get("model_config")
    return _read_keras2(file.get("model_weights", file)), json.loads(config) if config else None


def _read_keras3(file, called):
    # Keras numbers the groups of a .weights.h5 by order. The name of the layer is an attribute.
    arrays, nameless = {}, []

    def visit(place, group):
        if (
            isinstance(group, h5py.Group)
            and place.endswith("vars")
            and not place.startswith("optimizer")
        ):
            if arrays.get(group.attrs.get("name")):
                raise ValueError(
                    f"{called} must contain one network. Received: two layers called "
                    f"{group.attrs['name']}. Save one network alone."
                )
            if "name" in group.attrs:
                arrays[group.attrs["name"]] = [group[str(i)][()] for i in range(len(group))]
            elif len(group):
                nameless.append(place)

    file.visititems(visit)
    if nameless:
        raise ValueError(
            f"{called} must have the names of its layers. Received: {nameless[0]} without a name. "
            "Load the file in the version of Keras that wrote it, and save it with a later version."
        )
    return arrays


def _read_keras2(group):
    """Return the arrays of a `.h5` of Keras 2 by layer, including layers of nested models.

    The arrays are called `block1_conv1/kernel:0` or `block1_conv1_W_1:0`. TensorFlow 1 numbered
    the variables of a second network: `block1_conv1_1/kernel:0` in the layer block1_conv1.
    """
    arrays = {}
    for layer in _read_names(group, "layer_names"):
        arrays.setdefault(layer, [])
        for name in _read_names(group[layer], "weight_names"):
            owner = name.split("/")[-2] if "/" in name else layer
            owner = layer if re.fullmatch(re.escape(layer) + r"_\d+", owner) else owner
            arrays.setdefault(owner, []).append(group[layer][name][()])
    return arrays


def _read_names(group, key):
    names = [name.decode() if isinstance(name, bytes) else name for name in group.attrs[key]]
    # An attribute can also have references, which h5py would follow to parts without a name.
    if other := [name for name in names if not isinstance(name, str)]:
        raise ValueError(
            f"{group.file.filename}: {key} of {group.name} must be names. Received: {other[0]!r}. "
            "Save the network again with Keras."
        )
    return names
