"""A second run changes neither complete shards nor other files."""

from pathlib import Path

import pytest

from tests.data.making_zoo import contents, damage, filenames, quietly, snapshot
from tests.making import noise, save
from vgg_tf.data.opening import open_source
from vgg_tf.records.collection import Collection
from vgg_tf.records.statistics import measure


def test_a_second_run_changes_no_file(written):
    first, before = Collection.read(written), snapshot(written)
    assert quietly("zoo", written, shards=3) == first
    assert quietly("zoo", written) == first  # the same number of shards
    assert snapshot(written) == before


@pytest.mark.parametrize("options", [{"shards": 3}, {}])
def test_only_a_missing_shard_is_written_again(written, options):
    before = snapshot(written)
    (written / "train-00001-of-00003").unlink()
    quietly("zoo", written, **options)
    after = snapshot(written)
    assert {name: content for name, (content, *_) in after.items()} == {
        name: content for name, (content, *_) in before.items()
    }
    assert {name for name in before if after[name] != before[name]} == {"train-00001-of-00003"}


def test_a_shard_restored_with_another_number_of_images_is_removed(zoo, tmp_path):
    # 1 s: four commands.
    save(zoo / "val" / "bee" / "2.png", noise(5, 5))
    kept = damage(zoo)
    quietly(zoo, tmp_path / "out", shards=1, skip_bad=True)
    before = contents(tmp_path / "out")
    path = tmp_path / "out" / "train-00000-of-00001"
    path.unlink()
    (tmp_path / "out" / "contents.npz").unlink()  # as in folders of earlier versions
    good = (zoo / "train/bee/7.png").read_bytes()
    (zoo / "train/bee/7.png").write_bytes(b"")
    with pytest.raises(
        ValueError,
        match=(
            r"train-00000-of-00001 must have 26 images, as in dataset.json\. "
            r"Received: 25 readable images"
        ),
    ):
        quietly(zoo, tmp_path / "out", shards=1, skip_bad=True)
    (zoo / "train/bee/7.png").write_bytes(good)
    for name, content in kept.items():
        (zoo / name).write_bytes(content)
    with pytest.raises(
        ValueError, match=r"train-00000-of-00001 must have 26 images, .* Received: 28 readable"
    ):
        quietly(zoo, tmp_path / "out", shards=1)
    assert not path.exists()
    damage(zoo)
    quietly(zoo, tmp_path / "out", shards=1, skip_bad=True)
    del before["contents.npz"]
    assert contents(tmp_path / "out") == before


def test_a_folder_with_other_images_or_another_number_of_shards_is_refused_unchanged(
    written,
):
    before = snapshot(written)
    with pytest.raises(
        FileExistsError,
        match=r"out must be empty or .* Received: other shards, of .*zoo. Choose another folder",
    ):
        quietly("zoo", written, shards=4)
    Path("zoo/train/ant/2.png").rename("zoo/train/ant/two.png")
    with pytest.raises(FileExistsError, match="Received: other shards"):
        quietly("zoo", written, shards=3)
    assert snapshot(written) == before


def test_shards_without_a_valid_dataset_json_can_be_written_again_with_one(written, tmp_path):
    first = Collection.read(written)
    (written / "dataset.json").write_text("{")
    with pytest.raises(
        ValueError,
        match=r"dataset.json must be .* Remove the file: .*write .*out OUT",
    ):
        quietly("zoo", written, shards=3)
    (written / "dataset.json").unlink()
    with pytest.raises(
        FileExistsError,
        match=r"out must be empty. Received: shards without dataset.json. .*write .*out NEW",
    ):
        quietly("zoo", written, shards=3)
    again = quietly(written, tmp_path / "new")
    assert again.classes == first.classes
    assert sorted(filenames(tmp_path / "new", "train")) == sorted(filenames(written, "train"))


@pytest.mark.parametrize("stranger", ["thesis.tex", ".hidden", "train-00000-of-00003"])
def test_a_folder_with_other_files_is_refused_and_unchanged(zoo, tmp_path, stranger):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / stranger).write_text("years of work")
    before = snapshot(tmp_path / "out")
    with pytest.raises(
        FileExistsError,
        match=(
            r"out must be empty( or have shards)?\. "
            r"Received: .*\. Choose a new folder"
        ),
    ):
        quietly(zoo, tmp_path / "out", shards=3)
    assert snapshot(tmp_path / "out") == before


def test_an_empty_folder_is_accepted(zoo, tmp_path):
    (tmp_path / "out").mkdir()
    assert quietly(zoo, tmp_path / "out").count_images("train") == 28


def test_a_run_folder_is_refused(zoo, tmp_path):
    collection = measure(open_source(str(zoo)))
    (tmp_path / "run").mkdir()
    collection.write(str(tmp_path / "run"))
    (tmp_path / "run" / "recipe.json").write_text("{}")
    with pytest.raises(FileExistsError, match=r"Received: a run folder\. Choose another folder"):
        quietly(zoo, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "dataset.json",
        "recipe.json",
    ]
