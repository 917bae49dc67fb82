"""Without checks the records are the same, and colors come from a sample."""

import numpy as np
import pytest

from tests.data.making_zoo import contents, quietly
from vgg_tf.writing import shard_plan


def test_without_checks_records_are_the_same_and_colors_come_from_a_sample(
    zoo, tmp_path, monkeypatch
):
    monkeypatch.setattr(shard_plan, "SAMPLE", 7)
    checked, copied = (quietly(zoo, tmp_path / name, shards=2, check=name == "a") for name in "ab")
    for name in contents(tmp_path / "a"):
        if name != "dataset.json":  # sizes come from the header, so records are the same
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), (
                name
            )
    assert checked.statistics_images == 28
    assert 7 <= copied.statistics_images < 15  # the sample, and images that are encoded again
    np.testing.assert_allclose(copied.mean_rgb, checked.mean_rgb, atol=25)


def test_without_checks_only_files_that_are_not_images_are_found(zoo, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_plan, "SAMPLE", 1)
    for i in range(0, 20, 2):
        path = zoo / "train" / "ant" / f"{i}.png"
        path.write_bytes(path.read_bytes()[:-30])
    (zoo / "train/bee/5.png").write_bytes(b"Dear diary")
    with pytest.raises(
        ValueError, match=r"[12] of 33 images cannot be read"
    ) as raised:  # at most one is in the sample
        quietly(zoo, tmp_path / "out", shards=1, check=False)
    assert "train/bee/5.png: it is not a picture" in str(raised.value)
    with pytest.raises(ValueError, match=r"11 of 33 images cannot be read"):
        quietly(zoo, tmp_path / "checked", shards=1)


def test_shards_written_without_checks_are_not_accepted_as_checked(zoo, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_plan, "SAMPLE", 7)
    collection = quietly(zoo, tmp_path / "out", check=False)
    with pytest.raises(
        FileExistsError,
        match=r"out was written with --no-check: \d+ of 28 training .*tfrecords_tools.verify",
    ):
        quietly(zoo, tmp_path / "out")
    assert quietly(zoo, tmp_path / "out", check=False) == collection
