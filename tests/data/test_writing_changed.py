"""Images that were changed in place are named or written again, never mixed with older shards."""

import json
import os
import re

import pytest
from PIL import Image

from tests.data.making_annotated import annotate
from tests.data.making_zoo import contents, examples, quietly, snapshot
from tests.making import call, noise, save
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection, hold_out_validation
from vgg_tf.records.collection import Collection
from vgg_tf.writing import shard_writing
from vgg_tf.writing import write as writing


def change(path, image):
    """Write another picture into a file, a second later."""
    later = path.stat().st_mtime_ns + 10**9
    save(path, image)
    os.utime(path, ns=(later, later))


@pytest.fixture
def boxes(tmp_path):
    """12 pictures with annotations, and their shards in `out`."""
    for i in range(12):
        save(tmp_path / "in" / "images" / f"{i}.png", Image.new("RGB", (20, 20), (i, 0, 0)))
        path = tmp_path / "in" / "annotations" / f"{i}.xml"
        annotate(path, ("ab"[i % 2], 1, 1, 9, 9), size=(20, 20))
    quietly(tmp_path / "in", tmp_path / "out")
    return tmp_path


def test_a_changed_picture_is_refused_by_name_and_nothing_is_written(written):
    before = snapshot(written)
    change(written.parent / "zoo" / "train/bee/3.png", noise(9, 8, 99))
    with pytest.raises(
        FileExistsError,
        match=r"Received: 1 file of .* changed since:\n  train/bee/3\.png\nDelete .*out .* another",
    ):
        quietly("zoo", written, shards=3)
    (written / "train-00001-of-00003").unlink()
    with pytest.raises(FileExistsError, match=r"train/bee/3\.png"):
        quietly("zoo", written, shards=3)
    del before["train-00001-of-00003"]
    assert snapshot(written) == before


def test_files_with_the_same_bytes_are_accepted(written):
    first = Collection.read(written)
    for path in (written.parent / "zoo").rglob("*.png"):
        os.utime(path, ns=(1, 1))
    assert quietly("zoo", written, shards=3) == first


def test_a_changed_annotation_is_refused_by_name(boxes):
    path = boxes / "in" / "annotations" / "4.xml"
    size = path.stat().st_size
    annotate(path, ("a", 2, 2, 8, 8), size=(20, 20))
    assert path.stat().st_size == size
    os.utime(path, ns=(1, 1))
    with pytest.raises(FileExistsError, match=r"1 file of .* changed since:\n  .*/4\.xml\n"):
        quietly(boxes / "in", boxes / "out")


def test_shards_of_earlier_versions_are_accepted_although_a_picture_has_changed(written):
    (written / "contents.npz").unlink()
    change(written.parent / "zoo" / "train/bee/3.png", noise(9, 8, 99))
    quietly("zoo", written, shards=3)
    assert not (written / "contents.npz").exists()


def stop_after(n):
    """Return a writer that stops after some shards, as if it were killed."""

    def run(*arguments):
        for i, result in enumerate(shard_writing.write_shards(*arguments)):
            yield result
            if i + 1 == n:
                raise KeyboardInterrupt

    return run


