"""LiteRT's files name their tensors and classes; int8 takes pixels and is small."""

import os
import zipfile
from dataclasses import replace

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
    for name in "abc":
        assert names_of(tmp_path / f"{name}.tflite") == ["image", "posteriors"]
        assert labels_of(tmp_path / f"{name}.tflite") == list(CLASSES)


def names_of(path):
    """Return the names of the input and output of a file, which the interpreter reads."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    (given,), (gotten,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["image"], "outputs": ["posteriors"]}
    }
    return [given["name"], gotten["name"]]


def labels_of(path):
    with zipfile.ZipFile(path) as archive:
        return archive.read("labels.txt").decode().splitlines()


def test_a_line_break_in_a_class_name_does_not_split_its_label(tmp_path):
    classes = ("cat\ntabby", "dog\r\n", "a\u2028b\x0bc", "\n")
    network = replace(network_of(tmp_path), classes=classes)
    litert.write(network, str(tmp_path / "a.tflite"))
    assert labels_of(tmp_path / "a.tflite") == ["cat tabby", "dog", "a b c", ""]
    assert tuple(litert.read(str(tmp_path / "a.tflite"))[1]["classes"]) == classes


def test_messages_of_the_runtime_do_not_reach_the_terminal(tmp_path, capfd):
    litert.write(network_of(tmp_path), str(tmp_path / "a.tflite"), "int8", pixels(32, 32))
    litert.read(str(tmp_path / "a.tflite"))
    assert "INFO" not in (said := capfd.readouterr().err)
    assert "fully_quantize" not in said
