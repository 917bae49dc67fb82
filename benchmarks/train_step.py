"""Measure images/s of VGG-16 on the CPU, training and prediction: vgg_tf, Keras and PyTorch.

    python benchmarks/train_step.py --cases 32x128,32x256,224x32 --rounds 3

A case is a side in pixels and a batch. Each subject runs in a process of its own, the subjects in
turn. The table has medians of the rounds, the share of what this CPU multiplies matrices with (4096
x 4096, in the same precision, measured likewise) and the peak of memory. Subjects:

- vgg_tf, vgg_tf BN: the network, loss, optimizer and `fit` of `python -m vgg_tf.train`, in the
  precision it chooses;
- Keras: keras.applications.VGG16 (32 pixels: its trunk with our head of 512 and 10 classes), SGD
  with momentum, float32, `fit`;
- Keras bf16: the same under mixed_bfloat16 (both fed without tf.data's autotuner, whose thread
  would end some epochs late);
- torch: the trunk and head of vgg_tf, channels last, which is its best mode, and bfloat16 where
  vgg_tf chooses it. It is left out where torch is not installed: pip install -e
  ".[cpu,benchmarks]".

A multiplication with the zeros around the map counts as one, so that shares compare with those of
others.
"""

import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

import tyro

CLASSES = {32: 10, 224: 1000}


@dataclass(frozen=True)
class Flags:
    """What to measure."""

    cases: str = "32x128,32x256,224x32"
    """Sides in pixels and batches."""
    subjects: str = "vgg_tf,vgg_tf BN,Keras,Keras bf16,torch"
    """Which of them."""
    rounds: int = 3
    """Alternations."""
    seconds: float = 6.0
    """How long each is looked at in a round, after its first steps; at least two steps."""
    matrix: int = 4096
    """Side of the matrices whose product is the measure of the CPU."""


def main(arguments=None):
    """Alternate the subjects and print a table for each case; or, after the word `measure`,
    print what one subject does.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["measure"]:
        measure(*words[1:])
        return
    flags = tyro.cli(Flags, args=words)
    subjects = flags.subjects.split(",")
    if "torch" in subjects and not importlib.util.find_spec("torch"):
        print('torch: not installed, left out; pip install -e ".[cpu,benchmarks]"')
        subjects.remove("torch")
    peaks = {name: [] for name in ("float32", "bfloat16")}
    for case in flags.cases.split(","):
        side, batch = map(int, case.split("x"))
        found = {name: [] for name in subjects}
        for _ in range(flags.rounds):
            for name in peaks:
                peaks[name].append(_alone("peak", name, flags.matrix)["peak"])
            for name, rows in found.items():
                rows.append(_alone(name, side, batch, flags.seconds))
        _table(
            side,
            batch,
            flags.rounds,
            found,
            {name: statistics.median(values) for name, values in peaks.items()},
        )


def _alone(*words):
    """What a process of its own prints."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "measure", *map(str, words)]
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def _table(side, batch, rounds, found, peaks):
    from vgg_tf import ARCHITECTURES

    gflop = {"train": 6 * _products(ARCHITECTURES["vgg16"], side) / 1e9}
    gflop["predict"] = gflop["train"] / 3
    print(
        f"\nVGG-16, {side} pixels, batch {batch}, medians of {rounds}; matrices multiply at ",
        end="",
    )
    print(", ".join(f"{peak:.2f} TFLOP/s in {name}" for name, peak in peaks.items()), flush=True)
    print(
        "| | precision | training, images/s | of the peak | prediction, images/s | of the peak "
        "| peak memory, GiB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    medians = {
        name: {
            key: statistics.median(row[key] for row in rows)
            for key in ("train", "predict", "memory")
        }
        for name, rows in found.items()
    }
    for name, row in medians.items():
        precision = found[name][0]["precision"]
        share = {key: row[key] * gflop[key] / 1e3 / peaks[precision] for key in gflop}
        print(
            f"| {name} | {precision} | {row['train']:.1f} | {share['train']:.0%} | "
            f"{row['predict']:.0f} | {share['predict']:.0%} | {row['memory']:.2f} |"
        )
    for other in [name for name in medians if name != "vgg_tf"] if "vgg_tf" in medians else ():
        ratios = ", ".join(
            f"{medians['vgg_tf'][key] / medians[other][key]:.2f} times in {key}" for key in gflop
        )
        print(f"vgg_tf beside {other}: {ratios}")
    sys.stdout.flush()


def _products(row, side):
    """Multiplications of an image's forward pass."""
    from vgg_tf.paper.architectures import STAGE_WIDTHS

    total, channels = 0, 3
    for stage, width in zip(row.kernels, STAGE_WIDTHS, strict=True):
        for kernel in stage:
            total += side * side * kernel * kernel * channels * width
            channels = width
        side //= 2
    head = 4096 if side > 1 else 512
    return total + side * side * channels * head + head * head + head * (1000 if side > 1 else 10)


