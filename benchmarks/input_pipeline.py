"""Images/s of the training input on the CPU, beside its ceiling, the textbook's way, DALI and
torchvision, alternating.

Usage: python benchmarks/input_pipeline.py SHARDS [--rounds 5] [--seconds 4], with shards of JPEGs
from tfrecords_tools.write. All ways read the same shards, linked so often that a pass outlasts the
measurement, and all but the first two hand over the same: S from 256..512, a random crop of 224
pixels, mirrored for half of them, colours shifted by 0.1, uint8 batches of 50. Each is warmed up,
then measured for some seconds in every round; the table has the medians of the rounds.
torchvision's workers are processes of their own, so that its CPU time says nothing.

Tried for ours, and not kept; CPU time beside ours (500 ImageNet JPEGs of 500x375, 2 cores of an AMD
EPYC with AVX-512):
  1.5   both axes in one ScaleAndTranslate, the flip by a strided slice (0.8 ms for 224x224x3),
        five passes to round
  1.35  each axis as a sparse matrix of the kernel's weights
  1.06  round, clip and cast fused by QuantizeV2, beside tf.round, clip_by_value and cast, which
        are 1.05
  1.25  an unbounded thread pool
  1.0   a private pool of 2 or 3 threads, one thread an op, 2 to 16 parallel calls, autotuning
        off, some in combination; one draw of 7 numbers in place of two; larger allocator
        thresholds; map's single-threaded executor (a private argument); the shift added before
        the resize; CropAndResize, which mirrors on the way, where the crop is enlarged (0.85 by
        itself, lost in the branch)
Of the decoding alone: INTEGER_FAST, no fancy upscaling, or both, 1.0. Not tried: DCT scaling, since
3 % of these images have a smaller side of over 600 pixels; flips after batching.
"""

import argparse
import contextlib
import dataclasses
import os
import platform
import statistics
import sys
import tempfile
import time

CROP, SCALE, SHIFT, BATCH = 224, (256, 512), 0.1, 50
LINKED = 15_000  # images, at least: 5 seconds at 3,000 images/s


