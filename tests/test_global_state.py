"""No call leaves the process changed: its precision, random numbers, environment, signals,
warnings, figures.
"""

import ast
import contextlib
import importlib.util
import json
import locale
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import keras
import matplotlib
import numpy as np
import pytest
import sklearn.svm  # noqa: F401 - what a first import changes is not ours
import tensorflow as tf
import tqdm  # noqa: F401
import tyro._unsafe_cache  # noqa: F401
from PIL import Image, ImageFile

import vgg_tf
from tests.making import save, shallow, uncompile
from vgg_tf import evaluate, export, localize, preflight, stages, train, transfer, visualize
from vgg_tf.data import opening
from vgg_tf.data.writing import write
from vgg_tf.evaluation import checkpoint, posteriors
from vgg_tf.figures import networks
from vgg_tf.forecast import trial
from vgg_tf.images.rescaling import center_view
from vgg_tf.models import costs, heatmaps
from vgg_tf.records import integrity, statistics
from vgg_tf.records.splits import Split
from vgg_tf.runs import run_folder
from vgg_tf.runs.settings import Settings
from vgg_tf.runtime import devices, programs
from vgg_tf.training import probe

if importlib.util.find_spec("jax"):
    import jax

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
BFLOAT16 = devices.Devices(
    "cpu", "tensorflow", 1, None, "mixed_bfloat16", "bfloat16 on any processor"
)
FEW = [
    "--width",
    "0.0625",
    "--head-width",
    "16",
    "--epochs",
    "1",
    "--batch-size",
    "8",
    "--size",
    "32",
    "--scale",
    "32,40",
]
FEW += ["--steps-per-epoch", "1", "--strategy", "cpu", "--precision", "mixed_bfloat16"]
XML = (
    "<annotation><size><width>40</width><height>40</height></size><object><name>{}</name>"
    "<bndbox><xmin>4</xmin><ymin>4</ymin><xmax>30</xmax><ymax>30</ymax></bndbox>"
    "</object></annotation>"
)


def tiny(weights=None, **options):
    return vgg_tf.build_vgg(
        "vgg11",
        weights=weights,
        input_shape=(32, 32, 3),
        width=1 / 16,
        head_width=16,
        seed=1,
        **options,
    )


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)


def make(made):
    """Pictures of two classes, with boxes as well, their shards, weights, a run, and a run of
    boxes.
    """
    for i in range(24):
        name = ("blue", "red")[i % 2]
        for path in (made / "pictures" / name / f"{i}.png", made / "voc" / "images" / f"{i}.png"):
            save(path, picture(i))
        (made / "voc" / "annotations").mkdir(exist_ok=True)
        (made / "voc" / "annotations" / f"{i}.xml").write_text(XML.format(name))
    source = opening.open_source(str(made / "pictures"))
    write(source, str(made / "shards"), progress=False)
    vgg_tf.write_weights(tiny(classes=2), made / "a.safetensors", classes=("blue", "red"))
    recipe = vgg_tf.Recipe(size=32, scale=(32, 40), width=1 / 16, head_width=16)
    asked = Settings("vgg11", "pictures", source.fingerprint(), BFLOAT16.policy, recipe)
    with run_folder.open_run(made / "run", asked) as run, BFLOAT16.scope():
        statistics.measure(source).write(run.folder)
        run.save_best(tiny(classes=2))


