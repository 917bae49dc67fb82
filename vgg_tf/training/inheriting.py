"""The weights that a training begins with: read, fitted to the network, and noted in the run."""

from vgg_tf.runtime import files


def read_inherited_weights(flags, out):
    """Read the weights to inherit, before anything else is done.

    A run that has begun no longer needs them.

    Args:
        flags: flags of the program.
        out: the run folder.

    Returns:
        weights: `Weights`, or None.
        fingerprint: str, empty without weights to inherit.
    """
    from vgg_tf.runs import run_folder
    from vgg_tf.weights.imagenet import fetch_imagenet_weights
    from vgg_tf.weights.reading import read_weights

    if not flags.inherit:
        return None, ""
    if flags.inherit == "imagenet":
        weights = fetch_imagenet_weights(flags.arch)
    elif run_folder.has_begun(out) and not files.exists(flags.inherit):
        return None, run_folder.read_run(out).settings.inherit_fingerprint
    else:
        weights = read_weights(flags.inherit)
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


def inherit(run, model, weights, classes):
    """Copy the weights to inherit, and note in the run folder which layers were copied."""
    from vgg_tf.weights.inheritance import inherit_weights

    note, settings = run.path("inherited.txt"), run.settings
    if run.writes:
        files.remove(note)  # of a run that never began
    if weights is None:
        return
    report = inherit_weights(
        weights, model, _list_layers(settings), classes, say=print if run.writes else None
    )
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