def measure(subject, *words):
    """Print what one subject does, as JSON."""
    if subject == "peak":
        print(json.dumps({"peak": _peak(words[0], int(words[1]))}))
        return
    side, batch, seconds = int(words[0]), int(words[1]), float(words[2])
    found = (_torch if subject == "torch" else _keras)(subject, side, batch, seconds)
    print(
        json.dumps({**found, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20})
    )


def _peak(name, side):
    """TFLOP/s of a product of matrices."""
    from vgg_tf.runtime import quiet

    quiet.quiet_tensorflow()
    import tensorflow as tf

    matrix = tf.cast(tf.random.normal((side, side)), name)
    product = tf.function(lambda a: tf.linalg.matmul(a, a)[0, 0])
    times = []
    for _ in range(6):
        start = time.perf_counter()
        product(matrix).numpy()
        times.append(time.perf_counter() - start)
    return 2 * side**3 / min(times) / 1e12


def _keras(subject, side, batch, seconds):
    from vgg_tf.runtime import quiet

    quiet.quiet_tensorflow()
    import keras
    import numpy as np
    import tensorflow as tf

    from vgg_tf import build_vgg
    from vgg_tf.paper.presets import RECIPES
    from vgg_tf.runtime.devices import choose
    from vgg_tf.runtime.pipelines import disable_autotuner
    from vgg_tf.training.model import compile_scores, make_optimizer, scores_of

    ours = subject.startswith("vgg_tf")
    policy = (
        choose("cpu").policy
        if ours
        else "mixed_bfloat16"
        if subject.endswith("bf16")
        else "float32"
    )
    keras.config.set_dtype_policy(policy)
    classes, shape = CLASSES[side], (side, side, 3)
    if ours:
        arch = "vgg16_bn" if subject.endswith("BN") else "vgg16"
        recipe = RECIPES["cifar" if side == 32 else "paper"]
        model = scores_of(
            build_vgg(
                arch, input_shape=shape, classes=classes, l2=recipe.l2, dropout=recipe.dropout
            )
        )
        compile_scores(model, make_optimizer(recipe, 1000), recipe.label_smoothing)
    else:
        model = keras.applications.VGG16(
            weights=None, input_shape=shape, classes=classes, include_top=side > 32
        )
        if side == 32:  # its own head has 4,096 outputs twice
            x = keras.layers.Flatten()(model.output)
            for _ in range(2):
                x = keras.layers.Dense(512, activation="relu")(x)
            model = keras.Model(model.input, keras.layers.Dense(classes, activation="softmax")(x))
        model.compile(
            keras.optimizers.SGD(0.01, momentum=0.9),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (4 * batch, *shape), np.uint8)
    examples = tf.data.Dataset.from_tensor_slices(
        (images, random.integers(0, classes, 4 * batch).astype("int32"))
    )
    batches = examples.repeat().batch(batch, drop_remainder=True)

    def train(steps):
        finite = (
            batches.take(steps).apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)
        )
        model.fit(disable_autotuner(finite), epochs=1, verbose=0, shuffle=False)

    rate = _rate(train, batch, seconds)
    some = images[:batch]
    return {
        "train": rate,
        "predict": _rate(
            lambda steps: [model.predict_on_batch(some) for _ in range(steps)], batch, seconds / 2
        ),
        "precision": policy.removeprefix("mixed_"),
    }


def _torch(subject, side, batch, seconds):
    import torch
    from torch import nn

    from vgg_tf import ARCHITECTURES
    from vgg_tf.paper.architectures import STAGE_WIDTHS
    from vgg_tf.runtime.chips import has_bfloat16

    precision = "bfloat16" if has_bfloat16() else "float32"
    half = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")
    layers, channels = [], 3
    for stage, width in zip(ARCHITECTURES["vgg16"].kernels, STAGE_WIDTHS, strict=True):
        for _ in stage:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    units, classes = channels * (side // 32) ** 2, CLASSES[side]
    layers.append(nn.Flatten())
    for width in (512, 512) if side == 32 else (4096, 4096):
        layers += [nn.Linear(units, width), nn.ReLU(inplace=True), nn.Dropout()]
        units = width
    torch.set_num_threads(os.cpu_count())
    model = nn.Sequential(*layers, nn.Linear(units, classes)).to(memory_format=torch.channels_last)
    images = torch.rand(batch, 3, side, side).to(memory_format=torch.channels_last)
    labels = torch.randint(0, classes, (batch,))
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    loss = nn.CrossEntropyLoss()

    def train(steps):
        for _ in range(steps):
            optimizer.zero_grad()
            with half:
                value = loss(model(images), labels)
            value.backward()
            optimizer.step()

    def predict(steps):
        with torch.inference_mode(), half:
            for _ in range(steps):
                model(images)

    rate = _rate(train, batch, seconds)
    model.eval()
    return {"train": rate, "predict": _rate(predict, batch, seconds / 2), "precision": precision}


def _rate(work, batch, seconds):
    """Images/s of `work`, a function of the number of steps, after two steps of which the second
    tells how many to make.
    """
    work(1)
    start = time.perf_counter()
    work(1)
    steps = max(2, round(seconds / (time.perf_counter() - start)))
    start = time.perf_counter()
    work(steps)
    return steps * batch / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
