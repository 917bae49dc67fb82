"""Whatever happens to shards is found, by file and record number, and nothing is found where nothing happened."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.test_write import noise, save
from tfrecords_tools.verify import verify
from tfrecords_tools.write import write
from vgg_tf import records
from vgg_tf.annotations import Boxes
from vgg_tf.sources import open_source


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """24 training images in 3 shards, 4 for validation in one."""
    root = tmp_path_factory.mktemp("verify")
    for i in range(28):
        save(root / "in" / ("train" if i < 24 else "val") / "ab"[i % 2] / f"{i}.{'png' if i % 3 else 'jpg'}", noise(6, 9, i))
    write(open_source(str(root / "in")), root / "out", shards=3, progress=False)
    return root / "out"


@pytest.fixture
def shards(sound, tmp_path):
    return Path(shutil.copytree(sound, tmp_path / "shards"))


SHARD = "train-00001-of-00003"


def serialized(path):
    return list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())


def rewrite(path, examples):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example)


def change(shards, index, edit, name=SHARD):
    """Edit the Example of one record, its checksum right."""
    examples = serialized(shards / name)
    example = tf.train.Example.FromString(examples[index])
    edit(example.features.feature)
    examples[index] = example.SerializeToString()
    rewrite(shards / name, examples)


def found(shards):
    return [(Path(finding.file).name, finding.record, finding.what) for finding in verify(shards, progress=False)]


def test_nothing_is_found_in_what_write_wrote(shards):
    assert found(shards) == []


@pytest.mark.parametrize("index", [0, 3, 7])
@pytest.mark.parametrize("part", ["data", "checksum"])
def test_a_flipped_byte_is_found_in_its_record_and_nothing_else_is(shards, index, part):
    content = bytearray((shards / SHARD).read_bytes())
    lengths = [len(example) for example in serialized(shards / SHARD)]
    end = sum(lengths[: index + 1]) + 16 * (index + 1)
    content[end - (30 if part == "data" else 2)] ^= 1
    (shards / SHARD).write_bytes(content)
    (damaged, counted) = found(shards)
    assert damaged == (SHARD, index, f"its checksum is wrong: bytes {end - lengths[index] - 16} to {end} have changed")
    assert counted == ("dataset.json", -1, "it tells of 24 train images, 23 can be read")


def test_several_damaged_records_are_all_found(shards):
    content = bytearray((shards / SHARD).read_bytes())
    ends = list(itertools.accumulate(len(example) + 16 for example in serialized(shards / SHARD)))
    for index in (1, 2, 6):
        content[ends[index] - 40] ^= 255
    (shards / SHARD).write_bytes(content)
    assert [record for name, record, _ in found(shards) if name == SHARD] == [1, 2, 6]


def test_records_after_a_damaged_one_are_looked_at_like_all_others(shards):
    change(shards, 5, set_number("image/class/label", 7))
    content = bytearray((shards / SHARD).read_bytes())
    content[200] ^= 1
    (shards / SHARD).write_bytes(content)
    assert [(index, what.split(":")[0]) for _, index, what in found(shards)] == [
        (0, "its checksum is wrong"),
        (5, "label 7 is out of the range of 0 to 1"),
        (-1, "it tells of 24 train images, 23 can be read"),
    ]


@pytest.mark.parametrize(("cut", "record"), [(-20, 7), (7, 0)])
def test_a_cut_shard_is_found_with_the_record_it_ends_in(shards, cut, record):
    content = (shards / SHARD).read_bytes()
    (shards / SHARD).write_bytes(content[:cut])
    (name, index, what), (_, _, counted) = found(shards)
    assert (name, index) == (SHARD, record)
    assert what.startswith("cut off")
    assert counted == f"it tells of 24 train images, {16 + record} can be read"


def test_a_missing_and_a_foreign_shard_are_found(shards):
    (shards / SHARD).rename(shards / "train-00001-of-00004")
    assert found(shards) == [
        (SHARD, -1, "the shard is missing"),
        ("dataset.json", -1, "it tells of 24 train images, 16 can be read"),
        ("train-00001-of-00004", -1, "dataset.json knows no such shard"),
    ]


def set_number(key, value):
    return lambda feature: feature[key].int64_list.value.__setitem__(0, value)


def set_word(key, value):
    return lambda feature: feature[key].bytes_list.value.__setitem__(0, value)


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (set_number("image/class/label", 2), "label 2 is out of the range of 0 to 1"),
        (set_number("image/class/label", -1), "label -1 is out of the range of 0 to 1"),
        (set_word("image/class/synset", b"z"), "by the record"),
        (set_number("image/height", 7), "the image is 6 by 9 pixels, the record says 7 by 9"),
        (set_word("image/format", b"GIF"), "the image is not the GIF that the record says"),
        (set_word("image/encoded", b"Dear diary"), "Unknown image file format"),
        (set_word("image/encoded", b""), "the file is empty"),
        (lambda feature: feature.pop("image/encoded"), "it has no feature image/encoded"),
        (lambda feature: feature["image/class/label"].bytes_list.value.append(b"1"), "its label is no number"),
        (lambda feature: feature["image/height"].bytes_list.value.append(b"6"), "Key: image/height"),
        (lambda feature: feature["image/filename"].int64_list.value.append(6), "Key: image/filename"),
        (lambda feature: feature["image/object/bbox/label"].bytes_list.value.append(b"a"), "Key: image/object/bbox/label"),
        (
            lambda feature: feature["image/object/bbox/xmin"].float_list.value.append(0.5),
            "its boxes have corners or labels missing",
        ),
    ],
)
def test_a_record_that_is_whole_but_wrong_is_found(shards, edit, what):
    change(shards, 4, edit)
    name, index, told = found(shards)[0]
    assert (name, index) == (SHARD, 4)
    assert what in told


def test_something_else_than_an_example_is_found(shards):
    examples = serialized(shards / SHARD)
    rewrite(shards / SHARD, [*examples[:3], b"\xff\xff", *examples[4:]])
    assert found(shards)[0] == (SHARD, 3, "it is no tf.train.Example")


def test_names_that_come_twice_in_a_split_are_found_but_two_splits_may_have_one_in_common(shards):
    """Other writers store base names, which may be the same in train and validation."""
    name = tf.train.Example.FromString(serialized(shards / SHARD)[2]).features.feature["image/filename"].bytes_list.value[0]
    for shard, index in ((SHARD, 5), ("train-00002-of-00003", 1), ("validation-00000-of-00001", 1)):
        change(shards, index, set_word("image/filename", name), shard)
    assert found(shards) == [
        (shard, index, f"{name.decode()} is already in {shards / SHARD}, record 2")
        for shard, index in ((SHARD, 5), ("train-00002-of-00003", 1))
    ]


@pytest.mark.parametrize("kept", [0, 5])
def test_a_shard_that_ends_between_two_records_is_named(shards, kept):
    rewrite(shards / SHARD, serialized(shards / SHARD)[:kept])
    assert found(shards) == [
        (SHARD, -1, f"it holds {kept} images instead of 8"),
        ("dataset.json", -1, f"it tells of 24 train images, {16 + kept} can be read"),
    ]


def test_a_folder_in_the_place_of_a_shard_is_found(shards):
    (shards / SHARD).unlink()
    (shards / SHARD).mkdir()
    (name, index, what), _ = found(shards)
    assert (name, index) == (SHARD, -1)
    assert what.startswith("cannot be read: ")


@pytest.mark.parametrize(
    ("corners", "label", "what"),
    [
        ([0.1, 0.2, 0.9, 1.01], 0, "a box does not lie within 0 and 1"),
        ([0.6, 0.2, 0.5, 1], 0, "a box does not lie within 0 and 1"),
        ([0, 0, 1, 1], 2, "a box has a label out of range"),
    ],
)
def test_wrong_boxes_are_found(shards, corners, label, what):
    old = records.unpack(serialized(shards / SHARD)[0])
    boxes = Boxes(np.array([corners], np.float32), ["a"])
    new = records.serialize(
        old.encoded, old.image_format, old.height, old.width, old.label, old.class_name, old.filename, "", boxes, [label]
    )
    rewrite(shards / SHARD, [new, *serialized(shards / SHARD)[1:]])
    assert found(shards) == [
        (SHARD, 0, what),
        ("dataset.json", -1, "it tells of 0 train boxes, 1 can be read"),
    ]


def test_a_dataset_json_that_disagrees_is_found(shards):
    values = json.loads((shards / "dataset.json").read_text())
    values["splits"]["train"]["per_class"] = [11, 13]
    (shards / "dataset.json").write_text(json.dumps(values))
    assert found(shards) == [
        ("dataset.json", -1, "it tells of 11 train images of class a, 12 can be read"),
        ("dataset.json", -1, "it tells of 13 train images of class b, 12 can be read"),
    ]


def run(*arguments):
    command = [sys.executable, "-m", "tfrecords_tools.verify", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ)


@pytest.mark.slow
def test_the_program_ends_with_0_or_with_1_and_a_list_that_restoring_empties(shards):
    good = run(shards)
    assert (good.returncode, good.stdout) == (0, f"{shards}: 4 shards, 28 records, all is well\n")
    (shards / SHARD).write_bytes((shards / SHARD).read_bytes()[:-9])
    bad = run(shards)
    assert bad.returncode == 1
    first, *_, last = bad.stdout.splitlines()
    assert first.startswith(f"{shards / SHARD}, record 7: cut off")
    assert last.startswith("2 findings in 2 files. Delete the shards named: the command that wrote them restores them.")
    stranger = run(shards.parent)
    assert stranger.returncode == 1
    assert stranger.stderr.startswith(f"error: {shards.parent} holds no dataset.json.")
