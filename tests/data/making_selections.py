"""Images and counts for tests of selections."""

from collections import Counter

from PIL import Image


def fill(root, **counts):
    """Write distinct images, `train__cat=3` into `root/train/cat/`, and return `root`."""
    for k, (name, n) in enumerate(counts.items()):
        folder = root.joinpath(*name.split("__"))
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(n):
            Image.new("RGB", (4, 4), (i, k, 0)).save(folder / f"{i:03d}.png")
    return str(root)


def counts(source):
    """Return `{split: {class name: number of images}}`."""
    return {
        split: dict(Counter(source.classes[label] for label in part.labels))
        for split, part in source.splits.items()
    }
