"""Random damage to each file of vgg_tf ends in one line that names it, or changes nothing.

VGG_TF_DAMAGE=2000 tries that many kinds of damage of each file, in minutes.
"""

import contextlib
import io
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from safetensors.numpy import load_file, save_file

from tests.making_damage import damaged
from vgg_tf import build_vgg, read_weights, write_weights
from vgg_tf.evaluation.posterior_store import Store
from vgg_tf.formats import listing
from vgg_tf.paper.recipes import Recipe
from vgg_tf.records.collection import Collection
from vgg_tf.records.contents import Contents
from vgg_tf.runs import curves, results, run_folder, state_file
from vgg_tf.runs.settings import Settings
from vgg_tf.runs.state import Plateau, State
from vgg_tf.runtime.schemas import DamagedFileError
from vgg_tf.writing import shard_plan
from vgg_tf.writing.jobs import Result, read_result, write_result

REFERENCES = Path(__file__).parent / "references"
TIMES = int(os.environ.get("VGG_TF_DAMAGE", "25"))
SECONDS = 5  # for one file; reading it takes milliseconds
SHARD = "train-00000-of-00002"
ERRORS = (ValueError, DamagedFileError)  # not their subclasses, such as a UnicodeDecodeError


def copy(name):
    return lambda folder: (folder / Path(name).name).write_bytes((REFERENCES / name).read_bytes())


def make_result(folder):
    measures = {"images": 2, "colour": [1.0] * 3, "square": [[1.0] * 3] * 3, "sides": {"9": 2}}
    write_result(folder, Result(SHARD, [0, 1], 0, measures | {"bytes": 99}, ["a: as PNG"], []))


def make_recipe(folder):
    values = Settings("vgg11", "noise", "0" * 16, "float32", Recipe()).to_json()
    (folder / "recipe.json").write_text(json.dumps(values))


PLAN = shard_plan.ShardPlan("0" * 16, 0, {"train": 2, "test": 1}, True)


def make_tested(folder):
    found = {"n": 40, "top1_error": 5.0, "top5_error": 0.0, "loss": 0.25}
    devices = SimpleNamespace(kind="cpu", policy="float32")
    facts = {"split": "test", "protocol": "center"}
    results.write_result(folder, ("vgg_tf.train", ["--smoke"]), devices, found, **facts)


def make_network():
    options = {"input_shape": (32, 32, 3), "classes": 2, "width": 1 / 64, "head_width": 2}
    return build_vgg("vgg11", mean=(1.0, 2.0, 3.0), seed=0, **options)


def make_weights(folder):
    write_weights(make_network(), folder / "model.safetensors", ["ant", "bee"], test_scale=40)


def read_layers(folder):
    weights = read_weights(folder / "model.safetensors")
    layers = {
        (layer, name): array.tobytes()
        for layer, values in weights.layers.items()
        for name, array in values.items()
    }
    return layers, weights.mean, weights.std, weights.classes, weights.test_scale


def make_store(folder):
    trained = SimpleNamespace(fingerprint="f", run=True, number=3, flip=True, folder=str(folder))
    images = SimpleNamespace(names=["a", "b"], labels=np.array([0, 1]))
    images = type("Images", (), {"__len__": lambda self: 2, **vars(images)})()
    return Store(trained, images, "test", (32, "center"), False, "float32", False)


def make_posteriors(folder):
    store = make_store(folder)
    store.rows[0], store.done[0], store.checksums[0] = [0.5, 0.25, 0.25], True, 7
    store.write(None)


def read_posteriors(folder):
    store = make_store(folder)
    store.read()
    # A file of other weights or images is passed over.
    rows = store.rows[store.done].tolist(), store.done.tolist(), store.checksums.tolist()
    return rows if store.done.any() else PASSED_OVER


PASSED_OVER = "passed over"


def make_contents(folder):
    Contents({"train pictures": np.arange(12, dtype=np.int64).reshape(4, 3)}).write(folder)


def read_contents(folder):
    return {key: table.tolist() for key, table in Contents.read(folder).tables.items()}


