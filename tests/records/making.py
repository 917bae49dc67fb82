"""Small files and image sources."""

import io

import numpy as np
from PIL import Image

from vgg_tf.records.splits import Source, Split


def noise(h, w, seed=0):
    return np.random.default_rng([h, w, seed]).integers(0, 256, (h, w, 3), np.uint8)


def png(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    return file.getvalue()


def source(pictures, **splits):
    """Return a source with these training pictures, alternately of class a and b."""
    contents = [png(picture) for picture in pictures]
    train = Split(
        [f"{i}.png" for i in range(len(contents))], np.arange(len(contents)) % 2, contents
    )
    return Source("zoo", ("a", "b"), {"train": train, **splits}, ("a note",))


def written(path, content):
    """Write bytes, or a text in UTF-8, to a file and return its path."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)
