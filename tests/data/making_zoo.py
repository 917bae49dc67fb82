"""A folder with images of all formats, and the contents of its shards."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from tests.making import noise, save
from vgg_tf.data.opening import open_source
from vgg_tf.writing import encoding
from vgg_tf.writing.write import write

# Traced once for all tests: tracing it in each pipeline takes half of the time of the tests.
CHECK = tf.function(
    encoding.prepare,
    input_signature=(tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.bool)),
    autograph=False,
)


def opened(content):
    """Return the PIL image of bytes or of a path, without an open file."""
    return Image.open(io.BytesIO(content if isinstance(content, bytes) else content.read_bytes()))


def smooth(h, w):
    y, x = np.mgrid[:h, :w]
    return Image.fromarray(np.stack([4 * x, 4 * y, 2 * (x + y)], 2).astype(np.uint8))


# Files that keep their bytes, and files that are encoded again.
KEPT = {
    "train/ant/color.jpg": lambda path: save(path, noise(9, 14)),
    "train/ant/gray.jpeg": lambda path: save(path, smooth(10, 12).convert("L")),
    "train/bee/alpha.png": lambda path: save(path, smooth(11, 12).convert("RGBA")),
    "train/bee/palette.png": lambda path: save(path, smooth(12, 13).quantize(256)),
}
CHANGED = {
    "train/ant/cmyk.jpg": lambda path: save(path, smooth(40, 50).convert("CMYK"), quality=95),
    "train/ant/deep.png": lambda path: save(
        path, Image.fromarray(noise(7, 8)[..., 0].astype(np.uint16) * 257)
    ),
    "train/bee/animation.gif": lambda path: save(path, smooth(14, 15).quantize(256)),
    "train/bee/picture.bmp": lambda path: save(path, smooth(15, 16)),
}


def make_zoo(root):
    """Write 33 images of two classes.

    Train (28) has all formats. Validation (1) and test (4) have common ones.
    """
    for name, make in (KEPT | CHANGED).items():
        make(root / name)
    for i in range(20):
        save(root / "train" / ("ant", "bee")[i % 2] / f"{i}.png", noise(6 + i, 8, i))
    save(root / "val" / "ant" / "1.png", noise(5, 5))
    for i in range(4):
        save(root / "test" / "bee" / f"{i}.jpg", noise(8, 8, i))


def examples(out, split):
    """Return all Examples of a split, in the order of shards, as plain values."""
    found = []
    for path in sorted(out.glob(f"{split}-*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            found.append(
                {
                    key: getattr(value, value.WhichOneof("kind")).value[0]
                    for key, value in feature.items()
                }
            )
    return found


def filenames(out, split):
    return [example["image/filename"].decode() for example in examples(out, split)]


def snapshot(folder):
    """Return the bytes of each file, and values that change when it is written again."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): (
            path.read_bytes(),
            path.stat().st_mtime_ns,
            path.stat().st_ino,
        )
        for path in files
    }


def contents(folder):
    """Return the bytes of each file; of contents.npz, which has the times of the images, none."""
    found = {name: content for name, (content, *_) in snapshot(folder).items()}
    return found | dict.fromkeys(found.keys() & {"contents.npz"}, b"")


def quietly(root, out, **options):
    return write(open_source(str(root)), out, progress=False, **options)


def damage(zoo):
    """Damage four files in three splits, and return their names and original bytes."""
    names = ["train/ant/2.png", "train/bee/5.png", "val/ant/1.png", "test/bee/3.jpg"]
    kept = {name: (zoo / name).read_bytes() for name in names}
    (zoo / names[0]).write_bytes(b"")
    (zoo / names[1]).write_bytes(b"Dear diary")
    for name in names[2:]:
        (zoo / name).write_bytes(kept[name][: len(kept[name]) // 2])
    return kept
