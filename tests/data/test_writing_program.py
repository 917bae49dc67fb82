"""The program prints what it reads and writes, and reports unreadable files."""

import json
import re
import shutil
import subprocess
import sys

import tensorflow as tf

from tests.data.making_zoo import contents, damage, quietly, snapshot
from tests.making import call
from vgg_tf.data.opening import open_source
from vgg_tf.records.schema import parse


def test_the_program_prints_the_numbers_of_images_and_shards(zoo, tmp_path):
    first, *_, last = call(
        "tfrecords_tools.write", zoo, "out", "--shards", 3, "--seed", 5
    ).stdout.splitlines()
    assert first == f"{zoo}: 28 train, 1 validation, 4 test images of 2 classes"
    counts = (
        "3 train, 1 validation, 1 test shards, 33 images, 0 boxes; 4 changed and 0 left "
        "out, listed in dataset.json"
    )
    assert last == f"out: {counts}"
    quietly(zoo, tmp_path / "same", shards=3, seed=5)
    assert contents(tmp_path / "out") == contents(tmp_path / "same")


def test_the_program_reports_unreadable_images_with_exit_code_1(zoo, tmp_path):
    kept = damage(zoo)
    result = call("tfrecords_tools.write", zoo, tmp_path / "out")
    assert result.returncode == 1
    assert re.search(r"(?m)^error: 4 of 33 images cannot be read", result.stderr)
    assert all(name in result.stderr for name in kept)


def test_an_error_of_the_folder_is_one_line_with_exit_code_1(tmp_path):
    command = [sys.executable, "-m", "tfrecords_tools.write", str(tmp_path), str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(
        f"error: {tmp_path} must have at least 2 class folders with images. Received: 0."
    )
    assert not (tmp_path / "out").exists()


def test_digits_are_written_by_name(digits_shards, tmp_path):
    shutil.copytree(digits_shards, tmp_path / "out")
    before = snapshot(tmp_path / "out")
    result = call("tfrecords_tools.write", "digits", tmp_path / "out")  # the same shards
    assert result.returncode == 0, result.stderr
    assert snapshot(tmp_path / "out") == before
    notes = json.loads((tmp_path / "out" / "dataset.json").read_text())["notes"]
    assert notes == [
        "no validation split: 142 of 1437 training images held out, the same share of each class"
    ]
    assert f"  {notes[0]}" in result.stdout.splitlines()
    test = open_source("digits").splits["test"]
    shards = [str(path) for path in (tmp_path / "out").glob("test-*")]
    stored = sorted(
        tuple(pair) for pair in tf.data.TFRecordDataset(shards).map(parse).as_numpy_iterator()
    )
    assert stored == sorted(zip(test.contents, test.labels.tolist(), strict=True))
