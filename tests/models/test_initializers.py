"""Seeds determine all kernels, and each initializer sets them as documented."""

import keras
import numpy as np
import pytest

from tests.models.making_networks import answer, noise, tiny


def test_the_same_seed_gives_the_same_weights_and_each_layer_has_its_own():
    first, second, other = tiny(seed=3), tiny(seed=3), tiny(seed=4)
    assert all(
        np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True)
    )
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])
    same = tiny("vgg19", seed=3)
    assert not np.array_equal(
        same.get_layer("block3_conv2").kernel, same.get_layer("block3_conv3").kernel
    )


def test_the_seeds_of_all_layers_fit_into_32_bits_and_small_seeds_are_stable():
    def seeds(seed):
        model = tiny("vgg19", seed=seed)
        own = [layer.kernel_initializer.seed for layer in model.layers if hasattr(layer, "kernel")]
        return own + [
            layer.seed for layer in model.layers if isinstance(layer, keras.layers.Dropout)
        ]

    found = seeds(20261128)
    assert len(set(found)) == 19 + 2
    assert all(0 <= seed < 2**32 for seed in found)
    assert sorted(seeds(3)) == list(range(3000, 3021))


@pytest.mark.parametrize("arch", ["vgg11", "vgg16", "vgg19"])
@pytest.mark.parametrize("std", [None, (58.0, 57.0, 57.0)])
def test_the_default_initializer_starts_near_the_loss_of_uniform_probabilities(arch, std):
    # The paper's std of 0.1 starts with a loss of 1e8 (paper.md 2b). Logits of narrow networks
    # spread more than those of full ones, so the tolerance is 2.
    model = tiny(arch, std=std, width=0.5, head_width=256, classifier_activation=None)
    scores = answer(model, noise(8, 32, 32, 3)).astype(np.float64)
    assert scores.std() > 1e-3, "the signal has vanished"
    loss = (np.log(np.exp(scores).sum(1)) - scores.mean(1)).mean()
    assert abs(loss - np.log(5)) < 2


@pytest.mark.parametrize("arch", ["vgg16c", "vgg19"])
def test_layers_with_the_dirac_initializer_start_as_identities(arch):
    model = tiny(arch, initializer="dirac", std=(60.0,) * 3, head_width=48)
    layers = [layer for layer in model.layers if layer.name.startswith(("block", "flatten", "fc"))]
    seen = keras.Model(model.input, [layer.output for layer in layers])(noise(2, 32, 32, 3))
    before = None
    for layer, now in zip(layers, map(np.asarray, seen), strict=True):
        if hasattr(layer, "kernel") and layer.name != "block1_conv1":
            n = min(before.shape[-1], now.shape[-1])
            np.testing.assert_array_equal(
                now[..., :n], before[..., :n]
            )  # all values are 0 or more here
            assert now.shape[-1] == n or now[..., n:].std() > 0
        before = now


def test_dirac_needs_batch_normalization_or_a_standardized_input():
    kernel = tiny("vgg16_bn", initializer="dirac").get_layer("block5_conv2").kernel.numpy()
    np.testing.assert_array_equal(kernel[1, 1], np.eye(64))
    assert kernel.sum() == 64
    plain, auto = (
        tiny("vgg16", initializer=name).get_layer("block5_conv2").kernel.numpy()
        for name in ("dirac", "auto")
    )
    np.testing.assert_array_equal(plain, auto)


def test_dirac_keeps_fc1_random_if_it_has_several_positions_as_input():
    joined, alone = (
        tiny("vgg11", initializer="dirac", input_shape=(side, side, 3), std=(60.0,) * 3)
        .get_layer("fc1")
        .kernel.numpy()
        for side in (64, 32)
    )
    assert (joined != 0).all()
    assert (alone == 0).any()