@pytest.fixture
def place(once, tmp_path, monkeypatch):
    """A folder to write into, with copies of what was made."""
    shutil.copytree(once("state", make), tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings():
    """Settings of the process that all code in it shares."""
    return {
        "dtype policy": keras.config.dtype_policy().name,
        "floatx": (keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()),
        "backend": keras.config.backend(),
        "distribution": (keras.distribution.distribution(), tf.distribute.has_strategy()),
        "devices": tf.config.get_visible_devices(),
        "TensorFlow": (
            tf.config.functions_run_eagerly(),
            tf.config.optimizer.get_jit(),
            tf.config.get_soft_device_placement(),
            tf.config.threading.get_inter_op_parallelism_threads(),
            tf.config.threading.get_intra_op_parallelism_threads(),
            tf.random.get_global_generator().state.numpy().tolist(),
        ),
        "JAX": "jax" in sys.modules
        and (jax.config.jax_default_device, jax.config.jax_platforms, jax.config.jax_enable_x64),
        "folder": os.getcwd(),
        "path": list(sys.path),
        "streams": (sys.stdout, sys.stderr, sys.excepthook),
        "warnings": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "logging": [
            logging.getLogger(name).level
            for name in ("", "tensorflow", "absl", "jax", "matplotlib", "PIL")
        ],
        "figures": dict(dict.items(matplotlib.rcParams)),
        "NumPy": (np.geterr(), np.get_printoptions()),
        "PIL": (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES),
        "locale": locale.setlocale(locale.LC_ALL),
    } | {f"environment's {name}": value for name, value in os.environ.items()}


def numbers():
    """The next random number of each generator that all code in the process shares."""
    return [
        random.random(),
        np.random.random(),
        float(keras.random.uniform([])),
        float(tf.random.uniform([])),
    ]


def examples(split="train", **options):
    return next(
        iter(vgg_tf.load_dataset("pictures", split, batch_size=4, size=32, scale=32, **options))
    )


def stages_without_training(monkeypatch):
    monkeypatch.setattr(programs, "call", lambda words, env: 0)
    stages.main(["--arch", "vgg11", "--data", "digits", "--out", "stages", "--smoke"])


def timing_without_time(monkeypatch):
    monkeypatch.setattr(
        probe,
        "images_per_second",
        lambda scores, batches: scores.train_on_batch(*next(iter(batches))),
    )
    trial.time_training(["--arch", "vgg11", "--data", "shards", *FEW])


def a_doctor_who_asks_nobody(monkeypatch):
    monkeypatch.setattr(
        subprocess, "run", lambda words, **options: subprocess.CompletedProcess(words, 0, "", "")
    )
    preflight.main(["--doctor"])


PUBLIC = {
    "Recipe": lambda _: vgg_tf.Recipe(),
    "build_vgg": lambda _: tiny(),
    "convert_head": lambda _: vgg_tf.convert_head(vgg_tf.convert_head(tiny()), dense=False),
    "decode_predictions": lambda _: vgg_tf.decode_predictions(np.ones((1, 2)) / 2, ("blue", "red")),
    "extract": lambda _: vgg_tf.extract(
        [picture()], ["a.safetensors", "run"], "32", devices=BFLOAT16
    ),
    "inherit_weights": lambda _: vgg_tf.inherit_weights("a.safetensors", tiny(), "all-matching"),
    "load_dataset": lambda _: examples(epoch=0, seed=1, shift=0.1),
    "load_epochs": lambda _: next(
        iter(vgg_tf.load_epochs("pictures", "train", batch_size=4, size=32, scale=32, seed=1)(0))
    ),
    "load_weights": lambda _: vgg_tf.load_weights(tiny(classes=2), "a.safetensors"),
    "process_path": lambda _: vgg_tf.process_path(
        "pictures/red/1.png", ("blue", "red"), crop=32, scale=(32, 40), seed=1
    ),
    "read_weights": lambda _: vgg_tf.read_weights("run"),
    "strategy": lambda _: vgg_tf.strategy("auto", "mixed_bfloat16"),
    "write_weights": lambda _: vgg_tf.write_weights(tiny(), "b.weights.h5"),
}
OTHERS = {
    "extract of files": lambda _: vgg_tf.extract(
        "pictures", "a.safetensors", "32", devices=BFLOAT16
    ),
    "extract where it may": lambda _: vgg_tf.extract([picture()], "a.safetensors", "32"),
    "build_vgg of weights": lambda _: tiny("a.safetensors"),
    "center_view": lambda _: center_view(picture(), 32, 40),
    "costs.layers": lambda _: list(costs.layers("vgg11")),
    "costs.table": lambda _: costs.table(),
    "heatmaps.features": lambda _: heatmaps.features(tiny(), picture()[:32, :32], "block1_conv1"),
    "heatmaps.filters": lambda _: networks.draw_kernels(heatmaps.filters(tiny()), "filters"),
    "heatmaps.heat": lambda _: heatmaps.heat(tiny(), picture()[:32, :32], "block4_conv1"),
    "heatmaps.receptive_field": lambda _: heatmaps.receptive_field(tiny(), "block2_conv1"),
    "networks.architecture": lambda _: networks.draw_architecture(
        list(costs.layers("vgg11")), "vgg11"
    ),
    "networks.field": lambda _: networks.draw_field(picture(), (0, 0, 9, 9), "block1_conv1"),
    "networks.heat_over": lambda _: networks.draw_heat(
        picture(), {"heat": np.ones((40, 40))}, "heat"
    ),
    "networks.kernels": lambda _: networks.draw_kernels(np.ones((4, 3, 3, 3)), "filters"),
    "networks.maps": lambda _: networks.draw_maps(np.ones((8, 8, 4)), "maps"),
    "open_source": lambda _: opening.open_source("pictures"),
    "read_run": lambda _: run_folder.read_run("run").load_best(),
    "verify": lambda _: list(integrity.verify("shards", progress=False)),
    "write": lambda _: write(opening.open_source("pictures"), "others", progress=False),
    "evaluate.main": lambda _: evaluate.main(
        ["a.safetensors", "--data", "pictures", "--split", "validation", *FEW[-4:]]
    ),
    "export.main": lambda _: export.main(
        ["run", "--n", "2", "--format", "onnx", "--pictures", "pictures"]
    ),
    "localize.main": lambda _: [
        localize.main(
            [
                "train",
                "--data",
                "voc",
                "--inherit",
                "a.safetensors",
                "--out",
                "boxes",
                "--test-scale",
                "32",
                *FEW,
            ]
        ),
        localize.main(["evaluate", "boxes", "--protocol", "center", "--strategy", "cpu"]),
    ],
    "preflight.main": a_doctor_who_asks_nobody,
    "stages.main": stages_without_training,
    # Seconds: a training traces its steps and its pipelines.
    "train.main": lambda _: train.main(
        ["--arch", "shallow", "--data", "shards", "--out", "other", *FEW]
    ),
    "train.timing": timing_without_time,
    "transfer.main": lambda _: transfer.main(
        [
            "pictures",
            "--weights",
            "a.safetensors",
            "--train",
            "4",
            "--test",
            "2",
            "--splits",
            "1",
            *FEW[-4:],
        ]
    ),
    "visualize.main": lambda _: visualize.main(["heat", "run", "pictures/red/1.png"]),
}


SLOW = ("evaluate.main", "localize.main", "train.timing", "transfer.main")
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
    for name in (PUBLIC | OTHERS)
]


