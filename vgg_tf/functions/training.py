"""train_network: a training run, from its flags to its result."""

import os
from dataclasses import dataclass, fields
from typing import Any

from vgg_tf.functions.keywords import make_words, raising
from vgg_tf.functions.results import Result
from vgg_tf.records.collection import COLLECTION_FILE
from vgg_tf.runtime import files
from vgg_tf.runtime.devices import choose
from vgg_tf.training.flags import Flags, parse
from vgg_tf.training.inheriting import read_inherited_weights
from vgg_tf.training.session import format_result, train_and_test
from vgg_tf.weights import hub


@dataclass(frozen=True, repr=False)
class Training(Result):
    """A finished training run.

    Attributes:
        folder: The run folder.
        arch: Name of the architecture.
        split: Split of the errors: test, or validation without one; None without both.
        n: Number of its images.
        top1_error: Error of the best network on center crops, in %; None if it was not tested.
        top5_error: Share of images whose class is not among the five most likely, in %; or None.
        mean_class_recall: 0..1, where the classes of the split are unequal; else None.
        epochs: Number of epochs.
        best_epoch: Epoch of the best network, from 1.
        seconds: Duration of the training.
        images_per_second: Throughput of the training.
    """

    folder: str
    arch: str
    split: str | None
    n: int
    top1_error: float | None
    top5_error: float | None
    mean_class_recall: float | None
    epochs: int
    best_epoch: int
    seconds: float
    images_per_second: float

    def __str__(self):
        known = {name: value for name, value in vars(self).items() if value is not None}
        return f"{format_result({'split': None, **known})}; {self.folder}"

    def load(self):
        """Return the best network, as a Keras model from raw RGB to probabilities."""
        from vgg_tf.runs.run_folder import read_run

        return read_run(self.folder).load_best()


def train_network(data: str | os.PathLike[str] = "digits", **options: Any) -> Training:
    """Train a network, test it, and write a run folder, as `python -m vgg_tf.train` does.

    A second call continues an interrupted run, and returns the result of a finished one.

    Args:
        data: Images: a folder of shards or of class folders, `tfds:NAME`, or `"digits"`.
        **options: The other flags of the program, with underscores, such as `arch="vgg16"`,
            `inherit="cifar10"`, `epochs=20`, `scale=(256, 512)`, `flip=False` or `out="run"`. See
            `python -m vgg_tf.train --help`.

    Returns:
        The `Training`.

    Raises:
        TypeError: The program has no flag of this name.
        ValueError: A value cannot be meant, or the data cannot be read.
        FileNotFoundError: The data or the weights to inherit do not exist.
    """
    words = make_words(Flags, "train_network", {"data": data, **options})
    with raising("train_network"):
        flags, source = parse(words, check_inherit=True)
    return run_training(flags, source, words)


def run_training(flags, source, words=None):
    """Train and test the network that the flags describe.

    Args:
        flags: `training.flags.Flags`.
        source: The opened `splits.Source`.
        words: The words of the command line, for `result.json`; None takes those of this process.

    Returns:
        A `Training`; None in a process that only helps the first one.

    Raises:
        ValueError: The flags do not fit the devices or the data.
    """
    recipe, out = flags.numbers, flags.folder
    flags.together.complete().join()
    devices = choose(flags.strategy, flags.precision)
    # Connects the processes now. Later, one that is half a minute late would be dropped.
    devices.wait("all here")
    if devices.engine == "tensorflow" and devices.distribution and recipe.accumulate > 1:
        raise ValueError(
            "--accumulate must be 1 on several devices of TensorFlow, where Keras cannot "
            f"accumulate. Received: --accumulate {recipe.accumulate}. Use one device, or JAX."
        )

    from vgg_tf.runs import run_folder
    from vgg_tf.runs.resuming import keep_contents
    from vgg_tf.runs.settings import Settings

    weights, inherit = read_inherited_weights(flags, out)
    shards = source.collection
    settings = Settings(
        flags.arch,
        flags.place,
        shards.fingerprint if shards else source.fingerprint(),
        devices.policy,
        recipe,
        flags.selection,
        weights.source if weights and hub.is_hub_name(weights.source) else flags.inherit,
        inherit,
        flags.inherit_layers,
    )
    if devices.process:
        devices.wait("run folder")
    with run_folder.open_run(out, settings, devices.process) as run:
        keep_contents(run, source)
        # The digits are written as shards too, so that they use the same code as other data.
        data = os.path.join(out, "shards") if flags.data == "digits" else source
        report = run.read_report()
        if run.writes and not report:
            _write_collection(run, source, flags, data)
        if run.writes:
            devices.wait("run folder")
        if report and run.writes:
            print(f"{out} is done; delete it or choose another --out to train again")
            print(format_result(report))
        elif not report:
            if run.writes:
                from vgg_tf.data.describing import describe_briefly

                print(describe_briefly(source))
            train_and_test(run, run.read_collection(), data, devices, weights, flags, words)
        report = run.read_report() if run.writes else None
    if report is None:
        return None
    names = [field.name for field in fields(Training)][2:]  # after the folder and the architecture
    return Training(out, settings.arch, *(report.get(name) for name in names))


def _write_collection(run, source, flags, data):
    """Write the dataset.json of a run; for the digits, write their shards first."""
    from vgg_tf.records import statistics

    if flags.data == "digits":
        from vgg_tf.writing.write import write

        collection = write(source, data, progress=False)
    # The run's own dataset.json.
    elif files.exists(run.path(COLLECTION_FILE)) and (
        run.read_collection().fingerprint == run.settings.fingerprint
    ):
        collection = run.read_collection()
    else:
        collection = statistics.measure(source)
    collection.write(run.folder)
