"""What compiled training steps say about a chip: which batches fit, and the shortest time.

The times are bounds from published numbers of the chips. Nothing was measured on a TPU.
"""

from dataclasses import dataclass

from vgg_tf.figures.markdown import make_markdown_table

GIB = 2**30
# What Kaggle lends, and its hours a week, as Kaggle publishes them.
KAGGLE, KAGGLE_HOURS = "v5e:2x4", 20
# Compilations of batches that fit, which take minutes for VGG-16 on 2 cores; of those that do not,
# a second.
FITTING = 3


@dataclass(frozen=True)
class Chip:
    """Published numbers of one JAX device (cloud.google.com/tpu/docs).

    A device is a chip, and half a chip of v3 and v4.

    Attributes:
        peak: bfloat16 multiplications and additions, TFLOP/s.
        bandwidth: of its memory, GB/s.
    """

    peak: float
    bandwidth: float


CHIPS = {
    "v3": Chip(61.5, 450),
    "v4": Chip(137.5, 614),
    "v5e": Chip(197, 819),
    "v6e": Chip(918, 1640),
}
# Those that libtpu is known to compile for in minutes, and their JAX devices; of others it refuses
# some and never ends with some.
TOPOLOGIES = {"v3:2x2": 8, "v4:2x2x1": 8, "v5e:2x2": 4, "v5e:2x4": 8, "v6e:2x2": 4}


def parse_topologies(words, batch):
    """Return the names of topologies in words separated by commas, each once.

    Args:
        words: such as `v3:2x2,v5e:2x4`.
        batch: images per step, which the devices of each topology must share evenly.

    Returns:
        list of str.

    Raises:
        ValueError: a topology is unknown, or its devices cannot share the images of a step.
    """
    names = list(dict.fromkeys(word.strip() for word in words.split(",")))
    for name in names:
        if name not in TOPOLOGIES:
            raise ValueError(
                f"Unknown topology {name!r}. Expected one of: {', '.join(TOPOLOGIES)}."
            )
        if batch % TOPOLOGIES[name]:
            raise ValueError(
                f"The {TOPOLOGIES[name]} devices of {name} share the images of a step, and "
                f"{batch} do not divide by it. Give another --batch-size or --accumulate."
            )
    return names


@dataclass(frozen=True)
class Step:
    """A compiled step.

    Attributes:
        devices: number of JAX devices.
        batch: images per step, on all devices.
        needed: memory per device, bytes. For a step that does not fit, its temporaries alone.
        available: memory of a device, bytes.
        flops: operations of a device, by XLA's count; 0 where the step does not fit.
        bytes: memory traffic of a device, by XLA's count; 0 where the step does not fit.
        seconds: of the compilation.
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


def estimate_largest_batch(first, second):
    """Return the batch that fills the memory, by the line through two steps that fit.

    Args:
        first: a `Step`.
        second: a `Step` of another batch.

    Returns:
        int, a multiple of 8 per device.
    """
    slope = (second.needed - first.needed) / (second.batch - first.batch)
    if slope <= 0:  # so small that XLA's arrangement hides the batch
        return second.batch
    eight = 8 * first.devices
    return int((first.available - first.needed) / slope + first.batch) // eight * eight


def choose_next_batch(steps):
    """Return the batch to compile next, in search of the largest that fits.

    While all fit it is twice the batch, then that of the line through the two. While none fits it
    is half the batch, or less by the memory. Between one that fits and one that does not it is the
    middle.

    Args:
        steps: the `Step`s so far, at least one.

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
    """What is known of a training on one topology.

    Attributes:
        topology: its name, such as `v5e:2x4`.
        asked: the `Step` of the batch that was asked for.
        largest: the `Step` of the largest batch that was compiled and fits; None if none did.
        epochs: of the training.
        images: number of training images in an epoch.
    """

    topology: str
    asked: Step
    largest: Step | None
    epochs: int
    images: int

    @property
    def step(self):
        """The `Step` that the times are of: the asked one, else the largest that fits."""
        return self.asked if self.asked.fits else self.largest

    @property
    def gflop(self):
        """Operations of an image by XLA's count, in 1e9."""
        return self.step.flops * self.step.devices / self.step.batch / 1e9

    @property
    def compute(self):
        """Seconds that a step's operations take at the chip's peak."""
        return self.step.flops / (CHIPS[self.topology.split(":")[0]].peak * 1e12)

    @property
    def traffic(self):
        """Seconds that a step's memory traffic takes at the chip's bandwidth."""
        return self.step.bytes / (CHIPS[self.topology.split(":")[0]].bandwidth * 1e9)

    @property
    def floor(self):
        """Seconds that a step takes at least."""
        return max(self.compute, self.traffic)

    @property
    def speed(self):
        """Images a second at most, on all devices."""
        return self.step.batch / self.floor

    @property
    def hours(self):
        """Hours that the training takes at least."""
        return self.epochs * self.images / self.speed / 3600

    @property
    def weeks(self):
        """Weeks of Kaggle's hours at least; None for what Kaggle does not lend."""
        return self.hours / KAGGLE_HOURS if self.topology == KAGGLE else None


# Heading and cell of each column; those that follow from a step that fits are a dash without one.
_FACTS = {
    "topology": lambda row: row.topology,
    "devices": lambda row: f"{row.asked.devices}",
    "GiB a device": lambda row: f"{row.asked.available / GIB:.2f}",
    "needed a device at {batch:,} images a step": lambda row: (
        f"{row.asked.need}: {'fits' if row.asked.fits else 'does not fit'}"
    ),
}
_FINDINGS = {
    "most images a step compiled that fit": lambda row: f"{row.largest.batch:,}",
    "GFLOP an image, by XLA": lambda row: f"{row.gflop:.1f}",
    "ms a step (bound, not measured)": lambda row: (
        f"{1e3 * row.floor:.0f}" + ("" if row.asked.fits else f" for {row.step.batch:,}")
    ),
    "images/s (bound, not measured)": lambda row: f"{row.speed:,.0f}",
    "hours of {epochs} epochs (bound, not measured)": lambda row: f"{row.hours:.1f}",
    "weeks of Kaggle's {hours} hours (bound, not measured)": lambda row: (
        "-" if row.weeks is None else f"{row.weeks:.2f}"
    ),
}


def format_table(rows):
    """Return a Markdown table with a line for each topology.

    Args:
        rows: `Bounds` of the same network, batch and epochs.

    Returns:
        str.
    """
    words = {"batch": rows[0].asked.batch, "epochs": rows[0].epochs, "hours": KAGGLE_HOURS}
    header = [heading.format(**words) for heading in (*_FACTS, *_FINDINGS)]
    cells = []
    for row in rows:
        found = [cell(row) if row.step else "-" for cell in _FINDINGS.values()]
        cells.append([*(cell(row) for cell in _FACTS.values()), *found])
    return make_markdown_table(header, cells)
