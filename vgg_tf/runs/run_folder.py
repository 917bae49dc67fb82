"""Run folders: the files of a training run.

| file | content |
| --- | --- |
| recipe.json | architecture, data, precision and all hyperparameters |
| dataset.json | classes, counts and colors of the images (`collection.Collection`) |
| contents.npz | sizes, times and digests of the pictures in files (`contents.Contents`) |
| model.keras | the network with the lowest validation error; without validation, the last one |
| inherited.txt | report of the layers that were copied from other weights, if any |
| last.safetensors | complete state after the last epoch |
| previous.safetensors | complete state after the epoch before the last one |
| log.csv, history.png | one row or point per epoch |
| tensorboard, wandb | folders of the trackers, if any |
| result.json | errors with intervals, command, commit, machine and date of the run |
| report.json | result of the run; exists only if the run has ended |

The network in model.keras takes raw RGB and returns probabilities.
"""

import contextlib
import csv
import io
import math
import os
import shutil
from dataclasses import dataclass, field, replace

from vgg_tf.records.collection import RECIPE_FILE, Collection
from vgg_tf.runs import results
from vgg_tf.runs.settings import Settings
from vgg_tf.runs.state import State, list_variables
from vgg_tf.runs.state_file import encode_state, restore_state
from vgg_tf.runtime import files, locks, programs, remote, schemas
from vgg_tf.runtime.temporary import remove_unfinished
from vgg_tf.weights import file_checks

LAST, PREVIOUS = "last.safetensors", "previous.safetensors"
LOCK = ".lock"


def refuse_run(folder):
    """Raise a ValueError if a report in this folder would overwrite that of a training run."""
    if folder and files.exists(os.path.join(folder, RECIPE_FILE)):
        raise ValueError(
            f"--out must not contain a training run. Received: --out {folder}. Choose another."
        )


@dataclass(frozen=True)
class Run:
    """An open run folder, as `open_run` or `read_run` returns it.

    Attributes:
        folder: Path of the folder, local or remote.
        settings: `Settings` of the run.
        writes: True if this process writes files. Of several processes, only the first one does.
        noted: Figures that `draw` could not write and has reported.
    """

    folder: str
    settings: Settings
    writes: bool = True
    noted: set = field(default_factory=set, init=False, repr=False, compare=False)

    def path(self, name):
        """Return the path of a file in the folder."""
        return os.path.join(self.folder, name)

    @property
    def best(self):
        """Path of the file of the best network."""
        return self.path("model.keras")

    def load_best(self):
        """Load the best network.

        Returns:
            A Keras model that is not compiled.

        Raises:
            FileNotFoundError: The first epoch is not complete.
            ValueError: The file is damaged, or refers to other files.
        """
        import keras

        if not files.exists(self.best):
            raise FileNotFoundError(
                f"{self.folder} must contain model.keras, which training writes after the first "
                "epoch. Received: no model.keras. Continue the training."
            )
        with remote.fetch(self.best) as path:
            # Keras 3.12.0 reads every file that the archive refers to: CVE-2026-1669.
            file_checks.check_archive(path, self.best)
            # Registers the layer of A-LRN, by whose name Keras finds it in the file.
            from vgg_tf.models import lrn  # noqa: F401

            return keras.saving.load_model(path, compile=False)

    def check_space(self, model, optimizer):
        """Raise an OSError if the disk has no space for two states and two networks."""
        if remote.is_remote(self.folder) or not self.writes:
            return
        best = sum(4 * math.prod(weight.shape) for weight in model.weights)
        state = sum(
            4 * math.prod(variable.shape) for _, variable in list_variables(model, optimizer)
        )
        names = (LAST, PREVIOUS, "model.keras")
        there = sum(files.read_size(path) for path in map(self.path, names) if files.exists(path))
        needed, free = 2 * (best + state) + 10**6 - there, shutil.disk_usage(self.folder).free
        if needed > free:
            raise OSError(
                f"The disk of {self.folder} must have {needed / 1e6:,.0f} MB free. Received: "
                f"{free / 1e6:,.0f} MB. Free some space, or choose another --out."
            )

    def save_best(self, model):
        """Write the model as the best network. A failure keeps the previous file."""
        if not self.writes:
            return
        shared = [layer for layer in model.layers if getattr(layer, "synchronized", False)]
        # Only TensorFlow has synchronized batch normalization. JAX must be able to load the file.
        for layer in shared:
            layer.synchronized = False
        with files.writing(self.best) as temporary:
            model.save(temporary)
        for layer in shared:
            layer.synchronized = True

    def save_last(self, state, model, optimizer):
        """Write the state, all variables and the log. Keep the previous state as well.

        A `.keras` file does not store the seeds of dropout, which would differ after a restart.

        Args:
            state: The `State`.
            model: Keras model.
            optimizer: Its optimizer.
        """
        if not self.writes:
            return
        data = encode_state(state, model, optimizer)
        if files.exists(self.path(LAST)):
            files.rename(self.path(LAST), self.path(PREVIOUS))
        files.write_whole(self.path(LAST), data)
        self.write_log(state)

    def restore(self, model, optimizer):
        """Restore all variables from the latest state file that is intact.

        Args:
            model: Keras model.
            optimizer: Its optimizer.

        Returns:
            state: The `State`; a new one if there is no intact file.
            note: Line for the user, or None.
        """
        torn = []
        for name in (LAST, PREVIOUS):
            if not files.exists(self.path(name)):
                continue
            if (state := restore_state(self.path(name), model, optimizer)) is None:
                torn.append(name)
                continue
            if torn and self.writes:  # else `save_last` would rename it over the intact file
                files.remove(self.path(LAST))
            note = f"{torn[0]} is damaged, {name} is intact: " if torn else ""
            return state, f"{note}continuing after epoch {state.epoch}"
        return State(), f"damaged: {', '.join(torn)}; starting from scratch" if torn else None

    def write_log(self, state):
        """Write log.csv from the rows of the state."""
        if not self.writes:
            return
        text = io.StringIO()
        columns = dict.fromkeys(name for row in state.rows for name in row)  # old rows have fewer
        writer = csv.DictWriter(text, fieldnames=list(columns))
        writer.writeheader()
        writer.writerows(state.rows)
        files.write_whole(self.path("log.csv"), text.getvalue().encode())

    def draw(self, make):
        """Write history.png. If that fails, print one note and continue.

        Args:
            make: Function without arguments that returns the matplotlib figure.
        """
        if self.writes:
            with programs.noting(self.path("history.png"), self.noted):
                from vgg_tf.figures import drawing  # imports matplotlib, needed only in training

                drawing.save(make(), self.path("history.png"))

    def write_report(self, report):
        """Write the result. A run with a report has ended."""
        if self.writes:
            files.write_json(self.path("report.json"), report)

    def read_report(self):
        """Return the result of the run, or None if it has not ended or its report is damaged."""
        return results.read_report(self.path("report.json"))

    def read_collection(self):
        """Return the `collection.Collection` of the images of the run."""
        return Collection.read(self.folder)


