"""Bounds from compiled training steps: which batches fit a chip, and the shortest time.

The times are bounds from published numbers of the chips. Nothing was measured on a TPU.
"""

from dataclasses import dataclass

from vgg_tf.forecast.host import Host
from vgg_tf.paper.protocols import STRIDE

GIB = 2**30
# The free TPUs of Kaggle, and their hours per week, as Kaggle publishes them.
KAGGLE, KAGGLE_HOURS = "v5e:2x4", 20
# Number of compilations of batches that fit. Each takes minutes for VGG-16 on 2 cores; a batch that
# does not fit takes a second.
FITTING = 3


@dataclass(frozen=True)
class Chip:
    """Published numbers of one JAX device (cloud.google.com/tpu/docs).

    A device is a chip, or half a chip for v3 and v4.

    Attributes:
        peak: bfloat16 multiplications and additions, TFLOP/s.
        bandwidth: memory bandwidth, GB/s.
    """

    peak: float
    bandwidth: float


CHIPS = {
    "v3": Chip(61.5, 450),
    "v4": Chip(137.5, 614),
    "v5e": Chip(197, 819),
    "v5p": Chip(459, 2765),
    "v6e": Chip(918, 1640),
}
# JAX's name of a device, to its chip.
KINDS = {
    "TPU v3": "v3",
    "TPU v4": "v4",
    "TPU v5 lite": "v5e",
    "TPU v5": "v5p",
    "TPU v5p": "v5p",
    "TPU v6 lite": "v6e",
}
# Topologies that libtpu compiles for in minutes, and their number of JAX devices. libtpu refuses
# some others, and never finishes for some. All of them were tried with jax 0.10.2 and libtpu
# 0.0.42.1, the pair of `pip install "jax[tpu]==0.10.2"`.
TOPOLOGIES = {
    "v3:2x2": 8,
    "v4:2x2x1": 8,
    "v5e:1x1": 1,
    "v5e:2x2": 4,
    "v5e:2x4": 8,
    "v5p:2x2x1": 4,
    "v6e:1x1": 1,
    "v6e:2x2": 4,
    "v6e:2x4": 8,
}
# vCPUs of the machines with these chips (cloud.google.com/tpu/docs/v5e).
HOST_CPUS = {"v5e:1x1": 24, "v5e:2x2": 112, "v5e:2x4": 224}


def parse_topologies(words, batch):
    """Return the names of topologies in words separated by commas, each once.

    Args:
        words: comma-separated names, such as `v3:2x2,v5e:2x4`.
        batch: images per step. The devices of each topology must share them evenly.

    Returns:
        list of str.

    Raises:
        ValueError: a topology is unknown, or its devices cannot share the images of a step.
    """
    names = list(dict.fromkeys(word.strip() for word in words.split(",")))
    for name in names:
        if name not in TOPOLOGIES:
            raise ValueError(
                f"--topology must list only: {', '.join(TOPOLOGIES)}. Received: {name!r}. Correct "
                "or remove it."
            )
        if batch % TOPOLOGIES[name]:
            raise ValueError(
                f"The images of a step must divide evenly among the {TOPOLOGIES[name]} devices of "
                f"{name}. Received: {batch}. Try another --batch-size or --accumulate."
            )
    return names


@dataclass(frozen=True)
class Step:
    """A compiled step.

    Attributes:
        devices: number of JAX devices.
        batch: images per step, on all devices.
        needed: required memory per device, bytes. For a step that does not fit, only its
            temporaries.
        available: memory of a device, bytes.
        flops: operations of a device, by XLA's count; 0 where the step does not fit.
        bytes: memory traffic of a device, by XLA's count; 0 where the step does not fit.
        seconds: duration of the compilation.
    """

    devices: int
    batch: int
    needed: int
    available: int
    flops: float
    bytes: float
    seconds: float

    @property
    def fits(self):
        """Whether XLA compiled the step, and a device has the memory."""
        return bool(self.flops) and self.needed <= self.available

    @property
    def need(self):
        """The memory needed, in words."""
        return f"{self.needed / GIB:.2f} GiB" + ("" if self.flops else " for temporaries alone")

    @property
    def verdict(self):
        """The memory needed, and whether a device has it, in words."""
        return f"{self.need}: {'fits' if self.fits else 'does not fit'}"

    def compute_times(self, chip):
        """Return the seconds of the operations and of the memory traffic at a chip's limits."""
        return self.flops / (chip.peak * 1e12), self.bytes / (chip.bandwidth * 1e9)

    def compute_speed(self, chip):
        """Return the upper bound of the throughput of all devices, images/s."""
        return self.batch / max(self.compute_times(chip))


