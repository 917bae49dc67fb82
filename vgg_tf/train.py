"""Train a VGG network: `python -m vgg_tf.train --arch vgg16 --data FOLDER`.

Without data it trains on handwritten digits.
"""

import os

from vgg_tf.forecast.trial import profile
from vgg_tf.records.collection import COLLECTION_FILE
from vgg_tf.runtime import files, processes
from vgg_tf.runtime.devices import choose
from vgg_tf.training.flags import parse
from vgg_tf.training.inheriting import read_inherited_weights
from vgg_tf.training.session import format_result, train_and_test
from vgg_tf.weights import hub


def main(arguments=None):
    """Train, test the best network, and print the result."""
    flags, source = parse(arguments, check_inherit=True)
    recipe, out = flags.numbers, flags.folder
    if flags.profile:
        print(profile(flags, source, out))
        return
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

    shards = source.collection
    fingerprint = shards.fingerprint if shards else source.fingerprint()
    weights, inherit = read_inherited_weights(flags, out)
    settings = Settings(
        flags.arch,
        flags.place,
        fingerprint,
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
        if run.writes and not run.read_report():
            _write_collection(run, source, flags, data)
        if run.writes:
            devices.wait("run folder")
        if (report := run.read_report()) and run.writes:
            print(f"{out} is done; delete it or choose another --out to train again")
            print(format_result(report))
        elif not report:
            if run.writes:
                from vgg_tf.data.describing import describe_briefly

                print(describe_briefly(source))
            train_and_test(run, run.read_collection(), data, devices, weights, flags, arguments)


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


if __name__ == "__main__":
    processes.run("vgg_tf.train", main)
