"""Keys of third-party records are found, or given by --keys, or described in an error."""

import re

import pytest

from tests.data.making_shards import example, png, shard, slim_folder
from tests.making import noise
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection

NAMES = (b"ant", b"bee", b"cow")


def write(folder, features, n=6, name="train.tfrec"):
    """Write a shard of images of three classes; `features` returns more features of image i."""
    shard(folder, name, [example(**features(i)) for i in range(n)])
    return str(folder)


def picture(i):
    return [png(noise(6, 9, i))]


# Name: features of image i, --keys, expected classes, expected name of image 4.
FOUND = {
    "Kaggle": (
        lambda i: {"id": [b"x%d" % i], "image": picture(i), "class": [i % 3]},
        *("", ("0", "1", "2"), "x4"),
    ),
    "Kaggle with class names": (
        lambda i: {
            **{"image": picture(i), "class": [i % 3], "label": [NAMES[i % 3]]},
            **{"one_hot_class": [0.0, 1.0, 0.0], "size": [6, 9]},
        },
        *("", ("ant", "bee", "cow"), "train.tfrec/4"),
    ),
    "Kaggle, cassava": (
        lambda i: {"image_name": [b"%d.jpg" % i], "image": picture(i), "target": [i % 3]},
        *("", ("0", "1", "2"), "4.jpg"),
    ),
    "image_raw": (
        lambda i: {"image_raw": picture(i), "label": [i % 3], "height": [6], "width": [9]},
        *("", ("0", "1", "2"), "train.tfrec/4"),
    ),
    "slim without class": (
        lambda i: {"image__encoded": picture(i), "image__label": [i % 3]},
        *("", ("0", "1", "2"), "train.tfrec/4"),
    ),
    "by content": (
        lambda i: {"photo": picture(i), "kind": [i % 3], "photo__height": [6], "photo_id": [i]},
        *("", ("0", "1", "2"), "train.tfrec/4"),
    ),
    "given": (
        lambda i: {"a": picture(i), "b": picture(0), "c": [i % 3], "d": [0], "e": [b"%d.png" % i]},
        *("image=a,label=c,name=e", ("0", "1", "2"), "4.png"),
    ),
    "given with class names": (
        lambda i: {"a": picture(i), "c": [i % 3 + 1], "d": [NAMES[i % 3]]},
        *("image=a, label=c, class=d", ("ant", "bee", "cow"), "train.tfrec/4"),
    ),
    "class names alone": (
        lambda i: {"image": picture(i), "label": [NAMES[2 - i % 3]]},
        *("image=image,class=label", ("ant", "bee", "cow"), "train.tfrec/4"),
    ),
    "given against ours": (
        lambda i: {"image__encoded": picture(i), "image__class__label": [0], "fine": [i % 3]},
        *("image=image/encoded,label=fine", ("0", "1", "2"), "train.tfrec/4"),
    ),
}


@pytest.mark.parametrize("case", FOUND)
def test_keys_of_other_writers_are_found_or_given(tmp_path, case):
    features, keys, classes, name = FOUND[case]
    source = open_source(write(tmp_path, features), Selection(keys=keys, hold_out=0))
    train = source.splits["train"]
    assert source.classes == classes
    assert train.names[4] == name
    turned = case == "class names alone"  # in the order of the names
    assert train.labels.tolist() == ([2, 1, 0] if turned else [0, 1, 2]) * 2
    assert [train.read(i) for i in range(6)] == [picture(i)[0] for i in range(6)]


# Name: features of image i, --keys, message.
REFUSED = {
    "two labels": (
        lambda i: {"photo": picture(i), "kind": [i % 3], "color": [i % 2]},
        *("", "6 records with keys color (int64 0..1), kind (int64 0..2), photo (bytes: PNG)"),
    ),
    "two known labels": (
        lambda i: {"img": picture(i), "image": picture(0), "label": [i % 3], "class": [i % 2]},
        *("", None),  # the keys of TensorFlow Datasets
    ),
    "two known pairs": (
        lambda i: {"image": picture(i), "target": [i % 3], "class": [i % 2]},
        *("", "class (int64 0..1), image (bytes: PNG), target (int64 0..2), first in "),
    ),
    "two images": (
        lambda i: {"left": picture(i), "right": picture(i), "kind": [i % 3]},
        *("", "Name them, such as --keys image=left,label=kind."),
    ),
    "pixels": (
        lambda i: {"image_raw": [noise(6, 9, i).tobytes()], "label": [i % 3]},
        *("", "image_raw (bytes), label (int64 0..2), first in "),
    ),
    "only class names": (
        lambda i: {"image": picture(i), "label": [NAMES[i % 3]]},
        *("", "Name them, such as --keys image=image,class=label."),
    ),
    "several values": (
        lambda i: {"image": picture(i), "labels": [1, 0, 0]},
        *("", "labels (int64 0..1, 3 values)"),
    ),
    "wrong key": (
        lambda i: {"image": picture(i), "kind": [i % 3]},
        *("image=picture,label=kind", "The image of --keys must be the key of a feature of kind"),
    ),
    "wrong kind": (
        lambda i: {"image": picture(i), "kind": [0.5]},
        *("image=image,label=kind", "kind (float), first in "),
    ),
    "no label": (
        lambda i: {"image": picture(i)},
        *("image=image", "--keys must name the key of the image and that of the label"),
    ),
    "unknown part": (
        lambda i: {"image": picture(i)},
        *("image=image,lable=kind", "Received: --keys image=image,lable=kind. Write --keys image="),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unclear_keys_are_described(tmp_path, case):
    features, keys, message = REFUSED[case]
    folder = write(tmp_path, features)
    if message is None:
        assert open_source(folder).classes == ("0", "1", "2")
        return
    with pytest.raises(ValueError, match=re.escape(message)):
        open_source(folder, Selection(keys=keys))


def test_each_split_may_have_keys_of_its_own(tmp_path):
    write(tmp_path, lambda i: {"image": picture(i), "class": [i % 3]})
    write(tmp_path, lambda i: {"image": picture(i), "label": [i % 3]}, 3, "val.tfrec")
    write(tmp_path, lambda i: {"image": picture(i), "id": [7 + i]}, 3, "test.tfrec")
    source = open_source(str(tmp_path))
    assert source.splits["validation"].labels.tolist() == [0, 1, 2]
    assert set(source.splits) == {"train", "validation"}
    assert "the test images have no labels: left out" in source.notes


def test_keys_are_refused_where_there_are_none(tmp_path, ours, pictures_folder):
    for name in (str(ours), str(pictures_folder), "digits"):
        with pytest.raises(ValueError, match=r"--keys is only for third-party shards\. Received: "):
            open_source(name, Selection(keys="image=image,label=label"))
    open_source(
        slim_folder(tmp_path), Selection(keys="image=image/encoded,label=image/class/label")
    )
