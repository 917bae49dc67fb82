"""Check a fresh network on one batch, and measure how fast a step is."""

import math
import time
from dataclasses import dataclass

import keras
import numpy as np

from vgg_tf.images import rescaling

LOSS_LIMIT = 100.0  # nats; a first loss above it ends in NaN at the paper's learning rate
IMAGES = 8  # checked at most
_GROWN, _STARVED = 10.0, 0.01  # relative to the scale of the input
# Standard deviation of logits of a network that separates neither images nor classes.
_QUIET = 0.01


@dataclass(frozen=True)
class Probe:
    """The result of a check on one batch.

    Attributes:
        scales: root mean square of the outputs of `normalize` (the input) and of each layer with
            weights, after its ReLU.
        logits: standard deviation of the logits.
        loss: cross-entropy, in nats.
        guessing: loss of guessing, ln(classes).
        fatal: the loss is NaN, or above `LOSS_LIMIT`.
        verdict: the result in words.
    """

    scales: dict[str, float]
    logits: float
    loss: float
    guessing: float
    fatal: bool
    verdict: str


def probe(model, pixels, labels=None):
    """Run one batch through a network in training mode, without dropout.

    Batch normalization uses the moments of the batch. The network is unchanged afterwards.

    Args:
        model: a network of `build_vgg` with its head, not in its dense form.
        pixels: `[B, H, W, C]`, 0..255. The first eight images are used.
        labels: int `[B]`. None averages over all labels.

    Returns:
        A `Probe`.
    """
    layers = _signal_layers(model)
    outputs = _as_trained(
        keras.Model(model.input, [layer.output for layer in layers.values()]),
        np.asarray(pixels)[:IMAGES],
    )
    scales = {
        name: float(np.sqrt(np.square(x, dtype=np.float64).mean()))
        for name, x in zip(layers, outputs, strict=True)
    }
    scores = np.float64(outputs[-1])
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    right = logs if labels is None else logs[np.arange(len(logs)), np.asarray(labels)[:IMAGES]]
    return _judge(scales, float(scores.std()), float(-right.mean()), math.log(scores.shape[1]))


def _as_trained(network, pixels):
    """Return float32 outputs of all layers in training mode; restore the moments afterwards."""
    kept = [variable.numpy() for variable in network.non_trainable_variables]
    rates = {
        layer: layer.rate for layer in network.layers if isinstance(layer, keras.layers.Dropout)
    }
    try:
        for layer in rates:
            layer.rate = 0.0
        return [
            np.float32(keras.ops.convert_to_numpy(keras.ops.cast(x, "float32")))
            for x in network(pixels, training=True)
        ]
    finally:
        for layer, rate in rates.items():
            layer.rate = rate
        for variable, value in zip(network.non_trainable_variables, kept, strict=True):
            variable.assign(value)


def _signal_layers(model):
    """Return the layers whose outputs are a signal, after batch normalization and ReLU."""
    found, name = {}, None
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            found[name := layer.name] = layer
        elif layer.name == "normalize":
            found["normalize"] = layer
        elif isinstance(layer, keras.layers.ReLU):
            found[name] = layer
    return found


def _judge(scales, logits, loss, guessing):
    start = scales["normalize"]
    versus = f"first loss {loss:.4g} versus ln(classes) = {guessing:.4g}"
    broken = next((name for name, scale in scales.items() if not math.isfinite(scale)), None)
    grown = next((name for name, scale in scales.items() if scale > _GROWN * start), None)
    starved = next((name for name, scale in scales.items() if scale < _STARVED * start), None)
    fatal = not loss <= LOSS_LIMIT
    if broken:
        verdict = f"NaN or infinity from {broken} on"
    elif fatal and grown:
        verdict = f"explodes at {grown}: {versus}, it will be NaN"
    elif fatal:
        verdict = (
            f"logits too large, the input's scale of {start:.3g} reaches them: {versus}, it "
            "will be NaN"
        )
    elif logits < _QUIET:
        verdict = (
            f"vanishes{f' at {starved}' if starved else ''}: logits of std {logits:.2g} "
            f"do not separate classes, {versus}"
        )
    elif loss > 2 * guessing:
        verdict = f"large loss: {versus}; use a warm-up"
    else:
        verdict = f"ok: {versus}"
    return Probe(scales, logits, loss, guessing, fatal, verdict)


def load_photographs(size):
    """Return eight views of the two photographs in scikit-learn.

    Args:
        size: side of the views in pixels, at most 427.

    Returns:
        uint8 `[8, size, size, 3]`, RGB.
    """
    from sklearn.datasets import load_sample_images

    photos = load_sample_images().images
    sides = [size + i * (427 - size) // 3 for i in range(4)]
    return np.stack(
        [
            np.asarray(rescaling.make_center_view(photo, size, side))
            for photo in photos
            for side in sides
        ]
    )


def measure_throughput(scores, batches, seconds=5.0):
    """Measure the throughput of training steps, data loading included, after the first step.

    Args:
        scores: a compiled network. Its weights change.
        batches: iterable of batches `(images, labels)`, at least two.
        seconds: duration of the measurement, in seconds; at least one step is measured.

    Returns:
        float, images/s.
    """
    start, n = None, 0
    for pixels, labels in batches:
        scores.train_on_batch(pixels, labels)
        if start is None:  # the first step compiles
            start = time.perf_counter()
            continue
        n += len(labels)
        if time.perf_counter() - start > seconds:
            break
    return n / (time.perf_counter() - start)
