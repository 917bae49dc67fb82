"""A SavedModel takes encoded pictures, and replaces no folder of another kind."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.formats.making_networks import CLASSES, network_of, pixels
from vgg_tf import export
from vgg_tf.formats import saved_model

pytestmark = pytest.mark.usefixtures("table")


def test_the_saved_model_takes_encoded_pictures_and_stores_its_variables_once(tmp_path):
    network = network_of(tmp_path)
    saved_model.write(network, str(tmp_path / "a"))
    picture = pixels(50, 70, 1)[0]
    call = tf.saved_model.load(str(tmp_path / "a")).signatures["encoded"]
    contents = [tf.io.encode_png(picture).numpy(), tf.io.encode_jpeg(picture, quality=95).numpy()]
    found = call(contents=tf.constant(contents))
    expected = network.model.predict_on_batch(np.float32(network.view(picture))[np.newaxis])[0]
    np.testing.assert_allclose(found["posteriors"][0], expected, atol=1e-5)
    assert [name.decode() for name in found["classes"].numpy()] == list(CLASSES)
    size = sum(path.stat().st_size for path in (tmp_path / "a/variables").iterdir())
    assert size < 1.2 * 4 * network.model.count_params() + 20_000


def test_a_folder_that_is_not_a_saved_model_is_not_changed(file, tmp_path):
    (tmp_path / "shallow_bn-savedmodel").mkdir()
    Path(tmp_path, "shallow_bn-savedmodel/mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrites SavedModels only"):
        export.main([str(file), "--format", "savedmodel", "--out", str(tmp_path), "--n", "2"])
    assert Path(tmp_path, "shallow_bn-savedmodel/mine.txt").read_text() == "mine"
