"""A test on training images says so, wherever the copies are."""

import shutil
from types import SimpleNamespace

import pytest

from tests.data.making_pictures import fill
from vgg_tf.data.opening import open_source, open_tested
from vgg_tf.data.selection import Selection
from vgg_tf.data.training_images import note_training_images
from vgg_tf.evaluation import checkpoint
from vgg_tf.functions.testing import EvaluateFlags, _open_networks
from vgg_tf.localization import testing
from vgg_tf.localization.flags import Evaluate
from vgg_tf.records.contents import Contents
from vgg_tf.writing.write import write


def begin(folder, data, selection):
    """Return what is used of a run on a folder of pictures, with its notes of contents."""
    folder.mkdir()
    source = open_source(str(data), selection)
    if not source.collection:
        contents = Contents.look_at(source)
        contents.hash_all(source)
        contents.write(str(folder))
    settings = SimpleNamespace(data=str(data), selection=selection)
    return SimpleNamespace(folder=str(folder), settings=settings)


def tell(run, data, split="test"):
    """Return the notes about training images."""
    source = open_tested(split, [run.settings.selection], run.settings.data, str(data))
    source = note_training_images(source, split, [run, run])
    return [note for note in source.notes if "training image" in note and run.folder in note]


@pytest.fixture
def pictures(tmp_path):
    """Return a folder with 10 + 10 training pictures, `x`, and 2 + 2 others, all different."""
    fill(tmp_path / "x", train__ant=10, train__bee=10)
    fill(tmp_path / "other", test__ant=2, test__bee=2)
    for i, name in enumerate(sorted((tmp_path / "other").rglob("*.png"))):
        name.write_bytes(name.read_bytes() + bytes(i + 1))
    return tmp_path


def test_a_copy_of_the_training_pictures_is_named_with_its_count(pictures):
    run = begin(pictures / "run", pictures / "x", Selection())
    shutil.copytree(pictures / "x" / "train", pictures / "copy")
    (note,) = tell(run, pictures / "copy")
    assert note.startswith(f"18 of 20 tested images were training images of {run.folder}: ant/00")


def test_the_folder_of_train_is_named_too(pictures):
    run = begin(pictures / "run", pictures / "x", Selection(hold_out=0.0))
    (note,) = tell(run, pictures / "x" / "train")
    assert note.startswith("20 of 20 tested images were training images of ")


def test_some_copies_among_others_are_named(pictures):
    run = begin(pictures / "run", pictures / "x", Selection(hold_out=0.0))
    shutil.copytree(pictures / "other", pictures / "mixed")
    shutil.copy(pictures / "x/train/bee/003.png", pictures / "mixed/test/bee/mine.png")
    fill(pictures / "mixed", train__ant=1, train__bee=1)
    (note,) = tell(run, pictures / "mixed")
    assert note == (f"1 of 5 tested images were training images of {run.folder}: test/bee/mine.png")


def test_other_pictures_of_equal_sizes_have_no_note(pictures):
    run = begin(pictures / "run", pictures / "x", Selection())
    for path in (pictures / "x" / "train").rglob("*.png"):
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert tell(run, pictures / "x" / "train") == []


def test_held_out_pictures_were_not_trained_on(pictures):
    run = begin(pictures / "run", pictures / "x", Selection())
    assert tell(run, pictures / "x", "validation") == []


def test_a_run_on_shards_is_compared_by_the_notes_of_the_shards(pictures):
    source = open_source(str(pictures / "x"), Selection(hold_out=0.0))
    write(source, pictures / "shards", progress=False)
    run = begin(pictures / "run", pictures / "shards", Selection())
    (note,) = tell(run, pictures / "x" / "train")
    assert note.startswith("20 of 20 tested images were")
    some = begin(pictures / "some", pictures / "shards", Selection(limit_per_class=3))
    assert tell(some, pictures / "x" / "train") == []


def test_a_run_of_an_earlier_version_has_no_note(pictures):
    run = begin(pictures / "run", pictures / "x", Selection())
    (pictures / "run" / "contents.npz").unlink()
    assert tell(run, pictures / "x" / "train") == []


@pytest.mark.parametrize("split", ["test", "train"])
def test_both_programs_note_it_when_they_open_the_data(pictures, monkeypatch, split):
    run = begin(pictures / "run", pictures / "x", Selection(hold_out=0.0))
    common = {"run": run, "path": run.folder, "classes": ("ant", "bee")}
    network = SimpleNamespace(
        **common,
        data=str(pictures / "x"),
        selection=run.settings.selection,
        check_classes=lambda *_: None,
    )
    monkeypatch.setattr(checkpoint, "open_checkpoint", lambda *_, **__: network)
    shutil.copytree(pictures / "x" / "train", pictures / "copy")
    # A test on the run's own training split needs no note.
    data = str(pictures / "copy") if split == "test" else None
    flags = EvaluateFlags((run.folder,), data=data, split=split)
    *_, of_classes = _open_networks(flags)
    flags = Evaluate((run.folder,), data=data, split=split)
    of_boxes = testing._open_source([SimpleNamespace(**common)], flags)
    for source in (of_classes, of_boxes):
        notes = [note for note in source.notes if "20 of 20 tested images were" in note]
        assert len(notes) == (split == "test")
