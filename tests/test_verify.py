"""Verification of shards finds all damage, by file and record, and no other errors."""

import itertools
import json
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from tests.making import call, noise, program, save
from vgg_tf.data.opening import open_source
from vgg_tf.records.integrity import verify
from vgg_tf.writing.write import write


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """24 training images in 3 shards, and 4 validation images in one."""
    root = tmp_path_factory.mktemp("verify")
    for i in range(28):
        save(
            root
            / "in"
            / ("train" if i < 24 else "val")
            / "ab"[i % 2]
            / f"{i}.{'png' if i % 3 else 'jpg'}",
            noise(6, 9, i),
        )
    write(open_source(str(root / "in")), root / "out", shards=3, progress=False)
    return root / "out"


@pytest.fixture
def shards(sound, tmp_path):
    return Path(shutil.copytree(sound, tmp_path / "shards"))


SHARDS = [f"train-0000{k}-of-00003" for k in range(3)]  # 8 records each
SHARD = SHARDS[1]


def serialized(path):
    return list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())


def rewrite(path, examples):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example)


def change(shards, index, edit, name=SHARD):
    """Edit the Example of one record, with a correct checksum."""
    examples = serialized(shards / name)
    example = tf.train.Example.FromString(examples[index])
    edit(example.features.feature)
    examples[index] = example.SerializeToString()
    rewrite(shards / name, examples)


def flip(path, index, back):
    """Flip a bit `back` bytes before the end of a record; return its start and end."""
    ends = [0, *itertools.accumulate(len(example) + 16 for example in serialized(path))]
    content = bytearray(path.read_bytes())
    content[ends[index + 1] - back] ^= 1
    path.write_bytes(content)
    return ends[index], ends[index + 1]


def found(shards):
    return [
        (Path(finding.file).name, finding.record, finding.what)
        for finding in verify(shards, progress=False)
    ]


def counted(n):
    return ("dataset.json", -1, f"it lists 24 train images, but {n} are readable")


def test_new_shards_have_no_errors(shards):
    assert found(shards) == []


@pytest.mark.parametrize("back", [30, 2], ids=["data", "checksum"])
def test_only_the_record_with_a_flipped_bit_is_reported(shards, back):
    places = dict(zip(SHARDS, (0, 3, 7), strict=True))
    at = {name: flip(shards / name, index, back) for name, index in places.items()}
    assert found(shards) == [
        *(
            (name, i, "its checksum is wrong: bytes {} to {} have changed".format(*at[name]))
            for name, i in places.items()
        ),
        counted(21),
    ]


def test_all_damaged_records_are_found_and_later_records_are_checked(
    shards,
):
    content = bytearray((shards / SHARD).read_bytes())
    ends = list(itertools.accumulate(len(example) + 16 for example in serialized(shards / SHARD)))
    for index in (1, 2, 6):
        content[ends[index] - 40] ^= 255
    (shards / SHARD).write_bytes(content)
    change(shards, 5, set_number("image/class/label", 7), SHARDS[2])
    content = bytearray((shards / SHARDS[2]).read_bytes())
    content[200] ^= 1
    (shards / SHARDS[2]).write_bytes(content)
    assert [(name, index, what.split(":")[0]) for name, index, what in found(shards)] == [
        *((SHARD, index, "its checksum is wrong") for index in (1, 2, 6)),
        (SHARDS[2], 0, "its checksum is wrong"),
        (SHARDS[2], 5, "label 7 must be between 0 and 1"),
        counted(20),
    ]


def test_a_truncated_shard_is_found_with_its_last_record(shards):
    for name, cut in zip(SHARDS, (-20, 7), strict=False):
        (shards / name).write_bytes((shards / name).read_bytes()[:cut])
    *cuts, last = found(shards)
    assert [(name, index) for name, index, _ in cuts] == [(SHARDS[0], 7), (SHARDS[1], 0)]
    assert all(what.startswith("cut off") for _, _, what in cuts)
    assert last == counted(7 + 0 + 8)


def test_missing_and_unknown_shards_and_a_folder_with_the_name_of_one_are_found(shards):
    (shards / SHARD).rename(shards / "train-00001-of-00004")
    (shards / SHARDS[2]).unlink()
    (shards / SHARDS[2]).mkdir()
    missing, (name, index, what), *others = found(shards)
    assert missing == (SHARD, -1, "the shard is missing")
    assert (name, index) == (SHARDS[2], -1)
    assert what.startswith("cannot be read: ")
    assert others == [counted(8), ("train-00001-of-00004", -1, "the shard is not in dataset.json")]


def set_number(key, value):
    return lambda feature: feature[key].int64_list.value.__setitem__(0, value)


def set_word(key, value):
    return lambda feature: feature[key].bytes_list.value.__setitem__(0, value)


def set_box(corners, label):
    def edit(feature):
        for side, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
            feature[f"image/object/bbox/{side}"].float_list.value.append(value)
        feature["image/object/bbox/label"].int64_list.value.append(label)

    return edit


