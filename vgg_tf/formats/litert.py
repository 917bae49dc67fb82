"""Networks as LiteRT (TensorFlow Lite): float32, float16, int8; the names of the classes in a
zip at the file's end.
"""

import io
import os
import zipfile

import numpy as np

from vgg_tf.runtime import files

NEEDED = 'LiteRT needs a package: pip install "vgg_tf[litert]" (ai-edge-litert)'
KINDS = ("float32", "float16", "int8")


def write(network, path, kind="float32", pictures=None):
    """Write a `source_network.Network`: a signature with input `image`, `[1, h, w, 3]`, and output
    `posteriors`, float32.

    The input is uint8, RGB 0..255. What is known of the network and `labels.txt`, a line a class,
    are appended as a zip archive, as TensorFlow's metadata are: `unzip` lists them, interpreters do
    not see them.

    Args:
        network: the `source_network.Network`.
        path: `*.tflite`.
        kind: `float32`; `float16`, weights of half the bytes; `int8`, weights and maps of whole
            numbers.
        pictures: uint8 `[n, h, w, 3]`, real ones, for int8: they tell how large the numbers between
            the layers are. A black and a white pixel is put into each, so that the input's numbers
            are the pixels' (scale 1, zero point 0).

    Raises:
        ValueError: a layer that LiteRT has no operation for, with what to do.
    """
    import tensorflow as tf

    if any("lrn" in layer.name for layer in network.layers):
        raise ValueError(
            f"LiteRT cannot carry the local response normalisation of {network.arch} in whole "
            "numbers, and slowly in others. Export vgg11, which the paper found no worse, or "
            "ONNX."
        )
    module = tf.Module()
    module.kept = [variable.value for variable in network.model.variables]
    quantised = kind == "int8"
    spec = tf.TensorSpec(
        [1, network.height, network.width, 3], tf.float32 if quantised else tf.uint8, "image"
    )

    def call(image):
        return {"posteriors": network.model(tf.cast(image, tf.float32), training=False)}

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
    data = io.BytesIO(converter.convert())
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr("labels.txt", "".join(f"{name}\n" for name in network.classes))
        archive.writestr("vgg_tf.json", network.about())
    files.write_whole(path, data.getvalue())


def read(path):
    """The file as a function of pixels by LiteRT, and what it tells of itself.

    Raises:
        ModuleNotFoundError: ai-edge-litert is not installed.
        ValueError: it is none of ours, or torn.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(NEEDED, name=error.name) from None
    try:
        with zipfile.ZipFile(path) as archive:
            about = files.parse_json(archive.read("vgg_tf.json").decode(), path)
        interpreter = Interpreter(path, num_threads=os.cpu_count())
        interpreter.allocate_tensors()
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path} is no LiteRT file of vgg_tf, or torn ({str(error).splitlines()[0][:200]})."
        ) from None
    (given,), (gotten,) = interpreter.get_input_details(), interpreter.get_output_details()
    if given["dtype"] is not np.uint8 or given["quantization"] not in ((0.0, 0), (1.0, 0)):
        raise ValueError(
            f"{path} takes {given['dtype'].__name__} of scale {given['quantization']}, and not "
            "pixels."
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
