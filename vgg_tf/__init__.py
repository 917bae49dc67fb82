"""vgg_tf: reproduce, train, test, understand and ship VGG networks (Simonyan & Zisserman 2015).

The public names are loaded on first use, so that importing the package imports neither TensorFlow nor Keras.
"""

import importlib

_HOMES = {
    "ARCHITECTURES": "architectures",
    "IMAGENET_MEAN": "architectures",
    "INITIALIZERS": "initializers",
    "RECIPES": "recipes",
    "Recipe": "recipes",
    "build_vgg": "network",
    "convert_head": "network",
    "decode_predictions": "predictions",
    "extract": "descriptors",
    "inherit_weights": "weights",
    "load_weights": "weights",
    "read_weights": "weight_files",
    "strategy": "devices",
    "write_weights": "weight_writer",
    "load_dataset": "datasets",
    "load_epochs": "datasets",
    "process_path": "images",
}
__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'vgg_tf' has no attribute {name!r}. It has {', '.join(__all__)}.")
    try:
        return getattr(importlib.import_module(f"vgg_tf.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        from vgg_tf.programs import TENSORFLOW_MISSING, lacks_tensorflow

        if not lacks_tensorflow(error):
            raise
        raise ModuleNotFoundError(TENSORFLOW_MISSING, name="tensorflow") from None


def __dir__():
    return __all__
