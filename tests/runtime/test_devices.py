"""The engine and the devices for each --strategy."""

import json
import re
import subprocess
import sys

import pytest

from tests.making import QUICK
from vgg_tf.runtime import chips, devices, doctor, engines

pytest.importorskip("jax")


def started(code, **environment):
    """Start a new process that runs `code`."""
    about = {"PATH": "", "PYTHONPATH": ":".join(sys.path)} | QUICK
    about |= {"TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code], env=about | environment, **pipes)


def said(child):
    """Return the JSON in the last line that a process prints."""
    out, errors = child.communicate()
    assert child.returncode == 0, errors
    return json.loads(out.splitlines()[-1])


ASK = """
import json, os, sys
from vgg_tf.runtime import devices, engines
def settings():
    default = sys.modules["jax"].config.jax_default_device if found.engine == "jax" else None
    return keras.config.dtype_policy().name, keras.distribution.distribution(), default
def ask(word):
    global found, keras
    try:
        found = devices.choose(word)
    except ValueError as error:
        return str(error)
    import keras
    assert settings() == ("float32", None, None)
    with found.scope():
        assert settings()[0] == found.policy
        if found.engine == "jax":
            assert settings()[1:] == (found.distribution, found.device)
            assert (found.distribution is None) != (found.device is None)
    assert settings() == ("float32", None, None)
    return [found.kind, found.engine, found.replicas, keras.config.backend(), found.reason]
said = {}
"""
# Each import of TensorFlow or JAX takes seconds, so one process answers all questions to it.
ASK_TENSORFLOW = """
asked, engines.sees = [], lambda *words: asked.append(words)
engines.settle("tpu")
said["settled"] = [asked, os.environ.pop("KERAS_BACKEND"), engines._settled, "keras" in sys.modules]
engines._settled = False
said["auto"] = ask("auto")
said["tpu"] = ask("tpu")
os.environ["KERAS_BACKEND"], engines._settled = "jax", False  # set by the user
said["cpu of jax"] = ask("cpu")
print(json.dumps(said))
"""
ASK_JAX = """
from dataclasses import replace
said["four"] = ask("cpu")
four = engines.FINDERS["jax", "cpu"]
def one(asked):
    found = four(asked)
    return replace(found, devices=found.devices[:1])
engines.FINDERS["jax", "cpu"] = one
said["auto"] = ask("auto")
said["tpu"] = ask("tpu")
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def answers(once):
    """Return the answers of two new processes.

    `tensorflow` has no KERAS_BACKEND. `jax` has four devices.
    """

    def make(folder):
        flags = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
        children = {
            "tensorflow": started(ASK + ASK_TENSORFLOW),
            "jax": started(ASK + ASK_JAX, **flags),
        }
        (folder / "said.json").write_text(
            json.dumps({name: said(child) for name, child in children.items()})
        )

    return json.loads((once("devices", make) / "said.json").read_text())


@pytest.mark.slow
def test_a_cpu_runs_tensorflow_unless_the_user_has_chosen_jax(answers):
    kind, engine, replicas, backend, reason = answers["tensorflow"]["auto"]
    assert (kind, engine, replicas, backend) == ("cpu", "tensorflow", 1, "tensorflow")
    assert re.match(r"\d+ CPU cores?, ", reason)
    assert reason.endswith("TensorFlow; no tpu or gpu found")
    kind, engine, replicas, backend, reason = answers["jax"]["auto"]
    assert (kind, engine, replicas, backend) == ("cpu", "jax", 1, "jax")
    assert reason.endswith("Keras on JAX; no tpu or gpu found; set by KERAS_BACKEND")


def test_several_devices_of_jax_share_a_batch(answers):
    kind, engine, replicas, _, reason = answers["jax"]["four"]
    assert (kind, engine, replicas) == ("cpu", "jax", 4)
    assert reason.endswith("Keras on JAX, DataParallel; set by KERAS_BACKEND")


def test_keras_on_the_other_engine_is_an_error_that_asks_for_a_restart(answers):
    error = (
        "Keras was imported on tensorflow. Set KERAS_BACKEND=jax before the first import "
        "of keras or vgg_tf"
    )
    assert error in answers["tensorflow"]["cpu of jax"]


def test_other_processes_look_for_a_tpu_with_both_engines_before_keras_is_imported(
    answers,
):
    assert answers["tensorflow"]["settled"] == [
        [["tensorflow", "tpu"], ["jax", "tpu"]],
        "tensorflow",
        True,
        False,
    ]


def test_another_process_finds_out_what_an_engine_sees(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert [engines.sees("jax", kind) for kind in ("cpu", "gpu")] == [
        True,
        False,
    ]  # takes seconds, as each process imports JAX


# A machine with a TPU that only JAX sees: its chips are patched, and JAX's CPU replaces them.
# TensorFlow is not changed.
TPU_OF_JAX = """
from tests.making import TINY, shallow
from vgg_tf import train
from vgg_tf.runtime import engines
cpu = engines.FINDERS["jax", "cpu"]
engines.find_tpu_chips = lambda: ("v5e", 1)
engines.sees = lambda engine, kind: engine == "jax"
engines.FINDERS["jax", "tpu"] = cpu
with shallow():
    train.main(["--smoke", "--arch", "shallow", *TINY, "--strategy", "auto", "--out", {out!r}])
import json, keras
print(json.dumps(keras.config.backend()))
"""


@pytest.mark.slow  # TensorFlow imports Keras, which fixes its backend: the engine comes before
def test_a_tpu_that_only_jax_sees_is_used_although_the_data_need_tensorflow_first(tmp_path):
    assert said(started(TPU_OF_JAX.format(out=str(tmp_path / "run")))) == "jax"
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["policy"] == "mixed_bfloat16"


def test_the_doctor_prints_the_devices_that_another_process_sees(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert re.match("sees .*cpu.*0", doctor.ask_for_devices("jax", 0), re.IGNORECASE)


def test_the_error_of_a_missing_tpu_names_the_engines(answers):
    assert "No TPU found by TensorFlow or JAX" in answers["tensorflow"]["tpu"]
    assert "No TPU found by JAX" in answers["jax"]["tpu"]


def test_an_unknown_engine_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(
        ValueError, match=r"KERAS_BACKEND must be tensorflow or jax. Received: torch"
    ):
        devices.choose()


def test_a_tpu_in_use_is_an_error_and_does_not_select_the_cpu(monkeypatch):
    for module, name, value in (
        (engines, "find_tpu_chips", lambda: ("v5e", 8)),
        (chips, "find_tpu_chips", lambda: ("v5e", 8)),
        (engines, "_settled", True),
    ):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(
        engines.importlib.util, "find_spec", lambda name: name
    )  # JAX and libtpu are installed
    for engine in ("tensorflow", "jax"):
        monkeypatch.setitem(engines.FINDERS, (engine, "tpu"), lambda asked: None)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")  # set by `settle`, as JAX saw no TPU either
    with pytest.raises(
        ValueError,
        match=r"Stop other programs that use the TPU, and restart. .*--strategy cpu",
    ):
        devices.choose()
    assert devices.choose("cpu").kind == "cpu"
    monkeypatch.setattr(engines, "_settled", False)  # set by the user
    assert devices.choose().kind == "cpu"
