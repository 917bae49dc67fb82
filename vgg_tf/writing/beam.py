"""Writing of shards by an Apache Beam pipeline, on this machine or on Dataflow, Flink and Spark.

Each element of the pipeline is a shard. A worker writes the same bytes as the local writer. The
inputs of the workers are in the work folder, because workers can run on other machines. The images
and the output must then be remote.
"""

import shlex

from vgg_tf.runtime import files
from vgg_tf.writing.job_files import read_job, write_job
from vgg_tf.writing.jobs import read_result

MISSING = (
    '--runner beam requires Apache Beam. Install it: pip install "vgg_tf[beam]" (or '
    '"apache-beam[tfrecord]")'
)


def make_runner(arguments):
    """Return a function that writes shards on a Beam runner.

    Args:
        arguments: flags of Beam in one string, `--runner=DataflowRunner --project=...`. Empty
            selects Beam's local runner.

    Returns:
        A function with the arguments of `shard_writing.write_shards`.

    Raises:
        ModuleNotFoundError: Beam is not installed; the message has the command to install it.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(MISSING, name="apache_beam") from error
    options = PipelineOptions(shlex.split(arguments))

    def write_shards(out, work, jobs, classes, texts, skip_bad, tick):
        common = [files.make_absolute(out), files.make_absolute(work)]
        for job in jobs:
            write_job(work, job, classes, texts, skip_bad)
        try:
            with beam.Pipeline(options=options) as pipeline:
                (
                    pipeline
                    | beam.Create([job.name for job in jobs])
                    | beam.Reshuffle()  # otherwise Beam fuses the shards into one task
                    | beam.Map(write_one, *common)
                )
        # Runners raise their own error with the traceback of the worker.
        except Exception as error:
            if said := [line for line in str(error).splitlines() if line.startswith("OSError: ")]:
                raise OSError(said[-1].removeprefix("OSError: ")) from error
            raise
        for job in jobs:
            yield read_result(work, job.name)
            tick(len(job.images))

    return write_shards


def write_one(name, out, work):
    """Write one shard on the machine of the worker."""
    from vgg_tf.writing.shard_writing import write_shards

    job, classes, texts, skip_bad = read_job(work, name)
    for _ in write_shards(out, work, [job], classes, texts, skip_bad):
        pass
