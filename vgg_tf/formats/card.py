"""Model cards: README.md in the form of the Hugging Face Hub, from the files of a run."""

import hashlib
import os
import re
from dataclasses import fields
from pathlib import Path

from vgg_tf.figures.markdown import make_markdown_table
from vgg_tf.formats import listing
from vgg_tf.formats.card_use import describe_input, describe_use
from vgg_tf.runs import results
from vgg_tf.runtime import files, programs
from vgg_tf.weights import hub
from vgg_tf.weights.reading import SHIPPED

NAME = "README.md"
TAGS = ("vgg", "image-classification", "vgg_tf")
# Fields of a recipe that change the pictures. All others but `cache` are about the training.
AUGMENTATION = (
    *("size", "scale", "padding", "flip", "rgb_shift", "cutout", "rand_augment", "mixup", "cutmix"),
)
MANY = 30  # classes above which their table is folded
_MARK = "<!-- vgg_tf.export wrote this card: {} -->\n"
_FOLDERS = re.compile(r"(?<![\w.~:/-])(?:/[^\s/'\",;:]+)+/([^\s/'\",;:]+)")
UNKNOWN = "Not known: the weights are from a file, which does not say it. Fill it in."
LIMITS = (
    "Pictures of anything else: for every picture the network names one of its {n}, also for a "
    "picture that shows none of them.",
    "Pictures unlike those of its training: other cameras, sizes or subjects were not tested.",
    "Decisions about people, and any use where a wrong class does harm. The errors above are "
    "averages. Single classes may be worse.",
    "Certainty: a probability is the output of a softmax, and it may be too high.",
)


def write_card(opened, folder, repository=""):
    """Write the card of a network into a folder, whole.

    Args:
        opened: A `checkpoint.Checkpoint`.
        folder: Path of an existing folder.
        repository: `owner/name` that the card's commands use; empty for a placeholder.

    Returns:
        Path of the card.

    Raises:
        FileExistsError: The folder has a README.md that was changed, or that is not a card.
    """
    path = os.path.join(folder, NAME)
    if files.exists(path) and not _is_unchanged(files.read_text(path)):
        raise FileExistsError(
            f"The card must not replace a text of yours. Received: {path}, which was changed by "
            "hand. Rename or remove it to get a new one. --push without --card uploads it as it is."
        )
    text = make_card(opened, folder, repository or f"OWNER/{opened.name}")
    files.write_whole(path, (text + _MARK.format(_compute_digest(text))).encode())
    return path


def make_card(opened, folder, repository):
    """Return the text of a card.

    Args:
        opened: A `checkpoint.Checkpoint`.
        folder: Path of the folder that the card describes, for its exported files.
        repository: `owner/name`.

    Returns:
        str, Markdown after a front matter in YAML.
    """
    if opened.path in SHIPPED:
        return Path(SHIPPED[opened.path]).with_suffix(".md").read_text()
    classes = programs.count(opened.number, "class", "classes")
    parts = {
        "": f"{opened.arch} for {classes}, {opened.crop} x {opened.crop} pixels: a network of "
        "Simonyan & Zisserman 2015, [arXiv:1409.1556](https://arxiv.org/abs/1409.1556)."
        f"{_describe_origin(opened)}",
        "Data": _describe_data(opened),
        "Training": _describe_training(opened),
        "Result": _describe_results(opened),
        "Classes": _describe_classes(opened),
        "Preprocessing": describe_input(opened),
        "Not for": "\n".join(f"- {limit}" for limit in LIMITS).format(n=classes),
        "Use": describe_use(opened, repository),
        "Other formats": _describe_formats(folder),
    }
    body = "\n\n".join(
        f"## {title}\n\n{text}" if title else text for title, text in parts.items() if text
    )
    return f"{_make_front_matter(opened)}\n# {opened.name}\n\n{body}\n\n"


