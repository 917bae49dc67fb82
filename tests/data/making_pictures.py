"""Folders of small images."""

from PIL import Image


def fill(root, **counts):
    """Write images 20 pixels wide: `cat=3` into `root/cat/`, `train__cat=3` into `root/train/cat/`.

    Returns:
        `root`.
    """
    for i, (name, n) in enumerate(counts.items()):
        folder = root.joinpath(*name.split("__"))
        folder.mkdir(parents=True, exist_ok=True)
        for j in range(n):
            Image.new("RGB", (20, 10 + j % 10), (i, j, 0)).save(folder / f"{j:03d}.png")
    return root


def names(source, split):
    return source.splits[split].names
