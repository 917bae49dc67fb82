"""A short timing measures a training, even of one batch."""

import functools

from tests.making import TINY, noise, save, shallow
from vgg_tf.forecast import trial
from vgg_tf.training import probe


def test_the_short_timing_goes_on_where_the_images_make_one_batch_only(tmp_path, monkeypatch):
    # Two epochs, whose pipelines are traced, and the training step: a CPU second and a half.
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
