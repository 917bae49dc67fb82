"""A call of every public function and program, by name."""

import subprocess

import numpy as np

import vgg_tf
from vgg_tf import preflight, stages, visualize
from vgg_tf.data import opening
from vgg_tf.figures import networks
from vgg_tf.forecast import trial
from vgg_tf.functions.keywords import make_words
from vgg_tf.images.rescaling import make_center_view
from vgg_tf.models import costs, heatmaps
from vgg_tf.records import integrity
from vgg_tf.runs import run_folder
from vgg_tf.runtime import devices, programs
from vgg_tf.training import probe
from vgg_tf.training.flags import Flags
from vgg_tf.writing.write import write

BFLOAT16 = devices.Devices(
    "cpu", "tensorflow", 1, None, "mixed_bfloat16", "bfloat16 on any processor"
)
CPU = {"strategy": "cpu", "precision": "mixed_bfloat16"}
FEW = {"width": 0.0625, "head_width": 16, "epochs": 1, "batch_size": 8, "size": 32, **CPU}
FEW |= {"scale": (32, 40), "steps_per_epoch": 1}


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
        "measure_throughput",
        lambda scores, batches: scores.train_on_batch(*next(iter(batches))),
    )
    trial.time_training(make_words(Flags, "train", {"arch": "vgg11", "data": "shards", **FEW}))


def train_boxes():
    return vgg_tf.train_localizer("voc", "a.safetensors", out="boxes", test_scale=32, **FEW)


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
    "describe_pictures": lambda _: vgg_tf.describe_pictures(
        "pictures", weights=["a.safetensors"], train=4, test=2, splits=1, **CPU
    ),
    "evaluate_localizer": lambda _: vgg_tf.evaluate_localizer(
        train_boxes().folder, protocol="center", strategy="cpu"
    ),
    "evaluate_network": lambda _: vgg_tf.evaluate_network(
        "a.safetensors", data="pictures", split="validation", **CPU
    ),
    "export_network": lambda _: vgg_tf.export_network(
        "run", n=2, format="onnx", pictures="pictures"
    ),
    "extract": lambda _: vgg_tf.extract(
        [picture()], ["a.safetensors", "run"], "32", devices=BFLOAT16
    ),
    "inherit_weights": lambda _: vgg_tf.inherit_weights("a.safetensors", tiny(), "all-matching"),
    "load_dataset": lambda _: examples(epoch=0, seed=1, shift=0.1),
    "load_epochs": lambda _: next(
        iter(vgg_tf.load_epochs("pictures", "train", batch_size=4, size=32, scale=32, seed=1)(0))
    ),
    "load_weights": lambda _: vgg_tf.load_weights(tiny(classes=2), "a.safetensors"),
    "locate_objects": lambda _: vgg_tf.locate_objects(
        train_boxes().folder, "pictures/red/1.png", label="red", strategy="cpu"
    ),
    "predict_pictures": lambda _: vgg_tf.predict_pictures("a.safetensors", "pictures", **CPU),
    "process_path": lambda _: vgg_tf.process_path(
        "pictures/red/1.png", ("blue", "red"), crop=32, scale=(32, 40), seed=1
    ),
    "read_weights": lambda _: vgg_tf.read_weights("run"),
    "strategy": lambda _: vgg_tf.strategy("auto", "mixed_bfloat16"),
    "train_localizer": lambda _: train_boxes(),
    # Takes seconds, because a training run traces its steps and pipelines.
    "train_network": lambda _: vgg_tf.train_network("shards", arch="shallow", out="other", **FEW),
    "write_weights": lambda _: vgg_tf.write_weights(tiny(), "b.weights.h5"),
}
OTHERS = {
    "extract of files": lambda _: vgg_tf.extract(
        "pictures", "a.safetensors", "32", devices=BFLOAT16
    ),
    "extract where it may": lambda _: vgg_tf.extract([picture()], "a.safetensors", "32"),
    "build_vgg of weights": lambda _: tiny("a.safetensors"),
    "make_center_view": lambda _: make_center_view(picture(), 32, 40),
    "costs.list_costs": lambda _: list(costs.list_costs("vgg11")),
    "costs.make_table": lambda _: costs.make_table(),
    "heatmaps.compute_features": lambda _: heatmaps.compute_features(
        tiny(), picture()[:32, :32], "block1_conv1"
    ),
    "heatmaps.read_filters": lambda _: networks.draw_kernels(
        heatmaps.read_filters(tiny()), "filters"
    ),
    "heatmaps.compute_heat": lambda _: heatmaps.compute_heat(
        tiny(), picture()[:32, :32], "block4_conv1"
    ),
    "heatmaps.find_receptive_field": lambda _: heatmaps.find_receptive_field(
        tiny(), "block2_conv1"
    ),
    "networks.draw_architecture": lambda _: networks.draw_architecture(
        list(costs.list_costs("vgg11")), "vgg11"
    ),
    "networks.draw_field": lambda _: networks.draw_field(picture(), (0, 0, 9, 9), "block1_conv1"),
    "networks.draw_heat": lambda _: networks.draw_heat(
        picture(), {"heat": np.ones((40, 40))}, "heat"
    ),
    "networks.draw_kernels": lambda _: networks.draw_kernels(np.ones((4, 3, 3, 3)), "filters"),
    "networks.draw_maps": lambda _: networks.draw_maps(np.ones((8, 8, 4)), "maps"),
    "open_source": lambda _: opening.open_source("pictures"),
    "read_run": lambda _: run_folder.read_run("run").load_best(),
    "verify": lambda _: list(integrity.verify("shards", progress=False)),
    "write": lambda _: write(opening.open_source("pictures"), "others", progress=False),
    "preflight.main": a_doctor_who_asks_nobody,
    "stages.main": stages_without_training,
    "trial.time_training": timing_without_time,
    "visualize.main": lambda _: visualize.main(["heat", "run", "pictures/red/1.png"]),
    "visualize.mistakes": lambda _: visualize.mistakes("run", "pictures", "validation"),
    "visualize.sheet": lambda _: visualize.sheet("pictures", n=4),
    "visualize.views": lambda _: visualize.views("pictures/red/1.png", size=32, scale="32,40"),
}
