"""Shards of vgg_tf as a source. Its records are scanned only when single images are needed."""

from collections.abc import Mapping

from vgg_tf.data import foreign_shards
from vgg_tf.records.collection import Collection, list_shards
from vgg_tf.records.splits import Source


class _ScannedSplits(Mapping):
    """The `splits.Split` of each split of a folder of shards, scanned at its first use."""

    def __init__(self, folder, collection):
        self.folder, self.collection, self.found = folder, collection, {}

    def __getitem__(self, split):
        if split not in self.found:
            paths = list_shards(self.folder, self.collection, split)
            source = foreign_shards.open_shards(self.folder, {split: paths}, ours=self.collection)
            self.found[split] = source.splits[split]
        return self.found[split]

    def __iter__(self):
        return iter(self.collection.splits)

    def __len__(self):
        return len(self.collection.splits)

    def __contains__(self, split):
        return split in self.collection.splits


def open_own_shards(folder):
    """Open a folder of shards with a `dataset.json`.

    Only the `dataset.json` is read.

    Args:
        folder: path of the folder.

    Returns:
        A `splits.Source` with a `collection`.

    Raises:
        ValueError: dataset.json cannot be read, or is that of a run folder.
    """
    collection = Collection.read(folder)
    for split, entry in collection.splits.items():
        if not entry["shards"]:
            list_shards(folder, collection, split)  # refuses run folders
    return Source(
        folder,
        collection.classes,
        _ScannedSplits(folder, collection),
        texts=collection.texts,
        collection=collection,
        covariance=collection.covariance_rgb,
    )
