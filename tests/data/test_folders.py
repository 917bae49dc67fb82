"""The competition's folders and pictures with annotations are read as they come; class folders are
in test_opening.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.making import DATA, noise, real_data, save
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection
from vgg_tf.data.writing import write
from vgg_tf.runtime import files

SYNSETS = {
    "n01440764": "tench, Tinca tinca",
    "n01443537": "goldfish, Carassius auratus",
    "n02084071": "dog, domestic dog, Canis familiaris",
}
TENCH, GOLDFISH, DOG = SYNSETS
VAL = {5: TENCH, 1: DOG, 3: DOG, 2: GOLDFISH, 4: TENCH}  # the table is not in the files' order
WIDTH, HEIGHT = 50, 40


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, newline="")


def annotate(path, *objects, size=(WIDTH, HEIGHT)):
    """Write an annotation as ImageNet's are; an object is a name and xmin, ymin, xmax, ymax in
    pixels.
    """
    stated = size and (
        "\t<size>\n\t\t<width>{}</width>\n\t\t<height>{}</height>\n"
        "\t\t<depth>3</depth>\n\t</size>\n"
    ).format(*size)
    items = (
        f"\t<object>\n\t\t<name>{name}</name>\n\t\t<pose>Unspecified</pose>\n"
        "\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
        f"\t\t\t<xmin>{xmin}</xmin>\n\t\t\t<ymin>{ymin}</ymin>\n"
        f"\t\t\t<xmax>{xmax}</xmax>\n\t\t\t<ymax>{ymax}</ymax>\n"
        "\t\t</bndbox>\n\t</object>\n"
        for name, xmin, ymin, xmax, ymax in objects
    )
    put(
        path,
        f"<annotation>\n\t<filename>{path.stem}</filename>\n"
        f"{stated or ''}{''.join(items)}</annotation>\n",
    )


def upload(folder, remote):
    """Copy a folder to a file system of TensorFlow's, by TensorFlow."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        tf.io.gfile.makedirs(f"{remote}/{path.parent.relative_to(folder)}")
        with tf.io.gfile.GFile(f"{remote}/{path.relative_to(folder)}", "wb") as file:
            file.write(path.read_bytes())


def val_name(i):
    return f"ILSVRC2012_val_{i:08d}"


def solution(rows):
    """`LOC_*_solution.csv` of `{image id: [(synset, xmin, ymin, xmax, ymax)]}`, with the blank at
    the end of each row.
    """
    text = {
        name: "".join(f"{word} " for box in boxes for word in box) for name, boxes in rows.items()
    }
    return "ImageId,PredictionString\n" + "".join(
        f"{name},{words}\n" for name, words in text.items()
    )


# Two boxes for odd numbers, one for even ones.
TABLE = {
    val_name(i): [(synset, 10, 20, 30, 40), (synset, i, 0, 25, 10)][: 1 + i % 2]
    for i, synset in VAL.items()
}


@pytest.fixture
def kaggle(tmp_path):
    """The competition's folder: 3 synsets of 4 training images, 5 validation images, 2 of test; XML
    for train alone.
    """
    root = tmp_path / "imagenet-object-localization-challenge"
    data = root / "ILSVRC" / "Data" / "CLS-LOC"
    for k, synset in enumerate(SYNSETS):
        for n in (18, 36, 2, 117):
            save(data / "train" / synset / f"{synset}_{n}.JPEG", noise(HEIGHT, WIDTH, 10 * k + n))
            if n != 117:  # not every training image has boxes
                annotate(
                    root / "ILSVRC/Annotations/CLS-LOC/train" / synset / f"{synset}_{n}.xml",
                    (synset, 5, 10, n + 6, 30),
                )
    for i in VAL:
        save(data / "val" / f"{val_name(i)}.JPEG", noise(HEIGHT, WIDTH, 1000 + i))
    for i in range(1, 3):
        save(data / "test" / f"ILSVRC2012_test_{i:08d}.JPEG", noise(HEIGHT, WIDTH, 2000 + i))
    put(
        root / "LOC_synset_mapping.txt",
        "".join(f"{name} {text}\n" for name, text in SYNSETS.items()),
    )
    put(root / "LOC_val_solution.csv", solution(TABLE))
    # What is of no use where there is XML: another mapping of the training images, and lists.
    wrong = {f"{TENCH}_{n}": [(DOG, 1, 2, 3, 4)] for n in (18, 36, 2, 117)}
    put(root / "LOC_train_solution.csv", solution(wrong))
    put(
        root / "LOC_sample_submission.csv",
        solution({"ILSVRC2012_test_00000001": [(DOG, 1, 2, 3, 4)]}),
    )
    put(root / "ILSVRC" / "ImageSets" / "CLS-LOC" / "train_cls.txt", f"{TENCH}/{TENCH}_18 1\n")
    return root


