"""Copies are the images with equal bytes, whatever their names, classes and splits."""

import numpy as np
import pytest

from vgg_tf.records import copies
from vgg_tf.records.contents import Contents
from vgg_tf.records.copies import (
    MIDDLE,
    Copies,
    find_copies,
    find_hashed_copies,
    find_originals,
)
from vgg_tf.records.framing import Record
from vgg_tf.records.splits import Source, Split


def brute(data):
    """Return the position of the first of equal values, one by one."""
    return [data.index(value) for value in data]


@pytest.mark.parametrize("in_files", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_first_of_equal_bytes_is_the_original(tmp_path, seed, in_files):
    random = np.random.default_rng(seed)
    # Few lengths and values: most sizes are shared, and so are the middles of large files.
    lengths = random.choice([1, 2, MIDDLE, MIDDLE + 1, 3 * MIDDLE], 60)
    data = []
    for n in lengths.tolist():
        ends = random.integers(0, 2, 2).astype(np.uint8).tobytes()
        data.append((ends[:1] + b"m" * (n - 2) + ends[1:])[:n])
    contents = data
    if in_files:
        contents = [str(tmp_path / str(i)) for i in range(len(data))]
        for path, value in zip(contents, data, strict=True):
            with open(path, "wb") as file:
                file.write(value)
    assert find_originals(contents).tolist() == brute(data)
    assert len(set(brute(data))) < len(data)


def test_files_of_different_sizes_are_not_read(tmp_path, monkeypatch):
    for i in range(5):
        (tmp_path / str(i)).write_bytes(b"x" * (i + 1))
    monkeypatch.setattr(copies.files, "read", None)
    assert find_originals([str(tmp_path / str(i)) for i in range(5)]).tolist() == [0, 1, 2, 3, 4]


def test_what_is_not_read_or_empty_or_missing_is_no_copy(tmp_path):
    (tmp_path / "empty").touch()
    record = Record("shard", 0, 12, 9)
    same = [record, "gs://bucket/a", str(tmp_path / "empty"), str(tmp_path / "none"), b""]
    assert find_originals(same * 2).tolist() == list(range(10))
    assert find_originals([]).tolist() == []


def split(**images):
    return Split(list(images), np.zeros(len(images), np.int64), list(images.values()))


def test_copies_are_counted_within_and_across_splits():
    source = Source(
        "zoo",
        ("a", "b"),
        {
            "test": split(t1=b"one", t2=b"other"),
            "train": split(a1=b"one", a2=b"one", a3=b"two"),
            "validation": split(v1=b"two", v2=b"three"),
        },
    )
    found = find_copies(source)
    assert sorted(map(sorted, found.groups)) == [
        [("test", "t1"), ("train", "a1"), ("train", "a2")],
        [("train", "a3"), ("validation", "v1")],
    ]
    assert found.count() == 3
    assert sorted(found.list_across()) == [
        (("test", "t1"), ("train", "a1")),
        (("validation", "v1"), ("train", "a3")),
    ]
    first, second = found.describe()
    assert first == "copies: 3 images have the same bytes as another image"
    assert second.startswith("copies: 2 images have the same bytes as an image of another split: ")
    assert "t1 (test) as a1 (train)" in second
    assert "v1 (validation) as a3 (train)" in second


def labeled(**images):
    """Return a split of `name=(label, bytes)`."""
    labels, contents = zip(*images.values(), strict=True)
    return Split(list(images), np.array(labels), list(contents))


def hashed(source):
    made = Contents.look_at(source)
    made.hash_all(source)
    return find_hashed_copies(source, made)


@pytest.mark.parametrize("find", [find_copies, hashed])
def test_copies_with_different_labels_are_named(find):
    train = labeled(a1=(0, b"one"), b7=(1, b"one"), a2=(0, b"two"), a3=(0, b"two"))
    test = labeled(t1=(1, b"six"), t2=(0, b"two"), t3=(0, b"six"))
    found = find(Source("zoo", ("ant", "bee"), {"train": train, "test": test}))
    assert found.describe()[-1] == (
        "copies: 4 images with equal bytes have different labels: a1 (ant), b7 (bee); "
        "t1 (bee), t3 (ant)"
    )


def test_copies_with_equal_labels_have_no_such_note():
    train = labeled(a1=(0, b"one"), a2=(0, b"one"), b1=(1, b"two"))
    notes = find_copies(Source("zoo", ("ant", "bee"), {"train": train})).describe()
    assert notes == ["copies: 1 image has the same bytes as another image"]


def test_many_copies_of_an_image_are_counted():
    group = [("train", f"{i:02d}") for i in range(9)]
    classes = {image: str(i) for i, image in enumerate(group)}
    note = Copies([group], classes).describe()[-1]
    assert note.endswith("labels: 00 (0), 01 (1), 02 (2), 03 (3), 04 (4) and 4 more")


@pytest.mark.parametrize("n", [0, 1, 20, 25])
def test_notes_name_20_copies_across_splits(n):
    groups = [[("train", f"a{i}"), ("test", f"b{i}")] for i in range(n)]
    notes = Copies(groups).describe()
    assert len(notes) == (2 if n else 0)
    if n == 1:
        assert notes[0] == "copies: 1 image has the same bytes as another image"
    if n:
        assert notes[1].count(" as a") == min(n, 20) + 1  # "as an image of another split", too
        assert notes[1].endswith(", and 5 more") == (n > 20)
