"""Figures of a network's mistakes: the surest ones, and the classes that are confused most."""

from vgg_tf.data import opening
from vgg_tf.evaluation import metrics
from vgg_tf.evaluation.checkpoint import open_checkpoint
from vgg_tf.evaluation.posteriors import compute_posteriors, refuse_unreadable
from vgg_tf.figures.charts import draw_confused_pairs
from vgg_tf.figures.sheets import draw_contact_sheet
from vgg_tf.images import decoding
from vgg_tf.paper.protocols import Protocol
from vgg_tf.runtime.devices import choose

SHOWN = 24  # pictures of a sheet


def draw_network_mistakes(network, data, split):
    """Test a network on center crops and draw its mistakes.

    Args:
        network: a run folder, a file of weights, or `cifar10`.
        data: the images; empty: those of the run.
        split: name of the split.

    Returns:
        sheet: a matplotlib `Figure` of the surest mistakes; None where there are none.
        pairs: one of the pairs of classes that are confused most; None as well.
        n: number of images.
    """
    opened = open_checkpoint(network)
    if not (data or opened.data):
        raise ValueError(f"{network} does not tell what it was trained on. Give --data.")
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
    """A sheet of images that were taken for something else, by their `numbers` in the
    `splits.Split`.
    """
    seen = [decoding.decode_named(images.read(int(i)), images.names[i]) for i in numbers]
    told = [
        (
            f"{classes[posteriors[i].argmax()]} {posteriors[i].max():.3f}",
            f"is {classes[images.labels[i]]}",
        )
        for i in numbers
    ]
    none = ((), ())
    return draw_contact_sheet(
        seen, told, [none] * len(seen), "what it said, how sure it was, and what it is"
    )
