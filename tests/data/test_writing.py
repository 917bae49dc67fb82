"""Shards hold every image once, and no interruption, second run or mistake costs any."""

import io
import itertools
import json
import pickle
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.making import call, noise, save
from vgg_tf.data import beam, writing
from vgg_tf.data.opening import open_source
from vgg_tf.data.writing import write
from vgg_tf.records import encoding as shards_of
from vgg_tf.records.collection import Collection
from vgg_tf.records.schema import parse
from vgg_tf.records.statistics import measure
from vgg_tf.runtime import files

# Traced once for all tests, and not in each pipeline anew, which is half the time of so few images.
CHECK = tf.function(
    shards_of._check,
    input_signature=(tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.bool)),
    autograph=False,
)


@pytest.fixture(autouse=True)
def traced_once(monkeypatch):
    monkeypatch.setattr(shards_of, "_check", CHECK)


def opened(content):
    """A PIL image of these bytes, or of the file at this path, which is not left open."""
    return Image.open(io.BytesIO(content if isinstance(content, bytes) else content.read_bytes()))


def smooth(h, w):
    y, x = np.mgrid[:h, :w]
    return Image.fromarray(np.stack([4 * x, 4 * y, 2 * (x + y)], 2).astype(np.uint8))


# Stored byte for byte, and encoded anew.
KEPT = {
    "train/ant/colour.jpg": lambda path: save(path, noise(9, 14)),
    "train/ant/grey.jpeg": lambda path: save(path, smooth(10, 12).convert("L")),
    "train/bee/alpha.png": lambda path: save(path, smooth(11, 12).convert("RGBA")),
    "train/bee/palette.png": lambda path: save(path, smooth(12, 13).quantize(256)),
}
CHANGED = {
    "train/ant/cmyk.jpg": lambda path: save(path, smooth(40, 50).convert("CMYK"), quality=95),
    "train/ant/deep.png": lambda path: save(
        path, Image.fromarray(noise(7, 8)[..., 0].astype(np.uint16) * 257)
    ),
    "train/bee/animation.gif": lambda path: save(path, smooth(14, 15).quantize(256)),
    "train/bee/picture.bmp": lambda path: save(path, smooth(15, 16)),
}


def make_zoo(root):
    """33 images of two classes: all formats in train (n=28), plain ones in validation (n=1) and
    test (n=4).
    """
    for name, make in (KEPT | CHANGED).items():
        make(root / name)
    for i in range(20):
        save(root / "train" / ("ant", "bee")[i % 2] / f"{i}.png", noise(6 + i, 8, i))
    save(root / "val" / "ant" / "1.png", noise(5, 5))
    for i in range(4):
        save(root / "test" / "bee" / f"{i}.jpg", noise(8, 8, i))


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    """The images of `make_zoo` in the current folder, by the same name in all tests: it is written
    down with the shards.
    """
    monkeypatch.chdir(tmp_path)
    make_zoo(Path("zoo"))
    return Path("zoo")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder, only to be read, with `zoo` and, in `out`, its shards: three of train."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_zoo(Path("zoo"))
        quietly("zoo", "out", shards=3)
    return folder


@pytest.fixture
def written(finished, tmp_path, monkeypatch):
    """A copy of `finished` for one test, in the current folder: its shards."""
    monkeypatch.chdir(tmp_path)
    for name in ("zoo", "out"):
        shutil.copytree(finished / name, name)
    return tmp_path / "out"


