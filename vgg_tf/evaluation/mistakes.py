"""Figures of a network's mistakes: the most confident ones, and the most confused classes."""

from vgg_tf.data import opening
from vgg_tf.evaluation import metrics
from vgg_tf.evaluation.checkpoint import open_checkpoint
from vgg_tf.evaluation.posteriors import compute_posteriors, refuse_unreadable
from vgg_tf.figures.charts import draw_confused_pairs
from vgg_tf.figures.sheets import draw_contact_sheet
from vgg_tf.images import decoding
from vgg_tf.paper.protocols import Protocol
from vgg_tf.runtime.devices import choose

SHOWN = 24  # pictures per sheet


def draw_network_mistakes(network, data, split):
    """Test a network on center crops and draw its mistakes.

    Args:
        network: a run folder, a weight file, or `cifar10`.
        data: the images; empty is the data of the run.
        split: name of the split.

    Returns:
        sheet: a matplotlib `Figure` of the most confident mistakes; None if there are none.
        pairs: a matplotlib `Figure` of the most confused pairs of classes; None if there are none.
        n: number of images.

    Raises:
        ValueError: no data are given and the network does not name its training data, or images
            cannot be read.
    """
    opened = open_checkpoint(network)
    if not (data or opened.data):
        raise ValueError(
            f"--data is required: {network} does not name its training data. Received: no --data. "
            "Give a folder, a name such as tfds:NAME, or digits."
        )
    source = opening.open_tested(split, [opened.selection], opened.data, data)
    opened.check_classes(source.classes, source.name)
    source.count_images(split)
    units = Protocol("center", opened.scales("one"), opened.crop).units
    rows, problems = compute_posteriors(opened, source, split, units, choose("auto", "auto"))
    refuse_unreadable(problems)
    images = source.splits[split]
    wrong = metrics.find_worst_mistakes(rows[0], images.labels, SHOWN)
    if not len(wrong):
        return None, None, len(images)
    found = metrics.compute_metrics(rows[0], images.labels, source.classes)
    title = f"{opened.name}, {split}: {found['top1_error']:.2f} % of {len(images):,} wrong"
    sheet = draw_mistakes(wrong, rows[0], images, source.classes)
    return sheet, draw_confused_pairs(found["confused"], title), len(images)


def draw_mistakes(numbers, posteriors, images, classes):
    """Draw a sheet of images with their predicted and true classes.

    Args:
        numbers: numbers of the images in the split.
        posteriors: probabilities `[n, classes]` of the split.
        images: the `splits.Split`.
        classes: class names.

    Returns:
        A matplotlib `Figure`.
    """
    seen = [decoding.decode_named(images.read(int(i)), images.names[i]) for i in numbers]
    told = [
        (
            f"{classes[posteriors[i].argmax()]} {posteriors[i].max():.3f}",
            f"true: {classes[images.labels[i]]}",
        )
        for i in numbers
    ]
    none = ((), ())
    return draw_contact_sheet(
        seen, told, [none] * len(seen), "predicted class, its probability, and true class"
    )
