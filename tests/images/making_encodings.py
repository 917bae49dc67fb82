"""Encodings of pictures, by name: bytes, the pixels they stand for, and the tolerance in levels."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

H, W = 30, 45
Y, X = np.mgrid[:H, :W]
RGB = np.stack([X * 5, Y * 8, (X + Y) * 3], 2).astype(np.uint8)
COLOR = Image.fromarray(RGB)
GRAY = COLOR.convert("L")
ALPHA = ((X * 7 + Y * 3) % 256).astype(np.uint8)
PALETTE = COLOR.quantize(32)


def encode(image, kind, **options):
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def over_white(rgb, alpha):
    """Return pixels over white, by the formula, rounded."""
    share = alpha[..., np.newaxis] / 255
    return np.round(rgb * share + 255 * (1 - share))


def rgb_of(contents):
    """Return the pixels that PIL decodes, for pictures without transparency."""
    with Image.open(io.BytesIO(contents)) as image:
        return np.array(image.convert("RGB"))


def without_adobe(contents):
    """Return a JPEG without its marker APP14, which says how four channels are stored."""
    kept, i = contents[:2], 2
    while contents[i + 1] != 0xDA:
        n = struct.unpack(">H", contents[i + 2 : i + 4])[0] + 2
        kept += contents[i : i + n] if contents[i + 1] != 0xEE else b""
        i += n
    return kept + contents[i:]


def png(pixels, bits, kind, chunks=(), interlaced=False):
    """Return a PNG of `pixels`, int `[h, w, channels]`, written bit by bit."""

    def chunk(name, data):
        crc = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)

    def rows(part):
        flat = part.reshape(part.shape[0], -1)
        shifts = np.arange(bits - 1, -1, -1)
        packed = np.packbits((flat[:, :, np.newaxis] >> shifts & 1).reshape(len(flat), -1), axis=1)
        return b"".join(b"\0" + row.tobytes() for row in packed)

    adam7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    parts = [*adam7, (1, 0, 2, 1)] if interlaced else [(0, 0, 1, 1)]
    data = b"".join(rows(pixels[y::dy, x::dx]) for y, x, dy, dx in parts)
    h, w = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", w, h, bits, kind, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(chunk(name, data) for name, data in chunks)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def bmp(masks, bits):
    """Return a BMP with bit fields, and the pixels of its channels as 8 bits."""
    value, channels = np.zeros((H, W), np.int64), []
    for channel, mask in zip(np.moveaxis(RGB, 2, 0).astype(np.int64), masks, strict=True):
        shift, width = (mask & -mask).bit_length() - 1, bin(mask).count("1")
        level = channel >> (8 - width)
        value |= level << shift
        channels.append(level * 255 // (2**width - 1))
    rows = value[::-1].astype(f"<u{bits // 8}")
    stride = -(-W * bits // 32) * 4
    data = b"".join(row.tobytes().ljust(stride, b"\0") for row in rows)
    header = struct.pack("<IiiHHIIiiII", 40, W, H, 1, bits, 3, len(data), 2835, 2835, 0, 0)
    offset = 14 + 40 + 12
    return (
        b"BM"
        + struct.pack("<IHHI", offset + len(data), 0, 0, offset)
        + header
        + struct.pack("<III", *masks)
        + data
    ), np.stack(channels, 2)


def gray_png(bits, interlaced=False):
    """Return a gray PNG of 1 to 16 bits, and its pixels by the rules: scaled, upper byte."""
    levels = (X * 37 + Y * 11) % 2**bits if bits < 16 else (X * 1400 + Y * 13) % 2**16
    wanted = levels >> 8 if bits == 16 else levels * 255 // (2**bits - 1)
    contents = png(levels[:, :, np.newaxis], bits, 0, interlaced=interlaced)
    return contents, np.repeat(wanted[:, :, np.newaxis], 3, 2)


def make_encodings():
    """Return `{name: (bytes, uint8 or float [h, w, 3], tolerance)}`."""
    makers = (make_jpegs, make_pngs, make_transparent_pngs, make_gifs_and_bmps, make_webps)
    return {name: made for make in makers for name, made in make().items()}


def make_jpegs():
    """Return JPEG files, as `make_encodings` does."""
    found = {}
    for name, options in {
        "baseline": {},
        "progressive": {"progressive": True},
        "optimized": {"optimize": True},
        "4:4:4": {"subsampling": 0},
        "4:2:2": {"subsampling": 1},
        "4:2:0": {"subsampling": 2},
        "4:1:1": {"subsampling": "4:1:1"},
        "restart markers": {"restart_marker_blocks": 2},
        "restart rows": {"restart_marker_rows": 1},
        "quality 1": {"quality": 1},
        "quality 100": {"quality": 100},
        "comment": {"comment": b"x" * 1000},
        "stored RGB": {"keep_rgb": True},
    }.items():
        contents = encode(COLOR, "JPEG", **options)
        found[f"JPEG {name}"] = contents, rgb_of(contents), 1
    for name, options in {"gray": {}, "gray progressive": {"progressive": True}}.items():
        contents = encode(GRAY, "JPEG", **options)
        found[f"JPEG {name}"] = contents, rgb_of(contents), 1
    exif = Image.Exif()
    exif[0x112] = 6
    turned = encode(COLOR, "JPEG", exif=exif)
    found["JPEG EXIF orientation"] = turned, rgb_of(turned), 1
    garbage = encode(COLOR, "JPEG") + b"garbage" * 99
    found["JPEG trailing garbage"] = garbage, rgb_of(garbage), 1
    for name, options in {"CMYK": {}, "CMYK progressive": {"progressive": True}}.items():
        adobe = encode(COLOR.convert("CMYK"), "JPEG", quality=95, **options)
        found[f"JPEG {name}"] = adobe, rgb_of(adobe), 0
        plain = without_adobe(adobe)
        found[f"JPEG {name} without Adobe marker"] = plain, rgb_of(plain), 0
    ycck = bytearray(encode(COLOR.convert("CMYK"), "JPEG", quality=95))
    ycck[ycck.index(b"Adobe") + 11] = 2
    found["JPEG YCCK"] = bytes(ycck), rgb_of(bytes(ycck)), 0
    return found


def make_pngs():
    """Return PNG files of all bits, with and without alpha, as `make_encodings` does."""
    found = {}
    for bits in (1, 2, 4, 8, 16):
        for interlaced in (False, True):
            name = f"PNG gray {bits} bits{' interlaced' * interlaced}"
            found[name] = *gray_png(bits, interlaced), 0
    deep = RGB.astype(np.int64) * 256 + 77
    for interlaced in (False, True):
        end = " interlaced" * interlaced
        found[f"PNG RGB{end}"] = png(RGB, 8, 2, interlaced=interlaced), RGB, 0
        found[f"PNG RGB 16 bits{end}"] = png(deep, 16, 2, interlaced=interlaced), RGB, 0
        rgba = np.dstack([RGB, ALPHA])
        found[f"PNG RGBA{end}"] = (
            png(rgba, 8, 6, interlaced=interlaced),
            over_white(RGB, ALPHA),
            1,
        )
    la = np.dstack([RGB[:, :, :1], ALPHA])
    gray3 = np.repeat(RGB[:, :, :1], 3, 2)
    found["PNG gray with alpha"] = png(la, 8, 4), over_white(gray3, ALPHA), 1
    found["PNG RGBA 16 bits"] = (
        png(np.dstack([deep, ALPHA.astype(np.int64) * 257]), 16, 6),
        over_white(RGB, ALPHA),
        1,
    )
    return found


def make_transparent_pngs():
    """Return PNG files with transparent colors and palettes, as `make_encodings` does."""
    found = {}
    one = tuple(RGB[9, 9].tolist())
    key = struct.pack(">HHH", *one)
    hole = np.where((one == RGB).all(2, keepdims=True), 255, RGB)
    found["PNG RGB transparent color"] = png(RGB, 8, 2, [(b"tRNS", key)]), hole, 0
    level = int(GRAY.getpixel((3, 3)))
    gray = np.asarray(GRAY)[:, :, np.newaxis]
    found["PNG gray transparent level"] = (
        png(gray, 8, 0, [(b"tRNS", struct.pack(">H", level))]),
        np.repeat(np.where(gray == level, 255, gray), 3, 2),
        0,
    )
    for bits in (1, 2, 4, 8):
        colors = np.random.default_rng(bits).integers(0, 256, (2**bits, 3), np.uint8)
        index = (X + Y) % 2**bits
        table = (b"PLTE", colors.tobytes())
        name = f"PNG palette {bits} bits"
        found[name] = png(index[:, :, None], bits, 3, [table]), colors[index], 0
        alpha = np.arange(2**bits) * 255 // (2**bits - 1)
        found[f"{name} with alpha"] = (
            png(index[:, :, None], bits, 3, [table, (b"tRNS", alpha.astype(np.uint8).tobytes())]),
            over_white(colors[index], alpha[index]),
            1,
        )
    animated = encode(COLOR, "PNG", save_all=True, append_images=[COLOR.rotate(180)])
    found["PNG animated"] = animated, RGB, 0
    found["PNG trailing garbage"] = encode(COLOR, "PNG") + b"x" * 999, RGB, 0
    return found


def make_gifs_and_bmps():
    """Return GIF and BMP files, as `make_encodings` does."""
    found = {}
    frames = {"save_all": True, "append_images": [COLOR.rotate(180).quantize(32)]}
    palette = np.array(PALETTE.convert("RGB"))
    found["GIF"] = encode(PALETTE, "GIF"), palette, 0
    found["GIF interlaced"] = encode(PALETTE, "GIF", interlace=1), palette, 0
    found["GIF animated"] = encode(PALETTE, "GIF", **frames), palette, 0
    index = np.asarray(PALETTE)
    holes = np.where((index == 3)[:, :, None], 255, palette)
    found["GIF transparent"] = encode(PALETTE, "GIF", transparency=3), holes, 0
    for mode in ("RGB", "L", "P", "1"):
        image = COLOR.convert(mode) if mode != "P" else PALETTE
        found[f"BMP {mode}"] = encode(image, "BMP"), np.array(image.convert("RGB")), 0
    for name, masks, bits in (
        ("5-6-5", (0xF800, 0x7E0, 0x1F), 16),
        ("5-5-5", (0x7C00, 0x3E0, 0x1F), 16),
        ("32 bits", (0xFF0000, 0xFF00, 0xFF), 32),
    ):
        found[f"BMP bit fields {name}"] = *bmp(masks, bits), 8 if bits == 16 else 0
    return found


def make_webps():
    """Return WebP files, as `make_encodings` does."""
    found = {}
    lossless = {"lossless": True, "exact": True}
    rgba = Image.fromarray(np.dstack([RGB, ALPHA]))
    both = [rgba.rotate(180)]
    found["WebP lossless"] = encode(COLOR, "WEBP", **lossless), RGB, 0
    lossy = encode(COLOR, "WEBP", quality=80)
    found["WebP lossy"] = lossy, rgb_of(lossy), 0
    found["WebP alpha"] = encode(rgba, "WEBP", **lossless), over_white(RGB, ALPHA), 1
    found["WebP animated"] = (
        encode(COLOR, "WEBP", save_all=True, append_images=[COLOR.rotate(180)], **lossless),
        RGB,
        0,
    )
    found["WebP animated alpha"] = (
        encode(rgba, "WEBP", save_all=True, append_images=both, **lossless),
        over_white(RGB, ALPHA),
        1,
    )
    return found
