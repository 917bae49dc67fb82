"""The program that tells where the object is, from annotations to boxes drawn on pictures."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tfrecords_tools.write import write
from vgg_tf import build_vgg, evaluate, sources, train, write_weights
from vgg_tf import localization_tables as tables
from vgg_tf.localize import main as localize
from vgg_tf.selection import Selection

FEW = ["--epochs", "2", "--batch-size", "8", "--size", "32", "--scale", "32,40", "--test-scale", "32", "--precision", "float32"]
XML = (
    "<annotation><size><width>{0}</width><height>{1}</height></size><object><name>{2}</name><bndbox><xmin>{3}</xmin>"
    "<ymin>{4}</ymin><xmax>{5}</xmax><ymax>{6}</ymax></bndbox></object></annotation>"
)


def pictures(folder, n=24):
    """Rectangles, red or green, on grey noise, with their annotations."""
    random = np.random.default_rng(0)
    for name in ("images", "annotations"):
        (folder / name).mkdir(parents=True)
    for i in range(n):
        h, w = random.integers(40, 60, 2)
        (ymin, xmin), (height, width) = random.integers(0, 20, 2), random.integers(12, 20, 2)
        picture = random.integers(90, 120, (h, w, 3), dtype=np.uint8)
        picture[ymin : ymin + height, xmin : xmin + width] = [(220, 20, 20), (20, 220, 20)][i % 2]
        Image.fromarray(picture).save(folder / "images" / f"{i:02d}.png")
        xml = XML.format(w, h, ("red", "green")[i % 2], xmin, ymin, xmin + width, ymin + height)
        (folder / "annotations" / f"{i:02d}.xml").write_text(xml)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Pictures with boxes, shards of them with a test split, a network to start from and a run of boxes."""
    place = tmp_path_factory.mktemp("boxes")
    source = sources.open_source(str(pictures(place / "voc")))
    every = source.splits["train"]
    parts = {"train": every.take(np.arange(0, 16)), "test": every.take(np.arange(16, len(every)))}
    write(
        source.noting("split", splits={**parts, "validation": source.splits["validation"]}),
        str(place / "shards"),
        progress=False,
    )
    model = build_vgg("vgg11_bn", input_shape=(32, 32, 3), classes=2, width=1 / 16, head_width=16, seed=1, std=(60, 60, 60))
    write_weights(model, place / "start.safetensors", classes=("green", "red"))
    run(place, "pcr")
    return place


def run(place, kind, *words):
    out = place / kind
    begin = ["train", "--data", str(place / "shards"), "--inherit", str(place / "start.safetensors"), "--regression", kind]
    localize([*begin, "--out", str(out), *FEW, *words])
    return out


def test_training_writes_a_run_that_the_same_command_finds_done(place, capsys):
    assert json.loads((place / "pcr/recipe.json").read_text())["task"] == "pcr"
    rows = (place / "pcr/log.csv").read_text().splitlines()
    assert len(rows) == 3
    run(place, "pcr")
    assert "is done; delete it" in capsys.readouterr().out


def test_it_is_tested_by_both_protocols_with_the_papers_tables(place, capsys):
    localize(["evaluate", str(place / "pcr"), "--split", "test", "--protocol", "center"])
    text = capsys.readouterr().out
    assert "| all | PCR | 32-40 |" in text
    assert "| 33.1 % |" in text
    other = str(run(place, "scr", "--freeze-until", "fc1"))
    capsys.readouterr()
    words = ["evaluate", str(place / "pcr"), other, "--scales", "32,48", "--classifier", str(place / "start.safetensors")]
    localize([*words, "--split", "test", "--out", str(place / "tested")])
    text = capsys.readouterr().out
    assert "| all, merged |  | 32, 48 |" in text
    assert "| OverFeat | 30.0 % | 29.9 % |" in text
    assert "test localisation error" in text.splitlines()[-1]
    rows = json.loads((place / "tested/boxes.json").read_text())
    assert len(rows) == json.loads((place / "tested/report.json").read_text())["results"]["all, merged"]["n"] > 3
    assert {box["class"] for row in rows for box in row["boxes"]} == {"red", "green"}
    assert (place / "tested/boxes.png").exists()


def test_only_the_head_learns_where_the_rest_is_frozen(place, tmp_path):
    from vgg_tf import read_weights

    out = run(place, "scr", "--freeze-until", "fc1")
    before, after = read_weights(place / "start.safetensors").layers, read_weights(out).layers
    np.testing.assert_array_equal(after["block5_conv2"]["kernel"], before["block5_conv2"]["kernel"])
    assert (after["fc1"]["kernel"] != before["fc1"]["kernel"]).any()
    assert after["predictions"]["kernel"].shape == (16, 4)


