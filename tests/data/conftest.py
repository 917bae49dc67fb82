"""Shards and folders that several test files use."""

import shutil
from pathlib import Path

import pytest

from tests.data.making_annotated import (
    DOG,
    HEIGHT,
    SYNSETS,
    TABLE,
    TENCH,
    VAL,
    WIDTH,
    annotate,
    put,
    solution,
    val_name,
)
from tests.data.making_passes import TEST, TRAIN, picture
from tests.data.making_shards import slim_folder
from tests.data.making_zoo import CHECK, make_zoo, quietly
from tests.making import noise, save
from vgg_tf.data.opening import open_source
from vgg_tf.writing import encoding
from vgg_tf.writing.write import write


@pytest.fixture
def kaggle(tmp_path):
    """The competition's folder: 3 synsets of 4 train images, 5 validation and 2 test images.

    Only train has XML.
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
    # Files that must be ignored if there is XML: other boxes of the train images, and lists.
    wrong = {f"{TENCH}_{n}": [(DOG, 1, 2, 3, 4)] for n in (18, 36, 2, 117)}
    put(root / "LOC_train_solution.csv", solution(wrong))
    put(
        root / "LOC_sample_submission.csv",
        solution({"ILSVRC2012_test_00000001": [(DOG, 1, 2, 3, 4)]}),
    )
    put(root / "ILSVRC" / "ImageSets" / "CLS-LOC" / "train_cls.txt", f"{TENCH}/{TENCH}_18 1\n")
    return root


@pytest.fixture
def traced_once(monkeypatch):
    """The graph that encodes images is traced only once for all tests."""
    monkeypatch.setattr(encoding, "prepare", CHECK)


@pytest.fixture
def zoo(tmp_path, monkeypatch, traced_once):
    """The images of `make_zoo`, at the same relative path in all tests: shards store the path."""
    monkeypatch.chdir(tmp_path)
    make_zoo(Path("zoo"))
    return Path("zoo")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A read-only folder with `zoo` and, in `out`, its shards (three of train)."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_zoo(Path("zoo"))
        quietly("zoo", "out", shards=3)
    return folder


@pytest.fixture
def written(finished, tmp_path, monkeypatch, traced_once):
    """The shards of a copy of `finished` in the current folder, for one test."""
    monkeypatch.chdir(tmp_path)
    for name in ("zoo", "out"):
        shutil.copytree(finished / name, name)
    return tmp_path / "out"


@pytest.fixture
def boxed(tmp_path, traced_once):
    """Four images of 10 x 10 pixels, each with a box inside, one outside and an empty one."""
    for i in range(4):
        save(tmp_path / "in" / "images" / f"{i}.png", noise(10, 10, i))
        box = (
            "<object><name>{}</name>"
            "<bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>{}</xmax><ymax>5</ymax></bndbox>"
            "</object>"
        )
        # Without a size, the box outside would have an area.
        size = "<size><width>10</width><height>10</height></size>"
        boxes = box.format("ab"[i % 2], 1, 4) + box.format("b", 12, 30) + box.format("a", 3, 3)
        (tmp_path / "in" / "annotations").mkdir(exist_ok=True)
        (tmp_path / "in" / "annotations" / f"{i}.xml").write_text(
            f"<annotation>{size}{boxes}</annotation>"
        )
    return tmp_path / "in"


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """The images of `slim_folder` as our own shards, three of train."""
    root = tmp_path_factory.mktemp("ours")
    write(open_source(slim_folder(root / "slim")), root / "ours", shards=3, progress=False)
    return root / "ours"


@pytest.fixture(scope="module")
def numbered(once):
    """The same images in a folder of files, `zoo`, and in `shards`."""

    def make(root):
        for split, n in (("train", TRAIN), ("val", 2), ("test", TEST)):
            for i in range(n):
                path = (
                    root
                    / "zoo"
                    / split
                    / ("ant", "bee", "cow")[i % 3]
                    / f"{i}.{('jpg', 'png')[i // 3 % 2]}"
                )
                save(path, picture(i, 24 + i, 30 - i % 4))
        write(open_source(str(root / "zoo")), root / "shards", shards=3, progress=False)

    return once("zoo", make)


@pytest.fixture(scope="module")
def folder(numbered):
    """JPEG and PNG files of three classes and several sizes, of at least 24 pixels."""
    return str(numbered / "zoo")


@pytest.fixture(scope="module")
def shards(numbered):
    return str(numbered / "shards")


@pytest.fixture(params=["folder", "shards"])
def source(request):
    """Each kind of source of the same images."""
    return request.getfixturevalue(request.param)
