"""LiteRT's int8 files take pixels, mostly agree with the network, and are small."""

import os
import zipfile

import pytest

from tests.formats.making_networks import CLASSES, network_of, pixels
from vgg_tf.formats import litert, source_network

pytestmark = pytest.mark.usefixtures("table")


def test_int8_takes_unscaled_pixels_and_mostly_agrees(tmp_path):
    network = network_of(tmp_path, width=1 / 2)  # large enough that most of the file is weights
    some = pixels(32, 32, 20)
    litert.write(network, str(tmp_path / "a.tflite"), "int8", some)
    run, _ = litert.read(str(tmp_path / "a.tflite"))
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(tmp_path / "a.tflite"))
    assert interpreter.get_input_details()[0]["quantization"] == (1.0, 0)
    assert source_network.compare(network, run, some)["top1_agreement"] > 0.8
    litert.write(network, str(tmp_path / "b.tflite"), "float16")
    litert.write(network, str(tmp_path / "c.tflite"))
    sizes = [os.path.getsize(tmp_path / f"{name}.tflite") for name in "abc"]
    assert sizes[0] < 0.4 * sizes[2]
    assert sizes[1] < 0.6 * sizes[2]
    with zipfile.ZipFile(tmp_path / "a.tflite") as archive:
        assert archive.read("labels.txt").decode().splitlines() == list(CLASSES)
