"""The benchmarks start: each prints its usage, and the one of the input reads the shards that it links."""

import io
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfrecords_tools.write import write
from vgg_tf import load_dataset, records, sources
from vgg_tf.selection import Selection

BENCHMARKS = sorted((Path(__file__).parent.parent / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_each_prints_its_usage(path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit, match=r"^0$"):
        runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.startswith("usage: ")


@pytest.mark.parametrize("counted", [True, False], ids=["counts a shard", "without, as earlier versions wrote"])
def test_the_inputs_benchmark_reads_shards_of_fewer_images_than_a_batch_again_and_again(counted, tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    for i in range(7):
        (tmp_path / "images" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        data = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (32, 40, 3), dtype=np.uint8)).save(data, "jpeg")
        (tmp_path / "images" / "ab"[i % 2] / f"{i}.jpg").write_bytes(data.getvalue())
    source = sources.open_source(str(tmp_path / "images"), Selection(hold_out=0))
    write(source, str(tmp_path / "shards"), shards=2, progress=False)
    written = records.Collection.read(tmp_path / "shards")
    if not counted:
        del written.splits["train"]["per_shard"]
        written.write(tmp_path / "shards")
    (tmp_path / "linked").mkdir()
    benchmark = runpy.run_path(str(BENCHMARKS[0].parent / "input_pipeline.py"))
    monkeypatch.setitem(benchmark["linked"].__globals__, "LINKED", 20)
    links = benchmark["linked"](str(tmp_path / "shards"), str(tmp_path / "linked"))
    assert len(links) == 6  # 7 images 3 times
    train = records.Collection.read(tmp_path / "linked").splits["train"]
    assert (train["images"], train["shards"], sum(train["per_class"])) == (21, 6, 21)
    assert os.path.realpath(links[5]) == str(tmp_path / "shards" / "train-00001-of-00002")
    labels = np.concatenate([labels for _, labels in load_dataset(str(tmp_path / "linked"), batch_size=7, size=32, epoch=0)])
    np.testing.assert_array_equal(np.bincount(labels), [12, 9])
