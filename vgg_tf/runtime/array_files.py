"""The .npz files of vgg_tf, read with the checks of `schemas`."""

import contextlib
import io
import struct
import zipfile

from vgg_tf.runtime import files
from vgg_tf.runtime.schemas import naming


def read_arrays(path, rules, called, remedy):
    """Read an uncompressed .npz file of vgg_tf. The checksum of each array is checked.

    Args:
        path: Path, local or remote.
        rules: Dict from names to `(kinds, dimensions)`, such as `("f", 2)`; kinds are characters of
            `numpy.dtype.kind`. The rule of the name None is that of all other names; without it,
            others are not read.
        called: As for `schemas.parse`.
        remedy: As for `schemas.parse`.

    Returns:
        dict from names to arrays.

    Raises:
        DamagedFileError: The file is not complete, or an array is missing or follows no rule.
        OSError: The file cannot be read.
    """
    with naming(path, called, remedy), _naming_what_is_wrong():
        return _load_arrays(files.read(path), rules)


def _load_arrays(data, rules):
    import numpy as np

    arrays = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if (rule := rules.get(name, rules.get(None))) is None:
                continue
            # vgg_tf compresses none: a small file cannot become a large one.
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{name} is compressed")
            content = archive.read(member)  # whole: else the checksum is not checked
            array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
            kinds, dimensions = rule
            if array.dtype.kind not in kinds or array.ndim != dimensions:
                raise ValueError(f"{name} is {array.dtype} {list(array.shape)}")
            arrays[name] = array
    if missing := [name for name in rules if name is not None and name not in arrays]:
        raise ValueError(f"no {missing[0]}")
    return arrays


@contextlib.contextmanager
def _naming_what_is_wrong():
    """Convert what zipfile and NumPy raise about changed bytes to a ValueError."""
    try:
        yield
    except (
        EOFError,
        LookupError,
        MemoryError,  # NumPy makes an array before it reads it
        OSError,
        OverflowError,
        RuntimeError,
        SyntaxError,
        TypeError,
        struct.error,
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
    ) as error:
        raise ValueError(str(error) or type(error).__name__) from None