def boxes(source, split, width=WIDTH, height=HEIGHT):
    """`{file name: [(class, xmin, ymin, xmax, ymax)]}`, rounded shares."""
    part = source.splits[split]
    found = {}
    for i, name in enumerate(part.names):
        corners, names = part.boxes_of(i, width, height)
        found[name.split("/")[-1]] = [
            (name, *(round(float(corner), 6) for corner in row))
            for name, row in zip(names, corners, strict=True)
        ]
    return found


def shares(synset, xmin, ymin, xmax, ymax):
    return synset, *(
        round(value, 6) for value in (xmin / WIDTH, ymin / HEIGHT, xmax / WIDTH, ymax / HEIGHT)
    )


FROM_TABLE = {f"{name}.JPEG": [shares(*box) for box in rows] for name, rows in TABLE.items()}
FROM_XML = {
    f"{synset}_{n}.JPEG": [shares(synset, 5, 10, n + 6, 30)] if n != 117 else []
    for synset in SYNSETS
    for n in (18, 36, 2, 117)
}


def labelled(source, split):
    """`{file name: class}`."""
    part = source.splits[split]
    return {
        name.split("/")[-1]: source.classes[label]
        for name, label in zip(part.names, part.labels, strict=True)
    }


# The ILSVRC competition


def check_all(source, below, places):
    """The source is what the fixture made; `below` stands before its names, and `places` before its
    files.
    """
    assert source.classes == tuple(SYNSETS)
    assert source.texts == tuple(SYNSETS.values())
    assert set(source.splits) == {"train", "validation"}
    assert labelled(source, "train") == {
        f"{synset}_{n}.JPEG": synset for synset in SYNSETS for n in (18, 36, 2, 117)
    }
    assert labelled(source, "validation") == {
        f"{val_name(i)}.JPEG": synset for i, synset in VAL.items()
    }
    assert len(source.splits["train"]) == 12
    assert len(source.splits["validation"]) == 5
    for split, folder in (("train", "train"), ("validation", "val")):
        part = source.splits[split]
        assert part.labels.dtype == np.int64
        assert all(name.startswith(f"{below}Data/CLS-LOC/{folder}/") for name in part.names)
        for i, name in enumerate(part.names):
            assert part.read(i) == (places / name).read_bytes()
    assert boxes(source, "train") == FROM_XML
    assert boxes(source, "validation") == FROM_TABLE
    assert source.notes == ("the competition's test images have no labels: left out",)


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("folder", ["", "ILSVRC"])
def test_the_competitions_files_are_read_as_they_come_by_either_folder(kaggle, folder, slash):
    check_all(
        open_source(str(kaggle / folder) + slash), "" if folder else "ILSVRC/", kaggle / folder
    )


@pytest.mark.parametrize(
    ("here", "name"),
    [("", "ILSVRC"), ("", "ILSVRC/"), ("", "."), ("", "./ILSVRC"), ("ILSVRC", ".")],
)
def test_they_are_found_from_within(kaggle, monkeypatch, here, name):
    monkeypatch.chdir(kaggle / here)
    check_all(
        open_source(name), "ILSVRC/" if (here, name) == ("", ".") else "", kaggle / here / name
    )


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("folder", ["", "/ILSVRC"])
def test_they_are_the_same_on_a_remote_file_system(kaggle, tmp_path, folder, slash):
    remote = f"ram://{tmp_path.name}/kaggle"
    upload(kaggle, remote)
    there = open_source(f"{remote}{folder}{slash}")
    check_all(there, "" if folder else "ILSVRC/", kaggle / folder.strip("/"))
    assert there.fingerprint() == open_source(f"{kaggle}{folder}").fingerprint()


