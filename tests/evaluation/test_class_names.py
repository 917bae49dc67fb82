"""Class names of the highest probabilities."""

import numpy as np
import pytest

from vgg_tf.evaluation.class_names import decode_predictions
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
    assert decode_predictions(POSTERIORS, collection(), top=1)[1] == [("n01", "n01", 0.5)]


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
