"""Section 3.2 compared with slow and simple code.

Windows of the last feature map, single crops, and averages in the order of the paper.
"""

import keras
import numpy as np
import pytest

from tests.making import shallow
from vgg_tf.evaluation.evaluator import Evaluator, cut_views
from vgg_tf.images.rescaling import rescale
from vgg_tf.models.vgg import build_vgg
from vgg_tf.paper.protocols import PROTOCOLS, Protocol, choose_scales, place_crops

CROP = 64  # a last map of 2 x 2
SIZES = [(70, 90), (90, 70), (64, 64), (71, 131), (90, 70)]


@pytest.fixture(autouse=True, scope="module")
def of_one_convolution():
    with shallow():
        yield


@pytest.fixture(scope="module")
def model(pictures):
    """A tiny network whose probabilities are far from uniform and depend on positions."""
    model = build_vgg(
        "shallow",
        input_shape=(CROP, CROP, 3),
        classes=6,
        width=0.125,
        head_width=16,
        std=(60.0,) * 3,
        seed=1,
    )
    head = model.get_layer("predictions")
    crops = np.stack([picture[:CROP, :CROP] for picture in pictures])
    scores = keras.Model(model.input, head.output)(crops).numpy()
    gain = 1.5 / scores.std(0).mean()
    head.bias.assign(-gain * scores.mean(0))
    head.kernel.assign(gain * head.kernel.numpy())
    return model