def test_lines_may_end_as_on_windows(kaggle):
    for name in ("LOC_synset_mapping.txt", "LOC_val_solution.csv"):
        put(kaggle / name, (kaggle / name).read_text().replace("\n", "\r\n"))
    check_all(open_source(kaggle), "ILSVRC/", kaggle)


def test_what_is_hidden_or_no_picture_is_ignored(kaggle):
    data = kaggle / "ILSVRC" / "Data" / "CLS-LOC"
    for name in (
        "train/.DS_Store",
        f"train/{TENCH}/._x.JPEG",
        "train/n01440764.tar",
        f"train/{DOG}/.git/x.JPEG",
        "val/.x.JPEG",
    ):
        put(data / name, "x")
    put(data / "val" / "README.txt", "x")
    put(data / "train" / ".trash" / "x.JPEG", "x")
    check_all(open_source(kaggle), "ILSVRC/", kaggle)
    (data / "train" / "n00000000").mkdir()
    assert open_source(kaggle).notes[0] == "1 folders in train/ hold no images, first n00000000"


def test_xml_goes_before_the_table(kaggle):
    for i in VAL:
        annotate(
            kaggle / f"ILSVRC/Annotations/CLS-LOC/val/{val_name(i)}.xml",
            (VAL[i], 0, 0, 5 * i, 40),
            (VAL[i], 5, 4, 10, 8),
        )
    assert boxes(open_source(kaggle), "validation") == {
        f"{val_name(i)}.JPEG": [(synset, 0, 0, i / 10, 1), (synset, 0.1, 0.1, 0.2, 0.2)]
        for i, synset in VAL.items()
    }


def test_a_validation_image_without_xml_has_the_boxes_of_the_table(kaggle):
    annotate(kaggle / f"ILSVRC/Annotations/CLS-LOC/val/{val_name(3)}.xml", (DOG, 0, 0, 25, 20))
    assert boxes(open_source(kaggle), "validation") == FROM_TABLE | {
        f"{val_name(3)}.JPEG": [(DOG, 0, 0, 0.5, 0.5)]
    }


@pytest.mark.parametrize("empty", [False, True])
def test_without_any_xml_and_table_train_has_no_boxes_and_nothing_else_changes(kaggle, empty):
    folder = kaggle / "ILSVRC" / "Annotations"
    if empty:
        for path in folder.rglob("*.xml"):
            path.unlink()
    else:
        folder.rename(kaggle / "elsewhere")
        (kaggle / "LOC_train_solution.csv").unlink()
    source = open_source(kaggle)
    assert set(map(len, boxes(source, "train").values())) == {0}
    assert boxes(source, "validation") == FROM_TABLE
    assert labelled(source, "train").keys() == FROM_XML.keys()


def test_missing_validation_images_are_counted(kaggle):
    for i in (1, 4):
        (kaggle / "ILSVRC/Data/CLS-LOC/val" / f"{val_name(i)}.JPEG").unlink()
    source = open_source(kaggle)
    assert labelled(source, "validation") == {f"{val_name(i)}.JPEG": VAL[i] for i in (2, 3, 5)}
    assert boxes(source, "validation") == {
        name: rows for name, rows in FROM_TABLE.items() if name[-6] in "235"
    }
    assert source.notes[0] == "2 of 5 validation images of the table are not there"


def test_a_validation_image_that_the_table_lacks_is_named(kaggle):
    for i in (6, 7):
        save(kaggle / "ILSVRC/Data/CLS-LOC/val" / f"{val_name(i)}.JPEG", noise(4, 4))
    with pytest.raises(
        ValueError,
        match=(
            r"LOC_val_solution\.csv names no class for 2 files of val/, "
            r"first .*val_00000006\.JPEG"
        ),
    ):
        open_source(kaggle)


