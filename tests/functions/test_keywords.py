"""Keyword arguments mean what the words of the command line mean."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from vgg_tf import evaluate_network, predict_pictures, train_network
from vgg_tf.functions.keywords import make_words
from vgg_tf.functions.testing import EvaluateFlags, parse_evaluate
from vgg_tf.training.flags import Flags, parse

CASES = [
    ({"arch": "vgg11"}, ["--arch=vgg11"]),
    ({"batch_size": 8, "learning_rate": 0.1}, ["--batch-size=8", "--learning-rate=0.1"]),
    ({"scale": (256, 512)}, ["--scale=256,512"]),
    ({"classes": ["cat", "dog"]}, ["--classes", "cat", "dog"]),
    ({"flip": False, "nesterov": True}, ["--no-flip", "--nesterov"]),
    ({"seed": 0, "out": Path("a b")}, ["--seed=0", "--out=a b"]),
    ({"inherit": None}, []),
]


@pytest.mark.parametrize(("keywords", "words"), CASES, ids=lambda value: str(value))
def test_keywords_are_the_words_of_the_program(keywords, words):
    assert make_words(Flags, "train_network", keywords) == words


def test_words_made_of_keywords_are_parsed_to_these_values():
    keywords = {
        "batch_size": 8,
        "scale": (40, 48),
        "size": 32,
        "flip": False,
        "classes": ["1", "2"],
    }
    flags, _ = parse(make_words(Flags, "train_network", keywords))
    numbers, selection = flags.numbers, flags.selection
    assert (numbers.batch_size, numbers.scale, numbers.flip) == (8, (40, 48), False)
    assert tuple(selection.classes) == ("1", "2")


def test_a_truth_value_is_on_or_off_where_the_flag_has_three_values():
    words = make_words(EvaluateFlags, "evaluate_network", {"flip": True, "skip_bad": True}, "run")
    flags = parse_evaluate(words)
    assert (flags.flip, flags.skip_bad, flags.networks) == ("on", True, ("run",))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: train_network(epoch=3), TypeError, "Received: epoch. Did you mean epochs?"),
        (lambda: evaluate_network("a", banana=1), TypeError, "Received: banana. Its help lists"),
        (
            lambda: evaluate_network("cifar10", protocol="centre"),
            ValueError,
            "of the message above",
        ),
        (lambda: predict_pictures("cifar10", "a.png", top="many"), ValueError, "message above"),
        (lambda: predict_pictures("nosuchrun", "a.png"), FileNotFoundError, "nosuchrun"),
        (lambda: train_network("nosuchfolder"), FileNotFoundError, "nosuchfolder"),
        (lambda: train_network(learning_rate=-1), ValueError, "above 0"),
        (lambda: evaluate_network([]), ValueError, "At least one network"),
    ],
)
def test_arguments_that_cannot_be_meant_are_errors_and_do_not_end_the_process(call, error, match):
    with pytest.raises(error, match=match) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_a_field_that_is_no_flag_is_no_keyword():
    with pytest.raises(TypeError, match="origin"):
        make_words(Flags, "train_network", {"origin": 1})


def test_numbers_for_several_words_are_separate_words():
    @dataclass
    class Some:
        """Some flags.

        Attributes:
            sides: Sides.
        """

        sides: tuple[int, ...] = ()

    assert make_words(Some, "some", {"sides": (1, 2)}) == ["--sides", "1", "2"]
