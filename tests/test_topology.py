"""What is computed of a step on chips that are not here."""

import os
import re
import subprocess
import sys

import pytest

# In a process of its own: the room makes Keras run on JAX.
COUNT = """
from vgg_tf.topology import Step, analytic_flops, largest_batch
from vgg_tf.network import build_vgg
import keras
for arch in ("vgg11", "vgg16"):
    model = build_vgg(arch, initializer="zeros")
    taps = 0
    for layer in model.layers:
        if not hasattr(layer, "kernel"):
            continue
        *sides, inputs, outputs = layer.kernel.shape
        if sides:
            n = layer.output.shape[1]
            # every row of the image against every row of the kernel, one by one
            rows = sum(0 <= i + j < n for i in range(n) for j in range(-(sides[0] // 2), sides[0] // 2 + 1))
            taps += 2 * rows**2 * inputs * outputs * (2 if layer.name == "block1_conv1" else 3)
        else:
            taps += 2 * inputs * outputs * 3
    print(arch, analytic_flops(model), taps)
steps = [Step(8, batch, 1000 + 5 * batch, 21000, 1.0, 1.0, 0.0) for batch in (512, 1024)]
print("batch", largest_batch(*steps))
"""


@pytest.fixture(scope="module")
def counts():
    pytest.importorskip("jax")
    result = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    return {words[0]: words[1:] for words in map(str.split, result.stdout.splitlines())}


def test_operations_are_those_of_counting_every_row_of_every_map(counts):
    for arch in ("vgg11", "vgg16"):
        ours, counted = map(float, counts[arch])
        assert ours == pytest.approx(counted, rel=1e-12)


def test_a_step_of_vgg16_has_90_gflop_an_image(counts):
    # XLA's own count of the compiled step is 90.0; 3 times 15.5 G multiplications and additions less the padding.
    assert float(counts["vgg16"][0]) == pytest.approx(90e9, rel=0.01)


def test_the_largest_batch_fills_the_memory_in_eights_of_a_device(counts):
    # 1000 + 5 * batch = 21000 at 4000, which is 62 times 64 and a half.
    assert counts["batch"] == ["3968"]


@pytest.mark.slow
def test_a_small_net_compiles_for_eight_chips_and_its_bounds_are_marked_as_such(tmp_path):
    pytest.importorskip("libtpu")
    words = ["--arch", "vgg11", "--recipe", "cifar", "--width", "0.25", "--topology", "v5e:2x4", "--batch-size", "256"]
    command = [sys.executable, "-m", "vgg_tf.preflight", *words]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "on v5e:2x4: 8 devices of 15.75 GiB" in result.stdout
    assert re.search(r"batch    256: fits, needs [\d.]+ GiB a device", result.stdout)
    assert "BOUND, NOT MEASURED" in result.stdout
    xla, ours = map(float, re.search(r"([\d.]+) GFLOP an image by XLA's count, ([\d.]+) by ours", result.stdout).groups())
    assert xla == pytest.approx(ours, rel=0.1)


def test_without_libtpu_the_command_says_what_to_install():
    code = "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n, *a: None if n == 'libtpu' else f(n, *a)\n"
    code += "from vgg_tf import preflight, programs; programs.run(lambda: preflight.main(['--topology', 'v5e:2x4']))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert result.returncode == 1
    assert result.stderr.strip().endswith('pip install "vgg_tf[preflight]" (or jax libtpu)')
