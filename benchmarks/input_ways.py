"""Ways to read shards of JPEGs, for `input_pipeline.py`.

`WAYS` has the ways by name: TensorFlow's decoder alone, a textbook pipeline, ours, DALI and
torchvision. Each is a function of the paths and the folder of shards, and returns a generator of
batches. This module is not a script.
"""

import os

CROP, SCALE, SHIFT, BATCH = 224, (256, 512), 0.1, 50


def repeat_forever(make):
    """Yield the batches of `make(0)`, `make(1)`, ... without end."""
    number = 0
    while True:
        yield from make(number)
        number += 1


def make_tensorflow_way(view):
    """Return a way that maps the images of shards by `view(contents, seed)`.

    All these ways have the same reader and the same seeds.

    Args:
        view: function of encoded bytes and a seed, both tensors.

    Returns:
        A function of `(paths, folder)` that returns a generator of batches.
    """

    def read(paths, folder):
        import tensorflow as tf

        from vgg_tf.records import schema

        auto = tf.data.AUTOTUNE

        def make_batches(number):
            def view_one(serialized):
                contents, label = schema.parse(serialized)
                key = tf.strings.to_hash_bucket_fast(contents, 2**62)
                return view(contents, tf.stack([key, tf.constant(number, tf.int64)])), label

            records = tf.data.Dataset.from_tensor_slices(paths).interleave(
                lambda path: tf.data.TFRecordDataset(path, buffer_size=2**23),
                cycle_length=16,
                num_parallel_calls=auto,
                deterministic=True,
            )
            views = records.map(view_one, num_parallel_calls=auto)
            return views.batch(BATCH, num_parallel_calls=auto).prefetch(auto)

        return repeat_forever(make_batches)

    return read


