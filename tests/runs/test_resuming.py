"""A resumed run keeps its rule of held-out images, and refuses pictures that have changed."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.data.making_annotated import annotate
from tests.making import SHALLOW, call, noise, save, shallow
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection, hold_out_validation
from vgg_tf.paper.recipes import Recipe
from vgg_tf.runs import resuming
from vgg_tf.runs.resuming import keep_contents, keep_hold_out_rule
from vgg_tf.runs.run_folder import LAST, open_run, read_run
from vgg_tf.runs.settings import Settings
from vgg_tf.training.flags import parse

REFERENCE = Path(__file__).parent.parent / "references" / "run"


@pytest.fixture
def twice(tmp_path):
    """Two classes of ten pictures, each of them twice."""
    for label in "ab":
        for i in range(20):
            save(tmp_path / "in" / label / f"{i:02d}.png", noise(8, 8, ord(label) + 99 * (i % 10)))
    return tmp_path / "in"


def begin(folder, source, selection=None):
    """Make the folder of a run with a complete epoch, as far as it is read before training."""
    selection = selection or Selection()
    settings = Settings(
        "vgg11", str(source.name), source.fingerprint(), "float32", Recipe(), selection
    )
    with open_run(folder, settings) as run:
        (Path(folder) / LAST).touch()
        return run


def forget_rule(folder):
    """Remove the rule from recipe.json, as in runs of earlier versions."""
    path = Path(folder) / "recipe.json"
    values = json.loads(path.read_text())
    del values["selection"]["hold_out_rule"]
    path.write_text(json.dumps(values))


def test_a_run_of_an_earlier_version_has_rule_1():
    assert keep_hold_out_rule(REFERENCE, Selection()).hold_out_rule == 1
    assert not keep_hold_out_rule(REFERENCE, Selection())  # it still takes its shards whole


def test_a_new_run_has_rule_2_and_records_it(tmp_path, twice):
    assert keep_hold_out_rule(tmp_path / "run", Selection(hold_out=0.2)) == Selection(hold_out=0.2)
    begin(tmp_path / "run", open_source(str(twice)))
    recorded = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert recorded["selection"]["hold_out_rule"] == 2
    assert keep_hold_out_rule(tmp_path / "run", Selection()).hold_out_rule == 2


def test_a_run_without_a_complete_epoch_may_change_its_rule(tmp_path, twice):
    begin(tmp_path / "run", open_source(str(twice)))
    forget_rule(tmp_path / "run")
    (tmp_path / "run" / LAST).unlink()
    assert keep_hold_out_rule(tmp_path / "run", Selection()).hold_out_rule == 2


def test_an_earlier_run_on_pictures_with_copies_continues_on_its_split(tmp_path, twice):
    everything = open_source(str(twice), Selection(hold_out=0))
    old, new = (hold_out_validation(everything, 0.1, rule) for rule in (1, 2))
    assert old.fingerprint() != new.fingerprint()
    begin(tmp_path / "run", old)
    forget_rule(tmp_path / "run")
    words = ["--arch", "vgg11", "--data", str(twice), "--out", str(tmp_path / "run")]
    words += ["--strategy", "cpu", "--recipe", "paper"]
    flags, source = parse(words)
    assert source.splits["validation"].names == old.splits["validation"].names
    assert flags.selection.hold_out_rule == 1
    there = read_run(str(tmp_path / "run")).settings
    again = Settings(
        "vgg11", str(twice), source.fingerprint(), "float32", there.recipe, flags.selection
    )
    with open_run(str(tmp_path / "run"), again):  # does not hold another run
        pass
    other, source = parse([*words[:-4], "--out", str(tmp_path / "new"), "--strategy", "cpu"])
    assert other.selection.hold_out_rule == 2
    assert source.fingerprint() == new.fingerprint()


@pytest.fixture
def begun(tmp_path):
    """A run on pictures with annotations, which has begun: the `Run` and its source."""
    for i in range(12):
        save(tmp_path / "voc" / "images" / f"{i}.png", noise(20, 20, i))
        path = tmp_path / "voc" / "annotations" / f"{i}.xml"
        annotate(path, ("ab"[i % 2], 1, 1, 9, 9), size=(20, 20))
    source = open_source(str(tmp_path / "voc"))
    run = begin(str(tmp_path / "run"), source)
    (tmp_path / "run" / LAST).unlink()
    keep_contents(run, source)
    (tmp_path / "run" / LAST).touch()
    return run, source


def replace_picture(root):
    save(root / "images" / "3.png", noise(20, 20, 99))


def replace_annotation(root):
    annotate(root / "annotations" / "4.xml", ("a", 2, 2, 8, 8), size=(20, 20))


@pytest.mark.parametrize(
    ("change", "name"), [(replace_picture, r"images/3\.png"), (replace_annotation, r"4\.xml")]
)
def test_changed_pictures_and_boxes_of_a_resumed_run_are_refused_by_name(
    begun, tmp_path, change, name
):
    run, source = begun
    keep_contents(run, source)
    change(tmp_path / "voc")
    before = (tmp_path / "run" / "contents.npz").read_bytes()
    with pytest.raises(
        FileExistsError,
        match=rf"Received: 1 file of .* since:\n  .*{name}\nChoose another --out, or put the old",
    ):
        keep_contents(run, source)
    assert (tmp_path / "run" / "contents.npz").read_bytes() == before


def test_touched_pictures_are_accepted(begun, tmp_path):
    for path in (tmp_path / "voc").rglob("*.*"):
        os.utime(path, ns=(1, 1))
    keep_contents(*begun)


def test_a_run_without_a_complete_epoch_begins_with_the_pictures_of_now(begun, tmp_path):
    (tmp_path / "run" / LAST).unlink()
    replace_picture(tmp_path / "voc")
    keep_contents(*begun)
    (tmp_path / "run" / LAST).touch()
    keep_contents(*begun)


def test_runs_of_earlier_versions_continue_without_notes(begun, tmp_path):
    (tmp_path / "run" / "contents.npz").unlink()
    replace_picture(tmp_path / "voc")
    keep_contents(*begun)
    assert not (tmp_path / "run" / "contents.npz").exists()


def test_of_very_many_pictures_only_sizes_are_noted(begun, tmp_path, monkeypatch):
    run, source = begun
    (tmp_path / "run" / LAST).unlink()
    monkeypatch.setattr(resuming, "LARGEST", 5)
    monkeypatch.setattr("vgg_tf.records.contents.hash_content", None)
    keep_contents(run, source)
    (tmp_path / "run" / LAST).touch()
    for path in (tmp_path / "voc").rglob("*.*"):
        os.utime(path, ns=(1, 1))
    keep_contents(run, source)
    with (tmp_path / "voc" / "images" / "3.png").open("ab") as file:
        file.write(b"more")
    with pytest.raises(FileExistsError, match=r"images/3\.png"):
        keep_contents(run, source)


def test_shards_and_pictures_in_memory_are_not_noted(tmp_path):
    shards = str(REFERENCE.parent / "shards")
    for name in ("digits", shards):
        source = open_source(name)
        run = begin(str(tmp_path / Path(name).name), source)
        (tmp_path / Path(name).name / LAST).unlink()
        keep_contents(run, source)
    assert not list(tmp_path.rglob("contents.npz"))


def test_train_refuses_to_continue_on_a_changed_picture(twice, tmp_path):
    # 5 s: a training.
    words = [*SHALLOW, "--data", str(twice), "--out", str(tmp_path / "run")]
    with shallow():
        result = call("vgg_tf.train", *words)
        assert result.returncode == 0, result.stderr
        assert "is done" in call("vgg_tf.train", *words).stdout
        kept = shutil.copy2(twice / "a" / "03.png", tmp_path / "kept.png")
        save(twice / "a" / "03.png", noise(9, 9, 1))
        result = call("vgg_tf.train", *words)
        assert result.returncode == 1
        assert "1 file of" in result.stderr
        assert "a/03.png" in result.stderr
        shutil.copy2(kept, twice / "a" / "03.png")
        assert "is done" in call("vgg_tf.train", *words).stdout
