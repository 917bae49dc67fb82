"""Core ML: an image in, the class name and all probabilities out.

Core ML runs on Apple's systems only. So the check reads the saved program from its file and
computes it here, operation by operation. This covers graph, weights, sizes and names, but neither
Apple's runtime nor how it decodes and scales pictures.
"""

import contextlib
import io
import logging
import os
import warnings

import numpy as np

from vgg_tf.formats.metadata import parse_metadata
from vgg_tf.runtime import files

NEEDED = (
    "Core ML export needs coremltools, on Linux or macOS. Received: {}. Install it: "
    'pip install "vgg_tf[coreml]"'
)
UNCHECKED = (
    "The Core ML file was checked by computing its operations with TensorFlow and NumPy. Apple's "
    "runtime and its decoding of pictures were not checked."
)
WEIGHTS = "Data/com.apple.CoreML/weights"


def check(path):
    """Check that `path` does not exist or is a Core ML package.

    Args:
        path: Path of the package.

    Raises:
        FileExistsError: The path is something else.
    """
    if os.path.exists(path) and not os.path.exists(os.path.join(path, "Manifest.json")):
        raise FileExistsError(
            f"The export overwrites Core ML packages only. Received: {path}, which is not one. "
            "Choose another --out, or remove it."
        )


def write(network, path):
    """Write a network as a Core ML package, whole or not at all.

    The weights are float32. The package is for iOS 15, macOS 12 and later.

    Args:
        network: A `source_network.Network`.
        path: Path of the package, `*.mlpackage`.

    Raises:
        ModuleNotFoundError: Coremltools is not installed.
        FileExistsError: The path is not a Core ML package.
    """
    path = str(path).rstrip("/")
    check(path)
    with _quietly() as ct:
        shape = (1, network.height, network.width, 3)
        package = ct.convert(
            network.model,
            source="tensorflow",
            convert_to="mlprogram",
            inputs=[ct.ImageType(name="image", shape=shape, color_layout=ct.colorlayout.RGB)],
            classifier_config=ct.ClassifierConfig(list(network.classes)),
            compute_precision=ct.precision.FLOAT32,
            minimum_deployment_target=ct.target.iOS15,
        )
        package.short_description = (
            f"{network.name}: {network.arch} on {network.width} x {network.height} pixels"
        )
        package.user_defined_metadata["vgg_tf"] = network.about()
        with files.writing_folder(path) as temporary:
            package.save(temporary)


def read(path):
    """Return the package as a function of pixels, and its metadata.

    Args:
        path: Path of the package, `*.mlpackage`.

    Returns:
        run: Function from uint8 `[n, h, w, 3]`, RGB, to probabilities `[n, classes]`. It interprets
            the program, slowly. Its attribute `layers` is the number of layers with weights.
        about: dict, as `Network.describe` returns it.

    Raises:
        ModuleNotFoundError: Coremltools is not installed.
        ValueError: The package is not from vgg_tf, is incomplete, or does not match its metadata.
    """
    path = str(path).rstrip("/")
    with _quietly() as ct:
        from coremltools.converters.mil.frontend.milproto.load import load

        try:
            spec = ct.utils.load_spec(path)
            about = parse_metadata(spec.description.metadata.userDefined["vgg_tf"], path)
            program = load(spec, spec.specificationVersion, os.path.join(path, WEIGHTS))
        except Exception as error:  # from several libraries, without a common base class
            raise ValueError(
                f"{path} must be a complete Core ML package from vgg_tf. Received: "
                f"{str(error).splitlines()[0][:200]}. Write it again with python -m vgg_tf.export."
            ) from None
    image = spec.description.input[0].type.imageType
    found, expected = (image.width, image.height), (about["width"], about["height"])
    if found != expected or spec.description.predictedFeatureName != "classLabel":
        raise ValueError(
            f"{path} must take {expected[0]} x {expected[1]} pixels and predict classLabel. "
            f"Received: {found[0]} x {found[1]} pixels, "
            f"{spec.description.predictedFeatureName!r}. Write it again with python -m "
            "vgg_tf.export."
        )
    operations = list(program.functions["main"].operations)
    labels = [str(value) for value in _value(operations[-1].inputs["classes"])]
    if operations[-1].op_type != "classify" or labels != about["classes"]:
        raise ValueError(
            f"{path} must predict the classes of its metadata. Received: "
            f"{', '.join(labels[:5])}. Write it again with python -m vgg_tf.export."
        )

    def run(pixels):
        return np.concatenate(
            [_interpret(operations, picture.transpose(2, 0, 1)[np.newaxis]) for picture in pixels]
        )

    run.layers = sum(operation.op_type in ("conv", "linear", "matmul") for operation in operations)
    return run, about


