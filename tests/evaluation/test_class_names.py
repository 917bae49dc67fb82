"""Class names of the highest probabilities."""

from types import SimpleNamespace

import numpy as np
import pytest

from vgg_tf.evaluation.class_names import decode_predictions, describe_classes, read_classes
from vgg_tf.records.collection import Collection

POSTERIORS = np.float32([[0.1, 0.6, 0.3], [0.5, 0.25, 0.25]])


def collection(**options):
    values = {
        "name": "x",
        "fingerprint": "0" * 16,
        "classes": ("n01", "n02", "n03"),
        "splits": {"train": {"images": 3, "per_class": [1, 1, 1], "boxes": 0, "shards": 1}},
        "mean_rgb": (1.0, 2.0, 3.0),
        "covariance_rgb": tuple(map(tuple, np.eye(3).tolist())),
        "statistics_images": 3,
        "smaller_side": 32,
        "bytes_per_image": 100,
    }
    return Collection(**values | options)


def test_the_most_likely_classes_come_first_and_ties_keep_the_order_of_classes():
    decoded = decode_predictions(POSTERIORS, ["cat", "dog", "owl"], top=2)
    assert [[name for name, _, _ in image] for image in decoded] == [["dog", "owl"], ["cat", "dog"]]
    assert decoded[0][0] == ("dog", "dog", pytest.approx(0.6))


def test_all_classes_are_returned_if_there_are_fewer_than_top():
    assert [len(image) for image in decode_predictions(POSTERIORS, ["a", "b", "c"], top=5)] == [
        3,
        3,
    ]


def test_a_run_folder_provides_the_names_and_their_texts(tmp_path):
    collection(texts=("tench", "goldfish", "shark")).write(tmp_path)
    assert decode_predictions(POSTERIORS, tmp_path, top=1)[0] == [
        ("n02", "goldfish", pytest.approx(0.6))
    ]
    for of in (collection(), collection(texts=("", "goldfish", "shark"))):
        assert decode_predictions(POSTERIORS, of, top=1)[1] == [("n01", "n01", 0.5)]


def test_the_format_is_that_of_keras_applications():
    # Keras: a list for each image of (name, description, score), the highest score first.
    (name, text, score), *_ = decode_predictions(POSTERIORS, ["cat", "dog", "owl"])[0]
    assert (type(name), type(text), type(score)) == (str, str, float)


@pytest.mark.parametrize("posteriors", [POSTERIORS[0], POSTERIORS[:, :2], POSTERIORS[None]])
def test_probabilities_of_a_wrong_shape_are_refused(posteriors):
    with pytest.raises(
        ValueError, match=r"posteriors must have shape \[B, 3\] for 3 classes. Received"
    ):
        decode_predictions(posteriors, ["cat", "dog", "owl"])


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        ((), ("n01", "n02", "n03")),
        (("tench", "goldfish", "shark"), ("tench", "goldfish", "shark")),
        (("tench", "", "shark"), ("tench", "n02", "shark")),
        (("crane", "owl", "crane"), ("crane (n01)", "owl", "crane (n03)")),
        (("", "", "n01"), ("n01 (n01)", "n02", "n01 (n03)")),
    ],
)
def test_a_person_reads_texts_and_a_name_where_a_text_is_missing_or_repeated(texts, shown):
    assert describe_classes(("n01", "n02", "n03"), texts) == shown


def test_classes_come_from_the_network_a_folder_a_file_or_numbers(tmp_path):
    checked = []
    options = {"number": 3, "path": "net", "check_classes": lambda *words: checked.append(words)}
    named = SimpleNamespace(classes=("a", "b", "c"), texts=("A", "B", "C"), **options)
    unnamed = SimpleNamespace(classes=None, texts=(), **options)
    assert read_classes(named, "") == (named.classes, named.texts)
    with pytest.raises(ValueError, match=r"net contains its class names\. Received: --classes x"):
        read_classes(named, "x")
    assert read_classes(unnamed, "") == (("class 0", "class 1", "class 2"), ())
    collection(texts=("tench", "", "shark")).write(tmp_path)
    (tmp_path / "names.txt").write_text("x\ny\nz\n")
    assert read_classes(unnamed, tmp_path) == (("n01", "n02", "n03"), ("tench", "", "shark"))
    assert read_classes(unnamed, tmp_path / "names.txt") == (("x", "y", "z"), ())
    assert [classes for classes, _ in checked] == [("n01", "n02", "n03"), ("x", "y", "z")]
