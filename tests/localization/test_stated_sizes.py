"""Boxes that were annotated on turned or resized pictures are at their object in training."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.making_boxes import XML
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection
from vgg_tf.localization.inputs import read_boxes

HEIGHT, WIDTH = 40, 60


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
def test_the_box_surrounds_the_object_in_the_stored_pixels(tmp_path, orientation, scale):
    random = np.random.default_rng(0)
    for folder in ("images", "annotations"):
        (tmp_path / folder).mkdir()
    for i in range(4):
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        (top, left), (h, w) = random.integers(0, 20, 2), random.integers(8, 20, 2)
        pixels[top : top + h, left : left + w] = 255
        exif = Image.Exif()
        exif[0x112] = orientation
        path = tmp_path / "images" / f"{i}.png"
        Image.fromarray(pixels).save(path, exif=exif)
        # What a program that shows pictures as their orientation asks writes.
        shown = np.asarray(ImageOps.exif_transpose(Image.open(path)))
        y, x = (np.flatnonzero(shown[..., 0].any(axis)) for axis in (1, 0))
        size = [scale * side for side in shown.shape[1::-1]]
        box = [scale * side for side in (x[0], y[0], x[-1] + 1, y[-1] + 1)]
        text = XML.format(*size, "ab"[i % 2], *box)
        (tmp_path / "annotations" / f"{i}.xml").write_text(text)
    source = open_source(tmp_path, Selection(hold_out=0.0))
    found = read_boxes(source.splits["train"], source.classes)
    assert found.sizes == [(WIDTH, HEIGHT)] * 4
    for name, corners in zip(found.images.names, found.corners, strict=True):
        lit = np.asarray(Image.open(tmp_path / name))[..., 0] > 0
        y, x = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
        np.testing.assert_allclose(
            corners[0] * [WIDTH, HEIGHT, WIDTH, HEIGHT],
            [x[0], y[0], x[-1] + 1, y[-1] + 1],
            atol=1e-4,
        )
    assert any("4 images: boxes turned by their EXIF" in note for note in source.notes) is (
        orientation > 1
    )