def read_report(folder):
    """Return a report, and raise the note about a damaged one as an error."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        report = results.read_report(str(folder / "report.json"))
    if report is None:
        raise DamagedFileError(said.getvalue().removesuffix("\n"))
    return report


# Each kind: name of the file, how it is made, how it is read, and whether a checksum covers it.
KINDS = {
    "dataset": ("dataset.json", copy("shards/dataset.json"), Collection.read, False),
    "recipe": ("recipe.json", make_recipe, run_folder.read_run, False),
    "report": (
        "report.json",
        copy("run/report.json"),
        read_report,
        False,
    ),
    "tested": (
        "result.json",
        make_tested,
        lambda folder: results.read_result(folder / "result.json"),
        False,
    ),
    "result": (f"{SHARD}.json", make_result, lambda folder: read_result(folder, SHARD), False),
    "plan": (
        "plan.json",
        lambda folder: PLAN.write(folder, bad_of="noise"),
        lambda folder: shard_plan.check_plan(folder / "out", folder, PLAN, "noise"),
        False,
    ),
    "export": (
        "export.json",
        copy("exports/export.json"),
        lambda folder: listing.list_notes(listing.read_report(folder).get("formats")),
        False,
    ),
    "log": (
        "log.csv",
        copy("run/log.csv"),
        lambda folder: curves.draw_runs([str(folder)], "train_error"),
        False,
    ),
    "weights": ("model.safetensors", make_weights, read_layers, True),
    "posteriors": ("posteriors/test-center-32.npz", make_posteriors, read_posteriors, True),
    "contents": ("contents.npz", make_contents, read_contents, True),
}


def try_damage(kind, folder, data):
    """Read a damaged file. Return the error, or None if it was read."""
    name, _, read, checked = KINDS[kind]
    (folder / name).write_bytes(data)
    start = time.monotonic()
    error = None
    try:
        found = read(folder)
    except FileExistsError:
        assert kind == "plan"  # of another run
    except ValueError as raised:
        error = raised
        assert type(error) in ERRORS
        assert name in str(error)
        assert len(str(error).splitlines()) == 1
        assert len(str(error)) < 1000
    else:
        assert not checked or found in (WHOLE[kind], PASSED_OVER)
    assert time.monotonic() - start < SECONDS
    return error


WHOLE = {}


@pytest.mark.parametrize("kind", KINDS)
def test_damage_to_a_file_is_one_line_or_changes_nothing(kind, tmp_path):
    name, make, read, _ = KINDS[kind]
    make(tmp_path)
    whole, refused = (tmp_path / name).read_bytes(), []
    WHOLE[kind] = read(tmp_path)
    (tmp_path / "out").mkdir()

    @settings(
        max_examples=TIMES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged(whole, name.endswith(".json")))
    def try_one(data):
        refused.append(try_damage(kind, tmp_path, data) is not None)

    try_one()
    print(f"{kind}: {len(refused)} damaged files, {sum(refused)} refused")
    assert sum(refused) > len(refused) / 20


@pytest.mark.parametrize("key", ["mean", "std", "classes", "test_scale", "map_sides"])
@pytest.mark.parametrize("junk", [3.5, True, {"a": 1}, [None], [0, -1], 10**30, float("nan")])
def test_damaged_metadata_of_weights_without_a_checksum_are_one_line(key, junk, tmp_path):
    make_weights(tmp_path)
    path = tmp_path / "model.safetensors"
    about = {"mean": [1.0, 2.0, 3.0], "std": None, "classes": ["ant", "bee"], "test_scale": 40}
    about |= {"map_sides": [1, 1], key: junk}
    save_file(load_file(path), path, metadata={"vgg_tf": json.dumps(about)})
    with pytest.raises(DamagedFileError, match=r"model\.safetensors must be those .*\. Copy or"):
        read_layers(tmp_path)


class Owner:
    """A network of two arrays, whose input has mean and std."""

    def __init__(self):
        moments = {"mean": [1.0, 2.0, 3.0], "variance": [1.0, 4.0, 9.0]}
        normalize = keras.layers.Normalization(**moments, name="normalize")
        model = keras.Sequential([keras.Input((3,)), normalize, keras.layers.Dense(2)])
        self.model, self.optimizer = model, keras.optimizers.SGD(momentum=0.9)
        self.optimizer.build(model.trainable_variables)

    def read(self):
        """Return all that a state file restores, but the state."""
        arrays = state_file.list_variables(self.model, self.optimizer, read=True)
        layer = self.model.get_layer("normalize")
        statistics = np.ravel(layer.input_mean).tolist(), np.ravel(layer.input_variance).tolist()
        return {key: array.tobytes() for key, array in arrays}, statistics


STATE = State(3, (12.5, 0.5), 2, Plateau(12.5, 1, 0), False, ({"epoch": 1, "loss": 0.5},))


def test_no_damage_to_a_state_file_is_restored(tmp_path):
    owner, path = Owner(), tmp_path / "last.safetensors"
    data = state_file.encode_state(STATE, owner.model, owner.optimizer)
    path.write_bytes(data)
    whole, restored = owner.read(), 0

    def change():
        for variable in [*owner.model.trainable_variables, *owner.optimizer.variables]:
            variable.assign(0 * variable)

    change()
    changed = owner.read()
    random, flips = np.random.default_rng(0), 5000 if TIMES > 100 else 200
    half = random.integers(len(data), size=flips // 2)
    # All arrays are small: most of the file is its header.
    for at in [*np.resize(np.arange(len(data)), flips - len(half)), *half]:
        damage = bytearray(data)
        damage[at] ^= random.integers(1, 256)
        path.write_bytes(damage)
        found = state_file.restore_state(str(path), owner.model, owner.optimizer)
        if found is None:
            assert owner.read() == changed
            continue
        restored += 1  # the header ends in spaces, which may be any white space
        assert (found, owner.read()) == (STATE, whole)
        change()
    print(f"state: {flips} changed files, {restored} restored without a difference")
    assert restored < flips / 50
    path.write_bytes(data)
    assert state_file.restore_state(str(path), owner.model, owner.optimizer) == STATE
    assert owner.read() == whole != changed