@pytest.mark.parametrize("name", NAMES)
def test_a_call_leaves_the_process_as_it_was(name, place, monkeypatch):
    keras.config.set_dtype_policy(
        "float32"
    )  # else what one call leaves would hide what the next one does
    monkeypatch.delenv("TPU_SKIP_MDS_QUERY", raising=False)
    keras.utils.set_random_seed(7)
    expected = numbers()
    keras.utils.set_random_seed(7)
    before = settings()
    with monkeypatch.context() as patch, shallow():
        patch.setattr(
            "tyro._unsafe_cache.sys", SimpleNamespace(modules={})
        )  # it draws numbers where it sees pytest
        if name.startswith("extract "):  # `extract` itself compiles
            uncompile(patch)
        (PUBLIC | OTHERS)[name](patch)
    after = settings()
    assert {
        key: (before.get(key), after.get(key))
        for key in before | after
        if before.get(key) != after.get(key)
    } == {}
    assert numbers() == expected


def test_every_public_function_is_in_the_table():
    assert {name for name in vgg_tf.__all__ if callable(getattr(vgg_tf, name))} == PUBLIC.keys()


def called(notebook):
    """What a notebook calls of the packages: `function` or `module.function`."""
    cells = json.loads(notebook.read_text())["cells"]
    lines = "".join(
        "".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code"
    ).splitlines()
    tree = list(
        ast.walk(ast.parse("\n".join(line for line in lines if line[:1] not in ("%", "!"))))
    )
    imports = [node for node in tree if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if node.module.split(".")[0] in ("vgg_tf", "tfrecords_tools")]
    names = {alias.name for node in ours for alias in node.names}
    calls = [ast.unparse(node.func) for node in tree if isinstance(node, ast.Call)]
    return {call for call in calls if call.split(".")[0] in names and "(" not in call}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_all_that_a_notebook_calls_is_in_the_table(notebook):
    assert called(notebook) - (PUBLIC | OTHERS).keys() == set()


def test_a_scope_sets_the_precision_and_restores_that_before_also_after_an_error():
    with BFLOAT16.scope():
        assert tiny().get_layer("fc1").compute_dtype == "bfloat16"
        with contextlib.suppress(KeyError), devices.choose("cpu", "float32").scope():
            assert keras.config.dtype_policy().name == "float32"
            raise KeyError
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert tiny().get_layer("fc1").compute_dtype == "float32"


def test_who_takes_one_row_after_the_other_is_not_in_the_scope(place, uncompiled):
    split = Split(
        ["1", "2"],
        np.zeros(2, np.int64),
        [str(place / "pictures/red/1.png"), str(place / "pictures/red/3.png")],
    )
    rows = posteriors.compute_rows(
        checkpoint.open_checkpoint("a.safetensors"),
        split,
        [0, 1],
        [(32, "center")],
        BFLOAT16,
        1,
        {},
        {},
    )
    next(rows)
    assert keras.config.dtype_policy().name == "float32"  # also where the rest is never asked for


def test_a_run_computes_in_the_precision_of_its_training_on_all_devices(place, uncompiled):
    model = checkpoint.open_checkpoint("run").load()
    assert model.get_layer("fc1").compute_dtype == "bfloat16"
    vgg_tf.write_weights(model, "b.safetensors", classes=("blue", "red"))
    views = [[np.stack([picture(i)[:32, :32]])] for i in range(3)]

    def found(path, policy):
        at = devices.choose("cpu", policy)
        seen = posteriors.make_evaluator(checkpoint.open_checkpoint(path), [(32, "center")], at)
        with at.scope():
            return np.stack([row for _, row in sorted(seen.see(enumerate(views)))])

    np.testing.assert_array_equal(found("run", "float32"), found("run", "mixed_bfloat16"))
    assert (found("b.safetensors", "float32") != found("b.safetensors", "mixed_bfloat16")).any()


def test_a_converted_head_computes_in_the_precision_of_its_network():
    model, pixels = tiny(classes=3), np.stack([picture(i)[:32, :32] for i in range(4)])
    with BFLOAT16.scope():
        again = vgg_tf.convert_head(vgg_tf.convert_head(model), dense=False)
    assert {layer.compute_dtype for layer in again.layers[1:]} == {"float32"}
    np.testing.assert_allclose(
        again.predict_on_batch(pixels), model.predict_on_batch(pixels), rtol=1e-5
    )
