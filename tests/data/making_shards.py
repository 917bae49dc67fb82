"""Shards like those of TF-Slim, Cloud TPU and TensorFlow Datasets."""

import tensorflow as tf

from tests.making import noise

CLASSES = ("n01 ant", "n02 bee", "n03 cow")


def png(picture):
    return tf.io.encode_png(picture).numpy()


def example(**features):
    """Serialize an Example: lists of int, float or bytes by key, with `__` for `/`."""
    built = tf.train.Example()
    for key, values in features.items():
        feature = built.features.feature[key.replace("__", "/")]
        kind = {int: feature.int64_list, float: feature.float_list, bytes: feature.bytes_list}[
            type(values[0])
        ]
        kind.value.extend(values)
    return built.SerializeToString()


def slim(i, label, classes=CLASSES, text=True, boxes=()):
    """Return the record of image `i` in the form of TF-Slim, or of Cloud TPU without text.

    Its class is `i` modulo 3.
    """
    features = {
        "image__encoded": [png(noise(6, 9, i))],
        "image__class__label": [label],
        "image__filename": [b"%d.png" % i],
    }
    if classes:
        features["image__class__synset"] = [classes[i % 3].split()[0].encode()]
    if text and classes:
        features["image__class__text"] = [classes[i % 3].split()[1].encode()]
    for side, values in zip(
        ("xmin", "ymin", "xmax", "ymax"), zip(*boxes, strict=True), strict=False
    ):
        features[f"image__object__bbox__{side}"] = list(values)
    if boxes:
        features["image__object__bbox__label"] = [label] * len(boxes)
    return example(**features)


def shard(folder, name, examples):
    folder.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / name)) as writer:
        for serialized in examples:
            writer.write(serialized)


def slim_folder(folder, base=1, n=30, shards=3, **options):
    for k in range(shards):
        examples = [slim(i, i % 3 + base, **options) for i in range(k, n, shards)]
        shard(folder, f"train-{k:05d}-of-{shards:05d}", examples)
    return str(folder)


def labels_of(source, split="train"):
    return {
        name: int(label)
        for name, label in zip(source.splits[split].names, source.splits[split].labels, strict=True)
    }


def drawn(dataset):
    """Return `{bytes of the view: label}` of all batches, without padding."""
    found = {}
    for batch in dataset.as_numpy_iterator():
        for k, view in enumerate(batch[0]):
            if len(batch) == 2 or batch[2][k]:
                assert view.tobytes() not in found
                found[view.tobytes()] = int(batch[1][k])
    return found
