"""Weights in files, whoever wrote them: each form comes down to arrays under Keras' names, for RGB
input, and goes out again.

| form | how it is known | input | | --- | --- | --- | | a run folder | model.keras in it | by its
layer `normalize` | | `.keras`, `.h5` of Keras | zip, HDF5 | by its layer `normalize`; without one
BGR minus Caffe's mean, or not known | | `.weights.h5` | HDF5 | its metadata; without, the mean of
`normalize` is not known; without such a layer as `.keras` | | `.safetensors` of torchvision or timm
| safetensors | its metadata; without, RGB by torchvision's mean and std | | a Keras Hub preset
folder | config.json and `*.weights.h5` | scale and offset of its preprocessor.json |
"""

import contextlib
import hashlib
import json
import re
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vgg_tf.paper.architectures import IMAGENET_MEAN, TORCHVISION_MEAN, TORCHVISION_STD, width_of
from vgg_tf.runtime import files
from vgg_tf.weights import keras_formats, torchvision

OURS = re.compile(r"block[1-5]_(conv|bn)\d+|fc1|fc2|predictions")
# Layers and models (Keras Hub's, whose preprocessors are files of their own) that tell of another
# input than Caffe's.
_NOT_CAFFE = ("rescaling", "normalization", "vgg_backbone", "vgg_image_classifier")
UNKNOWN_MEAN = "the mean of its input is not told: that of the target stays"
_VARIABLES = {
    1: ("kernel",),
    2: ("kernel", "bias"),
    4: ("gamma", "beta", "moving_mean", "moving_variance"),
}
# Networks that come with the package, by the word that names them; ./cifar10 would be a file or
# folder.
SHIPPED = {"cifar10": Path(__file__).parent / "shipped" / "cifar10.safetensors"}
FORMS = (
    "a run folder, .keras, .weights.h5 and .h5 of Keras, .safetensors with the names of "
    "torchvision or timm, a preset folder of Keras Hub; or cifar10, which comes with vgg_tf"
)


