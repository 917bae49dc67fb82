"""Mixed batches: mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019).

Each image of a batch is mixed with another image of the batch, its partner. The label says with how
much of each.
"""

import functools

import tensorflow as tf

from vgg_tf.runtime.pipelines import BATCHES


def mix_batches(batches, number, mix, process=0):
    """Mix the images of each batch.

    The random numbers depend on the number of the pass, the position of the batch in it, and the
    process. So a pass that is read again has the same batches.

    Args:
        batches: `tf.data.Dataset` of `(images, labels)`: uint8 `[batch, n, n, 3]`, int32 `[batch]`,
            of static shapes.
        number: int64 scalar, the number of the pass.
        mix: An `augmentation.Mix` that is not empty.
        process: Number of the process, from 0. Processes that share a batch mix their own parts.

    Returns:
        A `tf.data.Dataset` of `(images, labels)` as `mix_batch` returns them.
    """
    step = _make_step(mix, process)
    return batches.enumerate().map(
        lambda i, batch: step(*batch, tf.stack([number, i])), num_parallel_calls=BATCHES
    )


@functools.lru_cache  # all passes share the graph
def _make_step(mix, process):
    @tf.function(autograph=False)
    def step(images, labels, seed):
        own = tf.random.fold_in(seed, tf.constant(process, tf.int64))
        return mix_batch(images, labels, own, mix)

    return step


@tf.autograph.experimental.do_not_convert
def mix_batch(images, labels, seed, mix):
    """Mix each image of a batch with its partner.

    The partners are the images of the batch, shifted by a random number of places. A batch of one
    image stays as it is.

    Args:
        images: uint8 `[batch, n, n, 3]`, of static shape.
        labels: int32 `[batch]`.
        seed: int64 `[2]`.
        mix: The `augmentation.Mix`. With both methods, half of the batches get each.

    Returns:
        images: uint8 `[batch, n, n, 3]`.
        labels: float32 `[batch, 3]`: the image's label, that of its partner, and the share of the
            first, 0..1. A float32 holds whole numbers up to 16,777,216.
    """
    n = images.shape[0]
    seeds = tf.random.split(seed, 3)
    which, places = tf.unstack(tf.random.stateless_uniform([2], seeds[0], dtype=tf.float64))
    partners = (tf.range(n) + 1 + tf.cast(places * (n - 1), tf.int32)) % n

    def by_mixup():
        return mix_up(images, partners, draw_shares(seeds[1], n, mix.mixup))

    def by_cutmix():
        shares = draw_shares(seeds[1], n, mix.cutmix)
        corner = tf.random.stateless_uniform([n, 2], seeds[2], dtype=tf.float64)
        return cut_mix(images, partners, shares, corner)

    if mix.mixup and mix.cutmix:
        mixed, shares = tf.cond(which < 0.5, by_mixup, by_cutmix)
    else:
        mixed, shares = by_mixup() if mix.mixup else by_cutmix()
    labels = tf.cast(labels, tf.float32)
    return mixed, tf.stack([labels, tf.gather(labels, partners), shares], 1)


def draw_shares(seed, n, alpha):
    """Draw shares from Beta(alpha, alpha).

    Args:
        seed: int64 `[2]`.
        n: Number of shares.
        alpha: float, above 0. Near 0 the shares are near 0 or 1, at 1 they are uniform.

    Returns:
        float64 `[n]`, 0..1.
    """
    seeds = tf.random.split(seed, 2)
    # x / (x + y) of two draws from Gamma(alpha). For a small alpha both are too small for a float,
    # so their logarithms are drawn: Gamma(alpha) is Gamma(alpha + 1) * U ** (1 / alpha).
    gammas = tf.random.stateless_gamma(
        [2, n], seeds[0], tf.constant(alpha + 1, tf.float64), dtype=tf.float64
    )
    chances = 1 - tf.random.stateless_uniform([2, n], seeds[1], dtype=tf.float64)  # above 0
    logs = tf.math.log(gammas[0] / gammas[1]) + tf.math.log(chances[0] / chances[1]) / alpha
    return tf.sigmoid(logs)


def mix_up(images, partners, shares):
    """Return the weighted means of images and their partners, rounded.

    Args:
        images: uint8 `[batch, n, n, 3]`.
        partners: int32 `[batch]`, positions in the batch.
        shares: float `[batch]`, of the image itself, 0..1.

    Returns:
        images: uint8 `[batch, n, n, 3]`.
        shares: float32 `[batch]`.
    """
    shares = tf.cast(shares, tf.float32)
    own, other = tf.cast(images, tf.float32), tf.cast(tf.gather(images, partners), tf.float32)
    mixed = other + shares[:, tf.newaxis, tf.newaxis, tf.newaxis] * (own - other)
    return tf.cast(tf.round(mixed), tf.uint8), shares


def cut_mix(images, partners, shares, places):
    """Paste a rectangle of each partner into an image, at the same place.

    The rectangle has the shape of the image, and the drawn share of the area is left around it. It
    is clipped to the image.

    Args:
        images: uint8 `[batch, n, n, 3]`.
        partners: int32 `[batch]`, positions in the batch.
        shares: float64 `[batch]`, drawn shares of the image itself, 0..1.
        places: float64 `[batch, 2]`, y and x of the center as fractions of the sides, in [0, 1).

    Returns:
        images: uint8 `[batch, n, n, 3]`.
        shares: float32 `[batch]`, the share of pixels that remain, counted after the clipping.
    """
    inside = []
    for i, side in enumerate(images.shape[1:3]):
        length = tf.cast(tf.round(side * tf.sqrt(1 - shares)), tf.int32)[:, tf.newaxis]
        first = tf.cast(places[:, i, tf.newaxis] * side, tf.int32) - length // 2
        inside.append((tf.range(side) >= first) & (tf.range(side) < first + length))
    pasted = inside[0][:, :, tf.newaxis] & inside[1][:, tf.newaxis, :]
    mixed = tf.where(pasted[..., tf.newaxis], tf.gather(images, partners), images)
    return mixed, 1 - tf.reduce_mean(tf.cast(pasted, tf.float32), [1, 2])
