"""Writes shards by an Apache Beam pipeline, on this machine or on Dataflow, Flink and Spark.

A shard is an element. A worker writes it as the local writer does, to the same bytes. What the
workers need is in the work folder, as they may run on other machines: the images and the output
must then be remote.
"""

import os
import pickle
import shlex

from vgg_tf.records.jobs import read_result
from vgg_tf.runtime import files

MISSING = (
    'writing with Beam needs Apache Beam: pip install "vgg_tf[beam]" (or "apache-beam[tfrecord]")'
)


def make_runner(arguments):
    """Return a function that writes shards as `shard_writing.write_shards` does, on a Beam runner.

    Args:
        arguments: Beam's flags in one string, `--runner=DataflowRunner --project=...`; empty for
            its own local runner.

    Raises:
        ModuleNotFoundError: Beam is not installed; the message says how to install it.
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
            files.write_whole(
                _make_job_path(work, job.name), pickle.dumps((job, classes, texts, skip_bad))
            )
        try:
            with beam.Pipeline(options=options) as pipeline:
                (
                    pipeline
                    | beam.Create([job.name for job in jobs])
                    | beam.Reshuffle()  # else the shards are fused into one piece of work
                    | beam.Map(write_one, *common)
                )
        # Runners report a worker's error by its traceback, in an error of their own.
        except Exception as error:
            if said := [line for line in str(error).splitlines() if line.startswith("OSError: ")]:
                raise OSError(said[-1].removeprefix("OSError: ")) from error
            raise
        for job in jobs:
            yield read_result(work, job.name)
            tick(len(job.images))

    return write_shards


def write_one(name, out, work):
    """Write one shard, on whichever machine this runs."""
    from vgg_tf.records.shard_writing import write_shards

    job, classes, texts, skip_bad = pickle.loads(files.read(_make_job_path(work, name)))
    for _ in write_shards(out, work, [job], classes, texts, skip_bad):
        pass


def _make_job_path(work, name):
    return os.path.join(work, f"{name}.job")
