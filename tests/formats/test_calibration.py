"""Int8 is calibrated on other pictures than those of the comparison."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.formats.making_networks import network_of
from vgg_tf.evaluation import checkpoint
from vgg_tf.formats import calibration
from vgg_tf.functions import exporting

pytestmark = pytest.mark.usefixtures("table")


def greys(folder, levels):
    """Make pictures with one gray level each."""
    folder.mkdir(parents=True)
    for level in levels:
        Image.fromarray(np.full((32, 32, 3), level, np.uint8)).save(folder / f"{level:03d}.png")
    return str(folder)


def levels_of(views):
    """Return the gray levels of the views that have only one."""
    return [int(view.min()) for view in views if view.min() == view.max()]


@pytest.mark.parametrize(("n", "others"), [(30, 20), (12, 7), (5, 0)])
def test_int8_is_calibrated_on_100_pictures_that_are_not_compared(
    n, others, file, tmp_path, monkeypatch
):
    opened = checkpoint.open_checkpoint(file)
    assert calibration.CALIBRATION == 100
    monkeypatch.setattr(calibration, "CALIBRATION", 20)  # each view takes milliseconds
    flags = exporting.ExportFlags("", pictures=greys(tmp_path / "pictures", range(n)), n=5)
    compared, where, learnt, told = calibration.choose_views(
        flags, opened, network_of(tmp_path), True
    )
    assert (len(levels_of(compared)), len(levels_of(learnt)), where) == (5, others, flags.pictures)
    assert len({*levels_of(compared), *levels_of(learnt)}) == 5 + others
    assert learnt.shape == (20, 32, 32, 3)
    assert (f"{20 - others} views of two photographs" in told) == (others < 20)


def test_int8_is_calibrated_on_the_training_pictures_if_they_exist(file, tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "CALIBRATION", 40)
    for split, first in (("train", 0), ("test", 200)):
        for i, name in enumerate("ab"):
            greys(tmp_path / "data" / split / name, range(first + 20 * i, first + 20 * i + 20))
    opened = replace(checkpoint.open_checkpoint(file), data=str(tmp_path / "data"))
    network, pictures = network_of(tmp_path), greys(tmp_path / "pictures", range(100, 110))
    for flags, least, most in (
        (exporting.ExportFlags("", n=4), 200, 239),
        (exporting.ExportFlags("", pictures=pictures, n=4), 100, 109),
    ):
        compared, _, learnt, told = calibration.choose_views(flags, opened, network, True)
        assert all(least <= level <= most for level in levels_of(compared))
        assert len(levels_of(compared)) == 4
        assert len(set(levels_of(learnt))) == 36  # a tenth is held out
        assert max(levels_of(learnt)) < 40
        assert told.startswith(f"36 views of {opened.data}, train and 4 views of ")
