"""Refuses files of weights that are damaged, of another kind, or unsafe to load."""

import contextlib
import json
import zipfile
from pathlib import Path

from vgg_tf.weights import keras_files

FORMS = (
    "a run folder, .keras, .weights.h5 and .h5 of Keras, .safetensors with the names of "
    "torchvision or timm, a preset folder of Keras Hub; or cifar10, which comes with vgg_tf"
)


@contextlib.contextmanager
def naming_damage(path):
    """Turn what libraries raise about a damaged file into a ValueError that names `path`."""
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
        raise ValueError(f"{path} is torn or damaged ({error}). Get it again.") from None


def make_pickle_error(path):
    """Return the ValueError that refuses a pickle and gives the command that converts it."""
    out = path.with_suffix(".safetensors")
    return ValueError(
        f"{path} is a pickle, which can run any program when it is loaded: it is not. Where you "
        'trust it and have torch: python -c "import torch, safetensors.torch as s; w = '
        f"torch.load('{path}', map_location='cpu', weights_only=True); s.save_file({{k: "
        f"v.contiguous() for k, v in w.items()}}, '{out}')\""
    )


def check_zip(archive, path):
    """Refuse an open zip archive that is not a `.keras` file.

    Raises:
        ValueError: the message names `path` and what the archive has.
    """
    names = archive.namelist()
    if any(name.endswith("data.pkl") for name in names):
        raise make_pickle_error(path)
    if not {"config.json", keras_files.WEIGHTS} <= set(names):
        raise ValueError(
            f"{path} is a zip archive, but no .keras file: it has {', '.join(names[:6])}. Known "
            f"forms: {FORMS}."
        )


def check_archive(path, called):
    """Refuse a `.keras` file that Keras must not load.

    It is damaged, or its weights are in other files of this machine.

    Args:
        path: of the file on this machine.
        called: path for messages.

    Raises:
        ValueError: the message names what is wrong.
    """
    with naming_damage(called), zipfile.ZipFile(path) as archive:
        check_zip(archive, Path(called))
        with keras_files.open_archive(archive, called):
            pass
