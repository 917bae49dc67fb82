"""Uses of the public names, for mypy: what is typed wrong here fails the check."""

import keras
import numpy as np
import tensorflow as tf

import vgg_tf


def build() -> keras.Model:
    """Build a network, and convert its head."""
    model = vgg_tf.build_vgg("vgg11", classes=2, input_shape=(32, 32, 3), seed=0)
    return vgg_tf.convert_head(model, dense=True)


def read(model: keras.Model) -> None:
    """Read, copy and write weights."""
    weights = vgg_tf.read_weights("cifar10")
    vgg_tf.load_weights(model, weights)
    vgg_tf.inherit_weights("cifar10", model, "all-matching")
    vgg_tf.write_weights(model, "a.safetensors")


def load() -> tf.data.Dataset:
    """Read a source as batches."""
    epochs = vgg_tf.load_epochs("digits", "train", batch_size=32, size=32)
    epochs(0)
    return vgg_tf.load_dataset("digits", batch_size=32, size=32, scale=(32, 36), flip=False)


def process(path: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Read one file."""
    return vgg_tf.process_path(path, ["cat", "dog"], crop=32, scale=(32, 40), seed=1)


def choose(image: np.ndarray) -> np.ndarray:
    """Choose devices, and describe an image."""
    with vgg_tf.strategy("cpu").scope():
        return vgg_tf.extract([image], "cifar10", "32")


def name(probabilities: np.ndarray) -> object:
    """Name the classes of the highest probabilities."""
    return vgg_tf.decode_predictions(probabilities, ("cat", "dog"), top=1)


recipe: vgg_tf.Recipe = vgg_tf.RECIPES["paper"]
mean: tuple[float, ...] = vgg_tf.IMAGENET_MEAN
rows = [*vgg_tf.ARCHITECTURES.values(), *vgg_tf.INITIALIZERS.values()]
