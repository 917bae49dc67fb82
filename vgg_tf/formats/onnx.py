"""ONNX: the layers written with `onnx.helper`, and read back by ONNX Runtime."""

import numpy as np

from vgg_tf.formats.metadata import parse_metadata
from vgg_tf.formats.native_messages import hide_chatter
from vgg_tf.runtime import files

OPSET, IR = 18, 9
NEEDED = (
    "ONNX needs the packages onnx and onnxruntime. Received: {}. Install them: "
    'pip install "vgg_tf[onnx]"'
)


def write(network, path):
    """Write a network as an ONNX file.

    The input is `image`, uint8 `[n, h, w, 3]`, RGB. The output is `posteriors`, float32 `[n,
    classes]`. The file contains the preprocessing. Its metadata, under `vgg_tf`, have the class
    names.

    Args:
        network: A `source_network.Network`.
        path: Path of the file, `*.onnx`.

    Raises:
        ModuleNotFoundError: The package onnx is not installed.
    """
    try:
        import onnx
        from onnx import TensorProto, helper
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(NEEDED.format(error), name=error.name) from None
    graph = _Graph()
    x = graph.add("Cast", ["image"], "pixels", to=TensorProto.FLOAT)
    for layer in network.layers:
        x = graph.add_layer(layer, x)
    shape = ["n", network.height, network.width, 3]
    output = ["n", len(network.classes)]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            network.arch,
            [helper.make_tensor_value_info("image", TensorProto.UINT8, shape)],
            [helper.make_tensor_value_info("posteriors", TensorProto.FLOAT, output)],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR,
        producer_name="vgg_tf",
    )
    helper.set_model_props(model, {"vgg_tf": network.about()})
    with files.writing(path) as temporary:
        onnx.save(model, temporary)


