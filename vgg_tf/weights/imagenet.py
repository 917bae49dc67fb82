"""Published ImageNet weights, downloaded by Keras."""

from vgg_tf.weights.reading import read_weights


def fetch_imagenet_weights(arch, include_top=True):
    """Return the `Weights` that keras.applications publishes: the paper's D and E, from Caffe.

    Keras downloads them once and keeps them.

    Raises:
        ValueError: none are published for this architecture; the message says which file to get.
        OSError: they could not be fetched.
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
                f"{error}. Get the .h5 file elsewhere and give its path as weights."
            ) from None
    if arch in ("vgg11_lrn", "vgg16c", "vgg16c_bn"):
        raise ValueError(
            f"Nobody has published ImageNet weights of {arch}. Keras has those of vgg16 and vgg19."
        )
    raise ValueError(
        f"Keras has ImageNet weights of vgg16 and vgg19 only. For {arch} get model.safetensors of "
        f"https://huggingface.co/timm/{arch}.tv_in1k (torchvision's) and give its path as weights."
    )
