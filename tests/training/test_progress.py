"""The duration of a whole training is estimated once, after a few steps."""

import pytest

from vgg_tf.paper.recipes import Recipe
from vgg_tf.training import progress


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (29.6, "30 s"),
        (31, "1 min"),
        (59 * 60, "59 min"),
        (3600, "1 h 0 min"),
        (12_000, "3 h 20 min"),
        (47 * 3600 + 59 * 60, "47 h 59 min"),
        (48 * 3600, "2 days 0 h"),
        (100 * 3600, "4 days 4 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds, words):
    assert progress.format_duration(seconds) == words


def test_the_estimate_of_more_than_two_days_says_what_to_change():
    assert "more than two days" not in progress.format_estimate(progress.LONG, 74)
    line = progress.format_estimate(progress.LONG + 1, 74)
    assert line.startswith("about 2 days 0 h for 74 epochs at this throughput; finished epochs are")
    for word in ("TPU", "--epochs", "--width", "--size", "--arch"):
        assert word in line


def test_the_estimate_counts_all_remaining_epochs_and_is_printed_once():
    lines = []
    watch = progress.Watch(
        2, Recipe(epochs=5), 100, 8, False, lambda seconds: None, 0.0, lines.append
    )
    watch.on_train_begin()
    watch.first, watch.last = (10.0, 1), (14.0, 21)
    watch.on_train_batch_begin(21)
    assert lines == []  # too early
    watch.last = (20.0, 41)
    watch.on_train_batch_begin(41)
    watch.last = (30.0, 81)
    watch.on_train_batch_begin(81)
    watch.on_train_end()
    # 3 epochs of 100 steps minus 41 finished steps, a quarter of a second each: 65 s.
    assert lines == ["about 1 min for 3 epochs at this throughput; finished epochs are kept"]
