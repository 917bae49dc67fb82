"""If a pass fails, the error names all files and records that cannot be read."""

import json
import shutil

import pytest
import tensorflow as tf

from tests.data.making_passes import PASS, TESTED
from vgg_tf.data.loading import load_dataset
from vgg_tf.data.opening import open_source
from vgg_tf.data.unreadable import naming_the_unreadable


def test_all_unreadable_images_are_reported_when_a_pass_fails(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "zoo")
    (tmp_path / "zoo" / "train" / "bee" / "1.jpg").write_bytes(b"Dear diary")
    (tmp_path / "zoo" / "test" / "ant" / "0.jpg").write_bytes(b"")
    source = open_source(str(tmp_path / "zoo"))
    expected = r"cannot read test/ant/0.jpg: the file is empty"
    with pytest.raises(ValueError, match=expected) as caught, naming_the_unreadable(source):
        list(load_dataset(source, "test", **TESTED))
    assert "cannot read train/bee/1.jpg: it is not a picture" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3


def test_a_corrupt_shard_is_reported_when_a_pass_fails(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "shards")
    path = tmp_path / "shards" / "train-00001-of-00003"
    data = bytearray(path.read_bytes())
    data[-20] ^= 255
    path.write_bytes(data)
    with (
        pytest.raises(ValueError, match=r"train-00001-of-00003, record 3: its checksum is wrong"),
        naming_the_unreadable(str(path.parent)),
    ):
        list(load_dataset(str(path.parent), **PASS, epoch=0))


def test_a_dataset_json_with_too_many_images_is_reported_when_a_pass_fails(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "shards")
    path = tmp_path / "shards" / "dataset.json"
    values = json.loads(path.read_text())
    n = values["splits"]["train"]["images"]
    values["splits"]["train"]["images"] = n + 9
    path.write_text(json.dumps(values))
    with (
        pytest.raises(
            ValueError, match=rf"dataset.json: it lists {n + 9} train images, but {n} are readable"
        ),
        naming_the_unreadable(str(path.parent)),
    ):
        list(load_dataset(str(path.parent), **PASS | {"batch_size": 1}, epoch=0))


@pytest.mark.parametrize("label", [7, -1])
def test_a_label_out_of_range_is_reported_when_a_pass_fails(shards, tmp_path, label):
    shutil.copytree(shards, tmp_path / "shards")
    path = tmp_path / "shards" / "train-00001-of-00003"
    examples = [
        tf.train.Example.FromString(record)
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]
    examples[2].features.feature["image/class/label"].int64_list.value[0] = label
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example.SerializeToString())
    with (
        pytest.raises(
            ValueError,
            match=rf"train-00001-of-00003, record 2: label {label} must be between 0 and \d",
        ),
        naming_the_unreadable(str(path.parent)),
    ):
        list(load_dataset(str(path.parent), **PASS, epoch=0))  # the loss accepts a negative label


def test_a_record_that_changed_after_opening_is_reported(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "shards")
    (tmp_path / "shards" / "dataset.json").unlink()
    source = open_source(str(tmp_path / "shards"))
    path = tmp_path / "shards" / "train-00001-of-00003"
    data = bytearray(path.read_bytes())
    data[-2] ^= 255  # in the checksum: the image can be decoded
    path.write_bytes(data)
    with (
        pytest.raises(ValueError, match=r"train-00001-of-00003, record 3: its checksum"),
        naming_the_unreadable(source),
    ):
        list(load_dataset(source, **PASS, epoch=0))


@pytest.mark.parametrize("kind", ["PermissionDenied", "Unknown", "Unavailable", "Unauthenticated"])
def test_files_that_a_file_system_refuses_are_reported(folder, tmp_path, kind):
    shutil.copytree(folder, tmp_path / "zoo")
    source = open_source(str(tmp_path / "zoo"))
    (tmp_path / "zoo" / "train" / "bee" / "1.jpg").unlink()
    (tmp_path / "zoo" / "train" / "bee" / "1.jpg").mkdir()
    with (
        pytest.raises(ValueError, match=r"Is a directory: .*train/bee/1.jpg"),
        naming_the_unreadable(source),
    ):
        raise getattr(tf.errors, f"{kind}Error")(None, None, "no")


def test_other_errors_stay_unchanged(folder):
    with pytest.raises(tf.errors.InvalidArgumentError, match="mine"), naming_the_unreadable(folder):
        raise tf.errors.InvalidArgumentError(None, None, "mine")


@pytest.mark.parametrize("junk", [b"\xff\xfe\xfahello", b"\x0a\x05\x0a\x03\xff\xff\xff"])
def test_a_record_that_is_no_example_is_named(shards, tmp_path, junk):
    shutil.copytree(shards, tmp_path / "shards")
    path = tmp_path / "shards" / "train-00001-of-00003"
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    with tf.io.TFRecordWriter(str(path)) as writer:  # its checksum is right
        for record in [*records[:2], junk, *records[3:]]:
            writer.write(record)
    with (
        pytest.raises(ValueError, match=r"train-00001-of-00003, record 2: it is not a tf.train"),
        naming_the_unreadable(str(path.parent)),
    ):
        list(load_dataset(str(path.parent), **PASS, epoch=0))