@pytest.fixture(scope="module")
def pictures():
    random = np.random.default_rng(0)
    coarse = [random.integers(0, 256, (h // 8 + 1, w // 8 + 1, 3)) for h, w in SIZES]
    return [
        np.kron(x, np.ones((8, 8, 1)))[:h, :w].astype(np.uint8)
        for x, (h, w) in zip(coarse, SIZES, strict=True)
    ]


def posteriors(model, pictures, protocol, **options):
    evaluator = Evaluator(model, protocol.units, **options)
    views = [[np.asarray(view) for view in evaluator.cut_views(picture)] for picture in pictures]
    found = dict(evaluator.see(enumerate(views)))
    assert len(found) == len(pictures)
    return np.stack([found[i] for i in range(len(pictures))]).mean(1)


@pytest.fixture(scope="module")
def trunk(model):
    """The network without its head, for images of any size."""
    trunk = build_vgg(
        "shallow", include_top=False, input_shape=(None, None, 3), width=0.125, std=(60.0,) * 3
    )
    for layer in trunk.layers:
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return trunk


def windows(model, trunk, image):
    """Return the dense form, computed simply: the head on each window of the last map.

    The logits are averaged before the softmax.
    """
    side = CROP // 32
    last = np.float64(trunk(image[np.newaxis]).numpy()[0])
    assert last.shape[:2] == (image.shape[0] // 32, image.shape[1] // 32)
    weights = [
        [np.float64(array) for array in model.get_layer(name).get_weights()]
        for name in ("fc1", "fc2", "predictions")
    ]
    scores = []
    for i in range(last.shape[0] - side + 1):
        for j in range(last.shape[1] - side + 1):
            x = last[i : i + side, j : j + side].reshape(-1)
            x = np.maximum(x @ weights[0][0] + weights[0][1], 0)
            x = np.maximum(x @ weights[1][0] + weights[1][1], 0)
            scores.append(x @ weights[2][0] + weights[2][1])
    x = np.exp(np.mean(scores, 0))
    return x / x.sum()


def one_crop_after_another(model, image, view, flip=True):
    """Return the mean probabilities of crops."""
    crops = []
    if view == "padded-ten-crop":
        image = np.pad(image, [(4, 4), (4, 4), (0, 0)], "reflect")
    for top, left in place_crops(*image.shape[:2], CROP, view):
        crop = image[top : top + CROP, left : left + CROP]
        crops += [crop, crop[:, ::-1]] if flip and view != "center" else [crop]
    return np.float64(model(np.stack(crops)).numpy()).mean(0)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_probabilities_equal_those_of_a_loop_over_views(model, trunk, pictures, name, uncompiled):
    # Tolerance: float32 in a different order, and logits of about ten.
    protocol = Protocol(name, (64, 99), CROP)
    expected = []
    for picture in pictures:
        by_scale = []
        for scale in protocol.scales:
            whole = rescale(picture, scale).numpy()
            kinds = []
            for kind in PROTOCOLS[name]:
                if kind == "dense":
                    kinds.append(
                        (windows(model, trunk, whole) + windows(model, trunk, whole[:, ::-1])) / 2
                    )
                else:
                    kinds.append(one_crop_after_another(model, whole, kind))
            by_scale.append(np.mean(kinds, 0))
        expected.append(np.mean(by_scale, 0))
    expected = np.array(expected)
    assert np.ptp(expected, 0).max() > 0.1  # the pictures differ
    found = posteriors(model, pictures, protocol, batch_size=7)
    np.testing.assert_allclose(found, expected, atol=5e-6)


@pytest.mark.parametrize("name", ["center", "ten-crop", "dense"])
def test_without_flips_each_view_is_seen_once(model, trunk, pictures, name, uncompiled):
    protocol, expected = Protocol(name, (64,), CROP, flip=False), []
    for picture in pictures:
        whole = rescale(picture, 64).numpy()
        if name == "dense":
            expected.append(windows(model, trunk, whole))
        else:
            expected.append(one_crop_after_another(model, whole, name, flip=False))
    found = posteriors(model, pictures, protocol, batch_size=7, flip=False)
    np.testing.assert_allclose(found, expected, atol=5e-6)


@pytest.mark.parametrize("name", ["multi-crop+dense", "center"])
def test_every_image_counts_once_for_any_batch_size_and_number_of_devices(
    model, pictures, name, uncompiled
):
    # On several devices, Keras' predict builds a dataset for each size.
    protocol = Protocol(name, (71,), CROP)
    expected = posteriors(model, pictures, protocol, batch_size=1)
    np.testing.assert_allclose(expected.sum(1), 1, atol=1e-6)
    for batch_size, replicas in ((2, 1), (5, 2), (64, 4)):
        found = posteriors(model, pictures, protocol, batch_size=batch_size, replicas=replicas)
        np.testing.assert_allclose(found, expected, atol=1e-5)  # other sizes use other kernels


def test_one_device_predicts_without_a_dataset_and_several_share_a_full_batch(
    model, pictures, uncompiled, monkeypatch
):
    # A dataset for each batch would cost 35 ms.
    predict, sizes = keras.Model.predict, []
    monkeypatch.setattr(
        keras.Model,
        "predict",
        lambda self, x, **o: (sizes.append(len(x)), predict(self, x, **o))[1],
    )
    protocol = Protocol("center", (CROP,), CROP)
    alone = posteriors(model, pictures, protocol)
    assert sizes == []
    np.testing.assert_allclose(posteriors(model, pictures, protocol, replicas=2), alone, rtol=1e-5)
    assert sizes
    assert all(size % 2 == 0 for size in sizes)


@pytest.mark.parametrize(
    ("scale", "crop", "several", "expected"),
    [
        (256, 224, False, (256,)),  # section 4.1
        ((256, 512), 224, False, (384,)),
        (256, 224, True, (224, 256, 288)),  # Table 4
        (384, 224, True, (352, 384, 416)),
        ((256, 512), 224, True, (256, 384, 512)),
        (36, 32, True, (32, 36, 41)),
        (33, 32, True, (32, 33, 38)),
        (32, 32, True, (32, 37)),  # no duplicate, which would count twice
    ],
)
def test_scales_equal_those_of_section_4(scale, crop, several, expected):
    assert choose_scales(scale, crop, several) == expected


def test_the_grid_spans_the_image_in_even_steps():
    assert place_crops(256, 341, 224, "multi-crop")[:6] == [
        (0, 0),
        (0, 29),
        (0, 58),
        (0, 87),
        (0, 117),
        (8, 0),
    ]
    assert place_crops(256, 341, 224, "multi-crop")[-1] == (32, 117)
    assert place_crops(256, 341, 224, "ten-crop") == [
        (0, 0),
        (0, 117),
        (32, 0),
        (32, 117),
        (16, 58),
    ]
    assert Protocol("multi-crop", (256, 384, 512)).views == 150
    assert Protocol("multi-crop+dense", (256,), flip=False).views == 26
    assert Protocol("center", (256,)).views == Protocol("center", (256,), flip=False).views == 1
    assert Protocol("ten-crop", (256,)).views == Protocol("padded-ten-crop", (256,)).views == 10


@pytest.fixture(scope="module")
def dense():
    model = build_vgg("shallow", input_shape=(224, 224, 3), classes=2, width=0.0625, head_width=8)
    return Evaluator(model, [(256, "dense")]).dense


@pytest.mark.parametrize(
    ("q", "positions"), [(224, 1), (256, 2), (288, 3), (352, 5), (384, 6), (416, 7), (512, 10)]
)
def test_the_dense_form_has_the_papers_positions(dense, q, positions):
    assert dense.compute_output_shape((1, q, q, 3)) == (1, positions, positions, 2)


def test_static_sides_are_multiples_of_32(pictures):
    units = [(71, "dense"), (90, "dense")]
    for picture in pictures:
        exact = [view.shape for view in cut_views(picture, units, CROP)]
        for view, (_, h, w, _) in zip(
            cut_views(picture, units, CROP, static=True), exact, strict=True
        ):
            assert view.shape[1] % 32 == view.shape[2] % 32 == 0
            assert abs(view.shape[1] - h) <= 16
            assert abs(view.shape[2] - w) <= 16


@pytest.mark.parametrize(
    ("name", "scales", "message"),
    [
        (
            "denser",
            (256,),
            "Unknown protocol 'denser'. Expected one of: center, ten-crop, padded-ten-crop",
        ),
        ("dense", (256, 192), r"at least the crop's .*224 pixels. Received: \(256, 192\)"),
        ("dense", (), r"at least the crop's .*224 pixels"),
    ],
)
def test_unknown_protocols_and_invalid_scales_are_refused(name, scales, message):
    with pytest.raises(ValueError, match=message):
        Protocol(name, scales)
