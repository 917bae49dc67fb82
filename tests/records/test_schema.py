"""Writing and parsing of examples."""

import tensorflow as tf

from vgg_tf.records import schema


def fields(encoded, label, class_name, filename):
    """Return the fields of a JPEG of 4 by 3 pixels without boxes."""
    return schema.Fields(encoded, label, filename, class_name, "", "JPEG", 3, 4)


def test_an_example_has_the_usual_keys():
    example = tf.train.Example.FromString(
        schema.serialize(fields(b"\xff\xd8\xff\0", 1, "newt", "train/newt/ä 1.jpg"))
    )
    values = {}
    for key, feature in example.features.feature.items():
        (values[key],) = getattr(feature, feature.WhichOneof("kind")).value
    assert values == {
        "image/encoded": b"\xff\xd8\xff\0",
        "image/format": b"JPEG",
        "image/height": 3,
        "image/width": 4,
        "image/colorspace": b"RGB",
        "image/channels": 3,
        "image/filename": "train/newt/ä 1.jpg".encode(),
        "image/class/label": 1,  # 0-based: the position in the classes
        "image/class/synset": b"newt",
        "image/class/text": b"newt",
    }


def test_an_example_has_the_same_bytes_in_every_process():
    # Protobuf guarantees this only for sorted keys.
    serialized = schema.serialize(fields(b"abc", 1, "newt", "newt/1.jpg"))
    assert serialized == tf.train.Example.FromString(serialized).SerializeToString(
        deterministic=True
    )


def test_parsing_inverts_serializing():
    examples = [(bytes([i, 0, 255 - i]) * i, i * 37) for i in range(20)]
    serialized = [schema.serialize(fields(content, label, "c", "f")) for content, label in examples]
    assert [tuple(value.numpy() for value in schema.parse(one)) for one in serialized] == examples
    inside = tf.data.Dataset.from_tensor_slices(serialized).map(schema.parse)
    assert list(inside.as_numpy_iterator()) == examples
