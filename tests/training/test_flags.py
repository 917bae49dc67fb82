"""Flags that need inherited weights are refused without them, and data are opened once."""

import pytest

from vgg_tf.training import flags


@pytest.mark.parametrize(
    ("word", "value"), [("--inherit-layers", "fc1"), ("--freeze-until", "block4")]
)
def test_flags_that_need_inherited_weights_are_refused_without_them(word, value):
    with pytest.raises(ValueError, match=f"{word} needs the weights of --inherit"):
        flags.parse(["--data", "digits", word, value])


def test_data_are_opened_once_for_all_stages():
    words = ["--arch", "vgg11", "--data", "digits"]
    _, source = flags.parse(words)
    assert flags.parse(words, source)[1] is source