@contextlib.contextmanager
def open_run(folder, settings, process=0):
    """Create a run folder, or open the one of an interrupted run with the same settings.

    Only one process can train in a folder. New settings replace those of a run without a complete
    epoch. Of several processes that train together, the first one creates the folder.

    Args:
        folder: Path of the folder, local or remote.
        settings: `Settings` of the run.
        process: Index of this process, from 0.

    Yields:
        The `Run`.

    Raises:
        ValueError: A later process finds no folder of the first process, or other settings in it.
        FileExistsError: The folder contains another run or other files. It is unchanged.
        BlockingIOError: Another process is training in the folder.
    """
    folder, recipe = str(folder), os.path.join(folder, RECIPE_FILE)
    if process:
        if not files.exists(recipe):
            raise ValueError(
                f"Process {process} must see the run folder of the first process. Received: no "
                f"run in {folder}. Give an --out that all machines share: a shared disk, or gs://."
            )
        run = read_run(folder)
        if difference := run.settings.differences(settings):
            raise ValueError(
                f"Process {process} must have the flags and data of the first process. Received: "
                f"{difference}. Start all processes with the same command."
            )
        yield replace(run, writes=False)
        return
    if (
        files.exists(folder)
        and not files.exists(recipe)
        and any(name[0] != "." for name in files.list_names(folder))
    ):
        raise FileExistsError(
            f"--out must be empty or contain a run. Received: {folder} with other files. Choose "
            "another --out."
        )
    files.make_folder(folder)
    busy = f"{folder} is being trained by another process. Wait for it, or choose another --out."
    with locks.hold_lock(os.path.join(folder, LOCK), busy):
        remove_unfinished(folder)
        there = read_run(folder).settings if files.exists(recipe) else settings
        if has_begun(folder) and (difference := there.differences(settings)):
            raise FileExistsError(
                f"{folder} holds another run: {difference}. Choose another --out, or delete it "
                "first."
            )
        # Without a complete epoch, new settings may replace the old ones.
        if not files.exists(recipe) or there.differences(settings):
            files.write_json(recipe, settings.to_json())
        yield Run(folder, settings)


def has_begun(folder):
    """Return whether a folder contains a run with at least one complete epoch."""
    return any(files.exists(os.path.join(folder, name)) for name in (LAST, PREVIOUS))


def read_run(folder):
    """Open a run folder for reading.

    Args:
        folder: Path of the folder, local or remote.

    Returns:
        The `Run`.

    Raises:
        FileNotFoundError: The folder is not a run folder.
        ValueError: Its recipe.json cannot be read.
    """
    path = os.path.join(folder, RECIPE_FILE)
    if not files.exists(path):
        raise FileNotFoundError(
            f"{folder} must be a run folder. Received: no recipe.json in it. Train a network with "
            "python -m vgg_tf.train."
        )
    remedy = "Choose another --out, or delete the folder."
    called = "a recipe.json with the settings of a run"
    values = schemas.read(path, schemas.OBJECT, called, remedy)
    with schemas.naming(path, called, remedy):
        return Run(str(folder), Settings.from_json(values))