def test_a_synset_that_the_mapping_lacks_is_named_unless_it_is_not_taken(kaggle):
    put(
        kaggle / "LOC_synset_mapping.txt",
        f"{TENCH} tench, Tinca tinca\n{GOLDFISH} goldfish, Carassius auratus\n",
    )
    with pytest.raises(ValueError, match=rf"LOC_synset_mapping\.txt does not name {DOG}\. Mend it"):
        open_source(kaggle)
    assert open_source(kaggle, Selection(prefix="n01")).classes == (TENCH, GOLDFISH)


def test_a_mapping_of_more_synsets_than_there_are_adds_no_classes(kaggle):
    with (kaggle / "LOC_synset_mapping.txt").open("a") as file:
        file.write("n15075141 toilet tissue, toilet paper, bathroom tissue\n")
    check_all(open_source(kaggle), "ILSVRC/", kaggle)


def test_validation_images_of_classes_without_training_images_are_not_left_out_in_silence(kaggle):
    for path in (kaggle / "ILSVRC/Data/CLS-LOC/train" / GOLDFISH).iterdir():
        path.unlink()
    source = open_source(kaggle)
    assert source.classes == (TENCH, DOG)
    assert source.texts == (SYNSETS[TENCH], SYNSETS[DOG])
    assert labelled(source, "validation") == {
        f"{val_name(i)}.JPEG": synset for i, synset in VAL.items() if synset != GOLDFISH
    }
    assert any("1 of 5 validation images" in note for note in source.notes)


def test_a_prefix_takes_its_synsets_alone_and_does_not_list_the_others(kaggle, monkeypatch):
    walked, walk = [], files.walk
    monkeypatch.setattr(files, "walk", lambda folder: walked.append(folder) or walk(folder))
    source = open_source(kaggle, Selection(prefix="n01"))
    assert (source.classes, source.texts) == (
        (TENCH, GOLDFISH),
        (SYNSETS[TENCH], SYNSETS[GOLDFISH]),
    )
    assert set(labelled(source, "train").values()) == {TENCH, GOLDFISH}
    assert labelled(source, "validation") == {
        f"{val_name(i)}.JPEG": synset for i, synset in VAL.items() if synset != DOG
    }
    assert boxes(source, "train") == {
        name: rows for name, rows in FROM_XML.items() if name.startswith("n01")
    }
    assert boxes(source, "validation") == {
        f"{val_name(i)}.JPEG": FROM_TABLE[f"{val_name(i)}.JPEG"] for i in (2, 4, 5)
    }
    assert walked
    assert not any(folder.endswith(f"train/{DOG}") for folder in walked)
    # The same as choosing them by name, and other than all.
    assert (
        source.fingerprint()
        == open_source(kaggle, Selection(classes=(GOLDFISH, TENCH))).fingerprint()
    )
    assert source.fingerprint() != open_source(kaggle).fingerprint()


def test_without_annotations_of_train_its_table_tells_the_boxes(kaggle):
    (kaggle / "ILSVRC/Annotations/CLS-LOC/train").rename(kaggle / "elsewhere")
    table = {
        f"{synset}_{n}": [(synset, 1, 2, n + 3, 4), (synset, 0, 0, 5, 5)]
        for synset in SYNSETS
        for n in (18, 36, 2)
    }
    put(kaggle / "LOC_train_solution.csv", solution(table))
    expected = {f"{name}.JPEG": [shares(*box) for box in rows] for name, rows in table.items()}
    assert boxes(open_source(kaggle), "train") == expected | {
        f"{synset}_117.JPEG": [] for synset in SYNSETS
    }


def test_without_val_a_part_of_train_is_held_out_with_its_boxes(kaggle):
    (kaggle / "ILSVRC/Data/CLS-LOC/val").rename(kaggle / "elsewhere")
    (kaggle / "LOC_val_solution.csv").unlink()
    source = open_source(kaggle)
    assert {split: len(part) for split, part in source.splits.items()} == {
        "train": 9,
        "validation": 3,
    }
    assert boxes(source, "train") | boxes(source, "validation") == FROM_XML
    assert labelled(source, "train").keys().isdisjoint(labelled(source, "validation"))
    assert sorted(source.splits["validation"].labels) == [0, 1, 2]