@contextlib.contextmanager
def _quietly():
    """Import coremltools without its messages and progress bars."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            import coremltools as ct

            logger.setLevel(logging.ERROR)
            yield ct
        except ModuleNotFoundError as error:
            if error.name != "coremltools":
                raise
            raise ModuleNotFoundError(NEEDED.format(error), name=error.name) from None
        finally:
            logger.setLevel(level)


def _value(variable):
    """Return the value of a constant of the program."""
    value = variable.val if hasattr(variable, "val") else variable
    return value.ls if hasattr(value, "ls") else value


def _interpret(operations, image):
    """Return the probabilities `[1, classes]` of an image `[1, 3, h, w]`."""
    known = {"image": np.float32(image)}
    for operation in operations:
        given = {}
        for name, variable in operation.inputs.items():
            if isinstance(variable, list | tuple):
                given[name] = [known.get(v.name, v.val) for v in variable]
            elif variable is not None:
                given[name] = known.get(variable.name, variable.val)
        if operation.op_type == "classify":
            return np.asarray(given["probabilities"]).reshape(1, -1)
        if operation.op_type == "const":
            continue
        if operation.op_type not in _OPERATIONS:
            raise ValueError(
                f"The check of Core ML files knows the operations {', '.join(_OPERATIONS)}. "
                f"Received: {operation.op_type}. Choose another --format."
            )
        known[operation.outputs[0].name] = _OPERATIONS[operation.op_type](**given)
    raise ValueError(
        "The Core ML program must end with the operation classify. Received: "
        f"{len(operations)} operations without it. Choose another --format."
    )


def _conv(x, weight, pad_type, strides=(1, 1), pad=(0, 0, 0, 0), bias=None, **_):
    import tensorflow as tf

    x = np.transpose(x, (0, 2, 3, 1))
    if pad_type == "custom":
        x = np.pad(x, ((0, 0), tuple(pad[:2]), tuple(pad[2:]), (0, 0)))
    padding = "SAME" if pad_type == "same" else "VALID"
    y = tf.nn.conv2d(x, np.transpose(weight, (2, 3, 1, 0)), list(strides), padding).numpy()
    return np.transpose(y if bias is None else y + bias, (0, 3, 1, 2))


def _max_pool(x, kernel_sizes, strides, **_):
    import tensorflow as tf

    return np.transpose(
        tf.nn.max_pool2d(np.transpose(x, (0, 2, 3, 1)), kernel_sizes, strides, "VALID").numpy(),
        (0, 3, 1, 2),
    )


def _batch_norm(x, mean, variance, gamma, beta, epsilon, **_):
    mean, variance, gamma, beta = (
        np.reshape(values, (1, -1, 1, 1)) for values in (mean, variance, gamma, beta)
    )
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def _pad(x, pad, constant_val=0.0, **_):
    return np.pad(x, np.reshape(pad, (-1, 2)), constant_values=constant_val)


def _slice(x, begin, end, begin_mask=None, end_mask=None, **_):
    masks = (mask if mask is not None else [False] * len(begin) for mask in (begin_mask, end_mask))
    rows = zip(begin, end, *masks, strict=True)
    return x[
        tuple(
            slice(None if no_begin else b, None if no_end else e) for b, e, no_begin, no_end in rows
        )
    ]


def _softmax(x, axis, **_):
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


_OPERATIONS = {
    "add": lambda x, y, **_: x + y,
    "batch_norm": _batch_norm,
    "cast": lambda x, dtype, **_: np.asarray(x).astype(dtype.replace("fp", "float")),
    "conv": _conv,
    "linear": lambda x, weight, bias=0.0, **_: x @ weight.T + bias,
    "matmul": lambda x, y, **_: x @ y,
    "max_pool": _max_pool,
    "mul": lambda x, y, **_: x * y,
    "pad": _pad,
    "pow": lambda x, y, **_: x**y,
    "real_div": lambda x, y, **_: x / y,
    "reduce_mean": lambda x, axes, keep_dims, **_: x.mean(tuple(axes), keepdims=bool(keep_dims)),
    "relu": lambda x, **_: np.maximum(x, 0),
    "reshape": lambda x, shape, **_: x.reshape(shape),
    "slice_by_index": _slice,
    "softmax": _softmax,
    "sub": lambda x, y, **_: x - y,
    "transpose": lambda x, perm, **_: np.transpose(x, perm),
}
