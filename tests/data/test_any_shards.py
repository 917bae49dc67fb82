"""Third-party shards of any name and compression, in any usual folders; a table of folders.

The records of the table are made once, and their files are written byte by byte.
"""

import functools
import gzip
import io
import tarfile
import zipfile
import zlib

import pytest
import tensorflow as tf

from tests.data.making_shards import example, png
from tests.making import noise
from vgg_tf.data.opening import open_source


@functools.cache
def records(n=6, first=0, label=True):
    """Return the bytes of a shard of `n` images of three classes, in Kaggle's form."""
    made = []
    for i in range(first, first + n):
        more = {"class": [i % 3]} if label else {}
        made.append(example(id=[b"%d" % i], image=[png(noise(6, 9, i))], **more))
    return frame(made)


def frame(examples):
    """Return the bytes of a shard of serialized examples."""
    path = f"ram://shard-{hash(tuple(examples))}"
    with tf.io.TFRecordWriter(path) as writer:
        for serialized in examples:
            writer.write(serialized)
    return tf.io.gfile.GFile(path, "rb").read()


def fill(folder, tree):
    """Write the files of a tree, `{path: bytes}`."""
    for name, content in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return str(folder)


def archive(kind, content=b"x"):
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as packed:
            packed.writestr("a", content)
    else:
        with tarfile.open(fileobj=file, mode="w") as packed:
            packed.addfile(tarfile.TarInfo("a"))
    return file.getvalue()