def test_predict_draws_boxes_and_writes_them_in_pixels(place, tmp_path, capsys):
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    files = [str(place / "voc/images/03.png"), str(place / "voc/images/04.png")]
    localize(["predict", str(place / "pcr"), *files, "--label", "red", "--out", str(tmp_path / "out")])
    rows = json.loads((tmp_path / "out/boxes.json").read_text())
    for row, path in zip(rows, files, strict=True):
        with Image.open(path) as picture:
            width, height = picture.size
        assert (row["file"], row["width"], row["height"]) == (path, width, height)
        (box,) = row["boxes"]
        assert box["class"] == "red"
        assert 0 <= box["xmin"] <= box["xmax"] <= width
    assert len(list((tmp_path / "out").glob("*.png"))) == 2
    with pytest.raises(SystemExit, match=r"1 of 2 pictures could not be read:\n.*bad\.jpg"):
        localize(
            ["predict", str(place / "pcr"), files[0], str(tmp_path / "bad.jpg"), "--label", "red", "--out", str(tmp_path / "b")]
        )
    assert len(json.loads((tmp_path / "b/boxes.json").read_text())) == 1


def test_what_cannot_be_meant_is_refused(place, tmp_path):
    pcr, picture = str(place / "pcr"), str(place / "voc/images/03.png")
    for words, message in (
        (["predict", pcr, picture], "give --classifier RUN"),
        (["predict", pcr, picture, "--label", "blue"], "knows no class 'blue'. It has green, red"),
        (["evaluate", pcr, "--scales", "16,32"], "at least the crop's 32"),
        (["evaluate", pcr, "--data", "digits"], "They must be the same"),
        (["evaluate"], "No run"),
        (["train", "--data", "digits"], "--data and --inherit are needed"),
    ):
        with pytest.raises(ValueError, match=message):
            localize(words)
    with pytest.raises(ValueError, match=r"python -m vgg_tf\.localize tests and uses it"):
        evaluate.main([pcr])
    words = ["--arch", "vgg11_bn", "--smoke", "--out", str(tmp_path / "c"), "--epochs", "1"]
    train.main(words)
    with pytest.raises(ValueError, match="tells what is in a picture, not where"):
        localize(["evaluate", str(tmp_path / "c")])


def test_pictures_without_boxes_are_refused(place):
    with pytest.raises(ValueError, match="None of the pictures has a box"):
        localize(["train", "--data", "digits", "--inherit", str(place / "start.safetensors"), "--out", str(place / "d"), *FEW])


def test_a_folder_is_tested_on_what_was_held_out_of_the_pictures_that_were_taken(place, tmp_path, capsys):
    begin = ["train", "--data", str(place / "voc"), "--inherit", str(place / "start.safetensors"), *FEW]
    localize([*begin, "--limit-per-class", "10", "--epochs", "1", "--out", str(tmp_path / "run")])
    capsys.readouterr()
    localize(["evaluate", str(tmp_path / "run"), "--out", str(tmp_path / "tested")])
    text = capsys.readouterr().out
    assert "| localisation error, class known (95 %) |" in text
    assert "validation localisation error" in text.splitlines()[-1]
    source = sources.open_source(str(place / "voc"), Selection(limit_per_class=10))
    rows = json.loads((tmp_path / "tested/boxes.json").read_text())
    assert [row["file"] for row in rows] == source.splits["validation"].names
    for scales in ("32", "36"):
        localize(["evaluate", str(tmp_path / "run"), "--scales", scales])
    assert len(list((tmp_path / "run/tests").glob("boxes-validation-dense-*/report.json"))) == 2
    with pytest.raises(ValueError, match="run holds a run, whose report would be written over"):
        localize(["evaluate", str(tmp_path / "run"), "--out", str(tmp_path / "run")])


def test_a_damaged_picture_ends_the_training_by_its_name(place, tmp_path):
    shutil.copytree(place / "voc", tmp_path / "voc")
    damaged = tmp_path / "voc" / sources.open_source(str(tmp_path / "voc")).splits["validation"].names[0]
    damaged.write_bytes(damaged.read_bytes()[:-2000])  # the size can still be read
    words = ["train", "--data", str(tmp_path / "voc"), "--inherit", str(place / "start.safetensors"), *FEW]
    with pytest.raises(ValueError, match=rf"what follows cannot be read; mend it, or remove it:\n.*{damaged.name}"):
        localize([*words, "--out", str(tmp_path / "run")])


def test_the_papers_numbers_stand_beside_what_they_are_of_alone():
    error = (30.0, (20.0, 40.0))
    rows = tables.table8([("a", begin, "pcr", (384, 384), error) for begin in ("", "fc1", "block4")]).splitlines()[2:]
    layers, theirs = zip(*(row.split(" | ")[1::4] for row in rows), strict=True)
    assert layers == ("all", "fully connected", "from block4")
    assert theirs == ("33.1 % |", "34.3 % |", " |")
    networks = [("a", (256, 256), [256], error), ("b", (256, 512), [256], error), ("c", None, [256, 384], error)]
    for known, theirs in ((False, ["29.5 % |", " |", "26.9 % |"]), (True, [" |"] * 3)):
        rows = tables.table9(networks, known).splitlines()
        assert ("class known" in rows[0]) == known
        assert [row.split(" | ")[4] for row in rows[2:]] == theirs
