"""Chatter of libraries is hidden; warnings are shown, and after an error everything."""

import os

import pytest

from vgg_tf.formats.native_messages import hide_chatter

CHATTER = [
    "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
    "fully_quantize: 0, inference_type: 6, input_inference_type: UINT8",
    "I0000 00:00:1764570000.0 42 mlir_graph_optimization_pass.cc:425] MLIR V1 is enabled",
    "W0000 00:00:1764570000.0 42 tf_tfl_flatbuffer_helpers.cc:364] Ignored output_format.",
    "\x1b[0;93m2026-12-01 [W:onnxruntime:Default, device_discovery.cc:164 Get] no card\x1b[m",
]
MEANT = [
    "ERROR: Op builtin_code out of range: 206. Are you using an old runtime?",
    "WARNING: Attempting to use a delegate that only supports static-sized tensors",
    "W0000 00:00:1764570000.0 42 lite.cc:1] INFO is a word in this warning",
]


def write():
    os.write(2, "".join(f"{line}\n" for line in CHATTER + MEANT).encode())
    return 0


def test_lines_of_libraries_are_shown_from_warnings_on(capfd):
    with hide_chatter():
        write()
    assert capfd.readouterr().err.splitlines() == MEANT


def test_all_lines_are_shown_after_an_error(capfd):
    with pytest.raises(ZeroDivisionError), hide_chatter():
        print(1 / write())
    assert capfd.readouterr().err.splitlines() == CHATTER + MEANT


def test_a_process_without_stderr_goes_on(monkeypatch):
    def closed(number):
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "dup", closed)
    with hide_chatter():
        pass
