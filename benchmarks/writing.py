"""Measure the throughput of tfrecords_tools.write, versus decoding and copying alone.

    python benchmarks/writing.py FOLDER [--copies 8]

FOLDER has class folders of JPEGs. --copies links each file several times, to measure long enough
with a few hundred pictures. The ways alternate in one process. The times include tracing the graph
and writing to the disk, and the page cache is warm. CPU time depends little on other programs on
the machine.
"""

import argparse
import os
import platform
import shutil
import statistics
import tempfile
import time


def main(arguments=None):
    """Measure four ways on the same files in turn, and print medians and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="class folders of JPEGs")
    parser.add_argument("--copies", type=int, default=1, help="number of links to each file")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds")
    flags = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from vgg_tf.data.opening import open_source

    # On the file system of FOLDER, because its files are linked.
    parent = os.path.dirname(os.path.abspath(flags.folder))
    with tempfile.TemporaryDirectory(dir=parent) as temporary:
        linked, out = os.path.join(temporary, "linked"), os.path.join(temporary, "out")
        _link(_list_files(open_source(flags.folder)), linked, flags.copies)
        source = open_source(linked)
        paths = _list_files(source)
        n, size = len(paths), sum(map(os.path.getsize, paths)) / len(paths)
        took, worked = _measure(_make_ways(source, paths, out), out, flags.rounds)
    print(
        f"{n:,} JPEGs of {size / 1e3:.0f} kB, {os.cpu_count()} cores ({platform.machine()}), "
        f"medians of {flags.rounds}"
    )
    _print_rates(n, took, worked)


def _list_files(source):
    """Return the paths of all files of a source of class folders."""
    return [path for split in source.splits.values() for path in split.contents]


def _link(paths, linked, copies):
    """Link each file `copies` times below `linked`, in a folder of the same name."""
    for path in paths:
        folder = os.path.join(linked, os.path.basename(os.path.dirname(path)))
        os.makedirs(folder, exist_ok=True)
        for copy in range(copies):
            os.link(path, os.path.join(folder, f"{copy}-{os.path.basename(path)}"))


def _make_ways(source, paths, out):
    """Return the ways: functions without arguments, by name."""
    from vgg_tf.writing.write import write

    return {
        "decoding alone": lambda: _decode(paths),
        "write": lambda: write(source, out, progress=False),
        "copying alone": lambda: _copy(paths, out),
        "write --no-check": lambda: write(source, out, check=False, progress=False),
    }


def _decode(paths):
    """Decode all files in parallel."""
    import tensorflow as tf

    def decode(path):
        contents = tf.io.read_file(path)
        return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")

    files = tf.data.Dataset.from_tensor_slices(paths)
    for _ in files.map(decode, num_parallel_calls=tf.data.AUTOTUNE):
        pass


def _copy(paths, out):
    """Copy all files into a new folder."""
    os.mkdir(out)
    for i, path in enumerate(paths):
        shutil.copyfile(path, os.path.join(out, str(i)))


def _measure(ways, out, rounds):
    """Return the median duration and CPU time of each way, in seconds."""
    seconds, processor = ({name: [] for name in ways} for _ in range(2))
    for number in range(rounds + 1):  # the first round is a warm-up
        for name, way in ways.items():
            shutil.rmtree(out, ignore_errors=True)
            os.sync()
            start, work = time.perf_counter(), time.process_time()
            way()
            if number:
                seconds[name].append(time.perf_counter() - start)
                processor[name].append(time.process_time() - work)
    return tuple(
        {name: statistics.median(values) for name, values in found.items()}
        for found in (seconds, processor)
    )


def _print_rates(n, took, worked):
    """Print the throughput of each way, and ratios to decoding and copying alone."""
    for name in took:
        print(
            f"{name:17} {n / took[name]:7,.0f} images/s, {worked[name] / n * 1e3:.2f} ms of CPU "
            "per image"
        )
    for name, alone in (("write", "decoding alone"), ("write --no-check", "copying alone")):
        print(
            f"{name} / {alone}: {took[alone] / took[name]:.2f} (of CPU time "
            f"{worked[alone] / worked[name]:.2f})"
        )


if __name__ == "__main__":
    main()
