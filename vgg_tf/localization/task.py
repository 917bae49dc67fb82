"""Loss and error of box regression (sections A.1 and A.2)."""

import keras

from vgg_tf.training import model

RIGHT = 0.5  # a box with a higher IoU is right (section A.2)


def select_own_boxes(targets, outputs):
    """Return the boxes that a network predicts for the class of each picture.

    Args:
        targets: `[B, 5]`, boxes and labels.
        outputs: `[B, 4]` (SCR) or `[B, 4 * classes]` (PCR).

    Returns:
        `[B, 4]`.
    """
    if outputs.shape[-1] == 4:
        return outputs
    every = keras.ops.reshape(outputs, (-1, outputs.shape[-1] // 4, 4))
    labels = keras.ops.cast(targets[:, 4], "int32")
    return keras.ops.take_along_axis(every, labels[:, None, None], axis=1)[:, 0]


def compute_distance(targets, outputs):
    """Return the Euclidean loss on the box of the class of each picture.

    Args:
        targets: as for `select_own_boxes`.
        outputs: as for `select_own_boxes`.

    Returns:
        `[B]`, half the squared distance, in squared sides of the crop.
    """
    return (
        keras.ops.sum(
            keras.ops.square(select_own_boxes(targets, outputs) - targets[:, :4]), axis=-1
        )
        / 2
    )


def judge_boxes(targets, outputs):
    """Return whether the box of the class of each picture has an IoU above 0.5 with the object.

    Args:
        targets: as for `select_own_boxes`.
        outputs: as for `select_own_boxes`.

    Returns:
        Float32 `[B]`, 1 or 0.
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
    """Return the `model.Task` of box regression.

    Errors are shares of pictures whose box is wrong. A tenth of a few hundred pictures is too
    small to choose the best epoch. So schedules with a fixed number of epochs keep the last epoch.

    Args:
        recipe: the `Recipe`.

    Returns:
        A `Task`.
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
