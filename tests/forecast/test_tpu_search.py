"""The program checks its flags first, and prints the bounds of each topology."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.making import cells_of
from vgg_tf import build_vgg
from vgg_tf.forecast.bounds import TOPOLOGIES
from vgg_tf.forecast.topology import count_flops

KNOWN = f"--topology must list only: {', '.join(TOPOLOGIES)}."
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
# image. It prints what it compiles on stderr, and fails after the first `limit` steps.
FAKE = """
import importlib.util, sys, types
from vgg_tf import preflight
from vgg_tf.forecast import bounds, host, tpu_search
from vgg_tf.runtime import programs, quiet
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *package: name in ("jax", "libtpu") or found(name, *package)
quiet.quiet_tensorflow = lambda: None
tpu_search.measure_host = lambda recipe: host.Host(200.0, 2)
limit, *words = sys.argv[1:]
compiled = []
class Topology:
    def __init__(self, name, arch, recipe, classes):
        self.arch, self.devices = arch, bounds.TOPOLOGIES[name]
        self.available = (32 if name == "v6e:2x2" else 16) * bounds.GIB
    def compile(self, batch, kind):
        if len(compiled) == int(limit):
            sys.exit("interrupted")
        compiled.append(kind)
        print(self.arch, kind, batch, file=sys.stderr)
        needed = batch // self.devices * 64 * 2**20
        fits = needed <= self.available
        return bounds.Step(
            self.devices, batch, needed, self.available, 1e12 * fits, 1e9 * fits, 1.0
        )
sys.modules["vgg_tf.forecast.topology"] = types.SimpleNamespace(Topology=Topology)
programs.run(lambda: preflight.main(["--topology", "v5e:2x2,v6e:2x2", *words]))
"""


def fake(out, *words, limit=1000):
    """Run the program with the fake compiler; its files are in `out`."""
    words = [sys.executable, "-c", FAKE, str(limit), "--out", str(out), *words]
    return subprocess.run(words, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("batch", "code", "first", "second"), [(2048, 1, "1,024", "2,048"), (1024, 0, "1,024", "2,048")]
)
def test_a_topology_without_enough_memory_sets_the_exit_code_and_stops_no_other(
    batch, code, first, second, tmp_path
):
    result = fake(tmp_path, "--batch-size", str(batch))
    assert result.returncode == code, result.stderr[-2000:]
    heading, *rows = cells_of(result.stdout)
    cells = [dict(zip(heading, row, strict=True)) for row in rows]
    needed = f"needed a device at {batch:,} images a step"
    assert [row["topology"] for row in cells] == ["v5e:2x2", "v6e:2x2"]
    assert [row[needed].endswith("does not fit") for row in cells] == [code == 1, False]
    assert [row["most images a step compiled that fit"] for row in cells] == [first, second]


def test_a_step_takes_a_part_of_a_batch_and_hours_follow_the_steps_per_epoch(tmp_path):
    words = "--batch-size 2048 --accumulate 2 --steps-per-epoch 10 --epochs 3".split()
    result = fake(tmp_path, *words)
    assert result.returncode == 0, result.stderr[-2000:]
    assert (
        "a batch of 2,048 images takes 2 steps of 1,024, whose gradients are added" in result.stdout
    )
    assert re.search(r"^   1,024 images a step: fits", result.stdout, re.M)
    assert "needed a device at 1,024 images a step" in result.stdout
    assert "3 epochs of 20,480 images" in result.stdout


def test_an_interrupted_table_of_all_networks_continues_and_compiles_no_step_twice(tmp_path):
    # Three processes, which import the program.
    words = ["--arch", "all", "--batch-size", "1024"]
    whole = fake(tmp_path / "whole", *words)
    assert whole.returncode == 0, whole.stderr[-2000:]
    heading, *rows = cells_of(whole.stdout)
    networks = ["vgg11", "vgg11_lrn", "vgg13", "vgg16c", "vgg16", "vgg19"]
    assert heading[:2] == ["network", "topology"]
    assert [tuple(row[:2]) for row in rows] == [
        (network, name) for network in networks for name in ("v5e:2x2", "v6e:2x2")
    ]
    steps = whole.stderr.splitlines()
    assert len(steps) > 50
    first = fake(tmp_path / "torn", *words, limit=7)
    assert first.stderr.splitlines() == [*steps[:7], "interrupted"]
    second = fake(tmp_path / "torn", *words)
    assert second.stderr.splitlines() == steps[7:]
    assert cells_of(second.stdout) == [heading, *rows]


def test_a_table_of_all_networks_needs_a_topology():
    code = "from vgg_tf import preflight; preflight.main(['--arch', 'all', '--init'])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ValueError: --arch all needs --topology. Received: --arch all." in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["v5e:2x4", "v6e:2x4"])
def test_a_small_network_compiles_and_bounds_are_marked_as_bounds(name, tmp_path):
    pytest.importorskip("libtpu")
    words = f"--arch vgg11 --recipe cifar --width 0.25 --topology {name} --batch-size 256".split()
    command = [sys.executable, "-m", "vgg_tf.preflight", *words]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr[-2000:]
    for what in (" 256 images a step", "crops of 256 images a step", "dense of 128 images a step"):
        assert re.search(rf"  {what}: fits, [\d.]+ GiB of [\d.]+ a device;", result.stdout)
    assert "BOUND, NOT MEASURED" in result.stdout
    steps = json.loads((tmp_path / "preflight" / "steps.json").read_text())
    step = next(step for key, step in steps.items() if key.startswith("train, 256 images, "))
    xla = step["flops"] * step["devices"] / step["batch"] / 1e9
    model = build_vgg("vgg11", input_shape=(32, 32, 3), width=0.25, initializer="zeros")
    assert xla == pytest.approx(count_flops(model) / 1e9, rel=0.15)
    _, row = cells_of(result.stdout)
    assert row[:3] == ["vgg11", name, str(TOPOLOGIES[name])]
    assert "-" not in row[7:12]


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