# By shard, then by record. Images of the first shard can be decoded. Records of the second one are
# read separately. The third one has both.
WRONG = [
    [
        (set_number("image/class/label", 2), "label 2 must be between 0 and 1"),
        (set_number("image/class/label", -1), "label -1 must be between 0 and 1"),
        (set_word("image/class/synset", b"z"), "in the record"),
        (set_number("image/height", 7), "the image has 6 by 9 pixels, but the record lists 7 by 9"),
        (set_word("image/format", b"GIF"), "the format of the image must be GIF, as in the record"),
        (set_box([0.1, 0.2, 0.9, 1.01], 0), "the corners of a box must be between 0 and 1"),
        (set_box([0.6, 0.2, 0.5, 1], 0), "the corners of a box must be between 0 and 1"),
        (set_box([0, 0, 1, 1], 2), "labels of boxes must be between 0 and 1"),
    ],
    [
        (set_word("image/encoded", b"Dear diary"), "it is not a picture"),
        (set_word("image/encoded", b""), "the file is empty"),
        (lambda feature: feature.pop("image/encoded"), "it has no feature image/encoded"),
        (
            lambda feature: feature["image/class/label"].bytes_list.value.append(b"1"),
            "its label is not an integer",
        ),
        (
            lambda feature: feature["image/height"].bytes_list.value.append(b"6"),
            "Key: image/height",
        ),
        (
            lambda feature: feature["image/filename"].int64_list.value.append(6),
            "Key: image/filename",
        ),
        (
            lambda feature: feature["image/object/bbox/label"].bytes_list.value.append(b"a"),
            "Key: image/object/bbox/label",
        ),
    ],
    [
        (
            lambda feature: feature["image/object/bbox/xmin"].float_list.value.append(0.5),
            "a box has a missing corner or label",
        ),
        (None, "it is not a tf.train.Example"),
    ],
]


def test_intact_records_with_wrong_values_are_found(shards):
    # Takes 1 s, because seven records are read separately.
    for name, cases in zip(SHARDS, WRONG, strict=True):
        for index, (edit, _) in enumerate(cases):
            if edit:
                change(shards, index, edit, name)
            else:
                examples = serialized(shards / name)
                rewrite(shards / name, [*examples[:index], b"\xff\xff", *examples[index + 1 :]])
    expected = [
        (name, index, what)
        for name, cases in zip(SHARDS, WRONG, strict=True)
        for index, (_, what) in enumerate(cases)
    ]
    *of_records, images, boxes = found(shards)
    assert [(name, index) for name, index, _ in of_records] == [
        (name, index) for name, index, _ in expected
    ]
    for (_, _, error), (_, _, what) in zip(of_records, expected, strict=True):
        assert what in error
    assert images == counted(24 - 8)
    assert boxes == ("dataset.json", -1, "it lists 0 train boxes, but 3 are readable")


def test_a_name_can_occur_twice_in_a_dataset_but_not_in_a_split(shards):
    """Other writers store base names, which can be the same in train and validation."""
    name = (
        tf.train.Example.FromString(serialized(shards / SHARD)[2])
        .features.feature["image/filename"]
        .bytes_list.value[0]
    )
    for shard, index in ((SHARD, 5), (SHARDS[2], 1), ("validation-00000-of-00001", 1)):
        change(shards, index, set_word("image/filename", name), shard)
    assert found(shards) == [
        (shard, index, f"{name.decode()} is already in {shards / SHARD}, record 2")
        for shard, index in ((SHARD, 5), (SHARDS[2], 1))
    ]


def test_a_shard_that_ends_between_two_records_is_found(shards):
    kept = dict(zip(SHARDS, (0, 5), strict=False))
    for name, n in kept.items():
        rewrite(shards / name, serialized(shards / name)[:n])
    here = [(name, -1, f"it has {n} images instead of 8") for name, n in kept.items()]
    assert found(shards) == [*here, counted(0 + 5 + 8)]


def test_wrong_counts_in_dataset_json_are_found(shards):
    values = json.loads((shards / "dataset.json").read_text())
    values["splits"]["train"]["per_class"] = [11, 13]
    (shards / "dataset.json").write_text(json.dumps(values))
    assert found(shards) == [
        ("dataset.json", -1, "it lists 11 train images of class a, but 12 are readable"),
        ("dataset.json", -1, "it lists 13 train images of class b, but 12 are readable"),
    ]


@pytest.mark.slow
def test_the_exit_code_is_0_without_errors_and_1_with_errors(shards):
    # A process, because scripts check this exit code.
    good = call("tfrecords_tools.verify", shards)
    assert (good.returncode, good.stdout) == (0, f"{shards}: 4 shards, 28 records, no errors\n")
    (shards / SHARD).write_bytes((shards / SHARD).read_bytes()[:-9])
    bad = program("tfrecords_tools.verify", shards)
    assert bad.returncode == 1
    first, *_, last = bad.stdout.splitlines()
    assert first.startswith(f"{shards / SHARD}, record 7: cut off")
    assert last.startswith(
        "2 errors in 2 files. Delete these shards and run the command that wrote them again."
    )
    stranger = call("tfrecords_tools.verify", shards.parent)
    assert stranger.returncode == 1
    assert stranger.stderr.startswith(f"error: {shards.parent} must have a dataset.json.")
