"""A selection takes its classes and images, always the same, and renumbers the labels."""

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
    """Return the split, name, class, bytes and boxes of each image."""
    return {
        (split, name, source.classes[label], content, str(boxes))
        for split, part in source.splits.items()
        for name, label, content, boxes in zip(
            part.names, part.labels, part.contents, part.boxes or [None] * len(part), strict=True
        )
    }


@pytest.fixture
def made():
    """Four classes with 12 train and 5 test images each, shuffled, with distinct bytes."""
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
        (Selection(classes=("n02b", "n01a")), ["n01a", "n02b"]),  # the order of the source
        (Selection(classes=("n02b", "n01a", "n02b")), ["n01a", "n02b"]),
        (
            Selection(classes=("n01a", "n02a", "n02b"), prefix="n02"),
            ["n02a", "n02b"],
        ),  # both conditions hold
    ],
)
def test_selected_classes_keep_images_descriptions_and_boxes_with_new_labels(
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
        ]  # the order does not change
    assert part.notes == made.notes


def test_a_source_without_descriptions_of_classes_gets_none(made):
    plain = Source(made.name, made.classes, made.splits)
    assert Selection(prefix="n01").apply(plain).texts == ()


@pytest.mark.parametrize("prefix", ["", "c", "do"])
def test_a_prefix_selects_the_names_that_begin_with_it(prefix):
    selection = Selection(prefix=prefix)
    assert [name for name in ("cat", "dog", "doe", "Cow", "") if selection.takes(name)] == {
        "": ["cat", "dog", "doe", "Cow", ""],
        "c": ["cat"],
        "do": ["dog", "doe"],
    }[prefix]


def test_only_the_default_selection_is_false():
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
def test_a_selection_is_unchanged_after_json(selection):
    back = Selection.from_json(json.loads(json.dumps(asdict(selection))))
    assert back == selection
    assert hash(back) == hash(selection)


def test_selected_digits_are_those_of_scikit_learn():
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
def test_a_limit_bounds_the_images_of_each_class_in_each_split(made, limit):
    part = Selection(limit_per_class=limit).apply(made)
    assert counts(part) == {
        "train": dict.fromkeys(made.classes, min(limit, 12)),
        "test": dict.fromkeys(made.classes, min(limit, 5)),
    }
    assert rows(part) <= rows(made)


def test_a_limit_draws_images_at_random_from_the_whole_class():
    labels = np.repeat([0, 1], 200)
    drawn = draw_limited(labels, 50)
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert np.bincount(labels[drawn]).tolist() == [50, 50]
    for first, of_class in ((0, drawn[:50]), (200, drawn[50:])):
        # The mean of 50 random numbers of 200 has a standard deviation of 7.1. This excludes the
        # first or last 50; the differences exclude every fourth.
        assert abs(of_class.mean() - first - 99.5) < 30
        assert len(set(np.diff(of_class))) > 3
    assert set(drawn[:50]) != {i - 200 for i in drawn[50:]}


@pytest.mark.parametrize("limit", [-1, -100])
def test_a_limit_below_zero_is_refused(tmp_path, limit):
    with pytest.raises(ValueError, match=rf"limit.per.class.*{limit}"):
        open_source(fill(tmp_path, a=4, b=4), Selection(limit_per_class=limit))


def test_an_unknown_class_is_refused_with_a_list_of_ten_classes(made):
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
        match=r"^At least 2 classes of made must be selected\. Received: [01]\. Select more\.$",
    ):
        selection.apply(made)
