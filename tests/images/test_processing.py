"""process_path returns a view and the label of the folder, and its errors name the file."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.images.making_pictures import coordinates, encode, with_alpha
from tests.images.making_views import both_ways, columns, eagerly, in_tf_data
from vgg_tf.images import decoding
from vgg_tf.images.processing import process_path
from vgg_tf.images.rescaling import make_center_view

CLASSES = ("cat", "dog", "newt")


@pytest.fixture
def photos(tmp_path):
    """Return the paths of a picture of each class.

    The pictures have 18 x 21 pixels, so a scale of 18 leaves them unchanged.
    """
    paths = []
    for name, kind in zip(CLASSES, ("png", "bmp", "jpeg"), strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name} 1.{kind}").write_bytes(encode(coordinates(18, 21), kind))
        paths.append(str(tmp_path / name / f"{name} 1.{kind}"))
    return paths


@both_ways
def test_process_path_returns_the_center_view_and_the_position_of_the_folder(call, photos):
    got = call(lambda path: process_path(path, CLASSES, 16, 18, training=False), photos)
    assert [label for _, label in got] == [0, 1, 2]
    assert {label.dtype for _, label in got} == {np.dtype(np.int64)}
    for path, (view, _) in zip(photos, got, strict=True):
        with open(path, "rb") as file:
            np.testing.assert_array_equal(
                view, make_center_view(decoding.decode(file.read()), 16, 18)
            )


def test_in_training_contents_and_seed_determine_the_random_view(photos):
    def look(path, seed):
        return process_path(path, CLASSES, 16, 18, seed=seed, shift=0)

    cuts, labels = columns(
        in_tf_data(look, np.repeat([photos[0], photos[1], photos[0]], 8), np.tile(np.arange(8), 3))
    )
    assert labels == [0] * 8 + [1] * 8 + [0] * 8
    for cut in cuts:
        upright = cut[:, ::-1] if cut[0, 0, 0] > cut[0, -1, 0] else cut
        left, top, _ = upright[0, 0]
        np.testing.assert_array_equal(
            upright, coordinates(18, 21)[top : top + 16, left : left + 16]
        )
    cat, dog, again = np.reshape(cuts, (3, 8, 16, 16, 3))
    np.testing.assert_array_equal(again, cat)
    assert len(np.unique(cat, axis=0)) > 4  # of 36
    assert (cat != dog).any((1, 2, 3)).sum() > 4  # the same pixels in a file of another format


def test_process_path_takes_a_range_of_scales(photos):
    def look(path, seed):
        return process_path(path, CLASSES, 16, (16, 32), seed=seed, flip=False, shift=0)[0]

    # The picture rises by a level per column. 11 columns span 12 levels after shrinking to 16, and
    # 6 levels after enlarging to 32.
    slopes = [
        int(cut[0, 13, 0]) - int(cut[0, 2, 0])
        for cut in eagerly(look, [photos[0]] * 12, list(range(12)))
    ]
    assert min(slopes) <= 8
    assert max(slopes) >= 10


@both_ways
def test_a_folder_that_is_not_a_class_raises_an_error_that_names_the_file(call, photos):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"(?s)not in class_names.*newt 1\.jpeg"
    ):
        call(lambda path: process_path(path, ["cat", "dog"], 16, 18, training=False), photos)


@pytest.mark.parametrize(
    ("call", "contents", "training"),
    [
        (in_tf_data, b"", False),
        (eagerly, b"", True),
        (eagerly, b"Dear diary", True),
        (eagerly, b"Dear diary", False),
    ],
)
def test_a_file_that_is_not_an_image_raises_an_error_that_names_it(
    call, photos, contents, training
):
    with open(photos[0], "wb") as file:
        file.write(contents)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"(?s)not a JPEG, PNG, GIF, BMP or WebP.*cat 1\.png"
    ):
        call(lambda path: process_path(path, CLASSES, 16, 18, training=training), photos)


def test_a_missing_file_raises_an_error_that_names_it(photos):
    with pytest.raises(tf.errors.NotFoundError, match=r"cat 2\.png"):
        process_path(photos[0].replace("cat 1", "cat 2"), CLASSES, 16, 18)


@pytest.mark.parametrize(
    "old", [{"cut": 224}, {"S": 256}, {"max_delta": 0.1}, {"cut": 224, "S": 256, "max_delta": 0.1}]
)
def test_keywords_of_the_old_version_raise_an_error_that_names_the_new_ones(photos, old):
    names = ", ".join(old)
    with pytest.raises(
        TypeError,
        match=rf"crop= instead of cut=, scale= .* shift= .*max_delta=.*Received: {names}\.",
    ):
        process_path(photos[0], CLASSES, **old)


COLORS = [[9.0, 3.0, 0.0], [3.0, 5.0, 0.0], [0.0, 0.0, 1.0]]


def test_a_covariance_may_be_a_tensor_also_inside_a_dataset(photos):
    outside = tf.constant(COLORS)

    def look(covariance):
        return lambda path: process_path(path, CLASSES, 16, 18, seed=1, covariance=covariance())[0]

    expected = eagerly(look(lambda: COLORS), photos[:1])
    for make in (lambda: outside, lambda: tf.constant(COLORS), lambda: np.array(COLORS)):
        for call in (eagerly, in_tf_data):
            np.testing.assert_array_equal(call(look(make), photos[:1]), expected)
    with pytest.raises(ValueError, match="covariance must have the same values for all images"):
        in_tf_data(
            lambda path, colors: process_path(path, CLASSES, 16, 18, covariance=colors),
            photos[:1],
            [COLORS],
        )


UNUSED = [{"padding": 16}, {"cutout": -1}, {"shift": -1.0}, {"covariance": [[1.0]]}]


@pytest.mark.parametrize("unused", UNUSED)
def test_the_center_crop_ignores_the_numbers_of_random_views(photos, unused):
    expected, _ = process_path(photos[0], CLASSES, 16, 18, training=False)
    found, _ = process_path(photos[0], CLASSES, 16, 18, training=False, **unused)
    np.testing.assert_array_equal(found, expected)
    if "covariance" not in unused:
        with pytest.raises(ValueError, match=r"Received: "):
            process_path(photos[0], CLASSES, 16, 18, **unused)


STILL = coordinates(18, 21)
TURNED = Image.fromarray(STILL[::-1].copy())
MOVING = {"save_all": True, "append_images": [TURNED], "lossless": True}
WEBP = {
    "lossy": (STILL, {"quality": 90}),
    "lossless": (STILL, {"lossless": True}),
    "alpha": (with_alpha(STILL), {"lossless": True, "exact": True}),
    "lossy with alpha": (with_alpha(STILL), {}),
    "animation": (STILL, MOVING),
    "animation with metadata": (STILL, MOVING | {"icc_profile": b"x" * 99}),
    "lossy animation": (STILL, MOVING | {"lossless": False}),
    "animation with alpha": (with_alpha(STILL), MOVING),
}


@both_ways
@pytest.mark.parametrize("name", WEBP)
def test_every_kind_of_webp_is_read_as_pil_reads_it(call, tmp_path, name):
    picture, options = WEBP[name]
    contents = encode(picture, "webp", **options)
    (tmp_path / "cat").mkdir()
    path = tmp_path / "cat" / "1.dat"  # the content counts, not the suffix
    path.write_bytes(contents)
    ((got, _),) = call(
        lambda path: process_path(path, CLASSES, 18, 18, training=False), [str(path)]
    )
    first = Image.open(io.BytesIO(contents)).convert("RGBA")  # the first frame, over white
    white = Image.alpha_composite(Image.new("RGBA", first.size, "white"), first)
    np.testing.assert_array_equal(got, make_center_view(np.array(white)[:, :, :3], 18, 18))


@pytest.mark.parametrize("name", ["lossy", "alpha", "animation"])
@pytest.mark.parametrize("n", [14, 20, 21, 30, -9])
def test_a_webp_that_is_cut_off_is_an_error(name, n):
    picture, options = WEBP[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"."):
        decoding.decode(encode(picture, "webp", **options)[:n])