@dataclass(frozen=True)
class Weights:
    """Weights without their network.

    Attributes:
        layers: float32 arrays by layer and variable, in Keras' layout: `kernel` is `[h, w, in,
            out]` or `[in, out]`, the first one for RGB; `bias`; `gamma`, `beta`, `moving_mean`,
            `moving_variance`. A-LRN's `block1_lrn` has none.
        form: what they were read from, in words.
        mean, std: of the input they belong to, RGB 0..255, one number a channel. mean None: not
            known; std None: 1.
        classes: names of the classes, or None.
        test_scale: Q in pixels that their training tested at; 0: not known.
        map_sides: height and width of the map that fc1 reads; None: not known, or no head.
        source: the file, folder or model, for messages.
        notes: what the user should know.
    """

    layers: dict[str, dict[str, np.ndarray]]
    form: str
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    classes: tuple[str, ...] | None = None
    test_scale: int = 0
    map_sides: tuple[int, int] | None = None
    source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def width(self):
        """The width that `build_vgg` makes their numbers of filters with; None where a stage is
        missing.

        Raises:
            ValueError: there is none.
        """
        first = [self.layers.get(f"block{stage}_conv1") for stage in range(1, 6)]
        return width_of([values["kernel"].shape[-1] for values in first]) if all(first) else None

    def fingerprint(self):
        """Hex digest of the weights and of the statistics of their input, wherever they lie."""
        digest = hashlib.blake2b(repr((self.mean, self.std)).encode(), digest_size=8)
        for name, values in sorted(self.layers.items()):
            for variable, array in values.items():
                digest.update(f"{name}/{variable}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def read_weights(source):
    """Read the weights of a network.

    Args:
        source: a Keras model, or the path of a file or folder of one of the forms above; it is
            known by its content. Or `"cifar10"`, a network that comes with the package. `Weights`
            are given back.

    Returns:
        `Weights`.

    Raises:
        FileNotFoundError: there is nothing.
        ValueError: no weights of a VGG network, damaged, a pickle, in another file, or not finite;
            the message says what was expected and what was found.
    """
    if isinstance(source, Weights):
        return source
    if hasattr(source, "layers"):
        called, weights = f"the network {source.name}", of_model(source)
    else:
        called = str(source)
        path = str(SHIPPED.get(called, called))
        if not files.exists(path):
            raise FileNotFoundError(f"No weights at {called}. Known forms: {FORMS}.")
        with files.local(path, leave_out=("last.safetensors", "previous.safetensors")) as path:
            weights = _of_folder(Path(path)) if Path(path).is_dir() else _of_file(Path(path))
    for name, values in weights.layers.items():
        kernel = values.get("kernel")
        if kernel is not None and kernel.ndim not in (
            (2, 4) if name in torchvision.TORCHVISION_HEAD else (4,)
        ):
            raise ValueError(
                f"{called} has a kernel of shape {kernel.shape} in {name}, which is none of a "
                "VGG network."
            )
    if bad := [
        name
        for name, values in weights.layers.items()
        if not all(np.isfinite(v).all() for v in values.values())
    ]:
        raise ValueError(
            f"{called} has weights that are not numbers (NaN or infinite) in {', '.join(bad)}."
        )
    fc1 = weights.layers.get("fc1", {}).get("kernel")
    sides = fc1.shape[:2] if fc1 is not None and fc1.ndim == 4 else weights.map_sides
    return replace(weights, source=called, map_sides=sides)


def imagenet_weights(arch, include_top=True):
    """What keras.applications publishes for ImageNet, fetched (and kept) by Keras: the paper's D
    and E, converted from Caffe.

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


def _float32(arrays, name):
    if whole := [
        str(array.dtype) for array in arrays.values() if np.issubdtype(array.dtype, np.integer)
    ]:
        raise ValueError(
            f"{name} holds whole numbers ({whole[0]}): quantised weights cannot be read."
        )
    return {key: np.ascontiguousarray(array, dtype=np.float32) for key, array in arrays.items()}


def _keras(arrays, normalize, where, form, about=None):
    """`Weights` of what `keras_formats` reads; `about` is what `writing` wrote as metadata."""
    layers = {}
    for name, values in arrays.items():
        if OURS.fullmatch(name) and values:
            names = _VARIABLES.get(len(values), ())
            if not names or ("_bn" in name) != (len(names) == 4):
                shapes = ", ".join(str(value.shape) for value in values)
                expected = ", ".join(_VARIABLES[4 if "_bn" in name else 2])
                raise ValueError(
                    f"{where}: {name} has arrays of shapes {shapes}; {expected} were expected."
                )
            layers[name] = _float32(dict(zip(names, values, strict=True)), f"{where}: {name}")
    others = [name for name, values in arrays.items() if values and name not in layers]
    if not layers:
        found = ", ".join(others[:6]) + (", ..." if len(others) > 6 else "") or "no arrays at all"
        raise ValueError(
            f"{where} holds no VGG network: layers such as block1_conv1 and fc1 expected, found "
            f"{found}."
        )
    if torchvision.LRN in arrays:
        layers[torchvision.LRN] = {}
    weights = Weights(layers, form, notes=_left(others))
    if about:
        return _with(weights, about)
    if normalize:
        mean, std = np.ravel(normalize["mean"]), np.sqrt(np.ravel(normalize["variance"]))
        return replace(
            weights,
            mean=tuple(mean.tolist()),
            std=None if (std == 1).all() else tuple(std.tolist()),
        )
    if normalize is not None or any(name.startswith(_NOT_CAFFE) for name in arrays):
        return _noting(weights, UNKNOWN_MEAN)
    first = layers.get("block1_conv1")
    if first is None or first["kernel"].shape[2:3] != (3,):
        return _noting(weights, UNKNOWN_MEAN)
    # keras.applications and Caffe take BGR minus the mean: the first kernel turned round takes RGB.
    layers["block1_conv1"] = {**first, "kernel": np.ascontiguousarray(first["kernel"][:, :, ::-1])}
    note = (
        "no layer normalize: taken for BGR minus Caffe's mean, as in keras.applications; "
        "first kernel turned to RGB"
    )
    return _noting(replace(weights, mean=IMAGENET_MEAN), note)


def _with(weights, about):
    """With what `writing` wrote as metadata."""
    std, classes, sides = (
        about.get(key) and tuple(about[key]) for key in ("std", "classes", "map_sides")
    )
    scale = about.get("test_scale") or 0
    return replace(
        weights,
        mean=tuple(about["mean"]),
        std=std,
        classes=classes,
        test_scale=scale,
        map_sides=sides,
    )


def _noting(weights, *notes):
    return replace(weights, notes=(*weights.notes, *notes))


def _left(others):
    return (f"left in the file: {', '.join(others)}",) if others else ()


def of_model(model):
    """The `Weights` of a Keras model."""
    arrays, normalize = {}, None

    def walk(layer):
        nonlocal normalize
        if arrays.get(layer.name):
            raise ValueError(
                f"{model.name} has two layers called {layer.name}: one network is expected."
            )
        arrays[layer.name] = (
            [] if hasattr(layer, "layers") or layer.name == "normalize" else layer.get_weights()
        )
        if layer.name == "normalize":
            known = getattr(layer, "input_mean", None) is not None
            normalize = (
                {"mean": layer.input_mean, "variance": layer.input_variance} if known else {}
            )
        for part in getattr(layer, "layers", ()):
            walk(part)

    walk(model)
    weights = _keras(arrays, normalize, f"The network {model.name}", "a Keras model")
    return replace(weights, map_sides=map_sides(model) if normalize else None)


def map_sides(model):
    """Height and width of the map that fc1 of a network of `build_vgg` reads; None without a
    head.
    """
    for layer in model.layers:
        if layer.name == "flatten":
            return layer.input.shape[1:-1] or None
        if layer.name == "fc1":
            return getattr(layer, "kernel_size", None)
    return None


def _of_folder(path):
    if (path / "model.keras").exists():  # a run
        weights = _of_file(path / "model.keras")
        about = path / "dataset.json"
        classes = tuple(json.loads(about.read_text())["classes"]) if about.exists() else None
        return replace(weights, form="a run folder", classes=classes)
    if list(path.glob("*.weights.h5")) and (path / "config.json").exists():
        return _of_preset(path)
    if (path / "model.safetensors").exists():  # as timm puts them on Hugging Face
        return _of_file(path / "model.safetensors")
    if (path / "recipe.json").exists():
        raise ValueError(
            f"{path} has no model.keras yet: its first epoch is not done. Continue the training."
        )
    names = ", ".join(sorted(child.name for child in path.iterdir())[:6]) or "nothing"
    raise ValueError(f"{path} holds no weights: it has {names}. Known forms: {FORMS}.")


def _of_preset(path):
    """A Keras Hub preset: the trunk in model.weights.h5, trunk and head in task.weights.h5 where
    there is one.
    """
    arrays = {}
    for name in ("model.weights.h5", "task.weights.h5"):
        if (path / name).exists():
            with _opening(path / name), keras_formats.open_hdf5(path / name, path / name) as file:
                arrays |= {
                    layer: values
                    for layer, values in keras_formats.read_hdf5(file)[0].items()
                    if values
                }
    # Its own input is RGB, scaled by the preprocessor: no layer of the network tells of it.
    weights = _keras(arrays, {}, str(path), "a Keras Hub preset")
    weights = replace(weights, notes=tuple(note for note in weights.notes if note != UNKNOWN_MEAN))
    if lacking := [name for name in ("fc1", "fc2", "predictions") if name not in weights.layers]:
        weights = _noting(weights, f"the preset lacks {', '.join(lacking)}")
    converter = path / "preprocessor.json"
    with _opening(converter):
        config = (
            json.loads(converter.read_text())["config"]["image_converter"]
            if converter.exists()
            else None
        )
    if config is None:
        return _noting(weights, UNKNOWN_MEAN)
    given = ((config["config"].get(key), none) for key, none in (("scale", 1), ("offset", 0)))
    scale, offset = (
        np.broadcast_to(np.float64(none if value is None else value), 3) for value, none in given
    )
    return replace(
        weights, mean=tuple((0 - offset / scale).tolist()), std=tuple((1 / scale).tolist())
    )


def _of_torch(arrays, metadata, path):
    about = json.loads(metadata.get("vgg_tf", "{}"))
    try:
        layers, others = torchvision.from_state_dict(arrays, about.get("map_sides"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}.") from None
    layers = {name: _float32(values, f"{path}: {name}") for name, values in layers.items()}
    weights = Weights(layers, "names of torchvision or timm", notes=_left(others))
    if about:
        return _with(weights, about)
    note = "no metadata: taken for RGB by torchvision's mean and std"
    return _noting(replace(weights, mean=TORCHVISION_MEAN, std=TORCHVISION_STD), note)


@contextlib.contextmanager
def _opening(path):
    """Within, what libraries raise about a damaged file becomes a ValueError that names it."""
    from safetensors import SafetensorError

    try:
        yield
    except (
        zipfile.BadZipFile,
        SafetensorError,
        json.JSONDecodeError,
        OSError,
        KeyError,
        RuntimeError,
    ) as error:
        raise ValueError(f"{path} is torn or damaged ({error}). Get it again.") from None


def _of_file(path):
    with open(path, "rb") as file:
        start = file.read(16)
    if start.startswith(b"\x89HDF"):
        with _opening(path), keras_formats.open_hdf5(path, path) as file:
            return _keras(
                *keras_formats.read_hdf5(file),
                str(path),
                "a .h5 file",
                json.loads(file.attrs.get("vgg_tf", "null")),
            )
    if start.startswith(b"PK"):
        with _opening(path), zipfile.ZipFile(path) as archive:
            return _of_zip(archive, path)
    if start[8:9] == b"{" and path.suffix == ".safetensors":
        from safetensors import safe_open

        with _opening(path), safe_open(path, framework="numpy") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return _of_torch(arrays, file.metadata() or {}, path)
    if start.startswith(b"\x80"):
        raise _pickled(path)
    raise ValueError(f"{path} is no file of weights. Known forms: {FORMS}.")


def _pickled(path):
    out = path.with_suffix(".safetensors")
    return ValueError(
        f"{path} is a pickle, which can run any program when it is loaded: it is not. Where you "
        'trust it and have torch: python -c "import torch, safetensors.torch as s; w = '
        f"torch.load('{path}', map_location='cpu', weights_only=True); s.save_file({{k: "
        f"v.contiguous() for k, v in w.items()}}, '{out}')\""
    )


def _of_zip(archive, path):
    _check_zip(archive, path)
    return _keras(*keras_formats.read_archive(archive), str(path), "a .keras file")


def _check_zip(archive, path):
    names = archive.namelist()
    if any(name.endswith("data.pkl") for name in names):
        raise _pickled(path)
    if not {"config.json", keras_formats.WEIGHTS} <= set(names):
        raise ValueError(
            f"{path} is a zip archive, but no .keras file: it has {', '.join(names[:6])}. Known "
            f"forms: {FORMS}."
        )


def check_archive(path, called):
    """Refuse a `.keras` file that Keras must not load: it is damaged, or its weights are in other
    files of this machine.

    Args:
        path: of the file on this machine.
        called: path for messages.

    Raises:
        ValueError: the message names what is wrong.
    """
    with _opening(called), zipfile.ZipFile(path) as archive:
        _check_zip(archive, Path(called))
        with keras_formats.open_archive(archive, called):
            pass
