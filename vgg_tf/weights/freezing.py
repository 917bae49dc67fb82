"""Freezes the first layers of a network."""

from vgg_tf.weights.keras_layers import find_layers_with_weights


def freeze(model, until):
    """Freeze all layers before the one called `until`, or before the block of that name.

    With `block4`, block4 is the first that learns. Frozen batch normalization keeps its moments.
    What is compiled must be compiled again.

    Raises:
        ValueError: no such layer or block.
    """
    names = [layer.name for layer in model.layers]
    blocks = sorted({name.split("_")[0] for name in names if name.startswith("block")})
    layers = find_layers_with_weights(model)
    known = until in blocks or until in layers
    first = next(
        (
            i
            for i, name in enumerate(names)
            if known and (name == until or name.startswith(f"{until}_"))
        ),
        None,
    )
    if first is None:
        raise ValueError(
            f"No layer {until!r} to freeze until. Try {', '.join([*blocks, *layers])}."
        )
    for layer in model.layers[:first]:
        layer.trainable = False
