"""Read errors of TensorFlow, which name no file, become one error that names all bad files."""

import contextlib

import tensorflow as tf

from vgg_tf.data.readers import ensure_opened
from vgg_tf.images.decoding import decode_named
from vgg_tf.records import collection, framing, integrity

# A bad image or label, a bad checksum, a missing file, fewer images than dataset.json tells of; a
# file that may not be read, or not be reached; what the disk says.
READ_ERRORS = (
    tf.errors.InvalidArgumentError,
    tf.errors.DataLossError,
    tf.errors.NotFoundError,
    tf.errors.FailedPreconditionError,
    tf.errors.PermissionDeniedError,
    tf.errors.UnauthenticatedError,
    tf.errors.UnavailableError,
    tf.errors.UnknownError,
)


@contextlib.contextmanager
def naming_the_unreadable(source):
    """Turn a read or decode error of TensorFlow, which names no file, into a ValueError that names
    all unreadable ones.

    Args:
        source: what the failing data set was made from.
    """
    try:
        yield
    except READ_ERRORS:
        if not (found := list(_unreadable(source))):
            raise
        in_shards = collection.holds_shards(source)
        remedy = (
            "delete these shards, and the command that wrote them restores them"
            if in_shards
            else "mend it, or remove it"
        )
        raise ValueError(
            f"what follows cannot be read; {remedy}:\n  " + "\n  ".join(found)
        ) from None


def _unreadable(source):
    """Go through everything, one by one."""
    if collection.holds_shards(source):
        yield from map(str, integrity.verify(source, progress=False))
        return
    for split in ensure_opened(source).splits.values():
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
