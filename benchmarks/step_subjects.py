"""Training and prediction of VGG-16 with vgg_tf, Keras and PyTorch, for `train_step.py`.

Each subject returns a dict with the images/s of `train` and `predict`, and the `precision`. This
module is not a script.
"""

import os
import time

CLASSES = {32: 10, 224: 1000}
HEAD_WIDTHS = {32: 512, 224: 4096}


def measure_peak(precision, side):
    """Return the TFLOP/s of a product of square matrices."""
    from vgg_tf.runtime import quiet

    quiet.quiet_tensorflow()
    import tensorflow as tf

    matrix = tf.cast(tf.random.normal((side, side)), precision)
    product = tf.function(lambda a: tf.linalg.matmul(a, a)[0, 0])
    times = []
    for _ in range(6):
        start = time.perf_counter()
        product(matrix).numpy()
        times.append(time.perf_counter() - start)
    return 2 * side**3 / min(times) / 1e12


def measure_keras(subject, side, batch, seconds):
    """Measure vgg_tf or Keras, according to the name of the subject."""
    from vgg_tf.runtime import quiet

    quiet.quiet_tensorflow()
    import keras
    import tensorflow as tf

    from vgg_tf.runtime.devices import choose
    from vgg_tf.runtime.pipelines import disable_autotuner

    if ours := subject.startswith("vgg_tf"):
        policy = choose("cpu").policy
    else:
        policy = "mixed_bfloat16" if subject.endswith("bf16") else "float32"
    keras.config.set_dtype_policy(policy)
    arch = "vgg16_bn" if subject.endswith("BN") else "vgg16"
    model = _make_ours(arch, side) if ours else _make_keras(side)
    images, labels = _make_examples(side, 4 * batch)
    examples = tf.data.Dataset.from_tensor_slices((images, labels))
    batches = examples.repeat().batch(batch, drop_remainder=True)

    def train(steps):
        known = tf.data.experimental.assert_cardinality(steps)
        finite = disable_autotuner(batches.take(steps).apply(known).prefetch(2))
        model.fit(finite, epochs=1, verbose=0, shuffle=False)

    def predict(steps):
        for _ in range(steps):
            model.predict_on_batch(images[:batch])

    return {
        "train": _measure_rate(train, batch, seconds),
        "predict": _measure_rate(predict, batch, seconds / 2),
        "precision": policy.removeprefix("mixed_"),
    }


def _make_ours(arch, side):
    """Return the network that `python -m vgg_tf.train` trains."""
    from vgg_tf import build_vgg
    from vgg_tf.paper.presets import RECIPES
    from vgg_tf.training.model import compile_scores, drop_softmax, make_optimizer

    recipe = RECIPES["cifar" if side == 32 else "paper"]
    options = {"l2": recipe.l2, "dropout": recipe.dropout, "classes": CLASSES[side]}
    model = drop_softmax(build_vgg(arch, input_shape=(side, side, 3), **options))
    compile_scores(model, make_optimizer(recipe, 1000), recipe.label_smoothing)
    return model


def _make_keras(side):
    """Return Keras' VGG16, at 32 pixels with our head."""
    import keras

    classes = CLASSES[side]
    model = keras.applications.VGG16(
        weights=None, input_shape=(side, side, 3), classes=classes, include_top=side > 32
    )
    if side == 32:  # the head of Keras has two layers of 4,096 outputs
        x = keras.layers.Flatten()(model.output)
        for _ in range(2):
            x = keras.layers.Dense(HEAD_WIDTHS[side], activation="relu")(x)
        model = keras.Model(model.input, keras.layers.Dense(classes, activation="softmax")(x))
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _make_examples(side, n):
    """Return random images and labels."""
    import numpy as np

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (n, side, side, 3), np.uint8)
    return images, random.integers(0, CLASSES[side], n).astype("int32")


def measure_torch(side, batch, seconds):
    """Measure PyTorch."""
    import torch

    from vgg_tf.runtime.chips import has_bfloat16

    torch.set_num_threads(os.cpu_count())
    precision = "bfloat16" if has_bfloat16() else "float32"
    half = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")
    model = _make_torch(side)
    images = torch.rand(batch, 3, side, side).to(memory_format=torch.channels_last)
    labels = torch.randint(0, CLASSES[side], (batch,))
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    loss = torch.nn.CrossEntropyLoss()

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

    rate = _measure_rate(train, batch, seconds)
    model.eval()
    predicted = _measure_rate(predict, batch, seconds / 2)
    return {"train": rate, "predict": predicted, "precision": precision}


def _make_torch(side):
    """Return the trunk and head of vgg_tf in PyTorch, channels last."""
    import torch
    from torch import nn

    from vgg_tf import ARCHITECTURES
    from vgg_tf.paper.architectures import STAGE_WIDTHS

    layers, channels = [], 3
    for stage, width in zip(ARCHITECTURES["vgg16"].kernels, STAGE_WIDTHS, strict=True):
        for _ in stage:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    layers.append(nn.Flatten())
    units, width = channels * (side // 32) ** 2, HEAD_WIDTHS[side]
    for inputs in (units, width):
        layers += [nn.Linear(inputs, width), nn.ReLU(inplace=True), nn.Dropout()]
    model = nn.Sequential(*layers, nn.Linear(width, CLASSES[side]))
    return model.to(memory_format=torch.channels_last)


def _measure_rate(work, batch, seconds):
    """Measure throughput after two warm-up steps; the second sets the number of steps.

    Args:
        work: function of the number of steps.
        batch: images per step.
        seconds: approximate time of the measurement, in seconds.

    Returns:
        images/s.
    """
    work(1)
    start = time.perf_counter()
    work(1)
    steps = max(2, round(seconds / (time.perf_counter() - start)))
    start = time.perf_counter()
    work(steps)
    return steps * batch / (time.perf_counter() - start)
