"""The competition's folder is read unchanged, and missing parts are reported."""

import numpy as np
import pytest

from tests.data.making_annotated import (
    DOG,
    FROM_TABLE,
    FROM_XML,
    GOLDFISH,
    SYNSETS,
    TENCH,
    VAL,
    annotate,
    boxes,
    labeled,
    put,
    shares,
    solution,
    upload,
    val_name,
)
from tests.making import noise, save
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection
from vgg_tf.runtime import files


def check_all(source, below, places, notes=()):
    """Check that a source has the images of the fixture.

    Args:
        source: the source.
        below: prefix of its names.
        places: folder that its names are relative to.
        notes: what is noted about other files.
    """
    assert source.classes == tuple(SYNSETS)
    assert source.texts == tuple(SYNSETS.values())
    assert set(source.splits) == {"train", "validation"}
    assert labeled(source, "train") == {
        f"{synset}_{n}.JPEG": synset for synset in SYNSETS for n in (18, 36, 2, 117)
    }
    assert labeled(source, "validation") == {
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
    assert source.notes == (*notes, "the competition's test images have no labels: left out")


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("folder", ["", "ILSVRC"])
def test_the_competition_is_read_from_its_folder_or_from_ilsvrc_in_it(kaggle, folder, slash):
    check_all(
        open_source(str(kaggle / folder) + slash), "" if folder else "ILSVRC/", kaggle / folder
    )


@pytest.mark.parametrize(
    ("here", "name"),
    [("", "ILSVRC"), ("", "ILSVRC/"), ("", "."), ("", "./ILSVRC"), ("ILSVRC", ".")],
)
def test_the_competition_is_found_from_the_current_folder(kaggle, monkeypatch, here, name):
    monkeypatch.chdir(kaggle / here)
    check_all(
        open_source(name), "ILSVRC/" if (here, name) == ("", ".") else "", kaggle / here / name
    )


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("folder", ["", "/ILSVRC"])
def test_the_competition_is_the_same_on_a_remote_file_system(kaggle, tmp_path, folder, slash):
    remote = f"ram://{tmp_path.name}/kaggle"
    upload(kaggle, remote)
    there = open_source(f"{remote}{folder}{slash}")
    check_all(there, "" if folder else "ILSVRC/", kaggle / folder.strip("/"))
    assert there.fingerprint() == open_source(f"{kaggle}{folder}").fingerprint()


def test_tables_may_have_windows_line_ends(kaggle):
    for name in ("LOC_synset_mapping.txt", "LOC_val_solution.csv"):
        put(kaggle / name, (kaggle / name).read_text().replace("\n", "\r\n"))
    check_all(open_source(kaggle), "ILSVRC/", kaggle)


def test_hidden_files_and_files_that_are_not_images_are_counted(kaggle):
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
    others = (
        "not images in train/: 1 .tar",
        "skipped in train/: 2 hidden folders, 1 .DS_Store, 1 ._*",
        "not images in val/: 1 .txt",
        "skipped in val/: 1 hidden file",
    )
    check_all(open_source(kaggle), "ILSVRC/", kaggle, others)
    (data / "train" / "n00000000").mkdir()
    assert open_source(kaggle).notes[0] == "1 folder without images in train/: n00000000"


def test_xml_has_priority_over_the_table(kaggle):
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
def test_train_without_xml_and_table_has_no_boxes(kaggle, empty):
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
    assert labeled(source, "train").keys() == FROM_XML.keys()


def test_missing_validation_images_are_noted(kaggle):
    for i in (1, 4):
        (kaggle / "ILSVRC/Data/CLS-LOC/val" / f"{val_name(i)}.JPEG").unlink()
    source = open_source(kaggle)
    assert labeled(source, "validation") == {f"{val_name(i)}.JPEG": VAL[i] for i in (2, 3, 5)}
    assert boxes(source, "validation") == {
        name: rows for name, rows in FROM_TABLE.items() if name[-6] in "235"
    }
    assert source.notes[0] == "2 of 5 validation images of the table are missing"


def test_a_validation_image_missing_in_the_table_is_reported(kaggle):
    for i in (6, 7):
        save(kaggle / "ILSVRC/Data/CLS-LOC/val" / f"{val_name(i)}.JPEG", noise(4, 4))
    with pytest.raises(
        ValueError,
        match=(
            r"LOC_val_solution\.csv must name the class of every file in .*val\. "
            r"Received: 2 files without a class, first .*val_00000006\.JPEG"
        ),
    ):
        open_source(kaggle)


def test_a_synset_missing_in_the_mapping_is_reported_only_if_selected(kaggle):
    put(
        kaggle / "LOC_synset_mapping.txt",
        f"{TENCH} tench, Tinca tinca\n{GOLDFISH} goldfish, Carassius auratus\n",
    )
    with pytest.raises(
        ValueError, match=rf"LOC_synset_mapping\.txt must name .* Received: no line for {DOG}\."
    ):
        open_source(kaggle)
    assert open_source(kaggle, Selection(prefix="n01")).classes == (TENCH, GOLDFISH)


def test_synsets_of_the_mapping_without_images_add_no_classes(kaggle):
    with (kaggle / "LOC_synset_mapping.txt").open("a") as file:
        file.write("n15075141 toilet tissue, toilet paper, bathroom tissue\n")
    check_all(open_source(kaggle), "ILSVRC/", kaggle)


def test_validation_images_of_classes_without_train_images_are_left_out_with_a_note(kaggle):
    for path in (kaggle / "ILSVRC/Data/CLS-LOC/train" / GOLDFISH).iterdir():
        path.unlink()
    source = open_source(kaggle)
    assert source.classes == (TENCH, DOG)
    assert source.texts == (SYNSETS[TENCH], SYNSETS[DOG])
    assert labeled(source, "validation") == {
        f"{val_name(i)}.JPEG": synset for i, synset in VAL.items() if synset != GOLDFISH
    }
    assert any("1 of 5 validation images" in note for note in source.notes)


def test_a_prefix_selects_its_synsets_and_does_not_list_the_others(kaggle, monkeypatch):
    walked, walk = [], files.walk
    monkeypatch.setattr(files, "walk", lambda folder: walked.append(folder) or walk(folder))
    source = open_source(kaggle, Selection(prefix="n01"))
    assert (source.classes, source.texts) == (
        (TENCH, GOLDFISH),
        (SYNSETS[TENCH], SYNSETS[GOLDFISH]),
    )
    assert set(labeled(source, "train").values()) == {TENCH, GOLDFISH}
    assert labeled(source, "validation") == {
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
    # The selection equals one by name, and differs from the whole source.
    assert (
        source.fingerprint()
        == open_source(kaggle, Selection(classes=(GOLDFISH, TENCH))).fingerprint()
    )
    assert source.fingerprint() != open_source(kaggle).fingerprint()


def test_without_annotations_train_has_the_boxes_of_its_table(kaggle):
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
    assert labeled(source, "train").keys().isdisjoint(labeled(source, "validation"))
    assert sorted(source.splits["validation"].labels) == [0, 1, 2]


@pytest.mark.parametrize(
    "lost", ["LOC_synset_mapping.txt", "LOC_val_solution.csv", "ILSVRC/Data/CLS-LOC/train"]
)
def test_a_missing_table_or_train_folder_is_reported(kaggle, lost):
    (kaggle / lost).rename(kaggle / "elsewhere")
    with pytest.raises(FileNotFoundError, match=lost):
        open_source(kaggle)


def test_a_mapping_that_is_not_text_is_reported(kaggle):
    (kaggle / "LOC_synset_mapping.txt").write_bytes(b"\x1f\x8b\x08\xff")
    with pytest.raises(ValueError, match=r"LOC_synset_mapping\.txt"):
        open_source(kaggle)


def test_a_single_synset_is_refused(kaggle):
    for synset in (GOLDFISH, DOG):
        (kaggle / "ILSVRC/Data/CLS-LOC/train" / synset).rename(kaggle / synset)
    with pytest.raises(
        ValueError, match=r"train must have images of at least 2 classes\. Received: 1\."
    ):
        open_source(kaggle)