def compute_whole_sides(recipe):
    """Return height and width of a 4:3 image at the test scale, rounded as `rescale` does on JAX.

    Args:
        recipe: the `Recipe`.

    Returns:
        Tuple of two int, multiples of 32 pixels.
    """
    low = recipe.evaluation_scale
    return tuple((side + STRIDE // 2) // STRIDE * STRIDE for side in (low, round(low * 4 / 3)))


def estimate_largest_batch(first, second):
    """Return the batch that fills the memory, by linear extrapolation of two steps that fit.

    Args:
        first: a `Step`.
        second: a `Step` of another batch.

    Returns:
        int, a multiple of 8 per device.
    """
    slope = (second.needed - first.needed) / (second.batch - first.batch)
    if slope <= 0:  # so small that XLA's memory layout hides the batch
        return second.batch
    eight = 8 * first.devices
    return int((first.available - first.needed) / slope + first.batch) // eight * eight


def choose_next_batch(steps):
    """Return the batch to compile next, in search of the largest that fits.

    While all batches fit, the next one is twice the batch, and then the linear extrapolation of
    two. While none fits, it is half the batch, or less where memory says so. Between a batch that
    fits and one that does not, it is the middle.

    Args:
        steps: list of the `Step`s so far, at least one.

    Returns:
        int, a multiple of 8 per device; 0 ends the search.
    """
    eight = 8 * steps[0].devices
    fitting = sorted((step for step in steps if step.fits), key=lambda step: step.batch)
    if not fitting:
        least = min(steps, key=lambda step: step.batch)
        return int(least.batch * min(1 / 2, least.available / least.needed)) // eight * eight
    high, failed = fitting[-1].batch, [step.batch for step in steps if not step.fits]
    if len(fitting) == FITTING:
        return 0
    if failed:
        batch = (high + min(failed)) // 2 // eight * eight
    elif len(fitting) == 1:
        batch = max(2 * high // eight, 1) * eight
    else:
        batch = estimate_largest_batch(*fitting) if len(fitting) == 2 else 0
    return batch if batch > high else 0


@dataclass(frozen=True)
class Bounds:
    """Memory and time bounds of a training on one topology.

    Attributes:
        topology: name of the topology, such as `v5e:2x4`.
        asked: the `Step` of the requested batch.
        largest: the `Step` of the largest compiled batch that fits; None if none fits.
        epochs: number of epochs of the training.
        images: number of training images in an epoch.
        arch: name of the architecture.
        crops: the `Step` of a test on center crops.
        dense: the `Step` of a dense test, on whole images and their flips.
        host: the `host.Host` of the training input.
    """

    topology: str
    asked: Step
    largest: Step | None
    epochs: int
    images: int
    arch: str
    crops: Step
    dense: Step
    host: Host

    @property
    def step(self):
        """The `Step` of the times: the requested one if it fits, else the largest that fits."""
        return self.asked if self.asked.fits else self.largest

    @property
    def gflop(self):
        """Operations per image by XLA's count, in 1e9."""
        return self.step.flops * self.step.devices / self.step.batch / 1e9

    @property
    def chip(self):
        """The `Chip`."""
        return CHIPS[self.topology.split(":")[0]]

    @property
    def speed(self):
        """Upper bound of the throughput of all devices in training, images/s."""
        return self.step.compute_speed(self.chip)

    @property
    def hours(self):
        """Lower bound of the hours of the training."""
        return self.epochs * self.images / self.speed / 3600

    @property
    def weeks(self):
        """Lower bound of the weeks of Kaggle's hours; None for TPUs that Kaggle does not offer."""
        return self.hours / KAGGLE_HOURS if self.topology == KAGGLE else None
