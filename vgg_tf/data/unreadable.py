"""Errors that name all unreadable files, in place of TensorFlow's read errors."""

import contextlib

import tensorflow as tf

from vgg_tf.data.readers import ensure_opened
from vgg_tf.images.decoding import decode_named
from vgg_tf.records import framing, integrity
from vgg_tf.runtime import programs

# In this order: a bad image or label, a bad checksum, a missing file, fewer images than in
# dataset.json, a file without permission, an unreachable file system (two), an error of the disk,
# a record that is not an Example (TensorFlow's message quotes its bytes as if they were text).
READ_ERRORS = (
    tf.errors.InvalidArgumentError,
    tf.errors.DataLossError,
    tf.errors.NotFoundError,
    tf.errors.FailedPreconditionError,
    tf.errors.PermissionDeniedError,
    tf.errors.UnauthenticatedError,
    tf.errors.UnavailableError,
    tf.errors.UnknownError,
    UnicodeDecodeError,
)


@contextlib.contextmanager
def naming_the_unreadable(source):
    """Replace a read error of TensorFlow with one that names all unreadable files.

    Args:
        source: source of the dataset that is read, as for `loading.load_dataset`.

    Raises:
        ValueError: a file or record cannot be read; the message names all of them.
    """
    try:
        yield
    except READ_ERRORS:
        source = ensure_opened(source)
        if not (found := list(_unreadable(source))):
            raise
        remedy = (
            "Delete these shards, then restore them with the command that wrote them"
            if source.collection
            else "Fix or remove these files, or leave them out with --skip-bad"
        )
        raise ValueError(
            f"Unreadable files or records: {len(found)}. {remedy}:\n  {programs.format_list(found)}"
        ) from None


def _unreadable(source):
    """Yield a description of each file or record that cannot be read."""
    if source.collection:
        yield from map(str, integrity.verify(source.name, progress=False))
        return
    for split in source.splits.values():
        for path in sorted(
            {content.path for content in split.contents if isinstance(content, framing.Record)}
        ):
            yield from (
                f"{path}, record {index}: {what}" for index, what in framing.find_damage(path)
            )
        for i, name in enumerate(split.names):
            try:
                decode_named(split.read(i), name)
            except (ValueError, OSError) as error:
                yield str(error)
