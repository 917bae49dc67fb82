"""Shards have every image once, in an order that depends only on the seed."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.making_zoo import KEPT, contents, examples, filenames, opened, quietly, smooth
from tests.making import noise, save
from vgg_tf.records.collection import Collection
from vgg_tf.runtime import files
from vgg_tf.writing import shard_plan
from vgg_tf.writing import write as writing


def test_every_image_is_exactly_once_in_the_shards_of_its_split(finished):
    zoo, out = finished / "zoo", finished / "out"
    collection = Collection.read(out)
    for split, folder, n in (("train", "train", 28), ("validation", "val", 1), ("test", "test", 4)):
        there = sorted(path.relative_to(zoo).as_posix() for path in (zoo / folder).rglob("*.*"))
        assert len(there) == n
        assert sorted(filenames(out, split)) == there
        assert collection.count_images(split) == n
    for example in examples(out, "train"):
        name = example["image/filename"].decode()
        assert example["image/class/text"].decode() == name.split("/")[1]
        assert example["image/class/label"] == ("ant", "bee").index(name.split("/")[1])
        assert (example["image/width"], example["image/height"]) == opened(zoo / name).size


def test_the_folder_has_only_the_shards_and_what_describes_them(zoo, tmp_path):
    collection = quietly(zoo, tmp_path / "out", shards=5)
    assert {split: values["shards"] for split, values in collection.splits.items()} == {
        "train": 5,
        "validation": 1,
        "test": 1,
    }
    shards = [f"train-0000{i}-of-00005" for i in range(5)] + [
        "validation-00000-of-00001",
        "test-00000-of-00001",
    ]
    assert set(contents(tmp_path / "out")) == {*shards, "dataset.json", "contents.npz"}
    assert not (tmp_path / "out" / ".writing").exists()
    assert Collection.read(tmp_path / "out") == collection
    assert collection.splits["train"]["per_class"] == [14, 14]


def test_color_statistics_are_those_of_the_train_images_decoded_by_pil(finished):
    zoo, collection = finished / "zoo", Collection.read(finished / "out")
    means = []
    for path in (zoo / "train").rglob("*.*"):
        picture = opened(path)
        if picture.mode == "I;16":
            picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
        means.append(np.asarray(picture.convert("RGB")).mean((0, 1)))
    # Builds of libjpeg differ by up to a level in 4 of the 28 images.
    np.testing.assert_allclose(collection.mean_rgb, np.mean(means, 0), atol=0.15)
    assert collection.statistics_images == 28


def test_rgb_and_gray_jpeg_and_8_bit_png_files_keep_their_bytes_without_a_note(finished):
    zoo, collection = finished / "zoo", Collection.read(finished / "out")
    stored = {
        example["image/filename"].decode(): example
        for example in examples(finished / "out", "train")
    }
    for name in KEPT:
        assert stored[name]["image/encoded"] == (zoo / name).read_bytes(), name
        assert stored[name]["image/format"] == (b"PNG" if name.endswith("png") else b"JPEG")
        assert not any(name in note for note in collection.notes)


def test_other_formats_are_encoded_again_with_a_note(finished):
    zoo, collection = finished / "zoo", Collection.read(finished / "out")
    stored = {
        example["image/filename"].decode(): example
        for example in examples(finished / "out", "train")
    }
    assert list(collection.notes) == [
        "train/ant/cmyk.jpg: CMYK, as JPEG of quality 95",
        "train/ant/deep.png: PNG of other than 8 bits, as 8-bit PNG",
        "train/bee/animation.gif: as PNG",
        "train/bee/picture.bmp: as PNG",
    ]
    cmyk = opened(stored["train/ant/cmyk.jpg"]["image/encoded"])
    assert (cmyk.format, cmyk.mode) == ("JPEG", "RGB")
    assert stored["train/ant/cmyk.jpg"]["image/format"] == b"JPEG"
    original = np.asarray(opened(zoo / "train/ant/cmyk.jpg").convert("RGB"), int)
    # Encoding again with quality 95 changes a smooth image by a few levels, inverted CMYK by 100.
    assert np.abs(original - cmyk).mean() < 3
    expected = {
        "train/ant/deep.png": np.repeat(
            noise(7, 8)[..., :1], 3, 2
        ),  # of 257 times the byte, the upper byte remains
        "train/bee/animation.gif": opened(zoo / "train/bee/animation.gif").convert("RGB"),
        "train/bee/picture.bmp": smooth(15, 16),
    }
    for name, pixels in expected.items():
        assert stored[name]["image/format"] == b"PNG"
        png = opened(stored[name]["image/encoded"])
        assert png.format == "PNG"
        np.testing.assert_array_equal(png.convert("RGB"), pixels, err_msg=name)


def test_the_stored_format_is_that_of_the_bytes_not_of_the_suffix(tmp_path):
    for i in range(2):
        for name in ("a", "b"):
            save(tmp_path / "in" / name / f"{i}.jpg", noise(5, 5, i), format="png")
    quietly(tmp_path / "in", tmp_path / "out")
    for example in examples(tmp_path / "out", "train"):
        assert example["image/format"] == b"PNG"
        assert (
            example["image/encoded"]
            == (tmp_path / "in" / example["image/filename"].decode()).read_bytes()
        )


def test_the_order_depends_only_on_the_seed(finished, zoo, tmp_path):
    for name, options in {"unchecked": {"check": False}, "other": {"seed": 1}}.items():
        quietly(zoo, tmp_path / name, shards=3, **options)
    one, unchecked, other = (
        filenames(folder, "train")
        for folder in (finished / "out", Path("unchecked"), Path("other"))
    )
    assert one == unchecked
    assert sorted(one) == sorted(other)
    # 28 names in random order agree in one place on average; sorted classes have one border.
    assert sum(a == b for a, b in zip(one, other, strict=True)) < 7
    classes = [name.split("/")[1] for name in one]
    assert sum(a != b for a, b in itertools.pairwise(classes)) > 5


def test_other_splits_have_shards_in_proportion_to_train(tmp_path):
    for i in range(40):
        save(
            tmp_path / "in" / ("train" if i < 32 else "test") / "ab"[i % 2] / f"{i}.png",
            noise(3, 3, i),
        )
    save(tmp_path / "in" / "val" / "a" / "1.png", noise(3, 3))
    collection = quietly(tmp_path / "in", tmp_path / "out", shards=8)
    assert {split: values["shards"] for split, values in collection.splits.items()} == {
        "train": 8,
        "validation": 1,
        "test": 2,
    }
    sizes = [
        sum(1 for _ in tf.data.TFRecordDataset(str(path)))
        for path in sorted((tmp_path / "out").glob("train-*"))
    ]
    assert sizes == [4] * 8


def test_a_split_has_at_most_one_shard_per_image(tmp_path):
    for i in range(4):
        save(tmp_path / "in" / "ab"[i % 2] / f"{i}.png", noise(3, 3, i))
    collection = quietly(tmp_path / "in", tmp_path / "out", shards=8)
    assert {split: values["shards"] for split, values in collection.splits.items()} == {
        "train": 2,
        "validation": 2,
    }


@pytest.mark.parametrize(
    ("shard", "small", "shards"), [(12, 99, 12), (2, 99, 8), (2, 5.5, 5), (0.5, 0.5, 1)]
)
def test_shards_have_about_150_megabytes_and_those_of_small_sources_at_least_10(
    zoo, tmp_path, monkeypatch, shard, small, shards
):
    # The images have a few kilobytes, so the sizes are scaled down.
    size = sum(path.stat().st_size for path in (zoo / "train").rglob("*.*"))
    monkeypatch.setattr(shard_plan, "SHARD_BYTES", size / shard)
    monkeypatch.setattr(shard_plan, "SMALL_SHARD_BYTES", size / small)
    monkeypatch.setattr(writing, "_write_missing", lambda *_: None)
    monkeypatch.setattr(writing, "_finish", lambda source, out, plan, *_: plan.shards)
    assert quietly(zoo, tmp_path / "out")["train"] == shards


def test_shards_on_a_remote_file_system_equal_local_shards(finished, zoo, tmp_path):
    out, local = f"ram://{tmp_path.name}/out", contents(finished / "out")
    collection = quietly(zoo, out, shards=3)
    assert quietly(zoo, out, shards=3) == collection == Collection.read(finished / "out")
    assert files.list_names(out) == sorted(local)
    del local["contents.npz"]
    for name, content in local.items():
        assert files.read(f"{out}/{name}") == content
    # Remote images can be read, too.
    for path in (path for path in zoo.rglob("*.*") if path.is_file()):
        files.make_folder(f"ram://{tmp_path.name}/in/{path.parent.relative_to(zoo)}")
        files.write_whole(f"ram://{tmp_path.name}/in/{path.relative_to(zoo)}", path.read_bytes())
    quietly(f"ram://{tmp_path.name}/in", tmp_path / "again", shards=3)
    assert contents(tmp_path / "again")["train-00000-of-00003"] == local["train-00000-of-00003"]
