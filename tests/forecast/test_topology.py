"""What is computed of a step on chips that are not here."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.making import cells_of
from vgg_tf import build_vgg
from vgg_tf.forecast.bounds import (
    GIB,
    Bounds,
    Step,
    choose_next_batch,
    estimate_largest_batch,
    format_table,
    parse_topologies,
)
from vgg_tf.forecast.topology import count_flops


@pytest.mark.parametrize(
    ("arch", "width", "until"),
    [("vgg11", 1 / 16, None), ("vgg16", 1 / 16, None), ("vgg11", 1 / 16, "block4")],
)
def test_operations_are_those_of_counting_every_row_of_every_map(arch, width, until):
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


def test_a_step_of_vgg16_has_90_gflop_an_image():
    # XLA's own count of the compiled step is 90.0; 3 times 15.5 G multiplications and additions
    # less the padding.
    assert count_flops(build_vgg("vgg16", initializer="zeros")) == pytest.approx(90e9, rel=0.01)


def compiler(room, jump_above=10**9):
    """A make-believe compiler for 8 devices of 16 GiB: 1 GiB of weights, 10 MiB an image, 4 GiB
    more above a batch.
    """

    def compiled(batch):
        room.append(batch)
        temporaries = batch // 8 * 10 * 2**20 + (4 * GIB if batch > jump_above else 0)
        fits = GIB + temporaries <= 16 * GIB
        return Step(8, batch, temporaries + GIB * fits, 16 * GIB, 1.0 * fits, 1.0 * fits, 0.0)

    return compiled


def searched(compiled, batch):
    """The largest batch that the search finds to fit; None if none."""
    steps = []
    while batch:
        steps.append(compiled(batch))
        batch = choose_next_batch(steps)
    return max((step.batch for step in steps if step.fits), default=None)


def test_the_largest_batch_fills_the_memory_in_eights_of_a_device():
    # 1000 + 5 * batch = 21000 at 4000, which is 62 times 64 and a half.
    assert (
        estimate_largest_batch(
            *(Step(8, batch, 1000 + 5 * batch, 21000, 1.0, 1.0, 0.0) for batch in (512, 1024))
        )
        == 3968
    )


@pytest.mark.parametrize("batch", [8, 256, 512, 4096])
def test_where_memory_is_a_line_three_compilations_find_the_largest_batch(batch):
    room = []
    # 15 GiB of images of 10 MiB: 1,536 a device.
    assert searched(compiler(room), batch) == 12288
    assert len(room) == 3


@pytest.mark.parametrize("batch", [6400, 8192, 12288, 12352, 16384, 65536, 2**20])
def test_where_the_batch_or_twice_it_does_not_fit_the_search_is_short_and_finds_three_quarters(
    batch,
):
    room = []
    assert 0.75 * 12288 <= searched(compiler(room), batch) <= 12288
    assert len([batch for batch in room if batch <= 12288]) <= 3  # those take long
    assert len(room) <= 16


def test_where_memory_is_no_line_what_is_found_was_compiled_and_fits():
    room = []
    # With 4 GiB more there is room for 11 GiB of images above 5,000: 9,011 of them. The line says
    # 12,288, as above.
    found = searched(compiler(room, jump_above=5000), 512)
    assert room[:3] == [512, 1024, 12288]
    assert found in room
    assert found <= 9011
    assert len(room) == 4


def test_where_no_eight_images_a_device_fit_the_search_ends():
    room = []

    def compiled(batch):
        room.append(batch)
        return Step(8, batch, 100 * GIB, 16 * GIB, 0.0, 0.0, 0.0)

    assert searched(compiled, 2**20) is None
    assert len(room) < 10


def test_what_xla_refused_does_not_fit_though_its_rounded_numbers_are_equal():
    assert not Step(8, 64, 16 * GIB, 16 * GIB, 0.0, 0.0, 0.0).fits


def test_the_table_says_what_a_pencil_says():
    def step(devices, batch, gib, available, flops=0.0, traffic=0.0):
        return Step(devices, batch, int(gib * GIB), int(available * GIB), flops, traffic, 1.0)

    # A tenth of a second at 197 TFLOP/s, half of it at 819 GB/s: 10,000 images/s, 36 M of them in
    # an hour, ten times that.
    kaggle = step(8, 1000, 6, 15.75, 19.7e12, 40.95e9)
    # A tenth of a second at 918 TFLOP/s, a fifth at 1,640 GB/s.
    memory_bound = step(4, 1000, 7.5, 31.25, 91.8e12, 328e9)
    # Half the batch in an eighth of a second at 61.5 TFLOP/s a core: 4,000 images/s.
    half = step(8, 500, 10, 15.5, 7.6875e12, 1e9)
    rows = [
        Bounds("v5e:2x4", kaggle, step(8, 2560, 15.5, 15.75, 1.0, 1.0), 10, 36_000_000),
        Bounds("v6e:2x2", memory_bound, memory_bound, 10, 36_000_000),
        Bounds("v3:2x2", step(8, 1000, 20, 15.5), half, 10, 36_000_000),
        Bounds("v4:2x2x1", step(8, 1000, 2000, 15.25), None, 10, 36_000_000),
    ]
    refused = "GiB for temporaries alone: does not fit"
    heading, line, *cells = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in format_table(rows).splitlines()
    ]
    assert set(line) == {"---"}
    assert [name for name in heading if "bound, not measured" in name] == heading[6:]
    assert "1,000" in heading[3]
    assert "10 epochs" in heading[8]
    assert "20 hours" in heading[9]
    assert cells == [
        [
            "v5e:2x4",
            "8",
            "15.75",
            "6.00 GiB: fits",
            "2,560",
            "157.6",
            "100",
            "10,000",
            "10.0",
            "0.50",
        ],
        ["v6e:2x2", "4", "31.25", "7.50 GiB: fits", "1,000", "367.2", "200", "5,000", "20.0", "-"],
        [
            "v3:2x2",
            "8",
            "15.50",
            f"20.00 {refused}",
            "500",
            "123.0",
            "125 for 500",
            "4,000",
            "25.0",
            "-",
        ],
        ["v4:2x2x1", "8", "15.25", f"2000.00 {refused}", *["-"] * 6],
    ]


STEP4 = "The 8 devices of v5e:2x4 share the images of a step, and 4 do not divide by it."


WRONG = [
    (
        "v5e:2x4,v9:1x1",
        "",
        "No topology 'v9:1x1'. Known: v3:2x2, v4:2x2x1, v5e:2x2, v5e:2x4, v6e:2x2.",
    ),
    ("v5e:2x4,", "", "No topology ''."),
    ("v5e:2x2,v5e:2x4", "--batch-size 4", STEP4),
    ("v5e:2x4", "--batch-size 32 --accumulate 8", STEP4),
    (
        "v5e:2x4",
        "--arch vgg16_bn --average 0.9",
        "--average is not for vgg16_bn: averaged weights do not fit ",
    ),
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


def test_all_words_are_checked_before_anything_is_built():
    asked = json.dumps([[names, *words.split()] for names, words, _ in WRONG])
    result = subprocess.run([sys.executable, "-c", CHECK, asked], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for (error, imported), (_, _, told) in zip(found, WRONG, strict=True):
        assert error.startswith(f"error: {told}")  # which Python writes, with an exit code of 1
        assert "\n" not in error
        assert imported == []


def test_a_name_given_twice_is_compiled_once():
    assert parse_topologies("v3:2x2, v5e:2x4,v3:2x2", 256) == ["v3:2x2", "v5e:2x4"]


# The program with a compiler that needs nothing installed: 16 GiB a device of v5e and 32 of v6e, 64
# MiB an image.
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
    Topology=Topology, analytic_flops=lambda model: 9e10
)
programs.run(lambda: preflight.main(["--topology", "v5e:2x2,v6e:2x2", *sys.argv[1:]]))
"""


