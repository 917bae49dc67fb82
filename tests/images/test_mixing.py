"""Mixed batches are those of a slow loop, and only seed, pass and position determine them."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from vgg_tf.images.augmentation import Mix
from vgg_tf.images.mixing import cut_mix, draw_shares, mix_batch, mix_batches, mix_up

B, N = 6, 10


def pictures(n=B, side=N, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), np.uint8)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.7, 1.0])
def test_mixup_is_the_weighted_mean_of_each_pixel(share):
    images, partners = pictures(), [3, 4, 5, 0, 1, 2]
    shares = np.linspace(0, share, B)
    mixed, kept = mix_up(images, tf.constant(partners), tf.constant(shares))
    assert mixed.dtype == tf.uint8
    np.testing.assert_array_equal(kept, np.float32(shares))
    expected = np.zeros(images.shape)
    for i, y, x, c in np.ndindex(*images.shape):
        own, other = float(images[i, y, x, c]), float(images[partners[i], y, x, c])
        expected[i, y, x, c] = shares[i] * own + (1 - shares[i]) * other
    # Half a level of rounding, plus float32 errors.
    assert np.abs(mixed.numpy() - expected).max() <= 0.5 + 1e-4


def slow_cut_mix(images, partners, shares, places):
    """Paste pixel by pixel, and count the pixels that remain."""
    mixed, kept, side = images.copy(), [], images.shape[1]
    for i, (y, x) in enumerate(np.int64(places * side)):
        length, pasted = round(side * (1 - shares[i]) ** 0.5), 0
        for row in range(y - length // 2, y - length // 2 + length):
            for column in range(x - length // 2, x - length // 2 + length):
                if 0 <= row < side and 0 <= column < side:
                    mixed[i, row, column] = images[partners[i], row, column]
                    pasted += 1
        kept.append(1 - pasted / side**2)
    return mixed, kept


def test_cutmix_pastes_a_rectangle_and_its_share_is_the_area_counted():
    random = np.random.default_rng(1)
    n = 40
    images, shares, places = pictures(n), random.uniform(0, 1, n), random.uniform(0, 1, (n, 2))
    shares[:3], places[3:6] = (0, 1, 0.5), ([0, 0], [0, 0.999], [0.999, 0.999])
    partners = np.int32((np.arange(n) + 7) % n)
    mixed, kept = cut_mix(images, tf.constant(partners), tf.constant(shares), tf.constant(places))
    expected, counted = slow_cut_mix(images, partners, shares, places)
    np.testing.assert_array_equal(mixed, expected)
    np.testing.assert_allclose(kept, counted, atol=1e-6)
    # Where no rectangle is clipped, the area is the drawn one up to the rounding of a side.
    middle, free = np.full((n, 2), 0.5), 1 - mix_area(images, shares)
    _, kept = cut_mix(images, tf.constant(partners), tf.constant(shares), tf.constant(middle))
    np.testing.assert_allclose(kept, free, atol=1e-6)
    assert np.abs(free - shares).max() < 0.1


def mix_area(images, shares):
    side = images.shape[1]
    return (np.round(side * np.sqrt(1 - shares)) / side) ** 2


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_shares_have_a_beta_distribution(alpha):
    shares = draw_shares(tf.constant([3, 4], tf.int64), 3000, alpha).numpy()
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 0.01


@pytest.mark.parametrize(("alpha", "low", "high"), [(1e-300, 0, 1), (1e-3, 0, 1), (1e9, 0.5, 0.5)])
def test_extreme_parameters_give_finite_shares(alpha, low, high):
    shares = draw_shares(tf.constant([3, 4], tf.int64), 400, alpha).numpy()
    nearest = np.minimum(np.abs(shares - low), np.abs(shares - high))
    assert (nearest < 0.01).mean() > 0.98
    assert shares.mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("mix", [Mix(mixup=0.4), Mix(cutmix=1.0), Mix(0.4, 1.0)])
def test_labels_name_the_partner_and_its_share(mix):
    # Black and white pictures: the mean of the pixels is the share of the white ones.
    labels = np.int32([0, 1, 2, 3])
    images = np.zeros((4, 32, 32, 3), np.uint8)
    methods, partners = set(), set()
    for i in range(40):
        white = i % 4
        images[:], images[white] = 0, 255
        seed = tf.constant([i, 0], tf.int64)
        mixed, found = (part.numpy() for part in mix_batch(images, labels, seed, mix))
        assert (mixed.dtype, found.dtype, found.shape) == (np.uint8, np.float32, (4, 3))
        assert found[:, 0].tolist() == [0, 1, 2, 3]
        assert (found[:, 0] != found[:, 1]).all()
        partners |= set((found[:, 1] - found[:, 0]) % 4)
        part = np.where(found[:, 0] == white, found[:, 2], 0)
        part = part + np.where(found[:, 1] == white, 1 - found[:, 2], 0)
        np.testing.assert_allclose(mixed.mean((1, 2, 3)) / 255, part, atol=0.5 / 255 + 1e-6)
        methods.add("cutmix" if set(np.unique(mixed)) <= {0, 255} else "mixup")
    assert partners == {1, 2, 3}
    assert methods == {name for name in ("mixup", "cutmix") if getattr(mix, name)}


def test_an_image_alone_in_its_batch_stays_as_it_is():
    for mix in (Mix(mixup=1.0), Mix(cutmix=1.0)):
        images, labels = mix_batch(pictures(1), [7], tf.constant([1, 2], tf.int64), mix)
        np.testing.assert_array_equal(images, pictures(1))
        assert labels.numpy()[0, :2].tolist() == [7, 7]


def test_pass_position_and_process_determine_the_mixture():
    images = np.concatenate([pictures()] * 3)  # the same batch three times
    batches = tf.data.Dataset.from_tensor_slices((images, np.arange(3 * B, dtype=np.int32)))
    batches = batches.batch(B, drop_remainder=True)

    def read(number, process=0):
        mixed = mix_batches(batches, tf.constant(number, tf.int64), Mix(0.4, 1.0), process)
        return [part for pair in mixed.as_numpy_iterator() for part in pair]

    first = read(5)
    for one, other in zip(first, read(5), strict=True):
        np.testing.assert_array_equal(one, other)
    shares = [labels[:, 2].tobytes() for labels in first[1::2]]
    for more in (read(6), read(5 + (1 << 32)), read(5, process=1)):
        shares += [labels[:, 2].tobytes() for labels in more[1::2]]
    assert len(set(shares)) == 12


@pytest.mark.parametrize("values", [{"mixup": -0.1}, {"cutmix": float("inf")}, {"mixup": np.nan}])
def test_parameters_that_are_no_numbers_of_a_beta_distribution_are_refused(values):
    ((name, value),) = values.items()
    with pytest.raises(ValueError, match=rf"{name} must be 0 or more, and finite. .*: {value}\."):
        Mix(**values)
