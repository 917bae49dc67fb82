"""Trees of folders with pictures of one pixel."""

import zlib

import pytest

from vgg_tf.layouts.folders import open_class_folders


def _chunk(kind, data):
    return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)


def make_png(red=0, green=0, blue=0):
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", bytes([0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0]))
        + _chunk(b"IDAT", zlib.compress(bytes([0, red, green, blue])))
        + _chunk(b"IEND", b"")
    )


PNG = make_png()
JPG = b"\xff\xd8\xff\xe0" + bytes(20)  # the first bytes of such files
WEBP = b"RIFF\x24\0\0\0WEBPVP8 " + bytes(30)
TIFF = b"II*\0" + bytes(20)
CD = {"cat": 3, "dog": 2}


def at(*places, classes=("cat", "dog")):
    """Return a tree of two class folders with 3 and 2 pictures in each place."""
    return {
        f"{place}/{name}".strip("/"): n
        for place in places
        for name, n in zip(classes, (3, 2), strict=True)
    }


def label(names, labels, header="image,label", suffix=".png"):
    """Return the text of a table of labels."""
    rows = (f"{name}{suffix},{value}\n" for name, value in zip(names, labels, strict=True))
    return "".join([f"{header}\n" if header else "", *rows])


def plant(root, tree):
    """Write a tree: `{"train/cat": 3}` as 3 pictures, `{"a.csv": text}` and bytes as a file.

    Returns:
        `root`.
    """
    root.mkdir(exist_ok=True)
    for name, content in tree.items():
        path = root / name
        if isinstance(content, int):
            path.mkdir(parents=True, exist_ok=True)
            for i in range(content):
                (path / f"{i}.png").write_bytes(PNG)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def summarize(root):
    """Return `{split: {class: number of images}}` and the notes of a folder."""
    source = open_class_folders(str(root), lambda _: True)
    found = {}
    for split, images in source.splits.items():
        counts = dict.fromkeys(source.classes, 0)
        for label in images.labels:
            counts[source.classes[label]] += 1
        found[split] = {name: n for name, n in counts.items() if n}
        assert all(
            (root / name).samefile(path)
            for name, path in zip(images.names, images.contents, strict=True)
        )
    return found, list(source.notes)


def check_refused(folder, tree, *texts):
    """Assert that a tree is refused, and that the message has what was received and the texts."""
    with pytest.raises(ValueError, match=r"Received: ") as error:
        summarize(plant(folder / "data", tree))
    message = str(error.value).replace(f"{folder}/", "")
    for text in texts:
        assert text in message
