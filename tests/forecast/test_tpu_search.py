"""The program checks its flags first, and prints the bounds of each topology."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.making import cells_of

KNOWN = "--topology must list only: v3:2x2, v4:2x2x1, v5e:2x2, v5e:2x4, v6e:2x2."
STEP4 = "The images of a step must divide evenly among the 8 devices of v5e:2x4. Received: 4."


WRONG = [
    (
        "v5e:2x4,v9:1x1",
        "",
        f"{KNOWN} Received: 'v9:1x1'. Correct or remove it.",
    ),
    (
        "v5e:2x4,",
        "",
        f"{KNOWN} Received: ''.",
    ),
    ("v5e:2x2,v5e:2x4", "--batch-size 4", STEP4),
    ("v5e:2x4", "--batch-size 32 --accumulate 8", STEP4),
]
CHECK = """
import json, sys
from vgg_tf import preflight
from vgg_tf.runtime import programs
for words in json.loads(sys.argv[1]):
    try:
        programs.run(lambda: preflight.main(["--topology", *words]))
    except SystemExit as end:
        heavy = [name for name in ("jax", "keras", "tensorflow") if name in sys.modules]
        print(json.dumps([end.code, heavy]))
"""


def test_all_flags_are_checked_before_a_network_is_built():
    asked = json.dumps([[names, *words.split()] for names, words, _ in WRONG])
    result = subprocess.run([sys.executable, "-c", CHECK, asked], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for (error, imported), (_, _, expected) in zip(found, WRONG, strict=True):
        assert error.startswith(f"error: {expected}")  # Python prints it, and exits with 1
        assert "\n" not in error
        assert imported == []


# The program with a fake compiler: 16 GiB per device of v5e, 32 GiB per device of v6e, 64 MiB per
# image.
FAKE = """
import importlib.util, sys, types
from vgg_tf import preflight
from vgg_tf.forecast import tpu_search
from vgg_tf.forecast import bounds
from vgg_tf.runtime import programs, quiet
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *package: name in ("jax", "libtpu") or found(name, *package)
quiet.quiet_tensorflow = lambda: None
tpu_search._input_rate = lambda recipe: (100.0, 2)
class Topology:
    scores = None
    def __init__(self, name, arch, recipe, classes):
        self.devices = bounds.TOPOLOGIES[name]
        self.available = (32 if name == "v6e:2x2" else 16) * bounds.GIB
    def compile(self, batch):
        needed = batch // self.devices * 64 * 2**20
        fits = needed <= self.available
        return bounds.Step(
            self.devices, batch, needed, self.available, 1e12 * fits, 1e9 * fits, 1.0
        )
sys.modules["vgg_tf.forecast.topology"] = types.SimpleNamespace(
    Topology=Topology, count_flops=lambda model: 9e10
)
programs.run(lambda: preflight.main(["--topology", "v5e:2x2,v6e:2x2", *sys.argv[1:]]))
"""


@pytest.mark.parametrize(
    ("batch", "code", "first", "second"), [(2048, 1, "1,024", "2,048"), (1024, 0, "1,024", "2,048")]
)
def test_a_topology_without_enough_memory_sets_the_exit_code_and_stops_no_other(
    batch, code, first, second
):
    result = subprocess.run(
        [sys.executable, "-c", FAKE, "--batch-size", str(batch)], capture_output=True, text=True
    )
    assert result.returncode == code, result.stderr[-2000:]
    _, *rows = cells_of(result.stdout)
    assert [row[0] for row in rows] == ["v5e:2x2", "v6e:2x2"]
    assert [row[3].endswith("does not fit") for row in rows] == [code == 1, False]
    assert [row[4] for row in rows] == [first, second]


def test_a_step_takes_a_part_of_a_batch_and_hours_follow_the_steps_per_epoch():
    words = "--batch-size 2048 --accumulate 2 --steps-per-epoch 10 --epochs 3".split()
    result = subprocess.run([sys.executable, "-c", FAKE, *words], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert (
        "a batch of 2,048 images takes 2 steps of 1,024, whose gradients are added" in result.stdout
    )
    assert re.search(r"^   1,024 images a step: fits", result.stdout, re.M)
    assert "needed a device at 1,024 images a step" in result.stdout
    assert "3 epochs of 20,480 images" in result.stdout


@pytest.mark.slow
def test_a_small_network_compiles_for_eight_chips_and_bounds_are_marked_as_bounds(tmp_path):
    pytest.importorskip("libtpu")
    words = "--arch vgg11 --recipe cifar --width 0.25 --topology v5e:2x4 --batch-size 256".split()
    command = [sys.executable, "-m", "vgg_tf.preflight", *words]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "on v5e:2x4: 8 devices of 15.75 GiB" in result.stdout
    assert re.search(r"   256 images a step: fits, [\d.]+ GiB a device", result.stdout)
    assert "BOUND, NOT MEASURED" in result.stdout
    xla, ours = map(
        float,
        re.search(
            r"([\d.]+) GFLOP an image by XLA's count, ([\d.]+) by ours", result.stdout
        ).groups(),
    )
    assert xla == pytest.approx(ours, rel=0.1)
    assert re.search(
        r"^\| v5e:2x4 +\| 8 +\| 15.75 +\| [\d.]+ GiB: fits +\| [\d,]+ +\|", result.stdout, re.M
    )


def test_without_libtpu_the_error_says_what_to_install():
    code = (
        "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n, *a: None if n "
        "== 'libtpu' else f(n, *a)\n"
    )
    code += "from vgg_tf import preflight; from vgg_tf.runtime import programs\n"
    code += "programs.run(lambda: preflight.main(['--topology', 'v5e:2x4']))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ
    )
    assert result.returncode == 1
    assert result.stderr.strip().endswith('pip install "vgg_tf[preflight]" (or "jax[tpu]")')
