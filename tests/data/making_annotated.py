"""Images with annotations and tables, as in the competition and in Pascal VOC."""

from pathlib import Path

import tensorflow as tf

SYNSETS = {
    "n01440764": "tench, Tinca tinca",
    "n01443537": "goldfish, Carassius auratus",
    "n02084071": "dog, domestic dog, Canis familiaris",
}
TENCH, GOLDFISH, DOG = SYNSETS
VAL = {
    5: TENCH,
    1: DOG,
    3: DOG,
    2: GOLDFISH,
    4: TENCH,
}  # the table has another order than the files
WIDTH, HEIGHT = 50, 40


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, newline="")


def annotate(path, *objects, size=(WIDTH, HEIGHT)):
    """Write an annotation like those of ImageNet.

    Args:
        path: path of the file.
        objects: tuples of a name and xmin, ymin, xmax, ymax in pixels.
        size: width and height of the image, in pixels; None to omit them.
    """
    stated = size and (
        "\t<size>\n\t\t<width>{}</width>\n\t\t<height>{}</height>\n"
        "\t\t<depth>3</depth>\n\t</size>\n"
    ).format(*size)
    items = (
        f"\t<object>\n\t\t<name>{name}</name>\n\t\t<pose>Unspecified</pose>\n"
        "\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
        f"\t\t\t<xmin>{xmin}</xmin>\n\t\t\t<ymin>{ymin}</ymin>\n"
        f"\t\t\t<xmax>{xmax}</xmax>\n\t\t\t<ymax>{ymax}</ymax>\n"
        "\t\t</bndbox>\n\t</object>\n"
        for name, xmin, ymin, xmax, ymax in objects
    )
    put(
        path,
        f"<annotation>\n\t<filename>{path.stem}</filename>\n"
        f"{stated or ''}{''.join(items)}</annotation>\n",
    )


def upload(folder, remote):
    """Copy a folder to a remote file system with TensorFlow."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        tf.io.gfile.makedirs(f"{remote}/{path.parent.relative_to(folder)}")
        with tf.io.gfile.GFile(f"{remote}/{path.relative_to(folder)}", "wb") as file:
            file.write(path.read_bytes())


def val_name(i):
    return f"ILSVRC2012_val_{i:08d}"


def solution(rows):
    """Return `LOC_*_solution.csv` of `{image ID: [(synset, xmin, ymin, xmax, ymax)]}`.

    Each row ends with a blank, as in the original.
    """
    text = {
        name: "".join(f"{word} " for box in boxes for word in box) for name, boxes in rows.items()
    }
    return "ImageId,PredictionString\n" + "".join(
        f"{name},{words}\n" for name, words in text.items()
    )


# Two boxes for odd numbers, one for even ones.
TABLE = {
    val_name(i): [(synset, 10, 20, 30, 40), (synset, i, 0, 25, 10)][: 1 + i % 2]
    for i, synset in VAL.items()
}


def boxes(source, split, width=WIDTH, height=HEIGHT):
    """Return `{file name: [(class, xmin, ymin, xmax, ymax)]}`, in rounded shares of the sides."""
    part = source.splits[split]
    found = {}
    for i, name in enumerate(part.names):
        corners, names = part.read_boxes(i, width, height)
        found[name.split("/")[-1]] = [
            (name, *(round(float(corner), 6) for corner in row))
            for name, row in zip(names, corners, strict=True)
        ]
    return found


def shares(synset, xmin, ymin, xmax, ymax):
    return synset, *(
        round(value, 6) for value in (xmin / WIDTH, ymin / HEIGHT, xmax / WIDTH, ymax / HEIGHT)
    )


FROM_TABLE = {f"{name}.JPEG": [shares(*box) for box in rows] for name, rows in TABLE.items()}
FROM_XML = {
    f"{synset}_{n}.JPEG": [shares(synset, 5, 10, n + 6, 30)] if n != 117 else []
    for synset in SYNSETS
    for n in (18, 36, 2, 117)
}


def labeled(source, split):
    """Return `{file name: class}`."""
    part = source.splits[split]
    return {
        name.split("/")[-1]: source.classes[label]
        for name, label in zip(part.names, part.labels, strict=True)
    }


def examples(out, split):
    """Return `{file name: features as lists}` of all records of a split."""
    found = {}
    for path in sorted(Path(out).glob(f"{split}-*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            values = {
                key: list(getattr(value, value.WhichOneof("kind")).value)
                for key, value in feature.items()
            }
            name = values["image/filename"][0].decode()
            assert name not in found
            found[name] = values
    return found


def record_boxes(example):
    """Return `[(label, text, xmin, ymin, xmax, ymax)]` of a record, rounded."""
    box = "image/object/bbox/"
    columns = [example.get(box + key, []) for key in ("label", "xmin", "ymin", "xmax", "ymax")]
    texts = example.get("image/object/class/text", [])
    return [
        (label, text.decode(), *(round(corner, 5) for corner in corners))
        for label, *corners, text in zip(*columns, texts, strict=True)
    ]
