"""Shards that several processes read."""

import pytest

from tests.making import noise, save
from tests.runtime.making_processes import TEST, TRAIN
from vgg_tf.data import opening
from vgg_tf.writing.write import write


@pytest.fixture(scope="module")
def shards(once):
    """Return images of three classes in two shards.

    Of three processes, two read one shard each, and one reads both.
    """

    def make(folder):
        for split, n in (("train", TRAIN), ("val", 4), ("test", TEST)):
            for i in range(n):
                save(
                    folder / "files" / split / ("ant", "bee", "cow")[i % 3] / f"{i}.png",
                    noise(16, 16, i),
                )
        write(
            opening.open_source(str(folder / "files")), folder / "shards", shards=2, progress=False
        )

    return str(once("two_shards", make) / "shards")
