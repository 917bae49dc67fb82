"""Unpacking of records of any writer."""

import pytest

from tests.data.making_shards import example, png, shard, slim
from tests.making import noise
from vgg_tf.records import framing, schema


def test_unpacking_returns_present_and_absent_values():
    boxes = [(0.125, 0.25, 0.5, 1.0), (0.0, 0.5, 0.25, 0.75)]
    fields = schema.unpack(slim(4, 2, boxes=boxes))
    assert fields[:-1] == (png(noise(6, 9, 4)), 2, "4.png", "n02", "bee", "", -1, -1)
    assert fields.boxes.corners.tolist() == [list(box) for box in boxes]
    assert fields.boxes.names == ["", ""]  # the image's own class
    bare = schema.unpack(example(image__encoded=[b"x"]))
    assert bare[:-1] == (b"x", -1, "", "", "", "", -1, -1)
    assert bare.boxes.corners.shape == (0, 4)
    assert bare.boxes.names == []


def test_names_of_boxes_come_from_texts_or_labels_or_the_class():
    corners = {
        f"image__object__bbox__{side}": [0.0, 0.5] if side[1:] == "min" else [0.5, 1.0]
        for side in ("xmin", "ymin", "xmax", "ymax")
    }
    image = {"image__encoded": [b"x"], "image__class__label": [7]} | corners
    labels, words = (
        {"image__object__bbox__label": [7, 3]},
        {"image__object__class__text": [b"bee", b"cow"]},
    )
    assert schema.unpack(example(**image)).boxes.names == ["", ""]
    assert schema.unpack(example(**image, **labels)).boxes.names == ["", "label 3"]
    assert schema.unpack(example(**image, **labels, **words)).boxes.names == ["bee", "cow"]
    bare = {"image__encoded": [b"x"], "image__class__label": [7]}
    of_none = {"image__object__bbox__label": [5], "image__object__class__text": [b"bee"]}
    assert schema.unpack(example(**bare, **of_none)).boxes.names == []
    with pytest.raises(ValueError, match="it has 2 boxes, but 3 of their labels or coordinates"):
        schema.unpack(example(**image, image__object__bbox__label=[7, 3, 1]))


def test_the_error_for_another_record_names_its_position(tmp_path):
    for serialized, what in (
        (b"\xff\xff", "it is not a tf.train.Example"),
        (
            example(image__class__label=[1]),
            "it has no feature image/encoded, only image/class/label",
        ),
    ):
        with pytest.raises(ValueError, match=what):
            schema.unpack(serialized)
        shard(tmp_path, "shard", [slim(0, 1), serialized])
        (_, (record, wrong)) = framing.walk_records(str(tmp_path / "shard"))
        assert wrong is None
        with pytest.raises(ValueError, match=rf"shard, record 1: {what}"):
            record.read()
