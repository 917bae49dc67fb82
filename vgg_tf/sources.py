"""Where images come from: a word or a folder becomes classes and, split by split, files with labels. No TensorFlow here."""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".bmp"}
SPLIT_FOLDERS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
SPLITS = ("train", "validation", "test")
HOLDOUT = 0.1  # share of train held out for validation where the source has no validation split
HOLDOUT_SEED = 0


@dataclass(frozen=True)
class Split:
    """The images of one split, in a fixed order.

    Attributes:
        names: file names below the source, unique.
        labels: int64 `[n]`, 0-based positions in the source's classes.
        contents: the encoded bytes of each image, or the path of the file that holds them.
    """

    names: list[str]
    labels: np.ndarray
    contents: list[bytes | str]

    def __len__(self):
        """Count the images."""
        return len(self.names)

    def take(self, indices):
        """The split of these images alone."""
        return Split([self.names[i] for i in indices], self.labels[indices], [self.contents[i] for i in indices])


@dataclass(frozen=True)
class Source:
    """Classes and splits of a collection of single images; shards are described by `records.Collection`.

    Attributes:
        name: `digits`, or the folder's path.
        classes: class names, sorted; the label is the position.
        splits: `train`, `validation` and `test`, those that there are.
        notes: what was decided on the way, for the user to read.
    """

    name: str
    classes: tuple[str, ...]
    splits: dict[str, Split]
    notes: tuple[str, ...] = ()

    def images(self, split):
        """Number of images of a split.

        Raises:
            ValueError: there is no such split; the message lists those there are.
        """
        if split not in self.splits:
            raise ValueError(f"{self.name} has no split {split!r}. It has {', '.join(self.splits)}.")
        return len(self.splits[split])

    def fingerprint(self):
        """Hex digest of classes, file names, labels and splits: equal for equal collections wherever they lie."""
        digest = hashlib.sha256(json.dumps(self.classes).encode())
        for split, images in sorted(self.splits.items()):
            digest.update(json.dumps([split, images.names]).encode())
            digest.update(images.labels.astype("<i8").tobytes())
        return digest.hexdigest()[:16]

    def smaller_side(self, n=25):
        """Median smaller side, in pixels, of up to `n` evenly spread training images (headers only); None if unreadable."""
        from PIL import Image

        train = self.splits["train"]
        sides = []
        for i in np.unique(np.linspace(0, len(train) - 1, n).astype(int)):
            content = train.contents[i]
            try:
                with Image.open(io.BytesIO(content) if isinstance(content, bytes) else content) as image:
                    sides.append(min(image.size))
            except OSError:
                continue  # no image, or damaged: whoever decodes it will name it
        return int(np.median(sides)) if sides else None


def open_source(name):
    """List the images of a source.

    Args:
        name: `digits`, scikit-learn's 1,797 handwritten digits (train, validation, test n=360, fixed); or a folder of
            class folders `<class>/**/<image>`, itself or below `train/`, `val/` or `validation/`, `test/`. JPEG, PNG,
            GIF and BMP files count, hidden files do not. Without a validation split a tenth of each class of train is
            held out, always the same images.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the folder holds no images, or only one class; the message says what was expected.
    """
    source = _digits() if name == "digits" else _class_folders(Path(name))
    return source if "validation" in source.splits else _hold_out(source)


def _digits():
    from PIL import Image
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    contents = []
    for picture in digits.images:  # float [8, 8], 0..16
        file = io.BytesIO()
        Image.fromarray(np.round(picture * (255 / 16)).astype(np.uint8)).convert("RGB").save(file, "png")
        contents.append(file.getvalue())
    names = [f"{label}/{i:04d}.png" for i, label in enumerate(digits.target)]
    every = Split(names, digits.target.astype(np.int64), contents)
    train, test = train_test_split(np.arange(len(every)), test_size=360, stratify=every.labels, random_state=0)
    return Source("digits", tuple("0123456789"), {"train": every.take(np.sort(train)), "test": every.take(np.sort(test))})


def _class_folders(root):
    if not root.is_dir():
        raise FileNotFoundError(f"No folder {str(root)!r}. Give digits, a folder of class folders, or a folder of shards.")
    found = {}
    for folder, split in SPLIT_FOLDERS.items():
        if (root / folder).is_dir():
            if split in found:
                raise ValueError(f"{root} holds both val/ and validation/: keep one of them.")
            found[split] = root / folder
    if "train" not in found:
        if found:
            raise ValueError(f"{root} has {', '.join(path.name + '/' for path in found.values())} but no train/.")
        found = {"train": root}
    files = {split: _images_by_class(folder) for split, folder in found.items()}
    classes = tuple(sorted(files["train"]))
    if len(classes) < 2:
        raise ValueError(
            f"{found['train']} holds images in {len(classes)} class folders; at least 2 are needed. "
            f"Expected <class>/<image> with {', '.join(sorted(IMAGE_SUFFIXES))}."
        )
    splits = {}
    for split, by_class in files.items():
        unknown = sorted(set(by_class) - set(classes))
        if unknown:
            raise ValueError(f"{found[split]} has classes that train has not: {', '.join(unknown[:5])}.")
        if not by_class:
            raise ValueError(f"{found[split]} holds no images. Remove it, or fill it with <class>/<image>.")
        paths = [path for name in classes for path in by_class.get(name, [])]
        labels = [label for label, name in enumerate(classes) for _ in by_class.get(name, [])]
        names = [path.relative_to(root).as_posix() for path in paths]
        splits[split] = Split(names, np.array(labels, np.int64), [str(path) for path in paths])
    return Source(str(root), classes, splits)


def _images_by_class(folder):
    images = {}
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.name.startswith("."):
            files = sorted(
                path
                for path in child.rglob("*")
                if path.suffix.lower() in IMAGE_SUFFIXES
                and not any(part.startswith(".") for part in path.relative_to(child).parts)
                and path.is_file()
            )
            if files:
                images[child.name] = files
    return images


def _hold_out(source):
    train = source.splits["train"]
    random = np.random.default_rng(HOLDOUT_SEED)
    held = []
    for label in range(len(source.classes)):
        members = np.flatnonzero(train.labels == label)
        n = min(max(1, round(HOLDOUT * len(members))), len(members) - 1)  # the last picture of a class stays in train
        held.extend(random.permutation(members)[: max(n, 0)])
    if not held:
        note = "one image a class: nothing can be held out for validation, training goes on without"
        return Source(source.name, source.classes, source.splits, (*source.notes, note))
    keep = np.setdiff1d(np.arange(len(train)), held)
    splits = {"train": train.take(keep), "validation": train.take(np.sort(held))}
    note = f"no validation split: {len(held)} of {len(train)} training images held out, the same share of each class"
    return Source(source.name, source.classes, {**source.splits, **splits}, (*source.notes, note))
