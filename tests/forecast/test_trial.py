"""A few steps estimate a whole training, even one of a single batch."""

import functools

import pytest

from tests.making import TINY, noise, save, shallow
from vgg_tf.forecast import trial
from vgg_tf.training import probe


@pytest.mark.slow
def test_the_estimate_repeats_the_images_if_they_fill_only_one_batch(tmp_path, monkeypatch):
    # Traces the pipelines of two epochs and the training step: 1.5 s of CPU time.
    for label in "ab":
        for i in range(4):
            save(tmp_path / label / f"{i}.png", noise(40, 40, i))
    monkeypatch.setattr(
        probe, "measure_throughput", functools.partial(probe.measure_throughput, seconds=0.0)
    )
    words = [
        "--arch",
        "shallow",
        "--data",
        str(tmp_path),
        "--size",
        "32",
        "--scale",
        "36",
        "--epochs",
        "3",
        *TINY,
    ]
    with shallow():
        images, speed = trial.time_training(words)
    assert images == 3 * 6, "one of four of each class is held out"
    assert speed > 0
