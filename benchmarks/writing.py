"""Images/s of tfrecords_tools.write beside decoding alone and copying alone, alternating in one
process.

Usage: python benchmarks/writing.py FOLDER [--copies 8]. FOLDER holds class folders of JPEGs; with
--copies each file is linked so many times, so that a few hundred pictures last long enough.
Everything is counted, also the graph that is traced and the disk that is waited for; the page cache
is warm. Processor seconds tell what a busy machine hides.
"""

import argparse
import os
import platform
import shutil
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(arguments=None):
    """Alternate four ways over the same files and print medians and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder")
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    flags = parser.parse_args(arguments)

    import tensorflow as tf

    from vgg_tf.data.opening import open_source
    from vgg_tf.data.writing import write

    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(flags.folder))) as room:
        linked = os.path.join(room, "linked")
        for path in (
            path for split in open_source(flags.folder).splits.values() for path in split.contents
        ):
            folder = os.path.join(linked, os.path.basename(os.path.dirname(path)))
            os.makedirs(folder, exist_ok=True)
            for copy in range(flags.copies):
                os.link(path, os.path.join(folder, f"{copy}-{os.path.basename(path)}"))
        source = open_source(linked)
        paths = [path for split in source.splits.values() for path in split.contents]
        size = sum(map(os.path.getsize, paths)) / len(paths)

        def decode():
            def decoded(path):
                return tf.io.decode_jpeg(
                    tf.io.read_file(path), channels=3, dct_method="INTEGER_ACCURATE"
                )

            images = tf.data.Dataset.from_tensor_slices(paths).map(
                decoded, num_parallel_calls=tf.data.AUTOTUNE
            )
            for _ in images:
                pass

        def copy():
            os.mkdir(out)
            for i, path in enumerate(paths):
                shutil.copyfile(path, os.path.join(out, str(i)))

        out = os.path.join(room, "out")
        ways = {
            "decoding alone": decode,
            "write": lambda: write(source, out, progress=False),
            "copying alone": copy,
            "write --no-check": lambda: write(source, out, check=False, progress=False),
        }
        seconds, processor = ({name: [] for name in ways} for _ in range(2))
        for round_ in range(flags.rounds + 1):  # the first one warms up
            for name, way in ways.items():
                shutil.rmtree(out, ignore_errors=True)
                os.sync()
                start, work = time.perf_counter(), time.process_time()
                way()
                if round_:
                    seconds[name].append(time.perf_counter() - start)
                    processor[name].append(time.process_time() - work)
    n = len(paths)
    print(
        f"{n:,} JPEGs of {size / 1e3:.0f} kB, {os.cpu_count()} cores ({platform.machine()}), "
        f"medians of {flags.rounds}"
    )
    took = {name: statistics.median(values) for name, values in seconds.items()}
    worked = {name: statistics.median(values) for name, values in processor.items()}
    for name in ways:
        print(
            f"{name:17} {n / took[name]:7,.0f} images/s, {worked[name] / n * 1e3:.2f} ms of "
            "processor an image"
        )
    for name, alone in (("write", "decoding alone"), ("write --no-check", "copying alone")):
        print(
            f"{name} / {alone}: {took[alone] / took[name]:.2f} (of processor time "
            f"{worked[alone] / worked[name]:.2f})"
        )


if __name__ == "__main__":
    main()
