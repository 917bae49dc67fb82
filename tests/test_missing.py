"""A path where nothing is is named within a second, before TensorFlow is imported."""

import subprocess
import sys
import time

import pytest


@pytest.mark.parametrize(
    "words",
    [
        "vgg_tf.train --inherit nowhere",
        "vgg_tf.train --data nowhere",
        "vgg_tf.evaluate cifar10 nowhere",
        "vgg_tf.predict nowhere picture.png",
        "vgg_tf.transfer digits --weights cifar10 nowhere",
        "vgg_tf.export nowhere",
        "vgg_tf.localize train --data digits --inherit nowhere",
        "vgg_tf.localize evaluate nowhere",
    ],
)
def test_a_missing_path_is_named_without_tensorflow(words, tmp_path):
    # Half a second each: a program of its own is the claim.
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]; sys.modules['tensorflow'] = None; "
        "sys.modules['keras'] = None; runpy.run_module(sys.argv[0], run_name='__main__')"
    )
    start = time.perf_counter()
    command = [sys.executable, "-c", code, *words.split()]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    seconds = time.perf_counter() - start
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "nowhere" in result.stderr
    assert result.stderr.count("\n") == 1
    assert seconds < 5  # on a busy machine
