"""Freezing of the first layers of a network."""

from vgg_tf.weights.keras_layers import find_layers_with_weights


def freeze(model, until):
    """Freeze all layers before a layer or block.

    Frozen batch normalization keeps its moving mean and variance. A compiled model must be
    compiled again.

    Args:
        model: Keras model, changed in place.
        until: Name of the first layer or block that is trained, such as `block4` or `fc1`.

    Raises:
        ValueError: The network has no such layer or block.
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
            f"The layer to freeze until must be in the network. Received: {until!r}. Try one of "
            f"{', '.join([*blocks, *layers])}."
        )
    for layer in model.layers[:first]:
        layer.trainable = False
