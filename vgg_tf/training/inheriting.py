"""The weights that a training begins with: read, fitted to the network, and noted in the run."""

from vgg_tf.paper.finetuning import Origin
from vgg_tf.runtime import files
from vgg_tf.weights import hub

DEFAULT = "vgg16"  # the architecture of `imagenet` without --arch


def open_origin(words):
    """Read what the network of a training takes from the weights of --inherit.

    Args:
        words: the `flags.Words`. Without --arch, the architecture is that of the weights.

    Returns:
        An `Origin`, with the weights. Where the weights are gone and the run has begun, it is what
        the run took from them.

    Raises:
        FileNotFoundError: the weights do not exist.
        ValueError: they cannot be read, or are not those of a VGG network.
    """
    from vgg_tf.runs.run_folder import has_begun, read_run
    from vgg_tf.weights.reading import check_paths, read_weights

    arch = words.arch
    stated, source = words.stated.parse(), hub.expand_name(words.inherit, arch or DEFAULT)
    if (words.out or arch) and has_begun(words.folder) and not is_there(words.inherit):
        settings = read_run(words.folder).settings
        recipe = settings.recipe
        return Origin(settings.arch, recipe.width, recipe.head_width, recipe.size, recipe.flip)
    check_paths([source])
    flip = True
    if not hub.is_hub_name(source) and has_begun(source):
        flip = read_run(source).settings.recipe.flip
    return _describe(read_weights(source, **stated), arch, flip)


def is_there(source):
    """Return whether weights to inherit exist: a path, or the name of a network."""
    from vgg_tf.weights.reading import SHIPPED

    return source in SHIPPED or (not hub.is_hub_name(source) and files.exists(source))


def _describe(weights, arch, flip=True):
    from vgg_tf.weights.recognition import find_crop, recognize_architecture

    head = weights.layers.get("fc1")
    return Origin(
        arch or recognize_architecture(weights).name,
        weights.width,
        head["kernel"].shape[-1] if head else 0,
        find_crop(weights) if head else 0,
        flip,
        weights,
    )


def read_inherited_weights(flags, out):
    """Return the weights to inherit, and their fingerprint.

    A run that has begun no longer needs them.

    Args:
        flags: flags of the program.
        out: the run folder.

    Returns:
        weights: `Weights`, or None.
        fingerprint: str, empty without weights to inherit.
    """
    from vgg_tf.runs import run_folder

    if not flags.inherit:
        return None, ""
    weights = flags.origin.weights
    if weights is None:
        return None, run_folder.read_run(out).settings.inherit_fingerprint
    return weights, weights.fingerprint()


def _list_layers(settings):
    """Return the layers to inherit, as `inheritance.inherit_weights` expects them."""
    words = settings.inherit_layers
    return (
        words if words in ("paper", "all-matching") else [name.strip() for name in words.split(",")]
    )


def divides_by_std(weights, settings):
    """Return whether inherited weights divide the input by a std; None if they do not decide."""
    if weights is None or weights.mean is None:
        return None
    layers = _list_layers(settings)
    return weights.std is not None if isinstance(layers, str) or "block1_conv1" in layers else None


def _advise(weights):
    """Return the flags with which the layers of the weights fit, as a sentence."""
    origin = _describe(weights, "")
    width = f"--width {origin.width or 1:g}" + (
        f" --head-width {origin.head_width}" if origin.head_width else ""
    )
    return (
        f"These weights fit --arch {origin.arch} {width} --inherit-layers all-matching, the "
        "defaults with --inherit: remove the flags that say otherwise."
    )


def inherit(run, model, weights, classes):
    """Copy the weights to inherit, and note in the run folder which layers were copied."""
    from vgg_tf.weights.inheritance import inherit_weights

    note, settings = run.path("inherited.txt"), run.settings
    if run.writes:
        files.remove(note)  # of a run that never began
    if weights is None:
        return
    try:
        report = inherit_weights(
            weights, model, _list_layers(settings), classes, say=print if run.writes else None
        )
    except ValueError as error:
        raise ValueError(f"{error} {_advise(weights)}") from None
    left = {*report.random, *report.skipped}
    if stuck := [
        layer.name for layer in model.layers if not layer.trainable and layer.name in left
    ]:
        raise ValueError(
            f"--freeze-until {settings.recipe.freeze_until} must freeze only inherited layers. "
            f"Received: random weights in {', '.join(stuck)}. Use --inherit-layers all-matching, "
            "or freeze fewer layers."
        )
    if run.writes:
        files.write_whole(note, f"{report}\n".encode())
