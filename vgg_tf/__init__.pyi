from vgg_tf.data.loading import load_dataset as load_dataset
from vgg_tf.data.loading import load_epochs as load_epochs
from vgg_tf.evaluation.class_names import decode_predictions as decode_predictions
from vgg_tf.features.descriptors import extract as extract
from vgg_tf.functions.boxes import evaluate_localizer as evaluate_localizer
from vgg_tf.functions.boxes import locate_objects as locate_objects
from vgg_tf.functions.boxes import train_localizer as train_localizer
from vgg_tf.functions.description import describe_pictures as describe_pictures
from vgg_tf.functions.exporting import export_network as export_network
from vgg_tf.functions.prediction import predict_pictures as predict_pictures
from vgg_tf.functions.testing import evaluate_network as evaluate_network
from vgg_tf.functions.training import train_network as train_network
from vgg_tf.images.processing import process_path as process_path
from vgg_tf.models.conversion import convert_head as convert_head
from vgg_tf.models.initializers import INITIALIZERS as INITIALIZERS
from vgg_tf.models.vgg import build_vgg as build_vgg
from vgg_tf.paper.architectures import ARCHITECTURES as ARCHITECTURES
from vgg_tf.paper.architectures import IMAGENET_MEAN as IMAGENET_MEAN
from vgg_tf.paper.presets import RECIPES as RECIPES
from vgg_tf.paper.recipes import Recipe as Recipe
from vgg_tf.runtime.devices import strategy as strategy
from vgg_tf.weights.inheritance import inherit_weights as inherit_weights
from vgg_tf.weights.inheritance import load_weights as load_weights
from vgg_tf.weights.reading import read_weights as read_weights
from vgg_tf.weights.writing import write_weights as write_weights

__all__: list[str]
