"""Which tested images a network was trained on: by content, because copies have other paths."""

import os
from dataclasses import replace

import numpy as np

from vgg_tf.records.contents import (
    DIGEST,
    PICTURES,
    SIZE,
    Contents,
    hash_content,
    is_local_file,
    map_fast,
    measure,
)
from vgg_tf.runtime import programs


def note_training_images(source, split, runs):
    """Return a source with a note for each run that was trained on images of a split.

    Only files on this machine are compared. They are read only if a training image has their size.

    Args:
        source: the `splits.Source` that networks are tested on.
        split: name of the tested split.
        runs: the `run_folder.Run`s of the networks.

    Returns:
        A `splits.Source`.

    Raises:
        ValueError: the notes of a run about its images are damaged.
    """
    if source.collection or not (runs := {run.folder: run for run in runs}):
        return source
    images, trained = source.splits[split], {}
    local = [i for i, content in enumerate(images.contents) if is_local_file(content)]
    for folder, run in runs.items() if local else ():
        table = _read_table(run)
        if len(table := table[table[:, DIGEST] != 0]):
            trained[folder] = table
    if not trained:
        return source
    sizes = map_fast(lambda i: measure(images.contents[i])[0], local)
    known = np.concatenate([table[:, SIZE] for table in trained.values()])
    alike = np.array(local)[np.isin(sizes, known) & (sizes > 0)]
    digests = map_fast(lambda i: hash_content(images.contents[i]), alike.tolist())
    for folder, table in trained.items():
        seen = [images.names[i] for i in alike[np.isin(digests, table[:, DIGEST])]]
        if seen:
            names = programs.format_list(seen).replace("\n  ", ", ")
            were = programs.count(len(images), "tested image was a", "tested images were")
            were += " training image" + "s" * (len(images) > 1)
            source = source.add_note(f"{len(seen):,} of {were} of {folder}: {names}")
    return source


def _read_table(run):
    """Return sizes, times and digests of the training images of a run; `[0, 3]` if unknown."""
    contents, settings = Contents.read(run.folder), run.settings
    # The shards of a run have notes of all their images. It may have used only some of them.
    whole = not (replace(settings.selection, hold_out=None) or settings.selection.hold_out)
    if not contents and whole and is_local_file(settings.data) and os.path.isdir(settings.data):
        contents = Contents.read(settings.data)
    none = np.zeros((0, 3), np.int64)
    return contents.tables.get(f"train {PICTURES}", none) if contents else none
