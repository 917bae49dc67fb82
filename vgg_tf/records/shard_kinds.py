"""Whether a file is a third-party shard: by its first bytes, and by its name if it is damaged."""

import os
import re

from vgg_tf.images import formats
from vgg_tf.records import checksums, unpacking
from vgg_tf.runtime import files, remote

HEAD = 512  # bytes of a file that show its kind
_PACKED = r"(\.(gz|gzip|zz|zlib|z))"
_SUFFIX = re.compile(
    rf"\.(tfrecords?|tfrecs?|records?)([-_.]\d+-of-\d+)?{_PACKED}?$", re.IGNORECASE
)
_BARE_NUMBER = re.compile(rf"\d{{5}}-of-\d{{5}}{_PACKED}?$", re.IGNORECASE)
_OTHER_WRITERS = re.compile(r"\.(array_record|riegeli|bag|parquet)-\d+-of-\d+$")
_EVENTS = b"brain.Event:"  # in the first record of TensorBoard's files, which are framed alike
# What a file of a shard's name may be instead.
_SIGNS = (
    ("a zip archive", 0, b"PK\3\4"),
    ("a tar archive", 257, b"ustar"),
    ("a bzip2 file", 0, b"BZh"),
    ("an xz file", 0, b"\xfd7zXZ"),
    ("a Zstandard file", 0, b"\x28\xb5\x2f\xfd"),
    ("a Parquet file", 0, b"PAR1"),
    ("an HDF5 file", 0, b"\x89HDF"),
    ("a web page", 0, b"<!DOCTYPE"),
    ("a web page", 0, b"<html"),
    ("a pointer of Git LFS", 0, b"version https://git-lfs"),
)


def has_shard_name(name):
    """Return whether a file has the usual name of a shard.

    Example:
        >>> has_shard_name("00-192x192-798.tfrec"), has_shard_name("train-00000-of-00002")
        (True, True)
        >>> has_shard_name("test.tfrecord.gz"), has_shard_name("records.csv")
        (True, False)
    """
    return bool(_SUFFIX.search(name) or _BARE_NUMBER.search(name))


def is_shard(path):
    """Return whether a file is a shard: its content begins like one, or its name says so.

    A damaged or empty file with the name of a shard is one, so that it is named later.

    Args:
        path: path of the file.

    Returns:
        bool.

    Raises:
        OSError: the file has the name of a shard and cannot be read; the message names it.
        ValueError: the name is that of a shard, but the content that of another kind of file; the
            message names both.
    """
    name = os.path.basename(path)
    if _OTHER_WRITERS.search(name):
        raise ValueError(
            f"Shards must be TFRecord files. Received: {path}. Prepare the "
            "dataset again with file_format='tfrecord'."
        )
    if not remote.is_remote(path) and os.path.exists(path) and not os.path.isfile(path):
        return False  # a pipe or a device
    try:
        head = files.read(path, 0, HEAD)
    except OSError:  # a broken link, or without permission
        if has_shard_name(name):
            raise
        return False
    inside = unpacking.unpack_head(head, HEAD) if unpacking.is_packed(head) else head
    if inside and checksums.is_framed(inside):
        return _EVENTS not in inside
    if not has_shard_name(name):
        return False
    if inside:
        kinds = [kind for kind, at, sign in _SIGNS if inside.startswith(sign, at)]
        image = formats.find_kind(inside[: formats.HEAD])
        if kinds or image:
            what = kinds[0] if kinds else f"a {image} image"
            inner = " inside a compressed file" if inside is not head else ""
            raise ValueError(
                f"{path} must be a TFRecord file, like its name. Received: {what}{inner}. Unpack "
                "it, download it again, or give it another name."
            )
    return True


def remove_suffix(name):
    """Return the name of a shard without its suffix.

    Example:
        >>> remove_suffix("mnist-train.tfrecord-00000-of-00001"), remove_suffix("a.tfrec.gz")
        ('mnist-train', 'a')
    """
    return _SUFFIX.sub("", name)


def remove_packing(name):
    """Return the name of a shard without the suffix of its compression.

    Example:
        >>> remove_packing("a.tfrec.gz"), remove_packing("a.tfrec")
        ('a.tfrec', 'a.tfrec')
    """
    return re.sub(f"{_PACKED}$", "", name, flags=re.IGNORECASE)
