"""Push a network to the Hugging Face Hub: its folder, and what it is opened from."""

import glob
import json
import os

from vgg_tf.formats import listing
from vgg_tf.formats.card import NAME, hide_folders
from vgg_tf.runtime import files, schemas
from vgg_tf.weights import hub, hub_client, reading
from vgg_tf.weights.writing import write_weights

FILE = "model.safetensors"
RUN = (*hub.RUN, "result.json", "report.json", "log.csv", "history.png", "inherited.txt")


def copy_network(opened, folder):
    """Copy what a network is opened from into a folder, without paths of this machine.

    Of a run these are the best network, recipe, data, results and log, but not the states of its
    training, which are five times as large. Of a weight file it is model.safetensors. Paths in
    the folder's export.json become names, too.

    Args:
        opened: A `checkpoint.Checkpoint`.
        folder: Path of an existing folder.
    """
    written = os.path.join(folder, listing.NAME)
    if files.exists(written):
        files.write_json(written, hide_folders(listing.read_report(folder)))
    if not opened.run:
        source, path = reading.SHIPPED.get(opened.path), os.path.join(folder, FILE)
        if source:
            files.write_whole(path, files.read(source))
        else:
            write_weights(opened.build(), path, opened.classes, test_scale=opened.test_scale)
        return
    for name in RUN:
        if not files.exists(opened.run.path(name)):
            continue
        data = files.read(opened.run.path(name))
        if name.endswith(".json"):
            values = schemas.parse(data, schemas.OBJECT, name, "a JSON object", "Delete it.")
            data = json.dumps(hide_folders(values), indent=1).encode()
        files.write_whole(os.path.join(folder, name), data)


def push(folder, name, private=False):
    """Upload a folder to a repository of models, which is made if it does not exist.

    Args:
        folder: Path of the folder. Files that an export does not write are left out.
        name: `owner/name`.
        private: Whether a new repository is private. Defaults to False.

    Returns:
        url: Address of the repository.
        revision: The commit.

    Raises:
        ValueError: The name is not of this form, or the Hub refuses the card.
        ModuleNotFoundError: huggingface_hub is not installed.
        PermissionError: The token is missing, or does not allow to write.
        ConnectionError: The Hub cannot be reached.
    """
    hub_client.check_push_name(name)
    client = hub_client.import_client()
    with hub_client.explaining(name):
        api = client.HfApi(library_name="vgg_tf")
        api.create_repo(name, private=private, exist_ok=True)
        try:
            done = api.upload_folder(
                repo_id=name,
                folder_path=folder,
                commit_message=f"Upload {os.path.basename(os.path.normpath(folder))} with vgg_tf",
                allow_patterns=_list_patterns(folder),
                ignore_patterns=[".*", "**/.*"],
            )
        except ValueError as error:
            if isinstance(error, OSError):  # an answer of the Hub, which `explaining` turns
                raise
            raise ValueError(
                f"The card must be accepted by {api.endpoint}. Received: "
                f"{' '.join(str(error).split())}. Correct the first lines of {folder}/README.md."
            ) from None
    return f"{api.endpoint}/{name}", done.oid


def _list_patterns(folder):
    """Return the patterns of what an export writes: --out may be a folder with private files."""
    rows = listing.read_report(folder).get("formats", ())
    exported = [glob.escape(os.path.basename(row["file"].rstrip("/"))) for row in rows]
    # A folder, such as a SavedModel, is all files below it.
    return [NAME, listing.NAME, FILE, *RUN, *exported, *(f"{name}/**" for name in exported)]
