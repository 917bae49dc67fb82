"""Examples and contact sheets of sources."""

import sys

import numpy as np
import pytest
from PIL import Image

from tests.making import noise, save
from tfrecords_tools import show
from vgg_tf.data import examples
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection
from vgg_tf.figures import sheets
from vgg_tf.records.annotations import NO_BOXES, Boxes
from vgg_tf.runtime import programs
from vgg_tf.writing.write import write


@pytest.fixture
def folder(tmp_path):
    for i in range(12):
        save(tmp_path / "in" / "train" / "abc"[i % 3] / f"{i}.png", noise(6, 9, i))
    save(tmp_path / "in" / "val" / "a" / "12.png", noise(6, 9, 12))
    return tmp_path / "in"


def test_examples_of_files_and_shards_are_images_of_the_split(folder, tmp_path):
    write(open_source(str(folder)), tmp_path / "out", shards=2, progress=False)
    for source in (folder, tmp_path / "out"):
        shown = list(examples.read_examples(str(source), n=50))
        assert sorted(example.name for example in shown) == sorted(
            f"train/{'abc'[i % 3]}/{i}.png" for i in range(12)
        )
        for example in shown:
            assert example.encoded == (folder / example.name).read_bytes()
            assert example.class_name == example.name.split("/")[1] == "abc"[example.label]
        assert len(list(examples.read_examples(str(source), n=5))) == 5
        assert [example.name for example in examples.read_examples(str(source), "validation")] == [
            "val/a/12.png"
        ]
        with pytest.raises(ValueError, match=r"has no split 'test'. It has train, validation"):
            list(examples.read_examples(str(source), "test"))
        chosen = list(
            examples.read_examples(str(source), n=50, selection=Selection(classes=("b", "c")))
        )
        assert {example.class_name for example in chosen} == {"b", "c"}


def test_another_seed_selects_other_files(folder):
    one, again, other = (
        [e.name for e in examples.read_examples(str(folder), n=6, seed=seed)] for seed in (0, 0, 1)
    )
    assert one == again != other


def test_a_box_is_drawn_around_its_pixels():
    """The box covers a red rectangle in a black picture of 40 by 80 exactly."""
    image = np.zeros((40, 80, 3), np.uint8)
    image[10:30, 20:60] = [255, 0, 0]
    boxes = Boxes(np.array([[0.25, 0.25, 0.75, 0.75]], np.float32), ["thing"])
    sheet = sheets.draw_contact_sheet(
        [image, image], ["first", "thing"], [boxes, NO_BOXES], "title"
    )
    sheet.draw_without_rendering()
    axes = sheet.axes[0]
    box = axes.patches[-1].get_window_extent()
    (left, bottom), (right, top) = axes.transData.transform([(19.5, 29.5), (59.5, 9.5)])
    np.testing.assert_allclose(
        [box.x0, box.y0, box.x1, box.y1], [left, bottom, right, top], atol=1e-6
    )
    assert [text.get_text() for text in axes.texts] == ["thing"]  # its name differs from the title
    assert sheet.axes[0].get_title() == "first"


def test_a_long_title_is_shortened_and_any_number_of_images_fits():
    for n in (1, 2, 7, 30):
        sheet = sheets.draw_contact_sheet(
            [noise(5, 5, i) for i in range(n)], ["x" * 40] * n, [NO_BOXES] * n, "title"
        )
        drawn = [axes for axes in sheet.axes if axes.images]
        assert len(drawn) == n
        assert all(len(axes.get_title()) == 24 for axes in drawn)


def test_the_program_prints_one_line_per_image_and_saves_the_sheet(
    folder, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "sheet.png"
    monkeypatch.setattr(
        sys, "argv", ["show", str(folder), "--n", "3", "--out", str(out), "--prefix", ""]
    )
    programs.run(show.main)
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == f"{out}: 3 images"
    lines = [line for line in lines if ".png: " in line]
    assert len(lines) == 3
    assert all("9 x 6, " in line and "bytes" in line for line in lines)
    with Image.open(out) as image:
        assert min(image.size) > 200


def test_an_empty_file_is_an_error_and_class_names_can_have_dollars(tmp_path, monkeypatch):
    for i in range(6):
        save(tmp_path / "in" / ("a$x", "b$\\frac")[i % 2] / f"{i}.png", noise(6, 9, i))
    monkeypatch.setattr(
        sys, "argv", ["show", str(tmp_path / "in"), "--out", str(tmp_path / "sheet.png")]
    )
    programs.run(show.main)
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    for path in (tmp_path / "in").rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(SystemExit, match=r"error: cannot read a\$x/\d.png: the file is empty"):
        programs.run(show.main)


@pytest.mark.parametrize("name", ["sheet", "sheet.docx"])
def test_an_unknown_suffix_is_an_error_before_the_source_is_read(tmp_path, monkeypatch, name):
    monkeypatch.setattr(sys, "argv", ["show", "no such source", "--out", str(tmp_path / name)])
    with pytest.raises(SystemExit, match=rf"must end in .*\.png.* Received: .*{name}"):
        programs.run(show.main)
