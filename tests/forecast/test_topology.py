"""The operations of a step are counted correctly, and libtpu knows every topology."""

import subprocess
import sys

import pytest

from vgg_tf import build_vgg
from vgg_tf.forecast.topology import count_flops


@pytest.mark.parametrize(
    ("arch", "width", "until"),
    [("vgg11", 1 / 16, None), ("vgg16", 1 / 16, None), ("vgg11", 1 / 16, "block4")],
)
def test_operations_equal_a_count_over_every_row_of_every_map(arch, width, until):
    model, first = (
        build_vgg(arch, initializer="zeros", width=width, freeze_until=until),
        f"{until or 'block1'}_conv1",
    )
    taps = 0
    for layer in model.layers:
        if not hasattr(layer, "kernel"):
            continue
        times = 1 if not layer.trainable else 2 if layer.name == first else 3
        *sides, inputs, outputs = layer.kernel.shape
        if sides:
            n = layer.output.shape[1]
            # every row of the image against every row of the kernel, one by one
            rows = sum(
                0 <= i + j < n for i in range(n) for j in range(-(sides[0] // 2), sides[0] // 2 + 1)
            )
            taps += 2 * rows**2 * inputs * outputs * times
        else:
            taps += 2 * inputs * outputs * times
    assert count_flops(model) == pytest.approx(taps, rel=1e-12)


def test_a_step_of_vgg16_has_90_gflop_per_image():
    # XLA counts 90.0 for the compiled step: 3 times 15.5 G multiplications and additions, without
    # the padding.
    assert count_flops(build_vgg("vgg16", initializer="zeros")) == pytest.approx(90e9, rel=0.01)


# The devices of this machine replace those of the topology. One convolution only, because JAX
# compiles each operation on its own.
FROZEN = """
import types
from vgg_tf.forecast import topology
from vgg_tf.paper import architectures
import jax
from jax.experimental import topologies
from vgg_tf.paper.recipes import Recipe
architectures.ARCHITECTURES["shallow"] = architectures.Architecture(
    "shallow", "-", ((3,), (), (), (), ())
)
topologies.get_topology_desc = lambda **words: types.SimpleNamespace(devices=jax.devices())
recipe = Recipe(size=32, scale=(32, 32), width=1 / 16, head_width=16, freeze_until="fc2")
scores = topology.Topology("v5e:2x4", "shallow", recipe, 5).scores
print(*(variable.path for variable in scores.trainable_variables))
"""


@pytest.mark.slow
def test_the_compiled_step_does_not_train_frozen_layers():
    pytest.importorskip("jax")
    result = subprocess.run(
        [sys.executable, "-c", FROZEN], capture_output=True, text=True
    )  # seconds: Keras on JAX
    assert result.returncode == 0, result.stderr[-2000:]
    learning = {path.split("/")[0] for path in result.stdout.split()}
    assert learning == {"fc2", "predictions"}


# All topologies in one process, as a report and a table find them.
KNOWN = """
from vgg_tf.forecast import bounds, topology
for name, n in bounds.TOPOLOGIES.items():
    with topology.set_environment():
        devices = topology.find_devices(name)
    assert len(devices) == n, name
    assert bounds.KINDS[devices[0].device_kind] == name.split(":")[0], devices
"""


@pytest.mark.slow
def test_libtpu_knows_every_topology_by_its_number_of_devices_and_its_chip():
    pytest.importorskip("libtpu")
    result = subprocess.run([sys.executable, "-c", KNOWN], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