def examples(out, split):
    """All Examples of a split, shard after shard, as plain values."""
    found = []
    for path in sorted(out.glob(f"{split}-*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            found.append(
                {
                    key: getattr(value, value.WhichOneof("kind")).value[0]
                    for key, value in feature.items()
                }
            )
    return found


def filenames(out, split):
    return [example["image/filename"].decode() for example in examples(out, split)]


def snapshot(folder):
    """Every file: its bytes, and what changes when it is written anew."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): (
            path.read_bytes(),
            path.stat().st_mtime_ns,
            path.stat().st_ino,
        )
        for path in files
    }


def contents(folder):
    return {name: content for name, (content, *_) in snapshot(folder).items()}


def quietly(root, out, **options):
    return write(open_source(str(root)), out, progress=False, **options)


# What is written


def test_every_image_is_exactly_once_in_the_shards_of_its_split(finished):
    zoo, out = finished / "zoo", finished / "out"
    collection = Collection.read(out)
    for split, folder, n in (("train", "train", 28), ("validation", "val", 1), ("test", "test", 4)):
        there = sorted(path.relative_to(zoo).as_posix() for path in (zoo / folder).rglob("*.*"))
        assert len(there) == n
        assert sorted(filenames(out, split)) == there
        assert collection.images(split) == n
    for example in examples(out, "train"):
        name = example["image/filename"].decode()
        assert example["image/class/text"].decode() == name.split("/")[1]
        assert example["image/class/label"] == ("ant", "bee").index(name.split("/")[1])
        assert (example["image/width"], example["image/height"]) == opened(zoo / name).size


def test_the_folder_holds_the_shards_and_a_dataset_json_and_nothing_else(zoo, tmp_path):
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
    assert set(contents(tmp_path / "out")) == {*shards, "dataset.json"}
    assert not (tmp_path / "out" / ".writing").exists()
    assert Collection.read(tmp_path / "out") == collection
    assert collection.splits["train"]["per_class"] == [14, 14]


def test_colours_are_those_of_the_training_images_as_pil_decodes_them(finished):
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


def test_rgb_and_grey_jpeg_and_8_bit_png_are_kept_byte_for_byte_and_unmentioned(finished):
    zoo, collection = finished / "zoo", Collection.read(finished / "out")
    stored = {
        example["image/filename"].decode(): example
        for example in examples(finished / "out", "train")
    }
    for name in KEPT:
        assert stored[name]["image/encoded"] == (zoo / name).read_bytes(), name
        assert stored[name]["image/format"] == (b"PNG" if name.endswith("png") else b"JPEG")
        assert not any(name in note for note in collection.notes)


def test_all_else_is_encoded_anew_and_listed(finished):
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
    # A second JPEG of quality 95 moves a smooth picture by a few levels; inverted CMYK would by a
    # hundred.
    assert np.abs(original - cmyk).mean() < 3
    expected = {
        "train/ant/deep.png": np.repeat(
            noise(7, 8)[..., :1], 3, 2
        ),  # 257 times the byte: the upper byte again
        "train/bee/animation.gif": opened(zoo / "train/bee/animation.gif").convert("RGB"),
        "train/bee/picture.bmp": smooth(15, 16),
    }
    for name, pixels in expected.items():
        assert stored[name]["image/format"] == b"PNG"
        png = opened(stored[name]["image/encoded"])
        assert png.format == "PNG"
        np.testing.assert_array_equal(png.convert("RGB"), pixels, err_msg=name)


def test_images_that_only_pretend_by_their_suffix_are_stored_as_what_they_are(tmp_path):
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


# Order


def test_the_order_is_drawn_from_the_seed_and_hangs_on_nothing_else(finished, zoo, tmp_path):
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


# How many shards


def test_the_other_splits_have_shards_in_proportion_to_those_of_train(tmp_path):
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


def test_a_split_of_few_images_has_a_shard_an_image(tmp_path):
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
def test_a_shard_has_about_150_megabytes_and_of_a_small_set_10_at_least(
    zoo, tmp_path, monkeypatch, shard, small, shards
):
    # The images are a few kilobytes; so is the megabyte here.
    size = sum(path.stat().st_size for path in (zoo / "train").rglob("*.*"))
    monkeypatch.setattr(writing, "SHARD_BYTES", size / shard)
    monkeypatch.setattr(writing, "SMALL_SHARD_BYTES", size / small)
    monkeypatch.setattr(writing, "_write", lambda source, out, work, plan, *rest: plan["shards"])
    assert quietly(zoo, tmp_path / "out")["train"] == shards


# Again


def test_a_second_run_leaves_everything_alone(written):
    first, before = Collection.read(written), snapshot(written)
    assert quietly("zoo", written, shards=3) == first
    assert quietly("zoo", written) == first  # as many as there are
    assert snapshot(written) == before


@pytest.mark.parametrize("options", [{"shards": 3}, {}])
def test_a_lost_shard_is_written_again_and_the_others_are_left_alone(written, options):
    before = snapshot(written)
    (written / "train-00001-of-00003").unlink()
    quietly("zoo", written, **options)
    after = snapshot(written)
    assert {name: content for name, (content, *_) in after.items()} == {
        name: content for name, (content, *_) in before.items()
    }
    assert {name for name in before if after[name] != before[name]} == {"train-00001-of-00003"}


def test_a_shard_that_would_be_restored_with_fewer_or_more_images_is_taken_back(zoo, tmp_path):
    # 1 s: four commands.
    save(zoo / "val" / "bee" / "2.png", noise(5, 5))
    kept = damage(zoo)
    quietly(zoo, tmp_path / "out", shards=1, skip_bad=True)
    before = contents(tmp_path / "out")
    path = tmp_path / "out" / "train-00000-of-00001"
    path.unlink()
    good = (zoo / "train/bee/7.png").read_bytes()
    (zoo / "train/bee/7.png").write_bytes(b"")
    with pytest.raises(
        ValueError,
        match=(
            r"train-00000-of-00001 would hold 25 images, "
            r"26 by dataset.json: some were damaged or"
        ),
    ):
        quietly(zoo, tmp_path / "out", shards=1, skip_bad=True)
    (zoo / "train/bee/7.png").write_bytes(good)
    for name, content in kept.items():
        (zoo / name).write_bytes(content)
    with pytest.raises(
        ValueError, match=r"train-00000-of-00001 would hold 28 images, 26 by dataset.json"
    ):
        quietly(zoo, tmp_path / "out", shards=1)
    assert not path.exists()
    damage(zoo)
    quietly(zoo, tmp_path / "out", shards=1, skip_bad=True)
    assert contents(tmp_path / "out") == before


def test_the_folder_of_other_images_or_of_another_number_of_shards_is_refused_and_untouched(
    written,
):
    before = snapshot(written)
    with pytest.raises(
        FileExistsError,
        match=r"out holds other shards, of .*zoo. Choose another folder, or delete it first",
    ):
        quietly("zoo", written, shards=4)
    Path("zoo/train/ant/2.png").rename("zoo/train/ant/two.png")
    with pytest.raises(FileExistsError, match="holds other shards"):
        quietly("zoo", written, shards=3)
    assert snapshot(written) == before


def test_shards_without_a_dataset_json_or_with_a_damaged_one_are_written_anew_with_one(
    written, tmp_path
):
    first = Collection.read(written)
    (written / "dataset.json").write_text("{")
    with pytest.raises(
        ValueError,
        match=r"dataset.json is no .* Remove it: .*write .*out OUT writes them anew with one",
    ):
        quietly("zoo", written, shards=3)
    (written / "dataset.json").unlink()
    with pytest.raises(
        FileExistsError,
        match=r"out holds shards but no dataset.json. .*write .*out NEW writes them anew",
    ):
        quietly("zoo", written, shards=3)
    again = quietly(written, tmp_path / "new")
    assert again.classes == first.classes
    assert sorted(filenames(tmp_path / "new", "train")) == sorted(filenames(written, "train"))


@pytest.mark.parametrize("stranger", ["thesis.tex", ".hidden", "train-00000-of-00003"])
def test_a_folder_with_anything_else_in_it_is_refused_and_untouched(zoo, tmp_path, stranger):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / stranger).write_text("years of work")
    before = snapshot(tmp_path / "out")
    with pytest.raises(
        FileExistsError,
        match=(
            r"out (is not empty and holds no shards|"
            r"holds shards but no .*)\. Choose a new folder"
        ),
    ):
        quietly(zoo, tmp_path / "out", shards=3)
    assert snapshot(tmp_path / "out") == before


def test_an_empty_folder_is_taken(zoo, tmp_path):
    (tmp_path / "out").mkdir()
    assert quietly(zoo, tmp_path / "out").images("train") == 28


# Interrupted


@pytest.fixture(scope="module")
def killed(once):
    """The shards `out`, killed and continued, and `sound`, never killed; what was left of `out`;
    what continuing it said.

    6 s: a process to kill.
    """

    def make(root):
        # Large and of few colours: slow to decode, quick to make, small on the disk.
        save(
            root / "in" / "a" / "0.png",
            Image.fromarray(noise(4, 4)).resize((800, 800), Image.Resampling.NEAREST),
        )
        (root / "in" / "b").mkdir()
        for i in range(24):
            (root / "in" / "ab"[i % 2] / f"{i:02d}.png").write_bytes(
                (root / "in" / "a" / "0.png").read_bytes()
            )
        out = root / "out"
        command = [
            sys.executable,
            "-m",
            "tfrecords_tools.write",
            str(root / "in"),
            str(out),
            "--shards",
            "8",
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not list(out.glob("train-*")):
                assert process.poll() is None, "ended before it wrote a shard"
                time.sleep(0.005)
        finally:
            process.kill()
            process.wait()
        left = snapshot(out)
        result = call(*command[2:])
        assert result.returncode == 0, result.stderr
        quietly(root / "in", root / "sound", shards=8)
        (root / "told").write_bytes(pickle.dumps((left, result.stdout)))

    root = once("killed", make)
    return root, *pickle.loads((root / "told").read_bytes())


def test_a_killed_run_leaves_whole_shards_only_and_no_dataset_json(killed):
    _, left, _ = killed
    done = [name for name in left if name.startswith("train-")]
    assert 1 <= len(done) < 8
    assert "dataset.json" not in left
    assert all(f".writing/{name}.json" in left for name in done)


def test_the_same_command_continues_it_without_writing_the_finished_shards_again(killed):
    root, left, said = killed
    assert (
        ": 8 train, 1 validation shards, 25 images, 0 boxes; 0 changed and 0 left out"
        in said.splitlines()[-1]
    )
    now = snapshot(root / "out")
    for name in left:
        if name.startswith("train-"):
            assert now[name] == left[name]
    assert not (root / "out" / ".writing").exists()


def test_a_continued_run_ends_with_what_an_uninterrupted_one_writes(killed):
    root, *_ = killed
    assert set(contents(root / "out")) == set(contents(root / "sound"))
    for split in ("train", "validation"):
        assert examples(root / "out", split) == examples(root / "sound", split)
    assert Collection.read(root / "out") == Collection.read(root / "sound")


def test_a_continued_run_ends_with_identical_files(killed):
    root, *_ = killed
    assert contents(root / "out") == contents(root / "sound")


# Damaged images


def damage(zoo):
    """Empty, foreign and cut off files in the three splits; their names."""
    names = ["train/ant/2.png", "train/bee/5.png", "val/ant/1.png", "test/bee/3.jpg"]
    kept = {name: (zoo / name).read_bytes() for name in names}
    (zoo / names[0]).write_bytes(b"")
    (zoo / names[1]).write_bytes(b"Dear diary")
    for name in names[2:]:
        (zoo / name).write_bytes(kept[name][: len(kept[name]) // 2])
    return kept


def test_all_unreadable_images_are_named_at_once_and_no_data_set_is_made(zoo, tmp_path):
    kept = damage(zoo)
    with pytest.raises(
        ValueError, match=r"4 of 33 images cannot be read; mend or remove them"
    ) as raised:
        quietly(zoo, tmp_path / "out", shards=7)
    lines = str(raised.value).splitlines()[1:]
    assert [line.split(": ")[0] for line in lines] == [
        f"  cannot read {name}" for name in sorted(kept)
    ]
    assert all(line.split(": ")[1] for line in lines)
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_once_they_are_mended_the_same_command_continues_and_ends_as_if_they_had_never_been_damaged(
    finished, zoo, tmp_path
):
    kept = damage(zoo)
    with pytest.raises(ValueError, match="4 of 33 images cannot be read"):
        quietly(zoo, tmp_path / "out", shards=3)
    before = snapshot(tmp_path / "out")
    done = {name for name in before if not name.startswith(".")}
    assert 1 <= len(done) < 5
    for name, content in kept.items():
        (zoo / name).write_bytes(content)
    quietly(zoo, tmp_path / "out", shards=3)
    after = snapshot(tmp_path / "out")
    assert {name: after[name] for name in done} == {name: before[name] for name in done}
    assert contents(tmp_path / "out") == contents(finished / "out")


def test_once_they_are_removed_the_same_command_goes_on(zoo, tmp_path):
    kept = damage(zoo)
    with pytest.raises(
        ValueError, match="mend or remove them, or leave them out with --skip-bad, then run"
    ):
        quietly(zoo, tmp_path / "out", shards=7)
    for name in kept:
        (zoo / name).unlink()
    (zoo / "val" / "ant").rmdir()
    (zoo / "val").rmdir()
    assert quietly(zoo, tmp_path / "out", shards=7).images("test") == 3


def test_another_command_does_not_continue_what_was_begun(zoo, tmp_path):
    damage(zoo)
    with pytest.raises(ValueError, match="cannot be read"):
        quietly(zoo, tmp_path / "out", shards=7)
    before = snapshot(tmp_path / "out")
    for options in ({"shards": 6}, {"shards": 7, "seed": 1}):
        with pytest.raises(
            FileExistsError,
            match=r"out holds the beginning of other shards. Give the command that began them",
        ):
            quietly(zoo, tmp_path / "out", **options)
    assert snapshot(tmp_path / "out") == before


def test_what_cannot_be_read_is_left_out_on_demand_and_told(zoo, tmp_path):
    # 1 s: three commands.
    save(zoo / "val" / "bee" / "2.png", noise(5, 5))
    kept = damage(zoo)
    with pytest.raises(ValueError, match="4 of 34 images cannot be read"):
        quietly(zoo, tmp_path / "out", shards=7)
    collection = quietly(zoo, tmp_path / "out", shards=7, skip_bad=True)  # goes on from there
    counts = {split: values["images"] for split, values in collection.splits.items()}
    assert counts == {"train": 26, "validation": 1, "test": 3}
    assert set(filenames(tmp_path / "out", "train")).isdisjoint(kept)
    told = [note for note in collection.notes if note.startswith("left out: ")]
    assert [note.split(": ")[1] for note in told] == [
        f"cannot read {name}" for name in sorted(kept)
    ]
    assert collection.statistics_images == 26
    for name in kept:
        (zoo / name).unlink()
    without = quietly(zoo, tmp_path / "without", shards=7)
    assert (without.mean_rgb, without.covariance_rgb) == (
        collection.mean_rgb,
        collection.covariance_rgb,
    )
    assert without.splits["train"]["per_class"] == collection.splits["train"]["per_class"]


def test_a_split_of_which_nothing_can_be_read_is_an_error_also_on_demand(zoo, tmp_path):
    damage(zoo)
    with pytest.raises(
        ValueError,
        match=r"no validation image of .*zoo can be read. Mend them, or remove the split",
    ):
        quietly(zoo, tmp_path / "out", skip_bad=True)


def test_what_an_interrupted_run_left_out_is_not_taken_for_whole_without_the_word(
    zoo, tmp_path, monkeypatch
):
    save(zoo / "val" / "bee" / "2.png", noise(5, 5))
    damage(zoo)
    with monkeypatch.context() as patch:
        patch.setattr(Collection, "write", lambda self, folder: 1 / 0)  # dies before the last step
        with pytest.raises(ZeroDivisionError):
            quietly(zoo, tmp_path / "out", shards=2, skip_bad=True)
    with pytest.raises(ValueError, match="4 of 34 images cannot be read"):
        quietly(zoo, tmp_path / "out", shards=2)


# Without a check


def test_without_a_check_the_same_records_are_written_and_colours_come_from_a_sample(
    zoo, tmp_path, monkeypatch
):
    monkeypatch.setattr(writing, "SAMPLE", 7)
    checked, copied = (quietly(zoo, tmp_path / name, shards=2, check=name == "a") for name in "ab")
    for name in contents(tmp_path / "a"):
        if name != "dataset.json":  # sizes come from the header, byte for byte the same records
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), (
                name
            )
    assert checked.statistics_images == 28
    assert 7 <= copied.statistics_images < 15  # the sample, and what had to be encoded anew
    np.testing.assert_allclose(copied.mean_rgb, checked.mean_rgb, atol=25)


def test_without_a_check_truncated_pictures_are_not_found_but_what_is_no_picture_is(
    zoo, tmp_path, monkeypatch
):
    monkeypatch.setattr(writing, "SAMPLE", 1)
    for i in range(0, 20, 2):
        path = zoo / "train" / "ant" / f"{i}.png"
        path.write_bytes(path.read_bytes()[:-30])
    (zoo / "train/bee/5.png").write_bytes(b"Dear diary")
    with pytest.raises(
        ValueError, match=r"[12] of 33 images cannot be read"
    ) as raised:  # at most one was in the sample
        quietly(zoo, tmp_path / "out", shards=1, check=False)
    assert "train/bee/5.png: Unknown image file format" in str(raised.value)
    with pytest.raises(ValueError, match=r"11 of 33 images cannot be read"):
        quietly(zoo, tmp_path / "checked", shards=1)


def test_what_was_copied_unchecked_is_not_taken_for_checked(zoo, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "SAMPLE", 7)
    collection = quietly(zoo, tmp_path / "out", check=False)
    with pytest.raises(
        FileExistsError,
        match=r"out was written with --no-check: \d+ of 28 training .*tfrecords_tools.verify",
    ):
        quietly(zoo, tmp_path / "out")
    assert quietly(zoo, tmp_path / "out", check=False) == collection


@pytest.fixture
def boxed(tmp_path):
    """Four images of 10 by 10 pixels with a box in it, one outside, and one without an area."""
    for i in range(4):
        save(tmp_path / "in" / "images" / f"{i}.png", noise(10, 10, i))
        box = (
            "<object><name>{}</name>"
            "<bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>{}</xmax><ymax>5</ymax></bndbox>"
            "</object>"
        )
        # so that what is outside covers nothing of the picture
        size = "<size><width>10</width><height>10</height></size>"
        boxes = box.format("ab"[i % 2], 1, 4) + box.format("b", 12, 30) + box.format("a", 3, 3)
        (tmp_path / "in" / "annotations").mkdir(exist_ok=True)
        (tmp_path / "in" / "annotations" / f"{i}.xml").write_text(
            f"<annotation>{size}{boxes}</annotation>"
        )
    return tmp_path / "in"


def test_boxes_outside_the_image_are_left_out_and_told(boxed, tmp_path):
    collection = quietly(boxed, tmp_path / "out")
    assert sum(values["boxes"] for values in collection.splits.values()) == 4
    assert "images/1.png: 2 boxes outside the image, or empty, left out" in collection.notes


def test_an_annotation_that_cannot_be_read_and_would_tell_the_class_is_left_out_on_demand_and_told(
    boxed, tmp_path
):
    (boxed / "annotations" / "3.xml").write_text("<annotation>")
    result = call("tfrecords_tools.write", boxed, tmp_path / "some")
    assert result.returncode == 1
    assert re.search(r"3\.xml is no Pascal-VOC annotation", result.stderr)
    result = call("tfrecords_tools.write", boxed, tmp_path / "some", "--skip-bad")
    collection = Collection.read(tmp_path / "some")
    assert sum(values["images"] for values in collection.splits.values()) == 3
    assert collection.notes[0].startswith("left out: 3.png: ")
    assert f"  {collection.notes[0]}" in result.stdout.splitlines()


# Elsewhere than on a disk that is here and has room


def test_a_full_disk_is_one_line_that_names_the_shard_and_the_same_command_continues(
    finished, zoo, tmp_path
):
    work = tmp_path / "out" / ".writing"
    work.mkdir(parents=True)
    (work / "train-00001-of-00003.tmp").symlink_to("/dev/full")
    with pytest.raises(
        OSError,
        match=(
            r"cannot write .*train-00001-of-00003: no space is left. "
            r"Free some, then give the same command"
        ),
    ):
        quietly(zoo, tmp_path / "out", shards=3)
    (work / "train-00001-of-00003.tmp").unlink()
    assert (tmp_path / "out" / "train-00000-of-00003").exists()
    quietly(zoo, tmp_path / "out", shards=3)
    assert contents(tmp_path / "out") == contents(finished / "out")


def test_shards_on_a_remote_file_system_are_those_on_the_disk(finished, zoo, tmp_path):
    out, local = f"ram://{tmp_path.name}/out", contents(finished / "out")
    collection = quietly(zoo, out, shards=3)
    assert quietly(zoo, out, shards=3) == collection == Collection.read(finished / "out")
    assert files.names(out) == sorted(local)
    for name, content in local.items():
        assert files.read(f"{out}/{name}") == content
    # and images that lie there are read from there
    for path in (path for path in zoo.rglob("*.*") if path.is_file()):
        files.make_folder(f"ram://{tmp_path.name}/in/{path.parent.relative_to(zoo)}")
        files.write_whole(f"ram://{tmp_path.name}/in/{path.relative_to(zoo)}", path.read_bytes())
    quietly(f"ram://{tmp_path.name}/in", tmp_path / "again", shards=3)
    assert contents(tmp_path / "again")["train-00000-of-00003"] == local["train-00000-of-00003"]


# By Apache Beam


@pytest.mark.slow
def test_beam_writes_the_same_files_and_goes_on_where_the_local_writer_stopped(zoo, tmp_path):
    pytest.importorskip(
        "apache_beam", reason='needs pip install "vgg_tf[beam]"', exc_type=ImportError
    )
    quietly(zoo, tmp_path / "local", shards=3)
    command = [
        sys.executable,
        "-m",
        "tfrecords_tools.write",
        str(zoo),
        str(tmp_path / "beam"),
        "--shards",
        "3",
    ]
    command += [
        "--runner",
        "beam",
        "--beam-args=--runner=DirectRunner --direct_running_mode=multi_threading",
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert contents(tmp_path / "beam") == contents(tmp_path / "local")
    kept = damage(zoo)
    command[4] = str(tmp_path / "bad")
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert all(name in result.stderr for name in kept)
    for name, content in kept.items():
        (zoo / name).write_bytes(content)
    quietly(zoo, tmp_path / "bad", shards=3)
    assert contents(tmp_path / "bad") == contents(tmp_path / "local")


@pytest.mark.slow
def test_a_full_disk_is_one_line_from_beam_too(zoo, tmp_path, monkeypatch):
    pytest.importorskip(
        "apache_beam", reason='needs pip install "vgg_tf[beam]"', exc_type=ImportError
    )
    (tmp_path / "out" / ".writing").mkdir(parents=True)
    (tmp_path / "out" / ".writing" / "train-00001-of-00003.tmp").symlink_to("/dev/full")
    for arguments in ("", "--runner=DirectRunner --direct_running_mode=multi_threading"):
        with pytest.raises(
            OSError, match=r"^cannot write .*train-00001-of-00003: no space is left"
        ):
            quietly(zoo, tmp_path / "out", shards=3, run=beam.runner(arguments))


def test_arguments_for_beam_without_it_are_refused(zoo, tmp_path):
    result = call("tfrecords_tools.write", zoo, tmp_path / "out", "--beam-args=--project=P")
    assert result.returncode == 1
    assert "--beam-args are for --runner beam. Add that, or leave them away" in result.stderr


def test_without_beam_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "vgg_tf\[beam\]"'):
        beam.runner("")


# The program


def test_the_program_says_what_it_read_and_what_it_wrote(zoo, tmp_path):
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


def test_the_program_names_unreadable_images_and_ends_with_an_error(zoo, tmp_path):
    kept = damage(zoo)
    result = call("tfrecords_tools.write", zoo, tmp_path / "out")
    assert result.returncode == 1
    assert re.search(r"(?m)^error: 4 of 33 images cannot be read", result.stderr)
    assert all(name in result.stderr for name in kept)


def test_a_fault_of_the_folder_is_one_line_and_exit_code_1(tmp_path):
    command = [sys.executable, "-m", "tfrecords_tools.write", str(tmp_path), str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(
        f"error: {tmp_path} holds images in 0 class folders; at least 2 are needed"
    )
    assert not (tmp_path / "out").exists()


def test_the_digits_are_written_by_their_word(digits_shards, tmp_path):
    shutil.copytree(digits_shards, tmp_path / "out")
    before = snapshot(tmp_path / "out")
    result = call("tfrecords_tools.write", "digits", tmp_path / "out")  # which are these
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


def test_a_link_to_nothing_is_left_out_on_demand_and_told(zoo, tmp_path):
    link = sorted((zoo / "train").rglob("*.*"))[0]
    link.unlink()
    link.symlink_to("nowhere")
    with pytest.raises(ValueError, match=re.escape(link.name)):
        quietly(zoo, tmp_path / "out")
    collection = quietly(zoo, tmp_path / "out", skip_bad=True)
    assert any(link.name in note for note in collection.notes)


def test_the_folder_of_a_run_is_refused(zoo, tmp_path):
    collection = measure(open_source(str(zoo)))
    (tmp_path / "run").mkdir()
    collection.write(str(tmp_path / "run"))
    (tmp_path / "run" / "recipe.json").write_text("{}")
    with pytest.raises(FileExistsError, match=r"holds a run of vgg_tf\. Choose another folder"):
        quietly(zoo, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "dataset.json",
        "recipe.json",
    ]
