"""Decodes JPEG, PNG, GIF and BMP images, eagerly and inside `tf.data`."""

import tensorflow as tf

from vgg_tf.images import decoding

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG"  # the first bytes of such files


# AutoGraph would take a second and has nothing to convert here.
@tf.autograph.experimental.do_not_convert
def decode(contents):
    """Decode an image in JPEG, PNG, GIF or BMP format.

    Gray and CMYK images become RGB. Of an animated GIF the first frame is decoded.

    Args:
        contents: Scalar string or bytes, the encoded file.

    Returns:
        uint8 `[h, w, 3]`, RGB 0..255. Transparency is dropped.

    Raises:
        InvalidArgumentError: The bytes are damaged or are not such an image.
    """
    # Python branches are six times as fast as eager branches of TensorFlow.
    if isinstance(contents, bytes):
        decoder = (
            _decode_bmp
            if contents[:2] == b"BM"
            else _decode_jpeg
            if contents[:3] == JPEG
            else _decode_other
        )
        return decoder(contents)
    contents = tf.convert_to_tensor(contents)
    image = tf.cond(
        is_bmp(contents),
        lambda: _decode_bmp(contents),
        lambda: tf.cond(
            is_jpeg(contents), lambda: _decode_jpeg(contents), lambda: _decode_other(contents)
        ),
    )
    return tf.ensure_shape(image, [None, None, 3])


def make_key(contents):
    """Return the key of an encoded image for the seeds of its views, an int64 scalar."""
    # A digest of the bytes, so that the views do not depend on where the image is stored.
    return tf.strings.to_hash_bucket_fast(contents, 2**62)


def is_jpeg(contents):
    """Return whether an encoded image is a JPEG, a bool scalar."""
    return tf.strings.substr(contents, 0, 3) == JPEG


def is_bmp(contents):
    """Return whether an encoded image is a BMP, a bool scalar."""
    return tf.strings.substr(contents, 0, 2) == b"BM"


def _decode_jpeg(contents):
    return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")


def _decode_bmp(contents):
    image = tf.image.decode_bmp(contents)

    # TensorFlow returns indices into the palette. The palette is between the header and the pixels,
    # as B, G, R, 0.
    def look_up():
        offset, header = (
            tf.io.decode_raw(tf.strings.substr(contents, at, 4), tf.int32)[0] for at in (10, 14)
        )
        palette = tf.io.decode_raw(
            tf.strings.substr(contents, 14 + header, offset - 14 - header), tf.uint8
        )
        return tf.gather(tf.reshape(palette, [-1, 4])[:, 2::-1], tf.cast(image[:, :, 0], tf.int32))

    return tf.cond(tf.shape(image)[2] == 1, look_up, lambda: image[:, :, :3])


def _decode_other(contents):
    return tf.io.decode_image(contents, channels=3, expand_animations=False)


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
