"""Published ImageNet weights, which Keras downloads."""

from vgg_tf.weights.reading import read_weights


def fetch_imagenet_weights(arch, include_top=True):
    """Return the ImageNet weights of `keras.applications`.

    They are the weights of the paper's D and E, converted from Caffe. Keras downloads them once.

    Args:
        arch: Name of the architecture.
        include_top: If True, include the weights of the head. Defaults to True.

    Returns:
        `Weights`.

    Raises:
        ValueError: Keras has no weights of this architecture. The message says which file to use.
        OSError: The download failed.
    """
    import keras

    makers = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}
    if arch in makers:
        try:
            return read_weights(makers[arch](weights="imagenet", include_top=include_top))
        except Exception as error:
            if "URL fetch failure" not in str(error):
                raise
            raise OSError(
                f"The download of the ImageNet weights failed. Received: {error}. Download the .h5 "
                "file in another way, and give its path as weights."
            ) from None
    if arch in ("vgg11_lrn", "vgg16c", "vgg16c_bn"):
        raise ValueError(
            f"ImageNet weights must be published for the architecture. Received: {arch}, which has "
            "none. Try vgg16 or vgg19."
        )
    raise ValueError(
        f"imagenet must be used with vgg16 or vgg19, which Keras has. Received: {arch}. Download "
        f"torchvision's model.safetensors from https://huggingface.co/timm/{arch}.tv_in1k and "
        "give its path as weights."
    )