def test_a_continued_write_writes_shards_of_changed_pictures_again(zoo, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        quietly(zoo, out, shards=4, run=stop_after(3))
    done = {example["image/filename"].decode() for example in examples(out, "train")}
    name = sorted(name for name in done if re.search(r"\d\.png", name))[0]
    before = snapshot(out)
    change(zoo / name, noise(5, 5, 99))
    quietly(zoo, out, shards=4)
    quietly(zoo, tmp_path / "sound", shards=4)
    assert contents(out) == contents(tmp_path / "sound")
    after, shards = snapshot(out), [name for name in before if name.startswith("train-")]
    assert len(shards) > 2  # one more may be complete when the writer stops
    assert sum(after[shard] != before[shard] for shard in shards) == 1


def test_a_picture_that_changes_while_it_is_written_is_found_later(zoo, tmp_path):
    def run(*arguments):
        yield from shard_writing.write_shards(*arguments)
        change(zoo / "train/bee/3.png", noise(9, 8, 99))

    # The digests are computed by one thread, which must not come first.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vgg_tf.records.contents.Contents.hash_rows", lambda *_: None)
        quietly(zoo, tmp_path / "out", run=run)
    with pytest.raises(FileExistsError, match=r"train/bee/3\.png"):
        quietly(zoo, tmp_path / "out")


def test_copies_are_noted_and_are_no_changes(zoo, tmp_path):
    picture = (zoo / "train/bee/3.png").read_bytes()
    for name in ("train/ant/copy.png", "test/bee/copy.png"):
        (zoo / name).write_bytes(picture)
    result = call("tfrecords_tools.write", zoo, tmp_path / "out")
    assert "4 changed and 0 left out" in result.stdout
    assert [note for note in Collection.read(tmp_path / "out").notes if "copies" in note] == [
        "copies: 2 images have the same bytes as another image",
        "copies: 1 image has the same bytes as an image of another split: test/bee/copy.png (test) "
        "as train/ant/copy.png (train)",
        "copies: 3 images with equal bytes have different labels: train/ant/copy.png (ant), "
        "train/bee/3.png (bee), test/bee/copy.png (bee)",
    ]
    assert "copies: 2 images" in result.stdout


def test_20_bad_images_are_named_and_all_are_in_a_file(tmp_path):
    for i in range(30):
        save(tmp_path / "in" / "ab"[i % 2] / f"{i:02d}.png", noise(4, 4, i))
    for i in range(25):
        (tmp_path / "in" / "ab"[i % 2] / f"{i:02d}.png").write_bytes(b"no picture %d" % i)
    with pytest.raises(ValueError, match="25 of 30 images cannot be read") as error:
        quietly(tmp_path / "in", tmp_path / "out")
    *named, last = str(error.value).splitlines()[1:]
    listed = tmp_path / "out" / ".writing" / "bad.txt"
    assert len(named) == 20
    assert last == f"  and 5 more; all of them are in {listed}"
    assert [f"  {line}" for line in listed.read_text().splitlines()][:20] == named
    assert len(listed.read_text().splitlines()) == 25


@pytest.fixture
def copied_classes(tmp_path):
    """Two classes of ten pictures, each of them twice."""
    for label in "ab":
        for i in range(20):
            save(
                tmp_path / "in" / label / f"{i:02d}.png", noise(4, 4, ord(label) + 1000 * (i % 10))
            )
    return tmp_path


@pytest.mark.parametrize("interrupted", [False, True])
def test_shards_of_earlier_versions_keep_their_held_out_images(copied_classes, interrupted):
    # Earlier versions drew by rule 1 and wrote no contents.npz.
    source = open_source(str(copied_classes / "in"), Selection(hold_out=0))
    old = hold_out_validation(source, 0.1, 1)
    new = hold_out_validation(source, 0.1)
    assert old.fingerprint() != new.fingerprint()
    out = copied_classes / "out"
    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            writing.write(old, out, shards=4, progress=False, run=stop_after(2))
        (out / ".writing" / "contents.npz").unlink()
    else:
        writing.write(old, out, progress=False)
        (out / "contents.npz").unlink()
    assert writing.keep_hold_out_rule(out, Selection()).hold_out_rule == 1
    again = hold_out_validation(source, 0.1, 1)
    assert writing.write(again, out, shards=4 * interrupted, progress=False)
    written = json.loads((out / "dataset.json").read_text())
    assert written["fingerprint"] == old.fingerprint()


def test_new_shards_have_the_new_rule(copied_classes):
    source = open_source(str(copied_classes / "in"), Selection(hold_out=0))
    out = copied_classes / "out"
    assert writing.keep_hold_out_rule(out, Selection()).hold_out_rule == 2
    writing.write(hold_out_validation(source, 0.1), out, progress=False)
    assert writing.keep_hold_out_rule(out, Selection()).hold_out_rule == 2
