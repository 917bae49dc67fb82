"""Benchmarks of reading and writing shards."""

import os
import re
import shutil
import sys

import numpy as np
import pytest

from tests.benchmarks.making_calls import NUMBER, load, numbers
from tests.making import cells_of
from vgg_tf import load_dataset
from vgg_tf.records import collection


def test_writing_compares_with_decoding_and_copying(run, made, tmp_path):
    # The benchmark writes next to its folder, which other tests share.
    (tmp_path / "jpegs").symlink_to(made / "jpegs")
    first, *lines = run("writing", tmp_path / "jpegs", "--rounds", 1).splitlines()
    assert first.startswith("11 JPEGs of ")
    rates = dict(
        re.fullmatch(rf"(\D+) ({NUMBER}) images/s, {NUMBER} ms .*", line).groups()
        for line in lines[:4]
    )
    assert [name.strip() for name in rates] == [
        "decoding alone",
        "write",
        "copying alone",
        "write --no-check",
    ]
    assert min(numbers(rates.values())) > 0
    for line, pair in zip(
        lines[4:], ("write / decoding alone", "write --no-check / copying alone"), strict=True
    ):
        assert re.fullmatch(rf"{pair}: {NUMBER} \(of CPU time {NUMBER}\)", line)


def test_input_pipeline_compares_all_ways_and_lists_missing_packages(run, made, monkeypatch):
    module = load("input_pipeline", monkeypatch)
    for name in ("nvidia.dali", "torchvision"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(module.input_ways, "BATCH", 4)
    monkeypatch.setattr(module, "LINKED", 12)
    said = run(module, made / "shards", "--rounds", 1, "--seconds", 0.01, "--warm-up", 0)
    missing = [line for line in said.splitlines() if "not installed" in line]
    assert [line.split(":")[0] for line in missing] == ["DALI", "torchvision"]
    assert all("pip install" in line for line in missing)
    head, *rows = cells_of(said)
    assert head == ["way", "images/s", "to textbook", "to full decode", "lowest-highest", "CPU ms"]
    assert [row[0] for row in rows] == [
        "full decode alone",
        "window decode alone",
        "textbook",
        "textbook, antialiased",
        "ours",
    ]
    assert all(min(numbers(row[1:])) > 0 for row in rows)
    assert rows[2][2] == rows[0][3] == "1.00"
    with pytest.raises(SystemExit, match=r"must have a dataset\.json"):
        run(module, made / "jpegs")


@pytest.mark.parametrize("counted", [True, False], ids=["with per_shard", "without per_shard"])
def test_input_pipeline_repeats_shards_with_fewer_images_than_a_batch(
    counted, made, tmp_path, monkeypatch
):
    shards = shutil.copytree(made / "shards", tmp_path / "shards")
    written = collection.Collection.read(shards)
    if not counted:
        del written.splits["train"]["per_shard"]
        written.write(shards)
    (tmp_path / "linked").mkdir()
    module = load("input_pipeline", monkeypatch)
    monkeypatch.setattr(module, "LINKED", 20)
    links = module.link_shards(str(shards), str(tmp_path / "linked"))
    assert len(links) == 4  # 11 images twice
    train = collection.Collection.read(tmp_path / "linked").splits["train"]
    assert (train["images"], train["shards"], sum(train["per_class"])) == (22, 4, 22)
    assert os.path.realpath(links[3]) == str(tmp_path / "shards" / "train-00001-of-00002")
    ((_, labels),) = load_dataset(str(tmp_path / "linked"), batch_size=22, size=32, epoch=0)
    np.testing.assert_array_equal(np.bincount(labels), [10, 12])
