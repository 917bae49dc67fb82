"""Training batches of a large collection need little memory."""

import dataclasses
import os
import shutil
import subprocess
import sys

import pytest

from tests.making import noise, save
from vgg_tf.data.opening import open_source
from vgg_tf.records.collection import Collection
from vgg_tf.writing.write import write

MEMORY = """
import sys
from vgg_tf.data.loading import load_dataset

def peak(field):
    lines = open("/proc/self/status")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

next(iter(load_dataset("digits", "train", batch_size=8, size=16)))
before = peak("VmRSS")
batches = load_dataset(sys.argv[1], batch_size=50, scale=(256, 512))
n = sum(1 for _ in batches.take(60))
print(n, peak("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads its memory from /proc")
def test_reading_six_gigabytes_of_images_needs_less_than_two_gigabytes_of_memory(
    tmp_path,
):
    # Links make 12,800 JPEG files of 32 with half a megabyte: 6 GB, or 27 GB decoded. The process
    # reads 3,000 of them, 6.5 GB decoded.
    for i in range(32):
        save(tmp_path / "zoo" / "train" / "ant" / f"{i}.jpg", noise(800, 900, i), quality=88)
    shutil.copytree(tmp_path / "zoo" / "train" / "ant", tmp_path / "zoo" / "train" / "bee")
    shutil.copytree(
        tmp_path / "zoo" / "train", tmp_path / "zoo" / "val"
    )  # otherwise a part of train is held out
    write(open_source(str(tmp_path / "zoo")), tmp_path / "shards", shards=4, progress=False)
    collection = Collection.read(tmp_path / "shards")
    big = tmp_path / "big"
    big.mkdir()
    for i in range(800):
        os.link(
            tmp_path / "shards" / f"train-{i % 4:05d}-of-00004", big / f"train-{i:05d}-of-00800"
        )
    train = collection.splits["train"]
    train = train | {
        "images": 200 * train["images"],
        "shards": 800,
        "per_shard": 200 * train["per_shard"],
    }
    dataclasses.replace(collection, splits={"train": train}).write(big)
    assert train["images"] * collection.bytes_per_image > 6e9
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, str(big)], capture_output=True, text=True, check=True
    )
    batches, peak = map(int, result.stdout.split())
    assert batches == 60
    assert 0 < peak < 2e9
