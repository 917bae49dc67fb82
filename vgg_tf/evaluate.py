"""Test a trained run: `python -m vgg_tf.evaluate RUN`, on the centre crop of each image."""

import time
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from vgg_tf import hosts, programs
from vgg_tf.devices import StrategyName, choose, settle
from vgg_tf.records import Collection, holds_shards
from vgg_tf.selection import EVERYTHING


@dataclass(frozen=True)
class Flags:
    """Top-1 and top-5 error of a run's best network; every image counts once."""

    run: Annotated[str, tyro.conf.Positional]
    """Run folder of python -m vgg_tf.train."""
    data: str | None = None
    """A folder of shards or of class folders, or `digits`; the run's own data by default."""
    split: str = "test"
    """train, validation or test."""
    scale: int = 0
    """Smaller side of the rescaled image, Q, in pixels; 0 is the recipe's."""
    batch_size: int = 0
    """Images a batch; 0 is the recipe's."""
    strategy: StrategyName = "auto"
    """Where to test, in the precision of the training; auto is the first of tpu, gpu, cpu that is there."""
    together: Annotated[hosts.Hosts, tyro.conf.arg(name="")] = field(default_factory=hosts.Hosts)


def main(arguments=None):
    """Load the best network, test it, print the closing line."""
    flags = tyro.cli(Flags, args=arguments, prog="python -m vgg_tf.evaluate")

    together = flags.together.told()
    settle(flags.strategy, several=together.processes > 1)
    programs.quiet_tensorflow()

    from vgg_tf import runs, sources

    run = runs.read_run(flags.run)
    name, selection = (flags.data, EVERYTHING) if flags.data else (run.settings.data, run.settings.selection)
    data = Collection.read(name) if holds_shards(name) and not selection else sources.open_source(name, selection)
    if data.classes != (trained := run.collection().classes):
        raise ValueError(
            f"{run.folder} knows {len(trained)} classes, {name} has {len(data.classes)} others. Give the same classes."
        )
    n = data.images(flags.split)
    source = name if isinstance(data, Collection) else data
    together.join()
    devices = choose(flags.strategy)
    devices.agree(
        run.settings.fingerprint,
        data.fingerprint if isinstance(data, Collection) else data.fingerprint(),
        flags.split,
        flags.scale,
        flags.batch_size,
    )

    from vgg_tf import datasets, training

    recipe = run.settings.recipe
    batch = -(-(flags.batch_size or recipe.batch_size) // devices.replicas) * devices.replicas
    batches = datasets.load_dataset(
        source, flags.split, training=False, batch_size=batch, size=recipe.size,
        scale=flags.scale or recipe.evaluation_scale, part=devices.part,
    )  # fmt: skip
    with devices.scope(), datasets.naming_the_unreadable(source):
        scores = training.scores_of(run.load_best())
        training.compile_scores(scores)
        start = time.perf_counter()
        errors = training.evaluate(scores, batches)
    seconds = time.perf_counter() - start
    if not devices.process:
        print(
            f"{flags.split} top-1 error {errors['top1_error']:.2f} %, top-5 {errors['top5_error']:.2f} %, "
            f"loss {errors['loss']:.4f}, n={n:,}, {seconds:.0f} s, {n / seconds:.0f} images/s"
        )


if __name__ == "__main__":
    hosts.run("vgg_tf.evaluate", main)
