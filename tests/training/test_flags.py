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


def test_a_profile_inherits_no_weights_and_needs_none():
    words = ["--data", "digits", "--inherit", "missing.h5"]
    with pytest.raises(FileNotFoundError, match=r"Received: missing\.h5"):
        flags.parse(words, check_inherit=True)
    parsed, _ = flags.parse([*words, "--profile", "3"], check_inherit=True)
    assert parsed.profile == 3
