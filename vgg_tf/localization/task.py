"""The task of box regression: loss and error (sections A.1 and A.2)."""

import keras

from vgg_tf.training import model

RIGHT = 0.5  # IoU above which a box is right (section A.2)


def select_own_boxes(targets, outputs):
    """Boxes that a network gives for the class at hand: `[B, 5]` and `[B, 4]` (SCR) or `[B, 4
    classes]` (PCR) to `[B, 4]`.
    """
    if outputs.shape[-1] == 4:
        return outputs
    every = keras.ops.reshape(outputs, (-1, outputs.shape[-1] // 4, 4))
    labels = keras.ops.cast(targets[:, 4], "int32")
    return keras.ops.take_along_axis(every, labels[:, None, None], axis=1)[:, 0]


def compute_distance(targets, outputs):
    """Euclidean loss on the box of the class at hand: `[B]`, half the squared distance, in
    squared sides of the crop.
    """
    return (
        keras.ops.sum(
            keras.ops.square(select_own_boxes(targets, outputs) - targets[:, :4]), axis=-1
        )
        / 2
    )


def judge_boxes(targets, outputs):
    """Whether the box of the class at hand is right, 1 or 0, `[B]`: its IoU with the object's is
    above 0.5.
    """
    found, true = select_own_boxes(targets, outputs), targets[:, :4]
    low, high = (
        choose(found[:, :2] + sign * found[:, 2:] / 2, true[:, :2] + sign * true[:, 2:] / 2)
        for choose, sign in ((keras.ops.maximum, -1), (keras.ops.minimum, 1))
    )
    both = keras.ops.prod(keras.ops.maximum(high - low, 0), axis=-1)
    areas = [
        keras.ops.prod(keras.ops.maximum(sides[:, 2:4], 0), axis=-1) for sides in (found, true)
    ]
    return keras.ops.cast(both > RIGHT * (areas[0] + areas[1] - both), "float32")


def make_boxes_task(recipe):
    """The `model.Task` of learning boxes: errors are shares of pictures whose box is not right.

    A tenth of a few hundred pictures does not tell which epoch is the best: a schedule that ends by
    itself keeps the last one.
    """
    metric = keras.metrics.MeanMetricWrapper

    def compiled(network, optimizer):
        network.compile(
            optimizer,
            compute_distance,
            weighted_metrics=[
                metric(judge_boxes, name="top1"),
                metric(compute_distance, name="distance"),
            ],
            jit_compile=keras.config.backend() == "jax",
        )

    def evaluated(network, batches):
        values = network.evaluate(batches, verbose=0, return_dict=True)
        return {"top1_error": 100 * (1 - float(values["top1"])), "loss": float(values["distance"])}

    return model.Task(compiled, evaluated, lambda *_: None, keep_last=recipe.schedule != "plateau")
