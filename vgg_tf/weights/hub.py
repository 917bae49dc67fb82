"""Weights by name from the Hugging Face Hub.

| name | weights |
| --- | --- |
| `timm/vgg16_bn.tv_in1k` | timm's file of a network that torchvision trained on ImageNet |
| `imagenet` | the one of these for the architecture at hand, without one for vgg16 |
| `hf://owner/name` | a run folder, a preset of Keras Hub or a weight file in a repository |
| `hf://owner/name/file.safetensors` | a file or folder of the repository |

`@REVISION` after `owner/name` is a branch, a tag or a commit. A local path of the same name wins.
The client `huggingface_hub` stores downloads, continues those that are cut, and follows
`HF_HUB_OFFLINE`, `HF_HOME`, `HF_TOKEN` and `HF_ENDPOINT`.
"""

import contextlib
import importlib.util
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from vgg_tf.runtime import files, programs
from vgg_tf.weights.hub_client import explaining, import_client

SCHEME = "hf://"
PREFIXES = (SCHEME, "timm/")  # of all names
WORD = "imagenet"
# The eight networks that torchvision trained on ImageNet. The other three have no such weights.
NETWORKS = tuple(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn"))
IMAGENET = {arch: f"timm/{arch}.tv_in1k" for arch in NETWORKS}
_NAME = re.compile(
    r"(?:hf://(?P<repository>[\w.-]+/[\w.-]+)|(?P<timm>timm/[\w.-]+))"
    r"(?:@(?P<revision>refs/(?:pr|convert)/\w+|[^/@]+))?(?:/(?P<file>[^@]+))?"
)
RUN = ("model.keras", "recipe.json", "dataset.json")  # what a run folder is opened from
# Folders that are read whole: what they must have, and what they may have.
_FOLDERS = (
    (RUN, ("result.json", "report.json", "log.csv")),
    (("config.json", "model.weights.h5"), ("task.weights.h5", "preprocessor.json")),
)
TIMM_CONFIG = "config.json"  # next to timm's model.safetensors
ATTEMPTS = 4  # of a download that is cut
SUFFIXES = (".safetensors", ".keras", ".h5")


@dataclass(frozen=True)
class Found:
    """Weights of the Hub as a local file or folder.

    Attributes:
        path: Path of the file or folder, in the cache of `huggingface_hub`.
        name: The name that finds the same weights again, with the commit as its revision.
        revision: The commit, 40 hex digits.
        classes: Names of the classes that the repository states: label_names in timm's config.json,
            or the synsets of ImageNet, from the list of tensorflow-datasets. None if unknown.
        mean: Mean of the input that timm's config.json states, RGB 0..255; None if unknown.
        std: Standard deviation of the input, likewise.
    """

    path: str
    name: str
    revision: str
    classes: tuple[str, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def is_hub_name(word):
    """Return whether a word names weights of the Hub.

    A local path of this name wins, except over `imagenet`, whose path is ./imagenet.

    Args:
        word: Path or name, as the user gave it.

    Examples:
        >>> is_hub_name("timm/vgg16_bn.tv_in1k"), is_hub_name("runs/vgg16")
        (True, False)
    """
    word = str(word)
    return word == WORD or (word.startswith(PREFIXES) and not os.path.exists(word))


def expand_name(word, arch="vgg16"):
    """Return the Hub's name of the ImageNet weights of an architecture for `imagenet`.

    Args:
        word: Path or name, as the user gave it.
        arch: Name of the architecture.

    Returns:
        str, such as `timm/vgg16_bn.tv_in1k`. Another word is returned unchanged.

    Raises:
        ValueError: There are no such weights. The message lists those that exist.
    """
    if word != WORD:
        return word
    if arch not in IMAGENET:
        raise ValueError(
            f"{WORD} must be used with a network that torchvision trained: {', '.join(IMAGENET)}."
            f" Received: {arch}, for which nobody published ImageNet weights. Choose one of them, "
            "or --inherit a run of your own."
        )
    return IMAGENET[arch]


def resolve(word):
    """Return weights of the Hub as a local file or folder, downloaded if they are not cached.

    Args:
        word: Name, as in the table above.

    Returns:
        `Found`.

    Raises:
        ValueError: The name is not of this form, or the repository has no weights, or several.
        ModuleNotFoundError: huggingface_hub is not installed.
        FileNotFoundError: The Hub has no such repository, revision or file.
        PermissionError: The repository is gated.
        ConnectionError: The Hub cannot be reached, or the download was cut, and the cache does not
            have the file.
    """
    word = expand_name(str(word))
    repository, revision, file = parse_name(word)
    hub = import_client()
    with explaining(word):
        # timm has one name for all weights, so no list is needed.
        names = [place := "model.safetensors"]
        if file or not repository.startswith("timm/"):
            names, place = _choose(_list_files(hub, repository, revision), file, word)
        first = _download(hub, repository, names[0], revision)
        root = Path(first).parents[names[0].count("/")]
        for name in names[1:]:  # of the same commit, even if the branch moves on meanwhile
            _download(hub, repository, name, root.name)
    stated = _read_config(root / TIMM_CONFIG) if TIMM_CONFIG in names else {}
    if repository.endswith(".tv_in1k"):
        stated.setdefault("classes", list_imagenet_classes())
    commit = f"{repository}@{root.name}"
    pinned = f"{SCHEME}{commit}" if word.startswith(SCHEME) else commit
    # Not the file that the link in the cache leads to: its name has no suffix.
    return Found(str(root / place), f"{pinned}{f'/{file}' * bool(file)}", root.name, **stated)


def parse_name(word):
    """Return repository, revision and file of a name.

    Args:
        word: Name, as in the table above.

    Returns:
        repository: str, `owner/name`.
        revision: Branch, tag or commit; None for the main branch.
        file: Path in the repository; None without one.

    Raises:
        ValueError: The name is not of this form.
    """
    match = _NAME.fullmatch(word.rstrip("/"))
    if match is None:
        raise ValueError(
            f"A name on the Hub must be timm/NAME or hf://owner/name, with @REVISION if you want. "
            f"Received: {word}. Try {IMAGENET['vgg16_bn']}."
        )
    return match["repository"] or match["timm"], match["revision"], match["file"]


def list_imagenet_classes():
    """Return the 1,000 synsets of ImageNet in the order of the labels.

    They are from the list that tensorflow-datasets installs, which is not imported.

    Returns:
        Tuple of str; None if the list is not there.
    """
    spec = importlib.util.find_spec("tensorflow_datasets")
    path = spec and Path(spec.origin).parent / "datasets" / "imagenet2012" / "labels.txt"
    return tuple(path.read_text().split()) if path and path.exists() else None


def _read_config(path):
    """Return what timm's config.json states: `classes`, `mean` and `std`, where they are valid."""
    values = files.read_json(str(path), "Name another repository.")
    about = values.get("pretrained_cfg") or {}
    about = about if isinstance(about, dict) else {}
    stated, labels = {}, values.get("label_names") or about.get("label_names")
    if isinstance(labels, list) and labels and all(isinstance(name, str) for name in labels):
        stated["classes"] = tuple(labels)
    for key in ("mean", "std"):
        given = about.get(key)
        if isinstance(given, list) and len(given) == 3:
            with contextlib.suppress(TypeError, ValueError):
                stated[key] = tuple(255 * float(value) for value in given)
    return stated


def _download(hub, repository, name, revision):
    """Return the path of a file in the cache, downloaded if it is not there.

    Most versions of the client continue a download that is cut, but not after every error.

    Raises:
        HTTPError: The client's error after the last attempt.
    """
    from huggingface_hub import errors

    for left in reversed(range(ATTEMPTS)):
        try:
            return hub.hf_hub_download(repository, name, revision=revision)
        except errors.HTTPError as error:
            if isinstance(error, errors.HfHubHTTPError) or not left:
                raise
            print(f"{name}: the download was cut ({error}), trying again", file=sys.stderr)
    return None


def _list_files(hub, repository, revision):
    """Return the names of the files of a repository: those in the cache without a connection."""
    from huggingface_hub import errors

    try:
        return hub.HfApi().list_repo_files(repository, revision=revision)
    except (errors.OfflineModeIsEnabled, errors.HTTPError) as error:
        if isinstance(error, errors.HfHubHTTPError):  # the Hub has answered
            raise
        root = Path(hub.snapshot_download(repository, revision=revision, local_files_only=True))
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def _choose(names, file, word):
    """Return the names of the files to download, and where the weights are among them.

    Args:
        names: Names of all files of the repository.
        file: File or folder that the user named; None without one.
        word: The user's name, for messages.

    Returns:
        names: List of str.
        place: Name of the file or folder; empty for the folder of the repository.

    Raises:
        ValueError: The repository has no weights, or several.
        FileNotFoundError: It does not have this file.
    """
    if file:
        chosen = [name for name in names if name == file or name.startswith(f"{file}/")]
        if not chosen:
            raise FileNotFoundError(
                f"{word} must be in its repository. Received: no {file} among "
                f"{programs.format_names(names)}. Name one of these."
            )
        return chosen, file
    for needed, more in _FOLDERS:
        if set(needed) <= set(names):
            return [*needed, *(name for name in more if name in names)], ""
    weights = [name for name in names if name.endswith(SUFFIXES)]
    if "model.safetensors" in weights:  # timm's name on the Hub
        config = [name for name in names if name == TIMM_CONFIG]
        return ["model.safetensors", *config], "model.safetensors"
    if len(weights) == 1:
        return weights, weights[0]
    if weights:
        raise ValueError(
            f"{word} must have one file of weights. Received: {programs.format_names(weights)}. "
            f"Name one: {word}/{weights[0]}."
        )
    raise ValueError(
        f"{word} must have weights: model.safetensors, a run folder or a file {', '.join(SUFFIXES)}"
        f". Received: {programs.format_names(names)}. Name another repository."
    )