@pytest.mark.parametrize(
    "lost", ["LOC_synset_mapping.txt", "LOC_val_solution.csv", "ILSVRC/Data/CLS-LOC/train"]
)
def test_a_missing_table_or_train_folder_is_named(kaggle, lost):
    (kaggle / lost).rename(kaggle / "elsewhere")
    with pytest.raises(FileNotFoundError, match=lost):
        open_source(kaggle)


def test_a_mapping_that_is_no_text_is_named(kaggle):
    (kaggle / "LOC_synset_mapping.txt").write_bytes(b"\x1f\x8b\x08\xff")
    with pytest.raises(ValueError, match=r"LOC_synset_mapping\.txt"):
        open_source(kaggle)


def test_a_single_synset_is_refused(kaggle):
    for synset in (GOLDFISH, DOG):
        (kaggle / "ILSVRC/Data/CLS-LOC/train" / synset).rename(kaggle / synset)
    with pytest.raises(ValueError, match="train holds images of 1 classes; at least 2 are needed"):
        open_source(kaggle)


# From the competition's folder into shards


def examples(out, split):
    """`{file name: features as lists}` of all records of a split."""
    found = {}
    for path in sorted(Path(out).glob(f"{split}-*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            values = {
                key: list(getattr(value, value.WhichOneof("kind")).value)
                for key, value in feature.items()
            }
            name = values["image/filename"][0].decode()
            assert name not in found
            found[name] = values
    return found


def record_boxes(example):
    """`[(label, text, xmin, ymin, xmax, ymax)]` of a record, rounded."""
    box = "image/object/bbox/"
    columns = [example.get(box + key, []) for key in ("label", "xmin", "ymin", "xmax", "ymax")]
    texts = example.get("image/object/class/text", [])
    return [
        (label, text.decode(), *(round(corner, 5) for corner in corners))
        for label, *corners, text in zip(*columns, texts, strict=True)
    ]


@pytest.fixture
def rough(kaggle):
    """The competition's folder with the files that ImageNet is known for, and some that no download
    should leave.
    """
    train, val = (kaggle / "ILSVRC" / "Data" / "CLS-LOC" / folder for folder in ("train", "val"))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    smooth = Image.fromarray(np.stack([5 * x, 6 * y, 2 * (x + y)], 2).astype(np.uint8))
    save(train / TENCH / f"{TENCH}_18.JPEG", smooth.convert("L"))
    save(train / GOLDFISH / f"{GOLDFISH}_18.JPEG", smooth.convert("CMYK"), quality=95)
    save(train / DOG / f"{DOG}_18.JPEG", smooth, format="png")
    cut = train / DOG / f"{DOG}_36.JPEG"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (val / f"{val_name(3)}.JPEG").write_bytes(b"")
    # A fish beside the dog, half outside, its corners swapped; and something that is no class of
    # the competition.
    objects = (DOG, 5, 4, 30, 36), (TENCH, 60, 44, 25, 20), ("n99999999", 1, 2, 3, 4)
    annotate(kaggle / f"ILSVRC/Annotations/CLS-LOC/train/{DOG}/{DOG}_18.xml", *objects)
    return kaggle


BAD = [
    f"ILSVRC/Data/CLS-LOC/train/{DOG}/{DOG}_36.JPEG",
    f"ILSVRC/Data/CLS-LOC/val/{val_name(3)}.JPEG",
]


def test_damaged_images_of_the_competition_are_named_and_no_set_is_made(rough, tmp_path):
    with pytest.raises(ValueError, match="2 of 17 images cannot be read") as raised:
        write(open_source(rough), tmp_path / "out", progress=False)
    lines = str(raised.value).splitlines()[1:]
    assert [line.split(": ")[0] for line in lines] == [f"  cannot read {name}" for name in BAD]
    assert lines[1].endswith("the file is empty")
    assert not (tmp_path / "out" / "dataset.json").exists()


@pytest.mark.parametrize("check", [True, False])
def test_the_competitions_images_are_stored_with_words_and_boxes_and_what_is_bad_is_left_out(
    rough, tmp_path, monkeypatch, check
):
    if not check:  # a truncated file is found only where it is looked at
        path = rough / BAD[0]
        path.write_bytes(b"")
    write(
        open_source(rough), tmp_path / "out", shards=2, skip_bad=True, check=check, progress=False
    )
    train, validation = (examples(tmp_path / "out", split) for split in ("train", "validation"))
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

    # Labels from 0, the synset, and its words.
    of_val = {f"{val_name(i)}.JPEG": synset for i, synset in VAL.items()}
    for name, example in stored.items():
        file = name.split("/")[-1]
        synset = of_val.get(file) or file.split("_")[0]
        assert example["image/class/label"] == [list(SYNSETS).index(synset)], name
        assert example["image/class/synset"] == [synset.encode()]
        assert example["image/class/text"] == [SYNSETS[synset].encode()]
        assert (example["image/width"], example["image/height"]) == ([WIDTH], [HEIGHT])

    # The bytes as they came, but for CMYK; the format is that of the bytes, not of the name.
    cmyk, png = (
        f"ILSVRC/Data/CLS-LOC/train/{synset}/{synset}_18.JPEG" for synset in (GOLDFISH, DOG)
    )
    for name, example in stored.items():
        if name != cmyk:
            assert example["image/encoded"] == [(rough / name).read_bytes()], name
        assert example["image/format"] == [b"PNG" if name == png else b"JPEG"]
        pixels = tf.io.decode_image(example["image/encoded"][0], channels=3).numpy()
        assert pixels.shape == (HEIGHT, WIDTH, 3)
    with Image.open(rough / cmyk) as original:
        assert original.mode == "CMYK"
        expected = np.asarray(original.convert("RGB"), int)
    again = tf.io.decode_jpeg(stored[cmyk]["image/encoded"][0]).numpy()
    assert np.abs(expected - again).mean() < 3  # inverted it would differ by a hundred

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

    told = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert told["classes"] == list(SYNSETS)
    assert told["texts"] == list(SYNSETS.values())
    counts = {
        split: (values["images"], values["per_class"], values["boxes"])
        for split, values in told["splits"].items()
    }
    assert counts == {
        "train": (11, [4, 4, 3], sum(len(record_boxes(example)) for example in train.values())),
        "validation": (4, [2, 1, 1], 6),
    }
    test, *changed, first, second = told["notes"]
    assert test == "the competition's test images have no labels: left out"
    assert changed == [
        f"{cmyk}: CMYK, as JPEG of quality 95",
        f"{png}: 1 boxes of other classes left out",
    ]
    assert [first.split(": ")[:2], second.split(": ")[:2]] == [
        ["left out", f"cannot read {name}"] for name in BAD
    ]


def test_an_annotation_that_cannot_be_read_is_named_by_the_writer(kaggle, tmp_path):
    put(kaggle / f"ILSVRC/Annotations/CLS-LOC/train/{DOG}/{DOG}_18.xml", "<annotation><object>")
    with pytest.raises(
        ValueError,
        match=r"1 of 17 images cannot be read(.|\n)*n02084071_18\.xml is no Pascal-VOC annotation",
    ):
        write(open_source(kaggle), tmp_path / "out", progress=False)


# Pictures with Pascal-VOC annotations


def picture(root, name, *objects, folders=("images", "annotations"), size=(WIDTH, HEIGHT)):
    """Write a picture, and its annotation where objects are given; None for an annotation without
    objects.
    """
    save(root / folders[0] / name, noise(HEIGHT, WIDTH))
    if objects:
        path = (root / folders[1] / name).with_suffix(".xml")
        annotate(path, *(thing for thing in objects if thing), size=size)


def train_and_validation(source):
    return labelled(source, "train") | labelled(source, "validation")


@pytest.mark.parametrize(
    "folders", [("images", "annotations"), ("JPEGImages", "Annotations"), ("Images", "annotations")]
)
def test_a_pictures_class_is_that_of_its_objects(tmp_path, folders):
    for i in range(4):
        picture(tmp_path, f"{i}.jpg", ("raccoon", 1, 2, 30, 40), folders=folders)
        picture(
            tmp_path,
            f"kangaroo-{i}.png",
            ("kangaroo", 5, 4, 10, 8),
            ("kangaroo", 0, 0, 50, 40),
            folders=folders,
        )
    put(tmp_path / "ImageSets" / "Main" / "train.txt", "0\n")
    source = open_source(tmp_path)
    assert source.classes == ("kangaroo", "raccoon")
    assert source.texts == ()
    named = {f"{i}.jpg": "raccoon" for i in range(4)} | {
        f"kangaroo-{i}.png": "kangaroo" for i in range(4)
    }
    assert train_and_validation(source) == named
    assert {split: len(part) for split, part in source.splits.items()} == {
        "train": 6,
        "validation": 2,
    }
    found = boxes(source, "train") | boxes(source, "validation")
    assert found["2.jpg"] == [("raccoon", 0.02, 0.05, 0.6, 1)]
    assert found["kangaroo-3.png"] == [("kangaroo", 0.1, 0.1, 0.2, 0.2), ("kangaroo", 0, 0, 1, 1)]
    for part in source.splits.values():
        for i, name in enumerate(part.names):
            assert part.read(i) == (tmp_path / name).read_bytes()


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), None])
def test_of_several_classes_that_which_covers_most_in_all_its_boxes_is_taken(tmp_path, size):
    picture(tmp_path, "cat.jpg", ("cat", 0, 0, 5, 5), size=size)
    picture(tmp_path, "dog.jpg", ("dog", 0, 0, 5, 5), size=size)
    picture(
        tmp_path,
        "cats.jpg",
        ("cat", 0, 0, 10, 12),
        ("dog", 10, 10, 23, 23),
        ("cat", 40, 30, 30, 20),
        size=size,
    )  # 220, 169
    picture(tmp_path, "dogs.jpg", ("cat", 0, 0, 10, 10), ("dog", 20, 20, 40, 40), size=size)
    source = open_source(tmp_path)
    assert train_and_validation(source) == {
        "cat.jpg": "cat",
        "cats.jpg": "cat",
        "dog.jpg": "dog",
        "dogs.jpg": "dog",
    }
    assert (
        source.notes[0]
        == "2 images show objects of several classes: the one that covers most is theirs"
    )
    assert [
        name for name, *_ in (boxes(source, "train") | boxes(source, "validation"))["cats.jpg"]
    ] == ["cat", "dog", "cat"]