@pytest.mark.parametrize(
    ("batch", "code", "first", "second"), [(2048, 1, "1,024", "2,048"), (1024, 0, "1,024", "2,048")]
)
def test_a_topology_without_the_memory_stops_no_other_and_is_told_by_the_exit_code(
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


def test_a_step_is_a_part_of_a_batch_and_short_epochs_make_short_hours():
    words = [
        "--batch-size",
        "2048",
        "--accumulate",
        "2",
        "--steps-per-epoch",
        "10",
        "--epochs",
        "3",
    ]
    result = subprocess.run([sys.executable, "-c", FAKE, *words], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "a batch of 2,048 images takes 2 steps of 1,024, which add up" in result.stdout
    assert re.search(r"^   1,024 images a step: fits", result.stdout, re.M)
    assert "needed a device at 1,024 images a step" in result.stdout
    assert "3 epochs of 20,480 images" in result.stdout


# Devices that are here stand for those of the topology. One convolution, as JAX compiles each
# operation on its own.
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


def test_what_is_frozen_is_no_part_of_what_is_compiled_to_learn():
    pytest.importorskip("jax")
    result = subprocess.run(
        [sys.executable, "-c", FROZEN], capture_output=True, text=True
    )  # seconds: Keras on JAX
    assert result.returncode == 0, result.stderr[-2000:]
    learning = {path.split("/")[0] for path in result.stdout.split()}
    assert learning == {"fc2", "predictions"}


@pytest.mark.slow
def test_libtpu_knows_every_topology_by_its_number_of_devices():
    pytest.importorskip("libtpu")
    code = "from vgg_tf.forecast import bounds, topology\n"
    code += "with topology.set_environment():\n"
    code += "    from jax.experimental.topologies import get_topology_desc\n"
    code += "    for name, n in bounds.TOPOLOGIES.items():\n"
    code += (
        "        assert len(get_topology_desc(platform='tpu', topology_name=name).devices) "
        "== n, name"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.slow
def test_a_small_net_compiles_for_eight_chips_and_its_bounds_are_marked_as_such(tmp_path):
    pytest.importorskip("libtpu")
    words = [
        "--arch",
        "vgg11",
        "--recipe",
        "cifar",
        "--width",
        "0.25",
        "--topology",
        "v5e:2x4",
        "--batch-size",
        "256",
    ]
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


def test_without_libtpu_the_command_says_what_to_install():
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
    assert result.stderr.strip().endswith('pip install "vgg_tf[preflight]" (or jax libtpu)')
