"""`show --what` says what a source is taken for, what is left out, and which images are copies."""

import re
import shutil

from PIL import Image

from tests.data.making_pictures import fill
from tests.making import call
from vgg_tf.data.describing import describe, describe_briefly, list_notes
from vgg_tf.data.opening import open_source
from vgg_tf.writing.write import write


def test_it_names_layout_splits_classes_formats_sizes_and_copies(tmp_path):
    fill(tmp_path, train__ant=12, train__bee=4, test__ant=2, test__bee=2)
    Image.new("RGB", (50, 70), (9, 9, 9)).save(tmp_path / "train" / "bee" / "large.jpg")
    shutil.copy(tmp_path / "train" / "ant" / "000.png", tmp_path / "test" / "bee" / "copy.png")
    (tmp_path / "train" / "ant" / "notes.txt").write_text("x")
    text = describe(open_source(str(tmp_path)))
    head, *lines = text.splitlines()
    assert head == f"{tmp_path}: class folders in splits, 2 classes"
    held = {"train": 15, "validation": 2, "test": 5}
    for split, n in held.items():
        (line,) = (line for line in lines if line.split()[0] == split)
        assert f" {n} images" in line
    assert "  classes: ant (14), bee (8)" in lines
    assert re.search(r"formats of 15 training images: (JPEG 1, PNG 14|PNG 15)", text)
    # 000.png has the pixels of test/ant/000.png, too.
    assert (
        "1 image has the same bytes as an image of another split: test/bee/copy.png (test)" in text
    )

    assert "1 .txt" in text


def test_a_source_without_copies_says_so(tmp_path):
    fill(tmp_path, ant=4, bee=4)
    assert describe(open_source(str(tmp_path))).splitlines()[-1] == "  no copies"


def test_shards_are_described_from_their_dataset_json(tmp_path):
    fill(tmp_path / "pictures", ant=5, bee=5)
    write(open_source(str(tmp_path / "pictures")), tmp_path / "shards", progress=False)
    text = describe(open_source(str(tmp_path / "shards")))
    assert "shards of vgg_tf, 2 classes" in text
    assert "  train       8 images, 4 per class" in text


def test_a_line_names_the_layout_and_ten_classes(tmp_path):
    fill(tmp_path, **{f"c{i:02d}": 2 for i in range(12)})
    line = describe_briefly(open_source(str(tmp_path)))
    names = ", ".join(f"c{i:02d}" for i in range(10))
    assert line == f"class folders; classes: {names} and 2 more"


def test_the_program_prints_it_and_draws_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "pictures", ant=4, bee=4)
    result = call("tfrecords_tools.show", "pictures", "--what")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("pictures: class folders, 2 classes\n")
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_a_program_prints_twenty_notes_and_counts_the_rest():
    one = [f"left out: {i}.png: damaged" for i in range(30)]
    notes = list_notes([*one, "held out"], "my pictures")
    assert notes[:2] == ["held out", one[0]]
    assert len(notes) == 21
    assert notes[-1] == "and 11 more: python -m tfrecords_tools.show 'my pictures' --what"
    assert list_notes(one)[-1] == "and 10 more"
    assert list_notes(one[:20], "x") == one[:20]


def test_what_prints_all_notes(tmp_path):
    fill(tmp_path, ant=4, bee=4)
    source = open_source(str(tmp_path))
    for i in range(30):
        source = source.add_note(f"note {i}.")
    assert all(f"note {i}." in describe(source) for i in range(30))
