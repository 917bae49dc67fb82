"""Decodes pictures to RGB, eagerly and inside `tf.data`.

TensorFlow decodes RGB and gray JPEG files and all PNG files, which is what data sets have. Pillow
decodes all else: GIF, BMP and WebP files, and JPEG files with four channels. Both follow the rules
of `flattening`.
"""

import tensorflow as tf

from vgg_tf.images import decoding
from vgg_tf.images.flattening import decode_by_pillow

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG"  # the first bytes of such files
_HEAD = 2**16  # bytes of a PNG in which a transparent color is looked for
_ALPHA = 4  # color types of PNG with alpha, from here on


# AutoGraph would take a second and has nothing to convert here.
@tf.autograph.experimental.do_not_convert
def decode(contents):
    """Decode a picture in JPEG, PNG, GIF, BMP or WebP format.

    Args:
        contents: Scalar string or bytes, the encoded file.

    Returns:
        uint8 `[h, w, 3]`, RGB 0..255. See `flattening` for transparency, 16 bits, CMYK and
        animations.

    Raises:
        InvalidArgumentError: The bytes are damaged or are not such a picture.
    """
    # Python branches are six times as fast as eager branches of TensorFlow.
    if tf.is_tensor(contents) and tf.executing_eagerly():
        contents = contents.numpy()
    if isinstance(contents, bytes):
        if contents[:4] == PNG:
            return _decode_png(contents)
        return _decode_jpeg(contents) if contents[:3] == JPEG else _decode_other(contents)
    contents = tf.convert_to_tensor(contents)
    image = tf.cond(
        is_jpeg(contents),
        lambda: _decode_jpeg(contents),
        lambda: tf.cond(
            is_png(contents), lambda: _decode_png(contents), lambda: _decode_other(contents)
        ),
    )
    return tf.ensure_shape(image, [None, None, 3])


@tf.autograph.experimental.do_not_convert
def decode_exportable(contents):
    """Decode a JPEG or PNG file by operations that a SavedModel can store.

    Args:
        contents: Scalar string, the encoded file.

    Returns:
        uint8 `[h, w, 3]`, as `decode` returns it. The four channels of a JPEG count as inverted.

    Raises:
        InvalidArgumentError: The bytes are damaged or are not such a picture.
    """
    image = tf.cond(
        is_png(contents), lambda: _decode_png(contents), lambda: _decode_plain_jpeg(contents)
    )
    return tf.ensure_shape(image, [None, None, 3])


def make_key(contents):
    """Return the key of an encoded image for the seeds of its views, an int64 scalar."""
    # A digest of the bytes, so that the views do not depend on where the image is stored.
    return tf.strings.to_hash_bucket_fast(contents, 2**62)


def is_jpeg(contents):
    """Return whether an encoded image is a JPEG, a bool scalar."""
    return tf.strings.substr(contents, 0, 3) == JPEG


def is_png(contents):
    """Return whether an encoded image is a PNG, a bool scalar."""
    return tf.strings.substr(contents, 0, 4) == PNG


def has_windows(contents):
    """Return whether a window of an encoded image can be decoded alone, a bool scalar.

    This is so for RGB and gray JPEG files.
    """
    return tf.cond(
        is_jpeg(contents),
        lambda: tf.io.extract_jpeg_shape(contents)[2] < 4,
        lambda: tf.constant(False),
    )


def _decode_jpeg(contents):
    return tf.cond(
        tf.io.extract_jpeg_shape(contents)[2] < 4,
        lambda: _decode_plain_jpeg(contents),
        lambda: _decode_other(contents),
    )


def _decode_plain_jpeg(contents):
    return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")


def _decode_png(contents):
    # The color type is byte 25. Pixels without alpha may have transparent colors (tRNS).
    kind = tf.io.decode_raw(
        tf.strings.substr(tf.strings.join([contents, bytes(26)]), 25, 1), "uint8"
    )
    head = tf.strings.substr(contents, 0, _HEAD)
    flat = (kind[0] < _ALPHA) & ~tf.strings.regex_full_match(head, r"(?s)\C*tRNS\C*")

    def flatten():
        rgba = tf.cast(tf.io.decode_png(contents, channels=4), tf.int32)
        alpha = rgba[:, :, 3:]
        # Rounded as Pillow does.
        return tf.cast((rgba[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)

    return tf.cond(flat, lambda: tf.io.decode_png(contents, channels=3), flatten)


def _decode_other(contents):
    if isinstance(contents, bytes):
        return tf.constant(_decode_in_python(contents))
    return tf.numpy_function(_decode_in_python, [contents], tf.uint8, stateful=False)


def _decode_in_python(contents):
    try:
        return decode_by_pillow(contents)
    except ValueError as error:
        raise tf.errors.InvalidArgumentError(None, None, str(error)) from None


def decode_named(contents, name):
    """Decode an image, with an error that names the file.

    Args:
        contents: bytes, the encoded file.
        name: Name of the file, for the message.

    Returns:
        uint8 array `[h, w, 3]`, RGB 0..255.

    Raises:
        ValueError: The image cannot be decoded; the message names the file and the reason.
    """
    try:
        return decoding.decode(contents).numpy()
    except tf.errors.InvalidArgumentError as error:
        reason = (
            "the file is empty"
            if not contents
            else str(error.message).split("}} ")[-1].split(" [Op")[0]
        )
        raise ValueError(f"cannot read {name}: {reason}") from error