def test_pictures_without_an_annotation_or_with_an_empty_one_are_left_out_and_counted(tmp_path):
    picture(tmp_path, "cat.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "dog.jpg", ("dog", 0, 0, 5, 5))
    picture(tmp_path, "lost.jpg")
    picture(tmp_path, "none.jpg", None)
    annotate(tmp_path / "annotations" / "no picture.xml", ("eel", 0, 0, 5, 5))
    source = open_source(tmp_path)
    assert source.classes == ("cat", "dog")
    assert labelled(source, "train") == {"cat.jpg": "cat", "dog.jpg": "dog"}
    assert source.notes[0] == "2 images have no annotation, or none with an object: left out"


def test_folders_below_hold_the_annotations_of_the_same_folders(tmp_path):
    picture(tmp_path, "here/1.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "there/1.jpg", ("dog", 0, 0, 50, 40))
    source = open_source(tmp_path)
    assert source.splits["train"].names == ["images/here/1.jpg", "images/there/1.jpg"]
    assert source.classes == ("cat", "dog")
    assert source.splits["train"].boxes_of(1, WIDTH, HEIGHT).corners.tolist() == [[0, 0, 1, 1]]


def test_an_annotation_in_another_folder_is_taken_only_where_no_other_can_be_meant(tmp_path):
    picture(tmp_path, "here/1.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "2.jpg", ("dog", 0, 0, 5, 5))
    (tmp_path / "annotations" / "2.xml").rename(tmp_path / "annotations" / "here" / "2.xml")
    picture(tmp_path, "there/1.jpg")  # the annotation of this name is the other's
    source = open_source(tmp_path)
    assert labelled(source, "train") == {"1.jpg": "cat", "2.jpg": "dog"}
    assert source.notes[0] == "1 images have no annotation, or none with an object: left out"
    annotate(tmp_path / "annotations" / "there" / "2.xml", ("cat", 0, 0, 5, 5))
    with pytest.raises(
        ValueError,
        match=r"2 is the name of several: 2.jpg, .*here/2.xml, .*there/2.xml. Put each annotation",
    ):
        open_source(tmp_path)
    picture(tmp_path, "everywhere/2.jpg")
    (tmp_path / "annotations" / "there" / "2.xml").unlink()
    with pytest.raises(
        ValueError,
        match=(
            r"2 is the name of several: 2.jpg, everywhere/2.jpg, "
            r".*here/2.xml. Put each annotation"
        ),
    ):
        open_source(tmp_path)


def test_they_are_the_same_on_a_remote_file_system_with_their_boxes(tmp_path):
    for i in range(3):
        picture(
            tmp_path / "voc",
            f"cat{i}.jpg",
            ("cat", i, 0, 5, 5),
            folders=("JPEGImages", "Annotations"),
        )
        picture(
            tmp_path / "voc",
            f"dog{i}.png",
            ("dog", i, 0, 9, 9),
            folders=("JPEGImages", "Annotations"),
        )
    upload(tmp_path / "voc", f"ram://{tmp_path.name}/voc")
    here, there = open_source(tmp_path / "voc"), open_source(f"ram://{tmp_path.name}/voc")
    assert here.fingerprint() == there.fingerprint()
    assert boxes(here, "train") == boxes(there, "train")


def test_a_broken_annotation_is_named(tmp_path):
    picture(tmp_path, "cat.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "dog.jpg", ("dog", 0, 0, 5, 5))
    put(tmp_path / "annotations" / "dog.xml", "<annotation>")
    with pytest.raises(
        ValueError, match=r"dog\.xml is no Pascal-VOC annotation .* Mend or remove it"
    ):
        open_source(tmp_path)


def test_an_object_without_a_name_makes_no_class_without_a_name(tmp_path):
    picture(tmp_path, "cat.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "dog.jpg", ("dog", 0, 0, 5, 5))
    picture(tmp_path, "eel.jpg", (" ", 0, 0, 5, 5))
    with pytest.raises(ValueError, match=r"eel\.xml"):
        open_source(tmp_path)


def test_objects_of_one_class_are_refused(tmp_path):
    picture(tmp_path, "1.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "2.jpg", ("cat", 0, 0, 5, 5))
    with pytest.raises(
        ValueError, match="annotations tells of objects of 1 classes; at least 2 are needed"
    ):
        open_source(tmp_path)


def test_class_folders_that_are_called_so_but_hold_no_xml_are_class_folders(tmp_path):
    for name in ("images", "annotations"):
        save(tmp_path / name / "1.png", noise(4, 4))
    assert open_source(tmp_path).classes == ("annotations", "images")


def test_boxes_of_pictures_go_into_the_records_with_their_own_labels(tmp_path):
    for i in range(2):
        picture(tmp_path / "in", f"cat{i}.jpg", ("cat", 0, 0, 25, 20), ("dog", 5, 4, 10, 8))
        picture(
            tmp_path / "in", f"dog{i}.jpg", ("dog", 0, 0, 25, 20), ("cat", 5, 4, 10, 8), size=None
        )
    write(open_source(tmp_path / "in"), tmp_path / "out", progress=False)
    stored = examples(tmp_path / "out", "train") | examples(tmp_path / "out", "validation")
    large, small = (0, 0, 0.5, 0.5), (0.1, 0.1, 0.2, 0.2)
    assert {name: record_boxes(example) for name, example in stored.items()} == {
        **{f"images/cat{i}.jpg": [(0, "cat", *large), (1, "dog", *small)] for i in range(2)},
        **{f"images/dog{i}.jpg": [(1, "dog", *large), (0, "cat", *small)] for i in range(2)},
    }


@real_data
def test_the_real_kangaroos_and_raccoons_are_told_apart_by_their_annotations():
    source = open_source(Path(DATA, "boxes-2class"))
    assert source.classes == ("kangaroo", "raccoon")
    named = train_and_validation(source)
    assert set(named) == set(os.listdir(Path(DATA, "boxes-2class", "images")))
    assert all(name.startswith(label) for name, label in named.items())