def linked(shards, folder):
    """Link shards into `folder` again and again, and return the paths of the links."""
    from vgg_tf.records.collection import Collection, list_shards, make_shard_name

    collection = Collection.read(shards)
    times = -(-LINKED // collection.count_images("train"))
    paths = list_shards(os.path.abspath(shards), collection, "train") * times
    links = [
        os.path.join(folder, make_shard_name("train", i, len(paths))) for i in range(len(paths))
    ]
    for path, link in zip(paths, links, strict=True):
        os.symlink(path, link)
    # Counts, and lists of a count a shard.
    train = {key: value * times for key, value in collection.splits["train"].items()}
    train["per_class"] = [count * times for count in collection.splits["train"]["per_class"]]
    dataclasses.replace(collection, splits={"train": train}).write(folder)
    return links


def forever(make):
    """Batches without end: `make(pass)` again and again."""
    number = 0
    while True:
        yield from make(number)
        number += 1


# Each way returns a generator of batches, which are not looked at. The first three share their
# reader and their draws.


def tensorflow_way(view):
    """The shards through `view(contents, seed)`, as a way."""

    def way(paths, folder):
        import tensorflow as tf

        from vgg_tf.records import schema

        auto = tf.data.AUTOTUNE

        def batches(number):
            def one(serialized):
                contents, label = schema.parse(serialized)
                key = tf.strings.to_hash_bucket_fast(contents, 2**62)
                return view(contents, tf.stack([key, tf.constant(number, tf.int64)])), label

            read = tf.data.Dataset.from_tensor_slices(paths).interleave(
                lambda path: tf.data.TFRecordDataset(path, buffer_size=2**23),
                cycle_length=16,
                num_parallel_calls=auto,
                deterministic=True,
            )
            return (
                read.map(one, num_parallel_calls=auto)
                .batch(BATCH, num_parallel_calls=auto)
                .prefetch(auto)
            )

        return forever(batches)

    return way


def full_decode(contents, seed):
    """All pixels, and nothing else."""
    import tensorflow as tf

    return tf.shape(tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE"))


def window_decode(contents, seed):
    """The pixels that a crop is made of, and nothing else: what no way through TensorFlow's
    decoder can pass.
    """
    import tensorflow as tf

    size = tf.cast(tf.io.extract_jpeg_shape(contents)[:2], tf.float32)
    draws = tf.random.stateless_uniform([3], seed)
    side = CROP / (SCALE[0] + draws[0] * (SCALE[1] - SCALE[0])) * tf.reduce_min(size)
    window = tf.concat([draws[1:] * (size - side), [side, side]], 0)
    return tf.shape(tf.image.decode_and_crop_jpeg(contents, tf.cast(window, tf.int32), channels=3))


def textbook(antialias):
    """Decode, resize, crop, flip, shift in float32, as tutorials do; their resize is not
    antialiased.
    """

    def view(contents, seed):
        import tensorflow as tf

        from vgg_tf.images import colors

        image = tf.io.decode_jpeg(contents, channels=3)
        size = tf.cast(tf.shape(image)[:2], tf.float32)
        scale = tf.cast(
            tf.random.stateless_uniform([], seed, SCALE[0], SCALE[1] + 1, tf.int32), tf.float32
        )
        new = tf.cast(tf.round(size * scale / tf.reduce_min(size)), tf.int32)
        image = tf.image.resize(image, new, antialias=antialias)
        image = tf.image.stateless_random_crop(image, [CROP, CROP, 3], seed)
        image = tf.image.stateless_random_flip_left_right(image, seed)
        image = colors.rgb_shift(image, tf.random.stateless_normal([3], seed, stddev=SHIFT))
        return tf.cast(tf.clip_by_value(image, 0, 255), tf.uint8)

    return view


def ours(paths, folder):
    """`load_dataset`, which also shuffles."""
    from vgg_tf import load_dataset

    return forever(
        lambda epoch: load_dataset(
            folder, batch_size=BATCH, size=CROP, scale=SCALE, shift=SHIFT, epoch=epoch
        )
    )


def axes():
    """The colours' principal axes in grey levels, `[3, 3]`: a shift is this times three normal
    numbers.
    """
    import numpy as np

    from vgg_tf.images import colors

    values, vectors = np.linalg.eigh(colors.IMAGENET_COVARIANCE)
    return (vectors * np.sqrt(np.maximum(values, 0))).astype(np.float32)


def dali(paths, folder):
    """DALI's reader, decoder of a window, antialiased resize and flip, with a thread for each
    core.
    """
    import nvidia.dali.tfrecord as tfrec
    from nvidia.dali import fn, pipeline_def, types

    indices = [index_of(path) for path in paths]

    @pipeline_def(
        batch_size=BATCH, num_threads=os.cpu_count(), device_id=None, prefetch_queue_depth=2
    )
    def pipeline():
        features = {
            "image/encoded": tfrec.FixedLenFeature((), tfrec.string, ""),
            "image/class/label": tfrec.FixedLenFeature([1], tfrec.int64, -1),
        }
        record = fn.readers.tfrecord(
            path=paths,
            index_path=indices,
            features=features,
            random_shuffle=True,
            initial_fill=1024,
        )
        encoded = record["image/encoded"]
        size = fn.cast(
            fn.slice(fn.peek_image_shape(encoded), start=[0], end=[2], axes=[0]), dtype=types.FLOAT
        )
        scale = fn.cast(
            fn.random.uniform(range=(SCALE[0], SCALE[1] + 1), dtype=types.INT32), dtype=types.FLOAT
        )
        side = CROP / scale * fn.reductions.min(size)
        start = fn.cast(
            fn.random.uniform(range=(0.0, 1.0), shape=[2]) * (size - side), dtype=types.INT32
        )
        extent = fn.cast(fn.stack(side, side), dtype=types.INT32)
        image = fn.decoders.image_slice(
            encoded, start=start, shape=extent, axes=[0, 1], device="cpu"
        )
        image = fn.resize(image, size=[CROP, CROP], interp_type=types.INTERP_LINEAR, antialias=True)
        image = fn.flip(image, horizontal=fn.random.coin_flip())
        normal = fn.random.normal(stddev=SHIFT, shape=[1, 1, 3])
        shift = fn.reshape(
            fn.reductions.sum(types.Constant(axes()) * fn.reshape(normal, shape=[1, 3]), axes=1),
            shape=[1, 1, 3],
        )
        return fn.cast(image + shift, dtype=types.UINT8), record["image/class/label"]

    running = pipeline()
    running.build()
    return forever(lambda _: [running.run()])


def index_of(path):
    """Write what DALI wants beside a shard, `offset length` of each framed record, and return
    its path.
    """
    with open(path, "rb") as shard, open(f"{path}.index", "w") as index:
        while header := shard.read(8):
            length = int.from_bytes(header, "little") + 16
            index.write(f"{shard.tell() - 8} {length}\n")
            shard.seek(length - 8, os.SEEK_CUR)
    return f"{path}.index"


def torchvision(paths, folder):
    """torchvision's transforms of PIL images, in a process for each core."""
    import io

    import torch
    from PIL import Image
    from torchvision.transforms import v2

    from vgg_tf.records.schema import unpack

    records = []
    for path in paths:
        with open(index_of(path)) as index:
            records += [(path, *map(int, line.split())) for line in index]
    turn = torch.from_numpy(axes())
    look = v2.Compose(
        [
            v2.RandomResize(SCALE[0], SCALE[1] + 1),
            v2.RandomCrop(CROP),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            lambda image: (
                (image + (turn @ (SHIFT * torch.randn(3)))[:, None, None])
                .clamp(0, 255)
                .to(torch.uint8)
            ),
        ]
    )

    class Views(torch.utils.data.Dataset):
        def __len__(self):
            return len(records)

        def __getitem__(self, i):
            path, offset, length = records[i]
            with open(path, "rb") as file:
                file.seek(offset + 12)
                fields = unpack(file.read(length - 16))
            return look(Image.open(io.BytesIO(fields.encoded)).convert("RGB")), fields.label

    loader = torch.utils.data.DataLoader(Views(), BATCH, shuffle=True, num_workers=os.cpu_count())
    return forever(lambda _: loader)


WAYS = {
    "full decode alone": tensorflow_way(full_decode),
    "window decode alone": tensorflow_way(window_decode),
    "textbook": tensorflow_way(textbook(antialias=False)),
    "textbook, antialiased": tensorflow_way(textbook(antialias=True)),
    "ours": ours,
    "DALI": dali,
    "torchvision": torchvision,
}
NEEDS = {
    "DALI": ("nvidia.dali", "pip install nvidia-dali-cuda120"),
    "torchvision": (
        "torchvision",
        "pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu",
    ),
}


def installed():
    """Names of the ways that can be gone here; says what the others want."""
    names = []
    for name in WAYS:
        module, command = NEEDS.get(name, ("tensorflow", "pip install -e .[cpu]"))
        try:
            __import__(module)
            names.append(name)
        except (ImportError, RuntimeError) as error:
            print(f"{name}: not installed ({str(error).splitlines()[0]}); {command}")
    return names


def rate(batches, seconds, warm_up):
    """Images/s of an iterator of batches, and milliseconds of all cores together that this process
    spends on an image.

    The iterator is closed, for one that is kept fills its buffers at the cost of the next way, and
    begins with full ones.
    """
    start = time.perf_counter()
    next(batches)
    while time.perf_counter() - start < warm_up:
        next(batches)
    n, start, cpu = 0, time.perf_counter(), time.process_time()
    while (spent := time.perf_counter() - start) < seconds:
        next(batches)
        n += BATCH
    batches.close()
    return n / spent, (time.process_time() - cpu) / n * 1000


def memory(field):
    """Bytes of this process: `VmRSS` now, `VmHWM` at most; None where there is no /proc."""
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))


