"""Unreadable images are reported, or left out with --skip-bad."""

import re

import pytest

from tests.data.making_zoo import contents, damage, filenames, quietly, snapshot
from tests.making import call, noise, save
from vgg_tf.records.collection import Collection


def test_all_unreadable_images_are_reported_at_once_and_no_dataset_json_is_written(zoo, tmp_path):
    kept = damage(zoo)
    with pytest.raises(
        ValueError, match=r"4 of 33 images cannot be read\. Fix or remove them"
    ) as raised:
        quietly(zoo, tmp_path / "out", shards=7)
    lines = str(raised.value).splitlines()[1:]
    assert [line.split(": ")[0] for line in lines] == [
        f"  cannot read {name}" for name in sorted(kept)
    ]
    assert all(line.split(": ")[1] for line in lines)
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_after_the_images_are_fixed_the_same_command_continues(finished, zoo, tmp_path):
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


def test_after_the_images_are_removed_the_same_command_continues(zoo, tmp_path):
    kept = damage(zoo)
    with pytest.raises(
        ValueError, match=r"Fix or remove them, or skip them with --skip-bad\. Then run"
    ):
        quietly(zoo, tmp_path / "out", shards=7)
    for name in kept:
        (zoo / name).unlink()
    (zoo / "val" / "ant").rmdir()
    (zoo / "val").rmdir()
    assert quietly(zoo, tmp_path / "out", shards=7).count_images("test") == 3


def test_skip_bad_leaves_out_unreadable_images_with_a_note(zoo, tmp_path):
    # 1 s: three commands.
    save(zoo / "val" / "bee" / "2.png", noise(5, 5))
    kept = damage(zoo)
    with pytest.raises(ValueError, match="4 of 34 images cannot be read"):
        quietly(zoo, tmp_path / "out", shards=7)
    collection = quietly(zoo, tmp_path / "out", shards=7, skip_bad=True)  # continues the first run
    counts = {split: values["images"] for split, values in collection.splits.items()}
    assert counts == {"train": 26, "validation": 1, "test": 3}
    assert set(filenames(tmp_path / "out", "train")).isdisjoint(kept)
    skipped = [note for note in collection.notes if note.startswith("left out: ")]
    assert [note.split(": ")[1] for note in skipped] == [
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


def test_a_split_without_readable_images_is_an_error_even_with_skip_bad(zoo, tmp_path):
    damage(zoo)
    with pytest.raises(
        ValueError,
        match=r"zoo must have a readable validation image\. .* Fix the images, or remove the split",
    ):
        quietly(zoo, tmp_path / "out", skip_bad=True)


def test_images_left_out_by_an_interrupted_run_are_an_error_without_skip_bad(
    zoo, tmp_path, monkeypatch
):
    save(zoo / "val" / "bee" / "2.png", noise(5, 5))
    damage(zoo)
    with monkeypatch.context() as patch:
        patch.setattr(Collection, "write", lambda self, folder: 1 / 0)  # fails before the last step
        with pytest.raises(ZeroDivisionError):
            quietly(zoo, tmp_path / "out", shards=2, skip_bad=True)
    with pytest.raises(ValueError, match="4 of 34 images cannot be read"):
        quietly(zoo, tmp_path / "out", shards=2)


def test_boxes_outside_the_image_are_left_out_with_a_note(boxed, tmp_path):
    collection = quietly(boxed, tmp_path / "out")
    assert sum(values["boxes"] for values in collection.splits.values()) == 4
    assert "images/1.png: 2 boxes outside the image, or empty, left out" in collection.notes


def test_skip_bad_leaves_out_an_image_whose_annotation_cannot_be_read(boxed, tmp_path):
    (boxed / "annotations" / "3.xml").write_text("<annotation>")
    result = call("tfrecords_tools.write", boxed, tmp_path / "some")
    assert result.returncode == 1
    assert re.search(r"3\.xml must be a Pascal VOC annotation", result.stderr)
    result = call("tfrecords_tools.write", boxed, tmp_path / "some", "--skip-bad")
    collection = Collection.read(tmp_path / "some")
    assert sum(values["images"] for values in collection.splits.values()) == 3
    assert collection.notes[0].startswith("left out: 3.png: ")
    assert f"  {collection.notes[0]}" in result.stdout.splitlines()


def test_skip_bad_leaves_out_a_broken_link(zoo, tmp_path):
    link = sorted((zoo / "train").rglob("*.*"))[0]
    link.unlink()
    link.symlink_to("nowhere")
    with pytest.raises(ValueError, match=re.escape(link.name)):
        quietly(zoo, tmp_path / "out")
    collection = quietly(zoo, tmp_path / "out", skip_bad=True)
    assert any(link.name in note for note in collection.notes)
