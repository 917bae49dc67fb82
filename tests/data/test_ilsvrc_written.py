"""The competition's images are stored with descriptions and boxes."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.making_annotated import (
    DOG,
    FROM_TABLE,
    FROM_XML,
    GOLDFISH,
    HEIGHT,
    SYNSETS,
    TENCH,
    VAL,
    WIDTH,
    annotate,
    examples,
    put,
    record_boxes,
    val_name,
)
from tests.making import save
from vgg_tf.data.opening import open_source
from vgg_tf.writing.write import write


@pytest.fixture
def rough(kaggle):
    """The competition's folder with unusual files, as in ImageNet, and damaged ones."""
    train, val = (kaggle / "ILSVRC" / "Data" / "CLS-LOC" / folder for folder in ("train", "val"))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    smooth = Image.fromarray(np.stack([5 * x, 6 * y, 2 * (x + y)], 2).astype(np.uint8))
    save(train / TENCH / f"{TENCH}_18.JPEG", smooth.convert("L"))
    save(train / GOLDFISH / f"{GOLDFISH}_18.JPEG", smooth.convert("CMYK"), quality=95)
    save(train / DOG / f"{DOG}_18.JPEG", smooth, format="png")
    cut = train / DOG / f"{DOG}_36.JPEG"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (val / f"{val_name(3)}.JPEG").write_bytes(b"")
    # A fish next to the dog, half outside, with swapped corners; and an object of a class that the
    # competition does not have.
    objects = (DOG, 5, 4, 30, 36), (TENCH, 60, 44, 25, 20), ("n99999999", 1, 2, 3, 4)
    annotate(kaggle / f"ILSVRC/Annotations/CLS-LOC/train/{DOG}/{DOG}_18.xml", *objects)
    return kaggle


BAD = [
    f"ILSVRC/Data/CLS-LOC/train/{DOG}/{DOG}_36.JPEG",
    f"ILSVRC/Data/CLS-LOC/val/{val_name(3)}.JPEG",
]
CMYK, PNG = (f"ILSVRC/Data/CLS-LOC/train/{name}/{name}_18.JPEG" for name in (GOLDFISH, DOG))


def test_damaged_images_of_the_competition_are_reported_and_no_dataset_json_is_written(
    rough, tmp_path
):
    with pytest.raises(ValueError, match="2 of 17 images cannot be read") as raised:
        write(open_source(rough), tmp_path / "out", progress=False)
    lines = str(raised.value).splitlines()[1:]
    assert [line.split(": ")[0] for line in lines] == [f"  cannot read {name}" for name in BAD]
    assert lines[1].endswith("the file is empty")
    assert not (tmp_path / "out" / "dataset.json").exists()


def skip_bad(rough, out, check):
    """Write the readable images, and return the examples of both splits by name."""
    if not check:  # without a check, truncated files are not found
        (rough / BAD[0]).write_bytes(b"")
    write(open_source(rough), out, shards=2, skip_bad=True, check=check, progress=False)
    return [examples(out, split) for split in ("train", "validation")]


@pytest.mark.parametrize("check", [True, False])
def test_the_competitions_images_are_stored_with_labels_and_descriptions(rough, tmp_path, check):
    train, validation = skip_bad(rough, tmp_path / "out", check)
    stored = train | validation
    data = rough / "ILSVRC" / "Data" / "CLS-LOC"
    there = {
        path.relative_to(rough).as_posix()
        for folder in ("train", "val")
        for path in (data / folder).rglob("*.JPEG")
    }
    assert stored.keys() == there - set(BAD)
    assert len(train) == 11
    assert len(validation) == 4

    of_val = {f"{val_name(i)}.JPEG": synset for i, synset in VAL.items()}
    for name, example in stored.items():
        file = name.split("/")[-1]
        synset = of_val.get(file) or file.split("_")[0]
        assert example["image/class/label"] == [list(SYNSETS).index(synset)], name
        assert example["image/class/synset"] == [synset.encode()]
        assert example["image/class/text"] == [SYNSETS[synset].encode()]
        assert (example["image/width"], example["image/height"]) == ([WIDTH], [HEIGHT])


def test_the_competitions_images_keep_their_bytes_except_cmyk(rough, tmp_path):
    train, validation = skip_bad(rough, tmp_path / "out", True)
    stored = train | validation
    for name, example in stored.items():
        if name != CMYK:
            assert example["image/encoded"] == [(rough / name).read_bytes()], name
        assert example["image/format"] == [b"PNG" if name == PNG else b"JPEG"]
        pixels = tf.io.decode_image(example["image/encoded"][0], channels=3).numpy()
        assert pixels.shape == (HEIGHT, WIDTH, 3)
    with Image.open(rough / CMYK) as original:
        assert original.mode == "CMYK"
        expected = np.asarray(original.convert("RGB"), int)
    again = tf.io.decode_jpeg(stored[CMYK]["image/encoded"][0]).numpy()
    assert np.abs(expected - again).mean() < 3  # inverted CMYK would differ by 100


@pytest.mark.parametrize("check", [True, False])
def test_the_competitions_images_are_stored_with_boxes_and_notes(rough, tmp_path, check):
    train, validation = skip_bad(rough, tmp_path / "out", check)
    stored = train | validation
    # Boxes: XML in train, the table in validation.
    number = {synset: label for label, synset in enumerate(SYNSETS)}
    wanted = {
        file: [(number[name], name, *corners) for name, *corners in rows]
        for file, rows in (FROM_XML | FROM_TABLE).items()
    }
    wanted[f"{DOG}_18.JPEG"] = [(2, DOG, 0.1, 0.1, 0.6, 0.9), (0, TENCH, 0.5, 0.5, 1, 1)]
    for name, example in stored.items():
        assert record_boxes(example) == wanted[name.split("/")[-1]], name
    assert {len(record_boxes(example)) for example in stored.values()} == {0, 1, 2}

    facts = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert facts["classes"] == list(SYNSETS)
    assert facts["texts"] == list(SYNSETS.values())
    counts = {
        split: (values["images"], values["per_class"], values["boxes"])
        for split, values in facts["splits"].items()
    }
    assert counts == {
        "train": (11, [4, 4, 3], sum(len(record_boxes(example)) for example in train.values())),
        "validation": (4, [2, 1, 1], 6),
    }
    test, *changed, first, second = facts["notes"]
    assert test == "the competition's test images have no labels: left out"
    folder = f"ILSVRC/Data/CLS-LOC/train/{DOG}"
    assert changed == [
        "1 image: boxes end far outside of the picture, and are cut at its edge, first "
        f"{folder}/{DOG}_18.JPEG",
        f"{CMYK}: CMYK, as JPEG of quality 95",
        f"{PNG}: 1 boxes of other classes left out",
    ]
    assert [first.split(": ")[:2], second.split(": ")[:2]] == [
        ["left out", f"cannot read {name}"] for name in BAD
    ]


def test_the_writer_reports_an_annotation_that_cannot_be_read(kaggle, tmp_path):
    put(kaggle / f"ILSVRC/Annotations/CLS-LOC/train/{DOG}/{DOG}_18.xml", "<annotation><object>")
    with pytest.raises(
        ValueError,
        match=r"1 of 17 images cannot be read(.|\n)*n02084071_18\.xml must be a Pascal VOC anno",
    ):
        write(open_source(kaggle), tmp_path / "out", progress=False)
