"""convert_head: the head of a network as convolutions (section 3.2), and back."""

import keras

# Registers the layer of A-LRN, so that keras.saving.load_model can read a network to convert.
from vgg_tf.models import lrn  # noqa: F401
from vgg_tf.weights.inheritance import load_weights


def convert_head(model: keras.Model, dense: bool = True) -> keras.Model:
    """Return a copy of a network with its head as convolutions, or as fully connected layers.

    The network with convolutions (section 3.2) takes whole images. Its logits at `(i, j)` are those
    of the fully connected head for a window of the last feature map. For crops of 224 pixels the
    window is rows i to i + 6 and columns j to j + 6.

    Args:
        model: A network of `build_vgg` with its head, in either form.
        dense: If True, the head becomes convolutions. The output is a map of logits
            `[B, h, w, classes]`, without a softmax. If False, the head becomes fully connected. The
            network takes crops of one size, and the output is probabilities `[B, classes]`.
            Defaults to True.

    Returns:
        A new `keras.Model` with copies of the weights and with the layer names of `build_vgg`.

    Raises:
        ValueError: The network has no head, or it is not from `build_vgg`.

    Examples:
        >>> from vgg_tf import build_vgg
        >>> model = build_vgg(
        ...     "vgg11", input_shape=(32, 32, 3), classes=2, width=0.0625, head_width=16
        ... )
        >>> convert_head(model)(keras.ops.zeros([1, 64, 96, 3])).shape  # logits at 2 x 3 positions
        TensorShape([1, 2, 3, 2])
    """
    names = [layer.name for layer in model.layers]
    if not {"fc1", "normalize"} <= set(names):
        raise ValueError(
            "convert_head needs a network of build_vgg with its head (include_top=True). Received: "
            f"{model.name} with the layers {', '.join(names)}. Build it with include_top=True."
        )
    last_pool = names.index("block5_pool")
    fc1 = model.get_layer("fc1")
    h, w = (
        fc1.kernel_size
        if isinstance(fc1, keras.layers.Conv2D)
        else model.get_layer("flatten").input.shape[1:3]
    )
    channels = model.input.shape[-1]
    inputs = keras.Input(
        (None, None, channels) if dense else (32 * h, 32 * w, channels),
        dtype="float32",
        name="image",
    )

    def again(layer):
        return layer.__class__.from_config(layer.get_config())

    x = inputs
    for layer in model.layers[1 : last_pool + 1]:
        x = again(layer)(x)
    x = x if dense else keras.layers.Flatten(name="flatten", dtype=fc1.dtype_policy)(x)
    for layer in model.layers[last_pool + 1 :]:
        if hasattr(layer, "kernel"):
            config = layer.get_config()
            kept = (
                "name",
                "activation",
                "kernel_initializer",
                "kernel_regularizer",
                "trainable",
                "dtype",
            )
            shared = {key: config[key] for key in kept}
            side = (h, w) if layer.name == "fc1" else 1
            units = layer.kernel.shape[-1]
            x = (
                keras.layers.Conv2D(units, side, **shared)
                if dense
                else keras.layers.Dense(units, **shared)
            )(x)
        elif isinstance(layer, keras.layers.Dropout):
            x = again(layer)(x)
    if not dense:
        x = keras.layers.Softmax(dtype="float32", name="softmax")(x)
    converted = keras.Model(inputs, x, name=model.name)
    load_weights(converted, model, say=None)
    return converted
