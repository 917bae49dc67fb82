"""The doctor compares what is installed with what belongs together, and keeps an image's stack."""

import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from tests.making import ROOT
from vgg_tf.runtime import chips, doctor

KAGGLE = {"ISTPUVM": "1", "TPU_PROCESS_ADDRESSES": "local"}
V5E, V6E, CARD, GPU = (
    ("0x1ae0", "0x0063"),
    ("0x1ae0", "0x006f"),
    ("0x1ae0", "0x0042"),  # a network card of Google
    ("0x10de", "0x2330"),
)


def make_root(root, files, devices):
    """Write device files and PCI devices, pairs of vendor and device, into a folder."""
    for name in files:
        path = Path(root, "dev", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for i, (vendor, device) in enumerate(devices):
        folder = Path(root, "sys/bus/pci/devices", str(i))
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "device").write_text(f"{device}\n")
    return root


@pytest.mark.parametrize(
    ("files", "devices", "found"),
    [
        (["vfio/vfio", *(f"vfio/{i}" for i in range(8))], [V5E] * 8 + [CARD], ("v5e", 8)),
        (["accel0", "accel1"], [("0x1ae0", "0x0027")] * 2, ("v3", 2)),
        # one chip of a host of eight, as Colab lends it
        (["vfio/vfio", "vfio/3"], [V6E] * 8, ("v6e", 1)),
        # a sandbox that hides the PCI devices
        (["vfio/0"], [], ("unknown", 1)),
        # chips that the container cannot open
        (["null"], [V5E] * 8, (None, 0)),
        # a GPU that is passed to a virtual machine, and the folder of another vendor's chips
        (["vfio/vfio", "vfio/12", "accel/accel0"], [GPU, CARD], (None, 0)),
        (["null"], [CARD], (None, 0)),
        ([], [], (None, 0)),
    ],
)
def test_a_tpu_is_found_by_its_device_files(tmp_path, files, devices, found):
    assert chips.find_tpu_chips(make_root(tmp_path, files, devices)) == found