class _Graph:
    """Nodes and weights of an ONNX graph with channels first.

    Attributes:
        nodes: In the order of the computation.
        weights: Tensors with the names that the nodes use.
        flat: Shape of the map that was flattened, until the next dense layer has used it.
    """

    def __init__(self):
        self.nodes, self.weights, self.flat = [], [], None

    def add(self, kind, inputs, name, **attributes):
        """Add a node, and return the name of its output."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def add_constant(self, name, array):
        """Add a weight, and return its name."""
        from onnx import numpy_helper

        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add_layer(self, layer, x):
        """Add a layer of Keras that is applied to `x`, and return the name of its output."""
        import keras

        from vgg_tf.models.lrn import LocalResponseNormalization

        writers = {
            keras.layers.Normalization: self._add_normalization,
            keras.layers.Conv2D: self._add_convolution,
            keras.layers.BatchNormalization: self._add_batch_normalization,
            keras.layers.ReLU: lambda layer, x: self.add("Relu", [x], layer.name),
            LocalResponseNormalization: self._add_lrn,
            keras.layers.MaxPooling2D: self._add_pooling,
            keras.layers.Flatten: self._add_flatten,
            keras.layers.GlobalAveragePooling2D: self._add_average,
            keras.layers.Dense: self._add_dense,
            keras.layers.Softmax: lambda layer, x: self.add("Softmax", [x], "posteriors", axis=-1),
        }
        for kind, write_layer in writers.items():
            if isinstance(layer, kind):
                return write_layer(layer, x)
        raise ValueError(
            "ONNX export knows the layers of build_vgg only. Received: the layer "
            f"{layer.name} ({type(layer).__name__}). Remove it, or choose another --format."
        )

    def _add_normalization(self, layer, x):
        mean, std = (
            np.float32(np.ravel(values))
            for values in (layer.input_mean, np.sqrt(layer.input_variance))
        )
        x = self.add("Sub", [x, self.add_constant(f"{layer.name}.mean", mean)], "centered")
        if (std != 1).any():
            x = self.add("Div", [x, self.add_constant(f"{layer.name}.std", std)], "normalized")
        return self.add("Transpose", [x], "channels_first", perm=[0, 3, 1, 2])

    def _add_convolution(self, layer, x):
        kernel, bias = layer.get_weights()
        side = kernel.shape[0] // 2 if layer.padding == "same" else 0
        inputs = [x, *self._add_weights(layer, kernel.transpose(3, 2, 0, 1), bias)]
        options = {"kernel_shape": kernel.shape[:2], "pads": [side] * 4}
        return self._add_activation(layer, self.add("Conv", inputs, layer.name, **options))

    def _add_dense(self, layer, x):
        kernel, bias = layer.get_weights()
        if self.flat:  # Keras flattens with channels last, ONNX with channels first
            by_channels = kernel.reshape(*self.flat, -1).transpose(2, 0, 1, 3)
            kernel, self.flat = by_channels.reshape(len(kernel), -1), None
        inputs = [x, *self._add_weights(layer, kernel, bias)]
        return self._add_activation(layer, self.add("Gemm", inputs, layer.name))

    def _add_weights(self, layer, kernel, bias):
        return [
            self.add_constant(f"{layer.name}.kernel", kernel),
            self.add_constant(f"{layer.name}.bias", bias),
        ]

    def _add_activation(self, layer, x):
        import keras

        relu = layer.activation is keras.activations.relu
        return self.add("Relu", [x], f"{layer.name}.relu") if relu else x

    def _add_batch_normalization(self, layer, x):
        names = ("gamma", "beta", "mean", "variance")
        inputs = [
            self.add_constant(f"{layer.name}.{name}", value)
            for name, value in zip(names, layer.get_weights(), strict=True)
        ]
        return self.add("BatchNormalization", [x, *inputs], layer.name, epsilon=layer.epsilon)

    def _add_lrn(self, layer, x):
        # ONNX divides alpha by the number of channels.
        options = {"alpha": layer.alpha * layer.n, "beta": layer.beta, "bias": layer.k}
        return self.add("LRN", [x], layer.name, size=layer.n, **options)

    def _add_pooling(self, layer, x):
        return self.add("MaxPool", [x], layer.name, kernel_shape=[2, 2], strides=[2, 2])

    def _add_flatten(self, layer, x):
        self.flat = layer.input.shape[1:]
        return self.add("Flatten", [x], layer.name)

    def _add_average(self, layer, x):
        average = self.add("GlobalAveragePool", [x], f"{layer.name}.map")
        return self.add("Flatten", [average], layer.name)


def read(path):
    """Return the file as a function of pixels, run by ONNX Runtime, and its metadata.

    Args:
        path: Path of the file, `*.onnx`.

    Returns:
        run: Function from uint8 `[n, h, w, 3]`, RGB, to probabilities `[n, classes]`.
        about: dict, as `Network.describe` returns it.

    Raises:
        ModuleNotFoundError: The package onnxruntime is not installed.
        ValueError: The file is not from vgg_tf, or is incomplete.
    """
    try:
        with hide_chatter():
            import onnxruntime
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(NEEDED.format(error), name=error.name) from None
    try:
        with hide_chatter():
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        about = parse_metadata(session.get_modelmeta().custom_metadata_map["vgg_tf"], path)
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        raise ValueError(
            f"{path} must be a complete ONNX file from vgg_tf. Received: "
            f"{str(error).splitlines()[0][:200]}. Write it again with python -m vgg_tf.export."
        ) from None

    def run(pixels):
        return session.run(["posteriors"], {"image": pixels})[0]

    return run, about


def read_contents(path):
    """Return the number of layers with weights in the file, and all its weights.

    Args:
        path: Path of the file, `*.onnx`.

    Returns:
        layers: int.
        arrays: List of arrays.

    Raises:
        ModuleNotFoundError: The package onnx is not installed.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(NEEDED.format(error), name=error.name) from None
    graph = onnx.load(path).graph
    layers = sum(node.op_type in ("Conv", "Gemm") for node in graph.node)
    return layers, [
        numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if "normalize" not in tensor.name
    ]
