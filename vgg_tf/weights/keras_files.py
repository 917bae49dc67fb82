"""Arrays by layer from Keras' files, by the layers' names, never by their order."""

import contextlib
import io
import json
import re

import h5py

WEIGHTS = "model.weights.h5"  # of a .keras archive


@contextlib.contextmanager
def open_hdf5(source, called):
    """Open an HDF5 file to read, if all of its data are in the file itself.

    Every HDF5 file is opened here. HDF5 has links, external storage and virtual datasets. Each of
    them fetches data from other files of this machine, which a stranger's file must not do.

    Args:
        source: path, or a file-like object.
        called: path for messages.

    Yields:
        The open `h5py.File`.

    Raises:
        ValueError: a part of the file is in another file. No data have been read.
    """
    with h5py.File(source, "r") as file:
        if found := next(_find_external(file), None):
            raise ValueError(
                f"{called} must hold all of its weights itself. Received: {found[0]} is "
                f"{found[1]}, which reads another file of this machine. Get the weights again, "
                "as model.save or model.save_weights of Keras writes them."
            )
        yield file


def open_archive(archive, called):
    """Open the weights in a `.keras` archive, as `open_hdf5` does.

    Args:
        archive: an open `zipfile.ZipFile` with model.weights.h5.
        called: path for messages.
    """
    return open_hdf5(io.BytesIO(archive.read(WEIGHTS)), called)


def _find_external(file):
    """Yield the place and the kind of everything in an open HDF5 file that is in another file.

    Soft links are not followed: what they reach in this file is visited on its own, and out of it
    they only lead through an external link.
    """
    seen, waiting = {file}, [file]  # hard links can form circles
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
    """Return arrays and normalization of a `.keras` file.

    Args:
        archive: an open `zipfile.ZipFile` with config.json and model.weights.h5.

    Returns:
        arrays: lists of arrays by layer, each in Keras' order of variables.
        normalize: configuration of the layer `normalize`, with `mean` and `variance`. {} where they
            are not in the file, None where the network has no such layer.
    """
    with open_archive(archive, archive.filename) as file:
        config = json.loads(archive.read("config.json"))
        return _read_keras3(file, archive.filename), _find_normalize(config)


def read_hdf5(file):
    """Return arrays and normalization of a `.weights.h5` of Keras 3 or a `.h5` of Keras 2.

    A `.h5` holds weights or a whole model.

    Args:
        file: an open `h5py.File`, of `open_hdf5`.

    Returns:
        arrays, normalize: as `read_archive` returns them.
    """
    if "layer_names" not in file.attrs and "model_weights" not in file:
        arrays = _read_keras3(file, file.filename)
        return arrays, {} if "normalize" in arrays else None
    arrays, config = _read_keras2(file.get("model_weights", file)), file.attrs.get("model_config")
    if config:
        return arrays, _find_normalize(json.loads(config))
    return arrays, {} if "normalize" in arrays else None


def _find_normalize(config):
    """Return the configuration of the layer `normalize` anywhere in a model's, or None."""
    if isinstance(config, dict):
        if config.get("name") == "normalize" and "variance" in config:
            return config if config.get("mean") is not None else {}
        config = list(config.values())
    found = (_find_normalize(part) for part in config) if isinstance(config, list) else ()
    return next((part for part in found if part is not None), None)


def _read_keras3(file, called):
    """Return arrays by layer of a `.weights.h5`.

    Keras numbers its groups by order; the name of the layer is an attribute.
    """
    arrays, nameless = {}, []

    def visit(place, group):
        if (
            isinstance(group, h5py.Group)
            and place.endswith("vars")
            and not place.startswith("optimizer")
        ):
            if arrays.get(group.attrs.get("name")):
                raise ValueError(
                    f"{called} has two layers called {group.attrs['name']}: one network is "
                    "expected."
                )
            if "name" in group.attrs:
                arrays[group.attrs["name"]] = [group[str(i)][()] for i in range(len(group))]
            elif len(group):
                nameless.append(place)

    file.visititems(visit)
    if nameless:
        raise ValueError(
            f"{called} tells no names of layers (at {nameless[0]}), only their order, which "
            "other networks share: load it in the Keras that wrote it and save it by a later "
            "one."
        )
    return arrays


def _read_keras2(group):
    """Return arrays by layer of a `.h5` of Keras 2, also of models in models.

    They are called `block1_conv1/kernel:0` or `block1_conv1_W_1:0`. TensorFlow 1 numbered the
    variables of a second network: `block1_conv1_1/kernel:0` in the layer block1_conv1.
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
    """Return the names in an attribute.

    An attribute can also hold references, which h5py would follow to parts without a name.
    """
    names = [name.decode() if isinstance(name, bytes) else name for name in group.attrs[key]]
    if other := [name for name in names if not isinstance(name, str)]:
        raise ValueError(
            f"{group.file.filename}: {key} of {group.name} must be names. Received: {other[0]!r}."
        )
    return names
