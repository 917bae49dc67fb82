"""What a resumed run keeps from its beginning: the rule of held-out images, and the pictures."""

import os
from dataclasses import replace

from vgg_tf.records.collection import RECIPE_FILE
from vgg_tf.records.contents import Contents, format_changes, is_local_file
from vgg_tf.runs.run_folder import has_begun, read_run
from vgg_tf.runtime import files

LARGEST = 200_000  # images; the files of more of them are compared by size only


def read_begun(folder):
    """Return the `settings.Settings` of a run that has begun; None where none has.

    Args:
        folder: path of the run folder, which may not exist.

    Raises:
        ValueError: its recipe.json cannot be read.
    """
    if not (has_begun(folder) and files.exists(os.path.join(folder, RECIPE_FILE))):
        return None
    return read_run(folder).settings


def keep_hold_out_rule(folder, selection):
    """Return the selection of a run, with the rule of held-out images that the run began with.

    Args:
        folder: path of the run folder, which may not exist.
        selection: the `selection.Selection` of a new run.

    Returns:
        A `selection.Selection`.

    Raises:
        ValueError: the run has begun, and its recipe.json cannot be read.
    """
    begun = read_begun(folder)
    return replace(selection, hold_out_rule=begun.selection.hold_out_rule) if begun else selection


def keep_contents(run, source):
    """Note the contents of the pictures that a run begins with, or compare those of a resumed run.

    Runs of earlier versions have no such notes. They continue as they are.

    Args:
        run: an open `run_folder.Run`.
        source: `splits.Source` of its pictures.

    Raises:
        FileExistsError: pictures or boxes have changed since the run began; the message names them.
        ValueError: the notes are damaged.
    """
    if not run.writes or not _has_files(source):
        return
    if has_begun(run.folder):
        there = Contents.read(run.folder)
        if there and (changes := there.list_changes(source)):
            raise FileExistsError(
                f"{run.folder} must continue with the pictures and boxes that it began with. "
                f"Received: {format_changes(changes, source.name)}\nChoose another --out, or put "
                "the old files back."
            )
        return
    contents = Contents.look_at(source)
    if sum(map(len, source.splits.values())) > LARGEST:
        contents = contents.drop_times()
    else:
        contents.hash_all(source)
    contents.write(run.folder)


def _has_files(source):
    """Return whether pictures of a source are in files on this machine, and not in shards."""
    if source.collection:  # its splits would be scanned
        return False
    return any(is_local_file(images.contents[0]) for images in source.splits.values() if images)
