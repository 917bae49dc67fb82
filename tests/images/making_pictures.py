"""Pictures with known pixels, their files, and PIL's results for them."""

import io
from fractions import Fraction

import numpy as np
from PIL import Image


def waves(h, w):
    y, x = np.mgrid[:h, :w]
    return np.stack(
        [127.5 + 127 * np.sin(x / (3 + 3 * c) + y / (7 - c)) for c in range(3)], 2
    ).astype(np.uint8)


def coordinates(h, w):
    """Return a picture whose red is the column and whose green is the row, to locate crops."""
    y, x = np.mgrid[:h, :w]
    return np.stack([x, y, 0 * x], 2).astype(np.uint8)


def encode(picture, kind, **options):
    file = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(file, kind, **options)
    return file.getvalue()


def jpeg(picture, **options):
    return encode(picture, "jpeg", quality=80, **options)


def with_alpha(picture):
    return Image.fromarray(np.concatenate([picture, picture[::-1, :, :1]], 2))


JPEGS = {
    "4:4:4": lambda picture: jpeg(picture, subsampling=0),
    "4:2:2": lambda picture: jpeg(picture, subsampling=1),
    "4:2:0": lambda picture: jpeg(picture, subsampling=2),
    "progressive": lambda picture: jpeg(picture, progressive=True),
    "gray": lambda picture: jpeg(Image.fromarray(picture).convert("L")),
    "CMYK": lambda picture: jpeg(Image.fromarray(picture).convert("CMYK")),
}
LOSSLESS = {
    "RGB PNG": lambda picture: encode(picture, "png"),
    "PNG with alpha": lambda picture: encode(with_alpha(picture), "png"),
    "gray PNG": lambda picture: encode(Image.fromarray(picture).convert("L"), "png"),
    "palette PNG": lambda picture: encode(Image.fromarray(picture).quantize(200), "png"),
    "1-bit PNG": lambda picture: encode(Image.fromarray(picture).convert("1"), "png"),
    "RGB BMP": lambda picture: encode(picture, "bmp"),
    "BMP with alpha": lambda picture: encode(with_alpha(picture), "bmp"),
    "gray BMP": lambda picture: encode(Image.fromarray(picture).convert("L"), "bmp"),
    "GIF": lambda picture: encode(Image.fromarray(picture).quantize(200), "gif"),
}
FORMATS = JPEGS | LOSSLESS


def decoded_by_pil(contents):
    """Return the pixels that PIL decodes; those with alpha over white."""
    image = Image.open(io.BytesIO(contents))
    if image.mode != "RGBA":
        return np.asarray(image.convert("RGB"))
    pixels = np.asarray(image).astype(float)
    share = pixels[:, :, 3:] / 255
    return np.round(pixels[:, :, :3] * share + 255 * (1 - share)).astype(int)


def rescaled_by_pil(picture, new_h, new_w):
    """Rescale a picture by PIL, one channel at a time.

    PIL's float mode does not round between its two passes.
    """
    channels = [Image.fromarray(picture[:, :, c].astype(np.float32)) for c in range(3)]
    return np.stack(
        [np.asarray(c.resize((new_w, new_h), Image.Resampling.BILINEAR)) for c in channels], 2
    )


def plain_rescaled_size(h, w, S):
    """Return the size after rescaling, from exact fractions; halves are rounded up."""
    return tuple(int(Fraction(side * S, min(h, w)) + Fraction(1, 2)) for side in (h, w))
