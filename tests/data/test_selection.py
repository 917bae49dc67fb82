"""A selection takes what it says, always the same, and numbers the classes again."""

import json
import re
from dataclasses import asdict

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.data.making_selections import counts, fill
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import EVERYTHING, Selection, draw_limited
from vgg_tf.records.splits import Source, Split


def rows(source):
    """Every image: its split, name, class, bytes, and the boxes that are given for it."""
    return {
        (split, name, source.classes[label], content, str(boxes))
        for split, part in source.splits.items()
        for name, label, content, boxes in zip(
            part.names, part.labels, part.contents, part.boxes or [None] * len(part), strict=True
        )
    }


@pytest.fixture
def made():
    """Four classes, 12 images of each to train and 5 to test, shuffled; every image tells by its
    bytes what it is.
    """
    classes = ("n01a", "n01b", "n02a", "n02b")
    splits = {}
    for split, n in (("train", 12), ("test", 5)):
        labels = np.random.default_rng(n).permutation(np.repeat(np.arange(4), n))
        names = [f"{split}/{i:02d}" for i in range(4 * n)]
        contents = [f"{split} {i} {classes[label]}".encode() for i, label in enumerate(labels)]
        boxes = [
            [(classes[label], i, i, i + 1, i + 1)] if i % 3 else None
            for i, label in enumerate(labels)
        ]
        splits[split] = Split(names, labels, contents, boxes)
    return Source("made", classes, splits, ("a note",), ("first", "second", "third", "fourth"))


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), ["n01a", "n01b", "n02a", "n02b"]),
        (Selection(prefix="n02"), ["n02a", "n02b"]),
        (Selection(classes=("n02b", "n01a")), ["n01a", "n02b"]),  # in the source's order
        (Selection(classes=("n02b", "n01a", "n02b")), ["n01a", "n02b"]),
        (Selection(classes=("n01a", "n02a", "n02b"), prefix="n02"), ["n02a", "n02b"]),  # both hold
    ],
)
def test_the_classes_that_are_taken_keep_their_images_words_and_boxes_under_new_numbers(
    made, selection, taken
):
    part = selection.apply(made)
    assert part.classes == tuple(taken)
    assert dict(zip(part.classes, part.texts, strict=True)) == {
        name: text for name, text in zip(made.classes, made.texts, strict=True) if name in taken
    }
    assert rows(part) == {row for row in rows(made) if row[2] in taken}
    for split, images in part.splits.items():
        assert images.labels.dtype == np.int64
        assert images.names == [
            name for name in made.splits[split].names if name in images.names
        ]  # the order stays
    assert part.notes == made.notes


def test_a_source_without_words_for_its_classes_gets_none(made):
    plain = Source(made.name, made.classes, made.splits)
    assert Selection(prefix="n01").apply(plain).texts == ()


@pytest.mark.parametrize("prefix", ["", "c", "do"])
def test_a_name_is_taken_if_it_begins_with_the_prefix(prefix):
    selection = Selection(prefix=prefix)
    assert [name for name in ("cat", "dog", "doe", "Cow", "") if selection.takes(name)] == {
        "": ["cat", "dog", "doe", "Cow", ""],
        "c": ["cat"],
        "do": ["dog", "doe"],
    }[prefix]


def test_only_the_selection_of_everything_is_false():
    assert not Selection()
    assert not EVERYTHING
    for values in (
        {"classes": ("a",)},
        {"prefix": "a"},
        {"limit_per_class": 1},
        {"labels_from": 0},
        {"labels_from": 1},
        {"hold_out": 0.0},
    ):
        assert Selection(**values)


@pytest.mark.parametrize(
    "selection", [EVERYTHING, Selection(("b", "a"), "n", 7, 1), Selection(labels_from=0)]
)
def test_a_selection_comes_back_from_json_as_it_was(selection):
    back = Selection.from_json(json.loads(json.dumps(asdict(selection))))
    assert back == selection
    assert hash(back) == hash(selection)


def test_the_digits_that_are_taken_are_those_of_scikit_learn():
    source = open_source("digits", Selection(classes=("7", "3", "9")))
    theirs = load_digits()
    assert source.classes == ("3", "7", "9")
    seen = []
    for part in source.splits.values():
        for name, label in zip(part.names, part.labels, strict=True):
            seen.append(int(re.search(r"/(\d+)\.png", name)[1]))
            assert theirs.target[seen[-1]] == (3, 7, 9)[label]
    assert sorted(seen) == np.flatnonzero(np.isin(theirs.target, (3, 7, 9))).tolist()


@pytest.mark.parametrize("limit", [1, 2, 5, 8, 12, 13, 1000])
def test_each_class_of_each_split_has_as_many_images_as_it_may_and_there_are(made, limit):
    part = Selection(limit_per_class=limit).apply(made)
    assert counts(part) == {
        "train": dict.fromkeys(made.classes, min(limit, 12)),
        "test": dict.fromkeys(made.classes, min(limit, 5)),
    }
    assert rows(part) <= rows(made)


def test_the_images_of_a_limit_are_drawn_by_chance_from_all_of_the_class():
    labels = np.repeat([0, 1], 200)
    drawn = draw_limited(labels, 50)
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert np.bincount(labels[drawn]).tolist() == [50, 50]
    for first, of_class in ((0, drawn[:50]), (200, drawn[50:])):
        # The mean of 50 of 200 numbers by chance has a standard deviation of 7.1; neither the
        # first, the last, nor each fourth.
        assert abs(of_class.mean() - first - 99.5) < 30
        assert len(set(np.diff(of_class))) > 3
    assert set(drawn[:50]) != {i - 200 for i in drawn[50:]}


@pytest.mark.parametrize("limit", [-1, -100])
def test_a_limit_below_zero_is_refused(tmp_path, limit):
    with pytest.raises(ValueError, match=rf"limit.per.class.*{limit}"):
        open_source(fill(tmp_path, a=4, b=4), Selection(limit_per_class=limit))


def test_of_many_classes_that_there_are_ten_are_listed(made):
    classes = tuple(f"c{i:02d}" for i in range(13))
    many = Source(
        "many", classes, {"train": Split([f"{i}" for i in range(13)], np.arange(13), [b""] * 13)}
    )
    with pytest.raises(
        ValueError, match=r"^many has no class dog\. It has c00, .*, c09 and 3 more\.$"
    ):
        Selection(classes=("c00", "dog")).apply(many)


@pytest.mark.parametrize(
    "selection",
    [Selection(prefix="n9"), Selection(classes=("n01a",)), Selection(("n01a", "n01b"), "n02")],
)
def test_fewer_than_two_classes_are_refused(made, selection):
    with pytest.raises(
        ValueError,
        match=r"^[01] classes of made are chosen; at least 2 are needed\. Choose more\.$",
    ):
        selection.apply(made)
