"""vgg_tf: reproduce, train, test, understand and ship VGG networks (Simonyan & Zisserman 2015).

The public names are loaded on first use, so that importing the package imports neither TensorFlow
nor Keras.
"""

import importlib

_HOMES = {
    "ARCHITECTURES": "paper.architectures",
    "IMAGENET_MEAN": "paper.architectures",
    "INITIALIZERS": "models.initializers",
    "RECIPES": "paper.presets",
    "Recipe": "paper.recipes",
    "build_vgg": "models.vgg",
    "convert_head": "models.conversion",
    "decode_predictions": "evaluation.class_names",
    "describe_pictures": "functions.description",
    "evaluate_localizer": "functions.boxes",
    "evaluate_network": "functions.testing",
    "export_network": "functions.exporting",
    "extract": "features.descriptors",
    "inherit_weights": "weights.inheritance",
    "load_weights": "weights.inheritance",
    "locate_objects": "functions.boxes",
    "predict_pictures": "functions.prediction",
    "read_weights": "weights.reading",
    "strategy": "runtime.devices",
    "train_localizer": "functions.boxes",
    "train_network": "functions.training",
    "write_weights": "weights.writing",
    "load_dataset": "data.loading",
    "load_epochs": "data.loading",
    "process_path": "images.processing",
}
__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(
            f"module 'vgg_tf' has no attribute {name!r}. It has {', '.join(__all__)}."
        )
    try:
        return getattr(importlib.import_module(f"vgg_tf.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        from vgg_tf.runtime.quiet import TENSORFLOW_MISSING, lacks_tensorflow

        if not lacks_tensorflow(error):
            raise
        raise ModuleNotFoundError(TENSORFLOW_MISSING, name="tensorflow") from None


def __dir__():
    return __all__
