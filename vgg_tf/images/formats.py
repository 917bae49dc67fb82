"""What kind of file a picture is: by the suffix of its name, or by its first bytes."""

import os

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WebP")  # that `decoding.decode` reads
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .jif .pjpeg .pjp .png .apng .gif .bmp .dib .webp".split()
)
HEAD = 16  # bytes that show the kind

# Kind, position and bytes. The first match counts.
_BRANDS = {"AVIF": (b"avif", b"avis"), "HEIC": (b"heic", b"heix", b"hevc", b"mif1", b"msf1")}
_SIGNS = (
    ("JPEG", 0, b"\xff\xd8\xff"),
    ("PNG", 0, b"\x89PNG"),
    ("GIF", 0, b"GIF8"),
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("TIFF", 0, b"II+\0"),
    ("TIFF", 0, b"MM\0+"),
    ("JPEG 2000", 0, b"\0\0\0\x0cjP  "),
    ("JPEG 2000", 0, b"\xff\x4f\xff\x51"),
    ("JPEG XL", 0, b"\0\0\0\x0cJXL "),
    ("JPEG XL", 0, b"\xff\x0a"),
    ("Photoshop", 0, b"8BPS"),
    ("icon", 0, b"\0\0\1\0"),
    *((kind, 4, b"ftyp" + brand) for kind, brands in _BRANDS.items() for brand in brands),
)
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes of the known headers, in bytes


def has_image_suffix(name):
    """Return whether the suffix of a file's name is that of a format that is read.

    Example:
        >>> has_image_suffix("cat.JFIF"), has_image_suffix("cat.txt")
        (True, False)
    """
    return get_suffix(name) in SUFFIXES


def get_suffix(name):
    """Return the suffix of a file's name in lower case, such as `.jpg`; may be empty."""
    return os.path.splitext(name)[1].lower()


def find_kind(head):
    """Return the kind of an image file from its first bytes.

    Args:
        head: bytes, at least `HEAD` of them if the file has as many.

    Returns:
        One of `FORMATS`, the name of another format of images, or None for other files.

    Example:
        >>> find_kind(b"GIF89a"), find_kind(b"II*" + bytes(13)), find_kind(b"BMW,price")
        ('GIF', 'TIFF', None)
    """
    for kind, at, sign in _SIGNS:
        if head.startswith(sign, at):
            return kind
    if head.startswith(b"RIFF") and head.startswith(b"WEBP", 8):
        return "WebP"
    # Two letters are too few: a text may begin with them.
    if head.startswith(b"BM") and int.from_bytes(head[14:16], "little") in _BMP_HEADERS:
        return "BMP"
    return None


def describe_kinds(counts):
    """Return a text that counts files by kind, the most frequent kind first.

    Args:
        counts: `{kind: number of files}`; a kind is a suffix, the name of a format of images, or
            empty for files without a suffix.

    Returns:
        str.

    Example:
        >>> describe_kinds({".csv": 3, ".txt": 14, "TIFF": 2, "": 1})
        '14 .txt, 3 .csv, 2 TIFF images (convert them), 1 file without a suffix'
    """
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    texts = [_describe(kind, n) for kind, n in ordered[:20]]
    more = f"{len(ordered) - 20} more kinds"
    return ", ".join(texts) + (f" and {more}" if len(ordered) > 20 else "")


def _describe(kind, n):
    if kind.startswith("."):
        return f"{n:,} {kind}"
    if not kind:
        return f"{n:,} {'file' if n == 1 else 'files'} without a suffix"
    return f"{n:,} {kind} image (convert it)" if n == 1 else f"{n:,} {kind} images (convert them)"
