"""A folder with images of all formats, and what its shards hold."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from tests.making import noise, save
from vgg_tf.data.opening import open_source
from vgg_tf.data.writing import write
from vgg_tf.records import encoding

# Traced once for all tests, and not in each pipeline anew, which is half the time of so few images.
CHECK = tf.function(
    encoding.prepare,
    input_signature=(tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.bool)),
    autograph=False,
)


def opened(content):
    """A PIL image of these bytes, or of the file at this path, which is not left open."""
    return Image.open(io.BytesIO(content if isinstance(content, bytes) else content.read_bytes()))


def smooth(h, w):
    y, x = np.mgrid[:h, :w]
    return Image.fromarray(np.stack([4 * x, 4 * y, 2 * (x + y)], 2).astype(np.uint8))


# Stored byte for byte, and encoded anew.
KEPT = {
    "train/ant/colour.jpg": lambda path: save(path, noise(9, 14)),
    "train/ant/grey.jpeg": lambda path: save(path, smooth(10, 12).convert("L")),
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
    """33 images of two classes: all formats in train (n=28), plain ones in validation (n=1) and
    test (n=4).
    """
    for name, make in (KEPT | CHANGED).items():
        make(root / name)
    for i in range(20):
        save(root / "train" / ("ant", "bee")[i % 2] / f"{i}.png", noise(6 + i, 8, i))
    save(root / "val" / "ant" / "1.png", noise(5, 5))
    for i in range(4):
        save(root / "test" / "bee" / f"{i}.jpg", noise(8, 8, i))


def examples(out, split):
    """All Examples of a split, shard after shard, as plain values."""
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
    """Every file: its bytes, and what changes when it is written anew."""
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
    return {name: content for name, (content, *_) in snapshot(folder).items()}


def quietly(root, out, **options):
    return write(open_source(str(root)), out, progress=False, **options)


def damage(zoo):
    """Empty, foreign and cut off files in the three splits; their names."""
    names = ["train/ant/2.png", "train/bee/5.png", "val/ant/1.png", "test/bee/3.jpg"]
    kept = {name: (zoo / name).read_bytes() for name in names}
    (zoo / names[0]).write_bytes(b"")
    (zoo / names[1]).write_bytes(b"Dear diary")
    for name in names[2:]:
        (zoo / name).write_bytes(kept[name][: len(kept[name]) // 2])
    return kept
