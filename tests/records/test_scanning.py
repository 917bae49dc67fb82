"""Scans of shards with damaged records: errors by shard and record."""

import itertools
import re

import pytest
import tensorflow as tf

from tests.data.making_shards import example, shard, slim_folder
from vgg_tf.data.opening import open_source
from vgg_tf.records import framing
from vgg_tf.runtime import files


@pytest.mark.parametrize(
    ("at", "record"),
    [
        ((0, 0), b"\xff\xff no Example"),
        ((1, 3), b"\xff\xff no Example"),
        ((1, 3), example(image__encoded=[b"x"], image__class__label=[1, 2])),
        ((1, 3), example(image__encoded=[b"x"], image__class__label=[b"1"])),
        ((2, 0), example(image__encoded=[b"x"], image__class__text=[b"ant"])),
    ],
    ids=["not an Example, first", "not an Example", "two labels", "a text label", "no label"],
)
def test_the_error_for_an_unreadable_label_names_the_record(tmp_path, at, record):
    slim_folder(tmp_path, n=15)
    k, index = at
    whole = list(
        tf.data.TFRecordDataset(str(tmp_path / f"train-{k:05d}-of-00003")).as_numpy_iterator()
    )
    shard(tmp_path, f"train-{k:05d}-of-00003", [*whole[:index], record, *whole[index:]])
    with pytest.raises(ValueError, match=rf"train-0000{k}-of-00003, record {index}\b"):
        open_source(str(tmp_path))


def damage(path, at, cut=False):
    content = bytearray(path.read_bytes())
    if cut:
        content = content[:at]
    else:
        content[at] ^= 1
    path.write_bytes(content)


@pytest.fixture
def lengths(tmp_path):
    slim_folder(tmp_path, shards=1, n=6)
    return [
        len(record) + 16
        for record in tf.data.TFRecordDataset(
            str(tmp_path / "train-00000-of-00001")
        ).as_numpy_iterator()
    ]


@pytest.mark.parametrize(
    ("record", "at", "cut", "what"),
    [
        (2, 40, False, "its checksum is wrong"),
        (2, -1, False, "its checksum is wrong"),
        (3, 1, False, "cut off or overwritten"),  # the length: later records cannot be found
        (3, 9, False, "cut off or overwritten"),  # the checksum of the length
        (4, 60, True, "cut off: the file ends"),
        (4, 5, True, "cut off or overwritten"),  # in a header, where TensorFlow reports no error
    ],
)
def test_the_error_for_damage_names_shard_and_record(tmp_path, lengths, record, at, cut, what):
    path = tmp_path / "train-00000-of-00001"
    assert framing.find_damage(str(path)) == []
    start = list(itertools.accumulate(lengths, initial=0))
    damage(path, start[record] + at if at >= 0 else start[record + 1] + at, cut)
    ((found, error),) = framing.find_damage(str(path))
    assert (found, error[: len(what)]) == (record, what)
    with pytest.raises(
        ValueError,
        match=(
            r"Records cannot be read\. Download or write their shards again\. Records:\n"
            rf"  .*00000-of-00001, record {record}: {what}"
        ),
    ):
        open_source(str(tmp_path))


def test_all_damaged_records_are_named_and_all_other_records_are_found(
    tmp_path,
):
    slim_folder(tmp_path, n=15)
    expected = {0: [], 1: [0, 2, 4], 2: [3]}
    for k, damaged in expected.items():
        path = tmp_path / f"train-{k:05d}-of-00003"
        whole = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
        start = list(itertools.accumulate((len(record) + 16 for record in whole), initial=0))
        for index in damaged:
            damage(
                path, start[index] + 12 + 20 * (index == 2)
            )  # the first byte of the data, or one within
        walked = list(framing.walk_records(str(path)))
        assert [record.index for record, what in walked if what] == damaged
        assert [record for record, _ in walked] == [
            framing.Record(str(path), i, start[i] + 12, len(serialized))
            for i, serialized in enumerate(whole)
        ]
        for (record, what), serialized in zip(walked, whole, strict=True):
            assert (files.read(str(path), record.offset, record.length) == serialized) == (
                what is None
            )
    with pytest.raises(ValueError, match="cannot be read") as error:
        open_source(str(tmp_path))
    named = re.findall(
        r"train-0000(\d)-of-00003, record (\d): its checksum is wrong", str(error.value)
    )
    assert named == [("1", "0"), ("1", "2"), ("1", "4"), ("2", "3")]