def hide_folders(value):
    """Return a JSON value whose texts have names instead of absolute paths of this machine.

    Args:
        value: dict, list, str or number.

    Returns:
        The same with `name` in place of `/folder/name`. Addresses such as `gs://` stay.

    Examples:
        >>> hide_folders({"command": "train --data /data/me/cats --out runs/a"})
        {'command': 'train --data cats --out runs/a'}
    """
    if isinstance(value, dict):
        return {key: hide_folders(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [hide_folders(one) for one in value]
    if not isinstance(value, str):
        return value
    return os.path.basename(value) if os.path.isabs(value) else _FOLDERS.sub(r"\1", value)


def _compute_digest(text):
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _is_unchanged(text):
    """Return whether a README.md is a card as `write_card` wrote it."""
    start, found, _ = text.rpartition(_MARK.partition("{}")[0])
    return bool(found) and text == start + _MARK.format(_compute_digest(start))


def _make_front_matter(opened):
    lines = [
        "license: unknown  # fill in, such as apache-2.0; the data may have a license of their own",
        "library_name: keras",
        "pipeline_tag: image-classification",
        *(["base_model: " + base] if (base := _find_base(opened)) else []),
        "tags:",
        *(f"- {tag}" for tag in (*TAGS, opened.arch)),
    ]
    return "\n".join(["---", *lines, "---", ""])


def _find_base(opened):
    """Return the repository of the inherited weights, if they are from the Hub."""
    inherit = opened.run.settings.inherit if opened.run else ""
    named = inherit.startswith(hub.PREFIXES)
    return hub.parse_name(inherit)[0] if named else ""


def _describe_origin(opened):
    if not opened.run:
        return ""
    inherit = hide_folders(opened.run.settings.inherit)
    begun = f", from the weights of `{inherit}`" if inherit else ""
    return f" It was trained with Keras and vgg_tf{begun}."


def _describe_data(opened):
    if not opened.run:
        return UNKNOWN
    collection = opened.run.read_collection()
    rows = [
        [split, f"{entry['images']:,}", *_find_range(entry["per_class"])]
        for split, entry in collection.splits.items()
    ]
    table = make_markdown_table(["split", "images", "fewest of a class", "most"], rows)
    notes = "".join(f"\n- {hide_folders(note)}" for note in collection.notes)
    name = hide_folders(opened.run.settings.data)
    side = f"The median smaller side of the training images is {collection.smaller_side} pixels."
    return f"`{name}`. {side}\n\n{table}{notes and chr(10)}{notes}"


def _find_range(counts):
    return [f"{number:,}" for number in (min(counts, default=0), max(counts, default=0))]


def _describe_training(opened):
    if not opened.run:
        return UNKNOWN
    settings, recipe = opened.run.settings, opened.run.settings.recipe
    rows = {field.name: _format_value(getattr(recipe, field.name)) for field in fields(recipe)}
    rows.pop("cache", None)
    changed = [[name, rows.pop(name)] for name in AUGMENTATION if name in rows]
    facts = opened.run.read_report() or {}
    others = [["precision", settings.policy], *map(list, rows.items())]
    if "epochs" in facts:
        others.insert(0, ["epochs done", f"{facts['epochs']}, best: {facts['best_epoch']}"])
    weights = (
        "All images count equally in the loss."
        if recipe.class_weights == "none"
        else f"Class weights: {recipe.class_weights}. Each image is weighted in the loss, so that "
        "all classes count equally."
    )
    return (
        f"{weights} The names are those of the flags of `python -m vgg_tf.train`.\n\n"
        f"{make_markdown_table(['augmentation', 'value'], changed)}\n\n"
        f"{make_markdown_table(['training', 'value'], others)}"
    )


def _format_value(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " to ".join(map(str, dict.fromkeys(value)))
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"


def _describe_results(opened):
    rows = list(_list_results(opened)) if opened.run else []
    if not rows:
        return "No test is known. Test it with python -m vgg_tf.evaluate."
    header = ["split", "protocol", "n", "top-1 error, % (95 %)", "top-5 error, % (95 %)"]
    table = make_markdown_table([*header, "date", "machine", "note"], rows)
    return (
        f"{table}\n\nThe intervals are Wilson's. They are about the choice of the images, not "
        "about other seeds."
    )


def _list_results(opened):
    """Yield a row for each test in a run folder: that of the training, then those of evaluate."""
    run = opened.run
    tests = run.path("tests")
    names = files.list_names(tests) if files.exists(tests) else []
    for path in (run.path(results.NAME), *(f"{tests}/{name}/{results.NAME}" for name in names)):
        if not files.exists(path):
            continue
        found = results.read_result(path)
        if found.get("top1"):
            errors = (_format_error(found.get(key)) for key in ("top1", "top5"))
            facts = (found.get("date"), found.get("machine"), found.get("note") or "")
            yield [found["split"], found["protocol"], f"{found['n']:,}", *errors, *facts]
    old = run.read_report() or {}  # of a version that wrote no result.json
    if not files.exists(run.path(results.NAME)) and "top1_error" in old:
        n = old["n"]
        errors = [
            _format_error({"error": share / 100, "low": low / 100, "high": high / 100})
            for share in (old["top1_error"], old["top5_error"])
            for low, high in [results.compute_interval(round(share / 100 * n), n)]
        ]
        yield [old["split"], "center", f"{n:,}", *errors, "", "", ""]


def _format_error(found):
    if not found:
        return ""
    error, low, high = (100 * found[key] for key in ("error", "low", "high"))
    return f"{error:.2f} ({low:.2f} to {high:.2f})"


def _describe_classes(opened):
    if not opened.classes:
        return UNKNOWN
    counts = None
    if opened.run:
        splits = opened.run.read_collection().splits
        counts = splits["train"]["per_class"] if "train" in splits else None
    texts = opened.texts or [""] * opened.number
    rows = [
        [
            label,
            name,
            *([texts[label]] if opened.texts else []),
            *([counts[label]] if counts else []),
        ]
        for label, name in enumerate(opened.classes)
    ]
    header = ["label", "class"] + ["words"] * bool(opened.texts)
    table = make_markdown_table(header + ["training images"] * bool(counts), rows)
    if len(rows) <= MANY:
        return table
    return f"<details><summary>{len(rows):,} classes</summary>\n\n{table}\n\n</details>"


def _describe_formats(folder):
    """Return a table of the exported files in a folder; an empty text for no files."""
    rows = [
        [row["format"], os.path.basename(row["file"]), f"{row['bytes'] / 1e6:.1f}"]
        + [f"{row['top1_agreement']:.1%}"]
        for row in listing.read_report(folder).get("formats", ())
    ]
    header = ["format", "file", "MB", "same class as the network"]
    return make_markdown_table(header, rows) if rows else ""