A, B, C, BLIND = records(), records(6, 6), records(3, 12), records(3, 20, label=False)
GZIP, ZLIB = gzip.compress, zlib.compress
PICTURE = png(noise(6, 9))
# Name: files; images of train and of the other splits, before any is held out; words of notes.
OPENED = {
    "tfrec in train": ({"train/00-6x9-6.tfrec": A, "train/01-6x9-6.tfrec": B}, {"train": 12}, ""),
    "own names": ({"train_0.tfrecord": A, "train_1.tfrecord": B}, {"train": 12}, ""),
    "no split": ({"a.tfrecords": A, "b.tfrecords": B}, {"train": 12}, ""),
    "no suffix": ({"part-r-00000": A, "part-r-00001": B, "_SUCCESS": b""}, {"train": 12}, ""),
    "record": ({"flowers.record": A}, {"train": 6}, ""),
    "any suffix": ({"flowers.bin": A}, {"train": 6}, ""),
    "gzip": ({"train-00000-of-00001": GZIP(A)}, {"train": 6}, "1 compressed shard: unpacked"),
    "gz": ({"train-00000-of-00001.gz": GZIP(A)}, {"train": 6}, "1 compressed shard"),
    "zlib": ({"train.tfrecord": ZLIB(A)}, {"train": 6}, "1 compressed shard"),
    "fast zlib": ({"train.tfrecord": ZLIB(A, 1)}, {"train": 6}, "1 compressed shard"),
    "stored gzip": ({"train.tfrec": GZIP(A, 0)}, {"train": 6}, "1 compressed shard"),
    "mixed": ({"a.tfrec": GZIP(A), "b.tfrec": B, "c.tfrec": ZLIB(C)}, {"train": 15}, "2 compress"),
    "pigz": ({"a.tfrec.gz": GZIP(A) + GZIP(B) + bytes(9)}, {"train": 12}, "1 compressed shard"),
    "false gz": ({"a.tfrec.gz": A}, {"train": 6}, ""),
    "splits in names": (
        {"train_0.tfrec": A, "flowers-validation-3.tfrec": B, "x.TEST.tfrec": C},
        {"train": 6, "validation": 6, "test": 3},
        "",
    ),
    "splits in folders": (
        {"Training/0.tfrec": A, "valid/0.tfrec": B, "tfrecords-test/0.tfrec": C},
        {"train": 6, "validation": 6, "test": 3},
        "",
    ),
    "folders and names": (
        {"train_tfrecords/ld_train00-6.tfrec": A, "test_tfrecords/ld_test00-3.tfrec": C},
        {"train": 6, "test": 3},
        "",
    ),
    "numbered without a split": ({"x-00000-of-00002": A, "x-00001-of-00002": B}, {"train": 12}, ""),
    "numbered in a folder": (
        {"train/data-0-of-2.tfrec": A, "train/data-1-of-2.tfrec": B},
        {"train": 12},
        "",
    ),
    "from 1": ({"train-1-of-2.tfrec": A, "train-2-of-2.tfrec": B}, {"train": 12}, ""),
    "wrapped": ({"archive/tfrecords/train/0.tfrec": A}, {"train": 6}, ""),
    "doubled": (
        {"train/train/0.tfrec": A, "val/val/0.tfrec": B},
        {"train": 6, "validation": 6},
        "",
    ),
    "unlabeled test": (
        {"train/0.tfrec": A, "test/0.tfrec": BLIND},
        {"train": 6},
        "the test images have no labels: left out",
    ),
    "pred": (
        {"train/0.tfrec": A, "pred/0.tfrec": B},
        {"train": 6},
        "no labels: left out (0.tfrec)",
    ),
    "extra set": (
        {"s-train-00000-of-00001": A, "s-extra-00000-of-00001": B},
        {"train": 6},
        "do not name a split: left out (s-extra-00000-of-00001)",
    ),
    "empty shard": (
        {"train-00000-of-00002": A, "train-00001-of-00002": b""},
        {"train": 6},
        "train-00001-of-00002 has no records",
    ),
    "empty gzip": ({"a.tfrec": GZIP(A), "b.tfrec": GZIP(b"")}, {"train": 6}, "b.tfrec has no rec"),
    "empty split": ({"train_0.tfrec": A, "val_0.tfrec": b""}, {"train": 6}, "val_0.tfrec has no"),
    "other files": (
        {"a.tfrec": A, "labels.csv": b"a,b", "b.gz": GZIP(b"x"), "README": b"", "d.jpg": PICTURE},
        {"train": 6},
        "not shards: left out (1 picture, 1 file without a suffix, 1 .csv, 1 .gz)",
    ),
    "other folders": (
        {"a.tfrec": A, "notes/a.txt": b"x"},
        {"train": 6},
        "folders without shards of a split: left out (notes)",
    ),
    "many texts": (
        {"a.tfrec": A} | {f"{i}.txt": b"0 0 1 1" for i in range(30)},
        {"train": 6},
        "left out (30 .txt)",
    ),
    "many of a suffix": ({f"{i:02d}.bin": records(3, 3 * i) for i in range(25)}, {"train": 75}, ""),
    **{
        f"left over: {name}": (
            {"train.tfrecord": A, name: B[:-9]},
            {"train": 6},
            f"copies and left-over parts of shards: left out ({name})",
        )
        for name in (
            "train.tfrecord.bak",
            "train.tfrecord.tmp",
            "train.tfrecord.part",
            "test.tfrecord.crdownload",
            "train.tfrecord~",
            "train (1).tfrecord",
            "train - Copy.tfrecord",
        )
    },
    "left over in a folder": (
        {"train/0.tfrec": A, "train/0.tfrec.bak": A, "test/0.tfrec": C, "test/0 (2).tfrec": C},
        {"train": 6, "test": 3},
        "left out (test/0 (2).tfrec, train/0.tfrec.bak)",
    ),
    "numbers in parentheses": ({"a (1).tfrec": A, "a (2).tfrec": B}, {"train": 12}, ""),
    "logs": ({"a.tfrec": A, "events.out.tfevents.1.host": None}, {"train": 6}, "1 .host"),
}


def log():
    """Return a file of TensorBoard, whose records are framed like those of shards."""
    return frame([b"\x09\0\0\0\0\0\0\xf0?\x1a\x0dbrain.Event:2"])


@pytest.mark.parametrize("case", OPENED)
def test_shards_are_found_by_content(tmp_path, case):
    tree, expected, note = OPENED[case]
    tree = {name: log() if content is None else content for name, content in tree.items()}
    source = open_source(fill(tmp_path / "data", tree))
    found = {split: len(images) for split, images in source.splits.items()}
    if source.drawn:
        found["train"] += found.pop("validation")
    assert found == expected
    assert source.classes == ("0", "1", "2")
    assert note in "; ".join(source.notes)
    for images in source.splits.values():
        for i, (name, label) in enumerate(zip(images.names, images.labels, strict=True)):
            assert images.read(i) == png(noise(6, 9, int(name)))
            assert label == int(name) % 3


