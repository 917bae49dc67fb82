"""Small random networks with five classes, and comparisons of their arrays."""

import functools

import numpy as np

from vgg_tf import build_vgg


def tiny(arch="vgg11", **options):
    known = {"input_shape": (64, 64, 3), "classes": 5, "width": 1 / 16, "head_width": 16, "seed": 1}
    return build_vgg(arch, **known | options)


@functools.cache
def scrambled(arch="vgg11", **options):
    """Return a network with random values in all weights, including biases and moments.

    All tests share it, so they must not change it.
    """
    model = tiny(arch, **options)
    rng = np.random.default_rng(options.get("seed", 5))
    model.set_weights(
        [rng.uniform(0.01, 0.1, w.shape).astype(np.float32) for w in model.get_weights()]
    )
    return model


def arrays_of(model):
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, shape).astype(np.float32)
