"""Any picture file as RGB pixels, by Pillow. TensorFlow is not imported.

The rules for what RGB cannot hold are here, and `decoding` follows them:

| file | pixels |
| --- | --- |
| transparency (alpha, a transparent color) | over white |
| 16 bits | the upper byte |
| several frames | the first one |
| CMYK or YCCK JPEG | inverted with an Adobe marker, else not |
| EXIF orientation | not applied |
"""

import io
import struct

import numpy as np


def decode_by_pillow(contents):
    """Decode a picture file of any format that Pillow reads.

    Args:
        contents: bytes, the encoded file.

    Returns:
        uint8 array `[h, w, 3]`, RGB 0..255.

    Raises:
        ValueError: the file is damaged, is not a picture, or is too large for Pillow.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(contents)) as image:
            return _flatten(image)
    except UnidentifiedImageError:
        raise ValueError("it is not a picture, or its header is damaged") from None
    # Pillow's readers raise all of these for damaged files.
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        IndexError,
        TypeError,
        OverflowError,
        struct.error,
        Image.DecompressionBombError,
    ) as error:
        raise ValueError(str(error) or type(error).__name__) from None


def _flatten(image):
    """Return the RGB pixels of an open PIL image, by the rules of this module."""
    from PIL import Image

    if image.mode.startswith("I"):  # convert would clip
        upper = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(upper[:, :, np.newaxis], 3, 2)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no range")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return np.array(Image.alpha_composite(white, rgba))[:, :, :3]
    return np.array(image.convert("RGB"))