REFUSED = {
    "missing": ({"x-00000-of-00002.gz": GZIP(A)}, r"all 2 train shards.* without the numbers 1 \("),
    "empty files only": ({"a.tfrec": b"", "b.tfrec": b""}, r"2 shards without records, first .*/a"),
    "empty train": ({"train_0.tfrec": b"", "test_0.tfrec": A}, "1 shards without records"),
    "zip": (
        {"train.tfrecord": archive("zip")},
        r"train.tfrecord .* Received: a zip archive\. Unpa",
    ),
    "tar": ({"a.tfrec": A, "b.tfrec": archive("tar")}, "b.tfrec .* Received: a tar archive"),
    "tar.gz": ({"a.tfrec.gz": GZIP(archive("tar"))}, "a tar archive inside a compressed file"),
    "page": ({"a.tfrecord": b"<!DOCTYPE html><html>" * 9}, "Received: a web page"),
    "LFS": ({"a.tfrec": b"version https://git-lfs.github.com/spec/v1"}, "a pointer of Git LFS"),
    "picture": ({"a.tfrec": PICTURE}, "Received: a PNG image"),
    "cut": (
        {"a.tfrec": A, "b.tfrec": B[:-9]},
        rf"b.tfrec, record 5: cut off: .* byte {len(B) - 9}",
    ),
    "cut in a head": ({"a.tfrec": A, "b.tfrec": B[:7]}, "b.tfrec, record 0: cut off .* at byte 0"),
    "cut gzip": (
        {"a.tfrec": A, "b.tfrec": GZIP(B)[:-40]},
        "b.tfrec: the compressed file is cut off",
    ),
    "cut inside": ({"a.tfrec": GZIP(A[:-9])}, r"a.tfrec, record 5: cut off: the file ends at byte"),
    "bad gzip": ({"a.tfrec": GZIP(A)[:-2] + b"xx"}, "a.tfrec: the compressed file is damaged"),
    "after gzip": ({"a.tfrec": GZIP(A) + b"more"}, "a.tfrec: the compressed file is damaged"),
    "bomb": ({"a.tfrec": GZIP(A + bytes(2**26))}, "more than 100 times its size"),
    "two sets": ({"train-0-of-1.tfrec": A, "train.tfrec": B}, "one set of train shards"),
    "one shard twice": ({"a.tfrec": A, "a.tfrec.gz": GZIP(A)}, "have each shard once.*a.tfrec and"),
    "one number twice": ({"x-0-of-1.tfrec": A, "x-00-of-1.tfrec": A}, "have each shard once"),
    "two places": ({"train_0.tfrec": A, "train/1.tfrec": B}, "one set of train shards"),
    "two names": ({"train/0.tfrec": A, "Training/1.tfrec": B}, "one set of train shards"),
    "classes": ({"cat/a.tfrec": A, "dog/a.tfrec": B}, "shards in cat, dog"),
    "contradiction": ({"test/train_0.tfrec": A}, "stand for one split.*: test and train"),
    "pictures": ({"a.tfrec": A, "cat/0.jpg": PICTURE}, "shards or pictures.*pictures in cat"),
    "pictures in train": ({"train/a.tfrec": A, "train/0.jpg": PICTURE}, "pictures in train"),
    "nested": (
        {"s192/train/a.tfrec": A, "s224/train/a.tfrec": A},
        "shards in s192, s224. Give one",
    ),
    "no train": ({"test/a.tfrec": A}, "must have train shards"),
    "blind train": ({"a.tfrec": BLIND}, r"3 records with keys id \(bytes\), image \(bytes: PNG\)"),
    "no Example": (
        {"a.tfrec": A, "b.tfrec": None},
        r"b.tfrec, record 0: it is not a tf.train.Exam",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_named(tmp_path, case):
    tree, message = REFUSED[case]
    tree = {
        name: frame([b"\xff\xff no Example"]) if content is None else content
        for name, content in tree.items()
    }
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        open_source(fill(tmp_path / "data", tree))
