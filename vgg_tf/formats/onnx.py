"""Networks as ONNX: the chain of layers written with `onnx.helper`, and read back by ONNX
Runtime.
"""

import numpy as np

from vgg_tf.runtime import files

OPSET, IR = 18, 9
NEEDED = 'ONNX needs two packages: pip install "vgg_tf[onnx]" (onnx, onnxruntime)'


def write(network, path):
    """Write a `source_network.Network`: input `image`, uint8 `[n, h, w, 3]`; output `posteriors`,
    float32 `[n, classes]`.

    Preprocessing is inside, names of the classes and what else is known in the metadata, under
    `vgg_tf`.

    Raises:
        ModuleNotFoundError: onnx is not installed.
    """
    import keras

    from vgg_tf.models.lrn import LocalResponseNormalization

    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(NEEDED, name=error.name) from None
    nodes, weights = [], []

    def constant(name, array):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(kind, inputs, name, **attributes):
        nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    x = node("Cast", ["image"], "pixels", to=TensorProto.FLOAT)
    flat = None
    for layer in network.layers:
        name = layer.name
        if isinstance(layer, keras.layers.Normalization):
            mean, std = (
                np.float32(np.ravel(values))
                for values in (layer.input_mean, np.sqrt(layer.input_variance))
            )
            x = node("Sub", [x, constant(f"{name}.mean", mean)], "centred")
            x = (
                node("Div", [x, constant(f"{name}.std", std)], "normalized")
                if (std != 1).any()
                else x
            )
            x = node("Transpose", [x], "channels_first", perm=[0, 3, 1, 2])
        elif isinstance(layer, keras.layers.Conv2D):
            kernel, bias = layer.get_weights()
            side = kernel.shape[0] // 2 if layer.padding == "same" else 0
            inputs = [
                x,
                constant(f"{name}.kernel", kernel.transpose(3, 2, 0, 1)),
                constant(f"{name}.bias", bias),
            ]
            x = node("Conv", inputs, name, kernel_shape=kernel.shape[:2], pads=[side] * 4)
            x = (
                node("Relu", [x], f"{name}.relu")
                if layer.activation is keras.activations.relu
                else x
            )
        elif isinstance(layer, keras.layers.BatchNormalization):
            names = ("gamma", "beta", "mean", "variance")
            inputs = [
                constant(f"{name}.{n}", v) for n, v in zip(names, layer.get_weights(), strict=True)
            ]
            x = node("BatchNormalization", [x, *inputs], name, epsilon=layer.epsilon)
        elif isinstance(layer, keras.layers.ReLU):
            x = node("Relu", [x], name)
        # ONNX divides alpha by the number of channels.
        elif isinstance(layer, LocalResponseNormalization):
            x = node(
                "LRN",
                [x],
                name,
                alpha=layer.alpha * layer.n,
                beta=layer.beta,
                bias=layer.k,
                size=layer.n,
            )
        elif isinstance(layer, keras.layers.MaxPooling2D):
            x = node("MaxPool", [x], name, kernel_shape=[2, 2], strides=[2, 2])
        elif isinstance(layer, keras.layers.Flatten):
            flat = layer.input.shape[1:]
            x = node("Flatten", [x], name)
        elif isinstance(layer, keras.layers.GlobalAveragePooling2D):
            x = node("Flatten", [node("GlobalAveragePool", [x], f"{name}.map")], name)
        elif isinstance(layer, keras.layers.Dense):
            kernel, bias = layer.get_weights()
            if flat:  # Keras flattens row by row, ONNX channel by channel
                kernel, flat = (
                    kernel.reshape(*flat, -1).transpose(2, 0, 1, 3).reshape(len(kernel), -1),
                    None,
                )
            x = node(
                "Gemm",
                [x, constant(f"{name}.kernel", kernel), constant(f"{name}.bias", bias)],
                name,
            )
            x = (
                node("Relu", [x], f"{name}.relu")
                if layer.activation is keras.activations.relu
                else x
            )
        elif isinstance(layer, keras.layers.Softmax):
            x = node("Softmax", [x], "posteriors", axis=-1)
        else:
            raise ValueError(
                f"ONNX: no way is known for the layer {name} ({type(layer).__name__})."
            )
    shape = ["n", network.height, network.width, 3]
    graph = helper.make_graph(
        nodes,
        network.arch,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, shape)],
        [
            helper.make_tensor_value_info(
                "posteriors", TensorProto.FLOAT, ["n", len(network.classes)]
            )
        ],
        weights,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="vgg_tf"
    )
    helper.set_model_props(model, {"vgg_tf": network.about()})
    with files.writing(path) as temporary:
        onnx.save(model, temporary)


def read(path):
    """The file as a function of pixels by ONNX Runtime, and what it tells of itself.

    Raises:
        ModuleNotFoundError: onnxruntime is not installed.
        ValueError: it is none of ours, or torn.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(NEEDED, name=error.name) from None
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        about = files.parse_json(session.get_modelmeta().custom_metadata_map["vgg_tf"], path)
    except Exception as error:  # its own exceptions have no common parent
        raise ValueError(
            f"{path} is no ONNX file of vgg_tf, or torn ({str(error).splitlines()[0][:200]})."
        ) from None

    def run(pixels):
        return session.run(["posteriors"], {"image": pixels})[0]

    return run, about


def read_contents(path):
    """Number of layers with weights in the file, and all its weights.

    Raises:
        ModuleNotFoundError: onnx is not installed.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    layers = sum(node.op_type in ("Conv", "Gemm") for node in graph.node)
    return layers, [
        numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if "normalize" not in tensor.name
    ]
