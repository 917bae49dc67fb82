"""Checks that refuse files of weights that are damaged, unsafe to load, or of another format."""

import contextlib
import json
import zipfile
import zlib
from pathlib import Path

import numpy as np

from vgg_tf.weights import keras_files

CHECKSUM = "vgg_tf_checksum"  # next to the metadata `vgg_tf` of a file of weights
_ALL = "crc32 of all"
FORMS = (
    "a run folder, .keras, .weights.h5 and .h5 of Keras, .safetensors with the names of "
    "torchvision or timm, a preset folder of Keras Hub, or cifar10, which is part of vgg_tf"
)


@contextlib.contextmanager
def naming_damage(path):
    """Convert libraries' errors about a damaged file to a ValueError that names the file.

    Args:
        path: Path of the file.

    Yields:
        None.

    Raises:
        ValueError: The file is damaged.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (
        zipfile.BadZipFile,
        SafetensorError,
        json.JSONDecodeError,
        OSError,
        KeyError,
        RuntimeError,
    ) as error:
        raise ValueError(
            f"{path} is truncated or damaged. Received: {error}. Copy or download it again."
        ) from None


def compute_checksum(texts, arrays):
    """Return a checksum of texts and arrays, with the names, dtypes and shapes of the arrays.

    Args:
        texts: Sequence of str.
        arrays: Dict from names to arrays.

    Returns:
        str.
    """
    crc = 0
    for text in texts:
        crc = zlib.crc32(f"{len(text)}:{text}".encode(), crc)
    for name, array in sorted(arrays.items()):
        crc = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), crc)
        crc = zlib.crc32(np.ascontiguousarray(array).tobytes(), crc)
    return f"{_ALL} {crc:08x}"


def find_checksum(metadata):
    """Return the checksum in metadata, even if its key or its start has changed; None without."""
    found = (
        value for key, value in metadata.items() if key == CHECKSUM or str(value).startswith(_ALL)
    )
    return next(found, None)


def compute_weights_checksum(text, layers):
    """Return the checksum of the metadata and the layers of `Weights`, as a file stores it."""
    arrays = {f"{name}/{key}": a for name, values in layers.items() for key, a in values.items()}
    return compute_checksum([text], arrays)


def make_pickle_error(path):
    """Return a ValueError about a pickle, with the command that converts it."""
    out = path.with_suffix(".safetensors")
    return ValueError(
        f"Weights must not be a pickle, because loading one can run any program. Received: {path}. "
        'If you trust the file, convert it with torch: python -c "import torch, '
        f"safetensors.torch as s; w = torch.load('{path}', map_location='cpu', weights_only=True); "
        f"s.save_file({{k: v.contiguous() for k, v in w.items()}}, '{out}')\""
    )


def check_zip(archive, path):
    """Raise a ValueError that names `path` if an open zip archive is not a `.keras` file."""
    names = archive.namelist()
    if any(name.endswith("data.pkl") for name in names):
        raise make_pickle_error(path)
    if not {"config.json", keras_files.WEIGHTS} <= set(names):
        raise ValueError(
            f"A zip archive of weights must be a .keras file. Received: {path} with "
            f"{', '.join(names[:6])}. Supported formats: {FORMS}."
        )


def check_archive(path, called):
    """Raise a ValueError if Keras must not load a `.keras` file.

    Such a file is damaged, or its weights are in other files of this machine.

    Args:
        path: Local path of the file.
        called: Path for messages.
    """
    with naming_damage(called), zipfile.ZipFile(path) as archive:
        check_zip(archive, Path(called))
        with keras_files.open_archive(archive, called):
            pass