@pytest.mark.parametrize(
    ("environment", "files", "named"),
    [
        (KAGGLE, [], "ISTPUVM=1"),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, [], "TPU_WORKER_HOSTNAMES=localhost"),
        (KAGGLE, ["vfio/0"], None),
        (KAGGLE, ["accel0"], None),
        ({"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, [], None),
        ({"ISTPUVM": ""}, [], None),
    ],
)
def test_a_tpu_session_without_a_device_is_one_line(tmp_path, environment, files, named):
    line = chips.describe_lost_tpu(environment, make_root(tmp_path, files, []))
    assert bool(line) == bool(named)
    assert "\n" not in line
    assert named is None or f"Received: {named} without" in line


@pytest.mark.parametrize(
    ("requirements", "asked"),
    [
        (["numpy>=2.0", 'libtpu==0.0.42.*; extra == "tpu"', 'k8s; extra == "k8s"'], "==0.0.42.*"),
        (["libtpu (==0.0.21.*) ; extra == 'tpu'"], "==0.0.21.*"),
        (["numpy>=2.0"], ""),
        ([], ""),
    ],
)
def test_the_libtpu_that_jax_asks_for_is_in_its_requirements(requirements, asked):
    assert doctor.find_asked_libtpu(requirements) == asked


def test_the_installed_jax_asks_for_one_libtpu():
    pytest.importorskip("jax")
    asked = doctor.find_asked_libtpu(doctor.list_requirements("jax"))
    assert re.fullmatch(r"==0\.0\.\d+\.\*", asked)
    assert doctor.list_requirements("no-such-package") == []


JAX, TF = {"jax": "0.10.2"}, {"tensorflow-cpu": "2.20.0"}


@pytest.mark.parametrize(
    ("versions", "n", "asked", "faults", "command"),
    [
        # Kaggle's image of August 2026
        (
            {**JAX, **TF, "libtpu": "0.0.17"},
            8,
            "==0.0.42.*",
            ["jax 0.10.2 asks for libtpu==0.0.42.*, and libtpu 0.0.17 is installed"],
            'pip install "jax[tpu]==0.10.2"',
        ),
        # too new, as `pip install jax libtpu` makes it; no chips are needed to say so
        (
            {**JAX, **TF, "libtpu": "0.0.52"},
            0,
            "==0.0.42.*",
            ["libtpu 0.0.52 is installed"],
            'pip install "jax[tpu]==0.10.2"',
        ),
        # Colab's image: the right pair, and no TensorFlow
        (
            {"jax": "0.7.2", "libtpu": "0.0.21.1"},
            1,
            "==0.0.21.*",
            ["reads data with TensorFlow"],
            "pip install tensorflow-cpu",
        ),
        ({**JAX, **TF, "libtpu": "0.0.42.1"}, 8, "==0.0.42.*", [], ""),
        ({**JAX, **TF, "libtpu": "0.0.42.1"}, 8, "", [], ""),
        ({**JAX, **TF}, 0, "==0.0.42.*", [], ""),
        ({**JAX, **TF}, 8, "==0.0.42.*", ["libtpu not"], 'pip install "jax[tpu]==0.10.2"'),
        (
            {},
            8,
            "",
            ["jax and libtpu not installed", "reads data"],
            'pip install "jax[tpu]" tensorflow-cpu',
        ),
        (
            {"tensorflow-tpu": "2.20.0", "libtpu": "0.0.52"},
            0,
            "",
            ["aborts at import with libtpu 0.0.52"],
            "pip install tensorflow-tpu==2.19.1",
        ),
        (
            {**JAX, "tensorflow-tpu": "2.20.0", "libtpu": "0.0.14"},
            8,
            "==0.0.42.*",
            ["cannot both own the TPU", "libtpu 0.0.14 is installed", "reads data"],
            'pip uninstall -y tensorflow-tpu && pip install "jax[tpu]==0.10.2" tensorflow-cpu',
        ),
    ],
)
def test_each_image_gets_its_faults_and_one_command(versions, n, asked, faults, command):
    *found, last = doctor.list_remedies(versions, n, asked)
    assert last == (f"run: {command}" if command else "nothing to fix")
    assert len(found) == len(faults)
    assert all(part in line for part, line in zip(faults, found, strict=True))


def test_no_text_upgrades_what_an_image_has_or_installs_libtpu_without_its_jax():
    places = ("vgg_tf", "tfrecords_tools", "benchmarks", "docs", "notebooks")
    texts = [path for place in places for path in Path(ROOT, place).rglob("*.*")]
    texts = [path for path in texts if path.suffix in (".py", ".md", ".ipynb", ".html")]
    wrong = re.compile(r"pip install[^\n`]*?(?: -U\b| --upgrade\b| libtpu)")
    lines = [(path.name, found[0]) for path in texts for found in wrong.finditer(path.read_text())]
    assert len(texts) > 200
    assert lines == []
    extras = Path(ROOT, "pyproject.toml").read_text()
    assert '"libtpu' not in extras


@pytest.mark.parametrize(
    ("place", "remedy"),
    [
        (
            {},
            "This machine has no TPU chip. Use a TPU machine of Kaggle, Colab or Cloud TPU, "
            "or --strategy auto",
        ),
        ({"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, "Choose Settings, Accelerator, TPU v5e-8"),
        (
            {"COLAB_RELEASE_TAG": "release"},
            "Choose Runtime, Change runtime type, v5e-1 TPU or v6e-1 TPU",
        ),
    ],
)
def test_without_a_tpu_the_remedy_is_that_of_kaggle_colab_or_the_machine(
    monkeypatch, place, remedy
):
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(chips, "find_tpu_chips", lambda: (None, 0))
    assert remedy in doctor.explain_missing("tpu", ("tensorflow", "jax"))


def test_chips_that_no_framework_uses_are_named_with_what_to_do(monkeypatch):
    monkeypatch.setattr(chips, "find_tpu_chips", lambda: ("v5e", 8))
    message = doctor.explain_missing("tpu", ("tensorflow",))
    assert "No TPU found by TensorFlow. The machine has 8 chips of TPU v5e. " in message
    if doctor.find_version("libtpu") is None:
        assert 'Run pip install "jax[tpu]' in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("plugin", "platforms"),
    [("jax-cuda12-plugin", "cuda,cpu"), ("jax-cuda13-plugin", "cuda,cpu"), ("none", "cpu")],
)
def test_the_doctor_lets_jax_look_for_gpus_if_its_cuda_plugin_is_installed(
    plugin, platforms, monkeypatch, capsys
):
    def version(name):
        if name != plugin:
            raise metadata.PackageNotFoundError(name)
        return "0.10.2"

    def run(words, env, **options):
        asked.append(env["JAX_PLATFORMS"])
        return subprocess.CompletedProcess(words, 0, "devices", "")

    asked = []
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    for place, name, value in (
        (metadata, "version", version),
        (subprocess, "run", run),
        (chips, "find_tpu_chips", lambda: (None, 0)),
    ):
        monkeypatch.setattr(place, name, value)
    doctor.print_report()
    assert asked == [platforms] * 2
    assert "\nvgg_tf not installed\n" in capsys.readouterr().out
