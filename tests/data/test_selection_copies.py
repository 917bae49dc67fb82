"""Copies of a file stay on one side of the validation split that is drawn from train."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from tests.making import noise, save
from vgg_tf.data.opening import open_source, open_tested
from vgg_tf.data.selection import (
    EVERYTHING,
    HOLD_OUT_RULES,
    Selection,
    draw_groups,
    hold_out_validation,
)
from vgg_tf.records.splits import Source, Split
from vgg_tf.runtime.command_line import list_leaves

SHARES = [0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 0.7, 0.9]


def draw_alone(orders, share):
    """Return what rule 1 draws: the beginning of each order, but not all of a class."""
    numbers = [min(max(1, round(share * len(order))), len(order) - 1) for order in orders]
    return sorted(i for order, n in zip(orders, numbers, strict=True) for i in order[:n].tolist())


def make_orders(random, classes, n):
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, n - classes)])
    return [random.permutation(np.flatnonzero(labels == k)) for k in range(classes)]


@pytest.mark.parametrize("seed", range(200))
def test_groups_stay_together_and_a_larger_share_draws_more(seed):
    random = np.random.default_rng(seed)
    n = int(random.integers(5, 80))
    orders = make_orders(random, int(random.integers(2, 5)), n)
    of_group = random.integers(0, random.integers(1, n + 1), n)
    originals = np.array([np.flatnonzero(of_group == group)[0] for group in of_group])
    before = set()
    for share in SHARES:
        held = set(draw_groups(orders, originals, share).tolist())
        assert before <= held
        for group in np.unique(originals):
            members = set(np.flatnonzero(originals == group).tolist())
            assert members <= held or not members & held
        assert all(set(order.tolist()) - held for order in orders)  # each class keeps an image
        before = held


@pytest.mark.parametrize("seed", range(50))
def test_without_copies_the_images_of_rule_1_are_drawn(seed):
    random = np.random.default_rng(seed)
    n = int(random.integers(5, 300))
    orders = make_orders(random, int(random.integers(1, 6)), n)
    for share in SHARES:
        assert draw_groups(orders, np.arange(n), share).tolist() == draw_alone(orders, share)


def make_source(pictures, copies, classes=3):
    """Return a source in which each class has `pictures`, each of them `copies` times."""
    names, labels, contents = [], [], []
    for label in range(classes):
        for i in range(pictures * copies):
            names.append(f"{label}/{i:03d}.png")
            labels.append(label)
            contents.append(f"{label} {i % pictures}".encode())
    train = Split(names, np.array(labels), contents)
    return Source("zoo", tuple("abcdef"[:classes]), {"train": train})


def straddle(source):
    """Return the contents that are in train and in validation."""
    train, validation = (set(source.splits[split].contents) for split in ("train", "validation"))
    return train & validation


@pytest.mark.parametrize(("pictures", "copies"), [(2, 12), (10, 2), (10, 12), (40, 3)])
def test_copies_are_on_both_sides_by_rule_1_only(pictures, copies):
    source = make_source(pictures, copies)
    assert straddle(hold_out_validation(source, 0.1, 1))
    new = hold_out_validation(source, 0.1)
    assert not straddle(new)
    assert len(new.splits["train"]) + len(new.splits["validation"]) == 3 * pictures * copies
    for label in range(3):  # the share, rounded up to whole groups
        held = (new.splits["validation"].labels == label).sum()
        assert 1 <= held < 0.1 * pictures * copies + copies
    assert new.drawn
    n = 3 * pictures * (copies - 1)
    assert new.notes[1] == (
        f"{n} training images are copies of another one: copies are held out together, or not at "
        "all"
    )


def test_copies_in_several_classes_stay_together():
    source = make_source(20, 1)
    train = source.splits["train"]
    contents = [content[2:] for content in train.contents]  # the same 20 in each class
    source = replace(source, splits={"train": replace(train, contents=contents)})
    new = hold_out_validation(source, 0.1)
    assert not straddle(new)
    assert np.bincount(new.splits["validation"].labels).tolist() == [2, 2, 2]


def test_nothing_is_held_out_of_classes_of_one_picture():
    new = hold_out_validation(make_source(1, 5), 0.5)
    assert "validation" not in new.splits
    assert new.notes == (
        "each class has one picture and its copies: nothing can be held out for validation, so "
        "training has no validation",
    )


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_both_rules_make_the_same_source_without_copies(share):
    old, new = (hold_out_validation(make_source(23, 1), share, rule) for rule in HOLD_OUT_RULES)
    assert old.fingerprint() == new.fingerprint()
    assert old.notes == new.notes


def test_the_rule_is_stored_and_its_absence_means_rule_1():
    values = json.loads(json.dumps(asdict(Selection())))
    assert values["hold_out_rule"] == 2
    assert Selection.from_json(values).hold_out_rule == 2
    del values["hold_out_rule"]
    old = Selection.from_json(values)
    assert old.hold_out_rule == 1
    assert replace(old, hold_out=0.5).hold_out_rule == 1
    assert not old  # shards are taken whole, as by the default
    assert old == EVERYTHING


def test_an_unknown_rule_is_refused():
    with pytest.raises(
        ValueError, match=r"must be one of \(1, 2\)\. Received: 3\. Use the version"
    ):
        Selection(hold_out_rule=3)


def test_the_rule_is_no_flag():
    assert "hold_out" in {leaf.name for leaf in list_leaves(Selection, None)}
    assert "hold_out_rule" not in {leaf.name for leaf in list_leaves(Selection, None)}


@pytest.mark.parametrize("rule", HOLD_OUT_RULES)
def test_a_network_is_tested_on_the_images_that_its_own_rule_held_out(tmp_path, rule):
    for label in "ab":
        for i in range(20):
            path = tmp_path / label / f"{i:02d}.png"
            save(path, noise(4, 4, ord(label) + 99 * (i % 10)))
    whole = open_source(str(tmp_path), Selection(hold_out=0))
    expected = [hold_out_validation(whole, 0.1, each).splits["validation"] for each in (1, 2)]
    assert expected[0].names != expected[1].names
    tested = open_tested("validation", [Selection(hold_out_rule=rule)], str(tmp_path))
    assert tested.splits["validation"].names == expected[rule - 1].names