def main(arguments=None):
    """Parse flags, alternate the ways and print their table."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], epilog=__doc__.split("\n\n", 1)[1]
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("shards", help="folder with dataset.json and train-* shards")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of each way in each round")
    parser.add_argument(
        "--warm-up", type=float, default=1, help="seconds of each way before it is measured"
    )
    flags = parser.parse_args(arguments)
    if not os.path.isfile(os.path.join(flags.shards, "dataset.json")):
        sys.exit(
            f"{flags.shards} holds no shards (no dataset.json). Write some: python -m "
            "tfrecords_tools.write IMAGES SHARDS"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    from vgg_tf.records.collection import Collection

    n = Collection.read(flags.shards).count_images("train")
    names = sorted(installed(), key="ours".__ne__)  # ours first: the peak of the memory is its own
    with tempfile.TemporaryDirectory() as folder:
        paths = linked(flags.shards, folder)
        before = memory("VmRSS")
        rates = {name: [] for name in names}
        for _ in range(flags.rounds):
            for name, values in rates.items():
                values.append(rate(WAYS[name](paths, folder), flags.seconds, flags.warm_up))
                if before:
                    print(
                        f"ours: {(memory('VmHWM') - before) / 2**20:.0f} MB of host memory "
                        "above the imports at most"
                    )
                    before = None
    medians = {
        name: statistics.median(value for value, _ in values) for name, values in rates.items()
    }
    print(
        f"{n} images, {os.cpu_count()} cores ({platform.machine()}), TensorFlow "
        f"{tf.__version__}, medians of {flags.rounds}:"
    )
    print(
        "| way | images/s | to textbook | to full decode | lowest-highest | CPU ms |\n"
        + "| --- " * 6
        + "|"
    )
    for name in (name for name in WAYS if name in names):
        median, (low, _), (high, _) = medians[name], min(rates[name]), max(rates[name])
        # What other tenants of the machine hardly change.
        cpu = statistics.median(value for _, value in rates[name])
        book, full = (median / medians[other] for other in ("textbook", "full decode alone"))
        print(
            f"| {name} | {median:.0f} | {book:.2f} | {full:.2f} | {low:.0f}-{high:.0f} | "
            f"{cpu:.2f} |"
        )


if __name__ == "__main__":
    main()