def decode_fully(contents, seed):
    """Decode all pixels of an image, without other steps."""
    import tensorflow as tf

    return tf.shape(tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE"))


def decode_window(contents, seed):
    """Decode only the pixels of a crop, without other steps.

    This is the upper limit for ways with TensorFlow's decoder.

    Args:
        contents: encoded JPEG, a scalar string tensor.
        seed: seed of the crop, an int tensor `[2]`.

    Returns:
        The shape of the window, an int tensor `[3]`.
    """
    import tensorflow as tf

    size = tf.cast(tf.io.extract_jpeg_shape(contents)[:2], tf.float32)
    draws = tf.random.stateless_uniform([3], seed)
    side = CROP / (SCALE[0] + draws[0] * (SCALE[1] - SCALE[0])) * tf.reduce_min(size)
    window = tf.concat([draws[1:] * (size - side), [side, side]], 0)
    return tf.shape(tf.image.decode_and_crop_jpeg(contents, tf.cast(window, tf.int32), channels=3))


def make_textbook_view(antialias):
    """Return a view that decodes, resizes, crops, flips and shifts colors, as in tutorials.

    Args:
        antialias: antialias the resize, which tutorials do not.

    Returns:
        A function for `make_tensorflow_way`.
    """

    def view(contents, seed):
        import tensorflow as tf

        from vgg_tf.images import colors

        image = tf.io.decode_jpeg(contents, channels=3)
        size = tf.cast(tf.shape(image)[:2], tf.float32)
        scale = tf.random.stateless_uniform([], seed, SCALE[0], SCALE[1] + 1, tf.int32)
        new = tf.round(size * tf.cast(scale, tf.float32) / tf.reduce_min(size))
        image = tf.image.resize(image, tf.cast(new, tf.int32), antialias=antialias)
        image = tf.image.stateless_random_crop(image, [CROP, CROP, 3], seed)
        image = tf.image.stateless_random_flip_left_right(image, seed)
        image = colors.rgb_shift(image, tf.random.stateless_normal([3], seed, stddev=SHIFT))
        return tf.cast(tf.clip_by_value(image, 0, 255), tf.uint8)

    return view


def read_by_ours(paths, folder):
    """Read with `load_dataset`, which also shuffles."""
    from vgg_tf import load_dataset

    return repeat_forever(
        lambda epoch: load_dataset(
            folder, batch_size=BATCH, size=CROP, scale=SCALE, shift=SHIFT, epoch=epoch
        )
    )


def compute_axes():
    """Return the principal axes of the colors.

    A color shift is their product with three normal numbers.

    Returns:
        float32 `[3, 3]`, in gray levels.
    """
    import numpy as np

    from vgg_tf.images import colors

    values, vectors = np.linalg.eigh(colors.IMAGENET_COVARIANCE)
    return (vectors * np.sqrt(np.maximum(values, 0))).astype(np.float32)


def write_index(path):
    """Write the index of a shard that DALI needs.

    Each line has the offset and the length of a framed record, in bytes.

    Args:
        path: path of the shard.

    Returns:
        The path of the index, next to the shard.
    """
    with open(path, "rb") as shard, open(f"{path}.index", "w") as index:
        while header := shard.read(8):
            length = int.from_bytes(header, "little") + 16
            index.write(f"{shard.tell() - 8} {length}\n")
            shard.seek(length - 8, os.SEEK_CUR)
    return f"{path}.index"


def read_by_dali(paths, folder):
    """Read with DALI, with one thread per core."""
    import nvidia.dali.tfrecord as tfrec
    from nvidia.dali import fn, pipeline_def, types

    indices = [write_index(path) for path in paths]
    features = {
        "image/encoded": tfrec.FixedLenFeature((), tfrec.string, ""),
        "image/class/label": tfrec.FixedLenFeature([1], tfrec.int64, -1),
    }
    shuffle = {"random_shuffle": True, "initial_fill": 1024}

    @pipeline_def(
        batch_size=BATCH, num_threads=os.cpu_count(), device_id=None, prefetch_queue_depth=2
    )
    def make_pipeline():
        record = fn.readers.tfrecord(path=paths, index_path=indices, features=features, **shuffle)
        image = _decode_window_by_dali(record["image/encoded"])
        image = fn.resize(image, size=[CROP, CROP], interp_type=types.INTERP_LINEAR, antialias=True)
        image = fn.flip(image, horizontal=fn.random.coin_flip())
        normal = fn.random.normal(stddev=SHIFT, shape=[1, 1, 3])
        products = types.Constant(compute_axes()) * fn.reshape(normal, shape=[1, 3])
        shift = fn.reshape(fn.reductions.sum(products, axes=1), shape=[1, 1, 3])
        return fn.cast(image + shift, dtype=types.UINT8), record["image/class/label"]

    running = make_pipeline()
    running.build()
    return repeat_forever(lambda _: [running.run()])


def _decode_window_by_dali(encoded):
    """Decode the pixels of a random crop at a random scale."""
    from nvidia.dali import fn, types

    shape = fn.slice(fn.peek_image_shape(encoded), start=[0], end=[2], axes=[0])
    size = fn.cast(shape, dtype=types.FLOAT)
    scale = fn.random.uniform(range=(SCALE[0], SCALE[1] + 1), dtype=types.INT32)
    side = CROP / fn.cast(scale, dtype=types.FLOAT) * fn.reductions.min(size)
    start = fn.random.uniform(range=(0.0, 1.0), shape=[2]) * (size - side)
    return fn.decoders.image_slice(
        encoded,
        start=fn.cast(start, dtype=types.INT32),
        shape=fn.cast(fn.stack(side, side), dtype=types.INT32),
        axes=[0, 1],
        device="cpu",
    )


def read_by_torchvision(paths, folder):
    """Read with torchvision's transforms of PIL images, with one process per core."""
    import io

    import torch
    from PIL import Image

    from vgg_tf.records.schema import unpack

    records = []
    for path in paths:
        with open(write_index(path)) as index:
            records += [(path, *map(int, line.split())) for line in index]
    transform = _make_transform()

    class Views(torch.utils.data.Dataset):
        def __len__(self):
            return len(records)

        def __getitem__(self, i):
            path, offset, length = records[i]
            with open(path, "rb") as file:
                file.seek(offset + 12)
                fields = unpack(file.read(length - 16))
            return transform(Image.open(io.BytesIO(fields.encoded)).convert("RGB")), fields.label

    loader = torch.utils.data.DataLoader(Views(), BATCH, shuffle=True, num_workers=os.cpu_count())
    return repeat_forever(lambda _: loader)


def _make_transform():
    """Return torchvision's transform from a PIL image to a view."""
    import torch
    from torchvision.transforms import v2

    axes = torch.from_numpy(compute_axes())

    def shift(image):
        moved = image + (axes @ (SHIFT * torch.randn(3)))[:, None, None]
        return moved.clamp(0, 255).to(torch.uint8)

    scale = v2.RandomResize(SCALE[0], SCALE[1] + 1)
    return v2.Compose(
        [scale, v2.RandomCrop(CROP), v2.RandomHorizontalFlip(), v2.PILToTensor(), shift]
    )


WAYS = {
    "full decode alone": make_tensorflow_way(decode_fully),
    "window decode alone": make_tensorflow_way(decode_window),
    "textbook": make_tensorflow_way(make_textbook_view(antialias=False)),
    "textbook, antialiased": make_tensorflow_way(make_textbook_view(antialias=True)),
    "ours": read_by_ours,
    "DALI": read_by_dali,
    "torchvision": read_by_torchvision,
}
NEEDS = {
    "DALI": ("nvidia.dali", "pip install nvidia-dali-cuda120"),
    "torchvision": (
        "torchvision",
        "pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu",
    ),
}


def list_installed():
    """Return the names of ways whose packages are installed; print how to install the others."""
    names = []
    for name in WAYS:
        module, command = NEEDS.get(name, ("tensorflow", "pip install -e .[cpu]"))
        try:
            __import__(module)
            names.append(name)
        except (ImportError, RuntimeError) as error:
            print(f"{name}: not installed ({str(error).splitlines()[0]}). Install: {command}")
    return names
