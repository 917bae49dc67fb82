"""LiteRT (TensorFlow Lite): float32, float16 and int8, with class names in a zip at the end."""

import io
import os
import struct
import zipfile

import numpy as np

from vgg_tf.formats.metadata import parse_metadata
from vgg_tf.formats.native_messages import hide_chatter
from vgg_tf.runtime import files

NEEDED = 'LiteRT needs ai-edge-litert. Received: {}. Install it: pip install "vgg_tf[litert]"'
KINDS = ("float32", "float16", "int8")
INPUT, OUTPUT = "image", "posteriors"
_NAME = 10  # the field `name` of a tensor in the schema of LiteRT files


def write(network, path, kind="float32", pictures=None):
    """Write a network as a LiteRT file.

    The file has one signature. Its input is `image`, uint8 `[1, h, w, 3]`, RGB. Its output is
    `posteriors`, float32. The tensors have the same names. A zip archive at the end of the file has
    the metadata and `labels.txt` with one class per line, as TensorFlow's own metadata do. `unzip`
    lists it, and interpreters ignore it. Line breaks in a class name are spaces in `labels.txt`.

    Args:
        network: A `source_network.Network`.
        path: Path of the file, `*.tflite`.
        kind: `float32`; `float16` for weights of half the size; `int8` for integer weights and
            feature maps.
        pictures: uint8 `[n, h, w, 3]`, real pictures that calibrate the ranges of the feature maps
            for int8. A black and a white pixel are added to each, so that the quantized input is
            the pixel value (scale 1, zero point 0).

    Raises:
        ValueError: LiteRT has no operation for a layer.
    """
    import tensorflow as tf

    if any("lrn" in layer.name for layer in network.layers):
        raise ValueError(
            "LiteRT has no fast operation for local response normalization. Received: "
            f"{network.arch}. Export vgg11, whose error in the paper is no higher, or use "
            "--format onnx."
        )
    module = tf.Module()
    module.kept = [variable.value for variable in network.model.variables]
    quantised = kind == "int8"
    spec = tf.TensorSpec(
        [1, network.height, network.width, 3], tf.float32 if quantised else tf.uint8, INPUT
    )

    def call(image):
        return {OUTPUT: network.model(tf.cast(image, tf.float32), training=False)}

    module.call = tf.function(call, input_signature=[spec])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.call.get_concrete_function()], module
    )
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantised:
        seen = np.array(pictures)
        seen[:, 0, 0], seen[:, -1, -1] = 0, 255
        converter.representative_dataset = lambda: (
            [np.float32(picture)[np.newaxis]] for picture in seen
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
    with hide_chatter():
        data = io.BytesIO(converter.convert())
    _name_tensors(data)
    with zipfile.ZipFile(data, "a") as archive:
        labels = (" ".join(name.splitlines()) for name in network.classes)
        archive.writestr("labels.txt", "".join(f"{name}\n" for name in labels))
        archive.writestr("vgg_tf.json", network.about())
    files.write_whole(path, data.getvalue())


def _name_tensors(data):
    """Name the input and the output, which the converter calls `serving_default_image:0` and such.

    A name is a string at the position that the tensor's table points to. The new strings are
    appended, and the pointers changed, so nothing else moves.

    Args:
        data: `io.BytesIO` of a LiteRT file with one input and one output, changed in place.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    with data.getbuffer() as buffer:
        graph = schema.Model.GetRootAs(buffer, 0).Subgraphs(0)
        tables = [graph.Tensors(index)._tab for index in (graph.Inputs(0), graph.Outputs(0))]
        places = [table.Pos + table.Offset(_NAME) for table in tables]
        del graph, tables  # the buffer can be released when nothing refers to it
    for place, name in zip(places, (INPUT, OUTPUT), strict=True):
        end = data.seek(0, os.SEEK_END)
        data.write(b"\0" * (-end % 4))
        start = data.tell()
        data.write(struct.pack("<I", len(name)) + name.encode() + b"\0")
        data.seek(place)
        data.write(struct.pack("<I", start - place))
    data.seek(0)


def read(path):
    """Return the file as a function of pixels, run by LiteRT, and its metadata.

    Args:
        path: Path of the file, `*.tflite`.

    Returns:
        run: Function from uint8 `[n, h, w, 3]`, RGB, to probabilities `[n, classes]`. Its
            attribute `layers` is the number of layers with weights.
        about: dict, as `Network.describe` returns it.

    Raises:
        ModuleNotFoundError: The package ai-edge-litert is not installed.
        ValueError: The file is not from vgg_tf, or is incomplete.
    """
    try:
        with hide_chatter():
            from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(NEEDED.format(error), name=error.name) from None
    try:
        with zipfile.ZipFile(path) as archive:
            about = parse_metadata(archive.read("vgg_tf.json"), path)
        with hide_chatter():
            interpreter = Interpreter(path, num_threads=os.cpu_count())
            interpreter.allocate_tensors()
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path} must be a complete LiteRT file from vgg_tf. Received: "
            f"{str(error).splitlines()[0][:200]}. Write it again with python -m vgg_tf.export."
        ) from None
    (given,), (gotten,) = interpreter.get_input_details(), interpreter.get_output_details()
    if given["dtype"] is not np.uint8 or given["quantization"] not in ((0.0, 0), (1.0, 0)):
        raise ValueError(
            f"{path} must take uint8 pixels with scale 1 and zero point 0. Received: "
            f"{given['dtype'].__name__} with {given['quantization']}. Write it again with python "
            "-m vgg_tf.export."
        )

    def run(pixels):
        rows = []
        for picture in pixels:
            interpreter.set_tensor(given["index"], picture[np.newaxis])
            interpreter.invoke()
            rows.append(interpreter.get_tensor(gotten["index"])[0])
        return np.stack(rows)

    kinds = [operation["op_name"] for operation in interpreter._get_ops_details()]
    run.layers = sum(kind in ("CONV_2D", "FULLY_CONNECTED") for kind in kinds)
    return run, about
