"""A session notes a head that is too large, and ends with the result in one line."""

import numpy as np
import pytest

from vgg_tf import build_vgg
from vgg_tf.training import session


@pytest.mark.parametrize(
    ("head_width", "classes", "crop", "noted"),
    [(4096, 12, 64, True), (512, 12, 64, False), (4096, 101, 64, False), (4096, 12, 160, False)],
)
def test_a_head_of_4096_for_few_classes_and_small_crops_is_noted(head_width, classes, crop, noted):
    model = build_vgg(
        "vgg11",
        input_shape=(32, 32, 3),
        classes=classes,
        width=0.0625,
        head_width=head_width,
        initializer="zeros",
    )
    size, *others = session.describe_network(model, crop)
    total = sum(int(np.prod(weight.shape)) for weight in model.weights)
    assert size == f"{total:,} parameters; run folder: about {20 * total / 1e6:,.0f} MB"
    assert ["--head-width 512" in note for note in others] == [True] * noted


@pytest.mark.parametrize(
    ("tested", "line"),
    [
        (
            {"split": "test", "top1_error": 12.5, "top5_error": 0.0, "mean_class_recall": 0.7116},
            "test top-1 error 12.50 %, top-5 0.00 %, mean class recall 71.2 %, n=1,200",
        ),
        (  # of equal classes, or of an earlier version
            {"split": "validation", "top1_error": 12.5, "top5_error": 0.0},
            "validation top-1 error 12.50 %, top-5 0.00 %, n=1,200",
        ),
        ({"split": None}, "not tested, n=1,200"),
    ],
)
def test_the_closing_line_has_the_mean_class_recall_where_the_report_has_it(tested, line):
    report = {"n": 1200, "seconds": 61.3, "images_per_second": 99.6, **tested}
    assert session.format_result(report) == f"{line}, 61 s, 100 images/s"
