"""A training run is a folder.

| file | content |
| --- | --- |
| recipe.json | architecture, data, precision and every number of the recipe |
| dataset.json | classes, counts and colors of the images (`collection.Collection`) |
| model.keras | the best network by validation error, else the last; raw RGB in, posteriors out |
| inherited.txt | which layers came from another network, where they did |
| last.safetensors | the whole state after the last epoch |
| previous.safetensors | the one before |
| log.csv, history.png | one row, one point an epoch |
| tensorboard, wandb | folders of the trackers that were asked for |
| report.json | the result; there when the run has ended |
"""

import contextlib
import csv
import io
import math
import os
import shutil
from dataclasses import dataclass, field, replace

from vgg_tf.records.collection import RECIPE_FILE, Collection
from vgg_tf.runs.settings import Settings
from vgg_tf.runs.state import State, list_variables
from vgg_tf.runs.state_file import encode_state, restore_state
from vgg_tf.runtime import files, locks, programs, remote
from vgg_tf.runtime.temporary import remove_unfinished
from vgg_tf.weights import file_checks

LAST, PREVIOUS = "last.safetensors", "previous.safetensors"
LOCK = ".lock"


def refuse_run(folder):
    """Raise a ValueError where a report would be written over that of a run."""
    if folder and files.exists(os.path.join(folder, RECIPE_FILE)):
        raise ValueError(
            f"{folder} holds a run, whose report would be written over. Choose another --out."
        )


@dataclass(frozen=True)
class Run:
    """An open run folder; make one with `open_run` or `read_run`.

    Attributes:
        folder: its path, here or on a file system of TensorFlow's.
        settings: what was asked for.
        writes: False for all but the first of several processes that train together.
        noted: what `draw` has noted.
    """

    folder: str
    settings: Settings
    writes: bool = True
    noted: set = field(default_factory=set, init=False, repr=False, compare=False)

    def path(self, name):
        """Path of one of its files."""
        return os.path.join(self.folder, name)

    @property
    def best(self):
        """Path of the best network."""
        return self.path("model.keras")

    def load_best(self):
        """The best network, not compiled.

        Raises:
            FileNotFoundError: no epoch was ever done.
            ValueError: the file is damaged, or its weights are in other files of this machine.
        """
        import keras

        if not files.exists(self.best):
            raise FileNotFoundError(
                f"{self.folder} has no model.keras yet: its first epoch is not done. Continue "
                "the training."
            )
        with remote.fetch(self.best) as path:
            # Keras 3.12.0 reads every file that it names: CVE-2026-1669.
            file_checks.check_archive(path, self.best)
            return keras.saving.load_model(path, compile=False)

    def check_space(self, model, optimizer):
        """Refuse a disk on which two states and two networks, the new ones beside the old, would
        find no room.

        Raises:
            OSError: there is less; the message says how much is needed.
        """
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
                f"{self.folder} lies on a disk with {free / 1e6:,.0f} MB left; this run needs "
                f"{needed / 1e6:,.0f} MB. Free some, or choose another --out."
            )

    def save_best(self, model):
        """Keep this model as the best, whole or not at all."""
        if not self.writes:
            return
        shared = [layer for layer in model.layers if getattr(layer, "synchronized", False)]
        # Batch normalisation over TensorFlow's devices, which a file must not ask of JAX.
        for layer in shared:
            layer.synchronized = False
        with files.writing(self.best) as temporary:
            model.save(temporary)
        for layer in shared:
            layer.synchronized = True

    def save_last(self, state, model, optimizer):
        """Write the state and all variables: weights, dropout's seeds, optimizer; keep the state
        before as well.

        A `.keras` file would not do: it lacks the states of the seed generators, so that dropout
        would differ afterwards.
        """
        if not self.writes:
            return
        data = encode_state(state, model, optimizer)
        if files.exists(self.path(LAST)):
            files.rename(self.path(LAST), self.path(PREVIOUS))
        files.write_whole(self.path(LAST), data)
        self.write_log(state)

    def restore(self, model, optimizer):
        """Set all variables to those of the last state that is whole.

        Returns:
            state: the `State`; a new one where there is nothing to go on from.
            note: what to tell the user, or None.
        """
        torn = []
        for name in (LAST, PREVIOUS):
            if not files.exists(self.path(name)):
                continue
            if (state := restore_state(self.path(name), model, optimizer)) is None:
                torn.append(name)
                continue
            if torn and self.writes:  # or the next state would put it in the place of the whole one
                files.remove(self.path(LAST))
            note = f"{torn[0]} is torn, {name} is whole: " if torn else ""
            return state, f"{note}continuing after epoch {state.epoch}"
        return State(), f"{', '.join(torn)} torn: starting anew" if torn else None

    def write_log(self, state):
        """Write log.csv from the state, which is what counts."""
        if not self.writes:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(state.rows[0]))
        writer.writeheader()
        writer.writerows(state.rows)
        files.write_whole(self.path("log.csv"), text.getvalue().encode())

    def draw(self, make):
        """Write history.png. Where that fails there is a note, once, and the run goes on.

        Args:
            make: function that gives the matplotlib figure.
        """
        if self.writes:
            with programs.noting(self.path("history.png"), self.noted):
                from vgg_tf.figures import drawing  # brings matplotlib, which only a training needs

                drawing.save(make(), self.path("history.png"))

    def write_report(self, report):
        """Write the result; from now on the run has ended."""
        if self.writes:
            files.write_json(self.path("report.json"), report)

    def read_report(self):
        """The result of a run that has ended, else None."""
        path = self.path("report.json")
        remedy = "Delete it: the same command tests the network again."
        return files.read_json(path, remedy) if files.exists(path) else None

    def read_collection(self):
        """The `collection.Collection` of the images the run was made on."""
        return Collection.read(self.folder)


@contextlib.contextmanager
def open_run(folder, settings, process=0):
    """Make a run folder, or open the one that these settings made, for one writer at a time.

    A folder whose first epoch was never done is taken over. Of several processes the first makes
    it, the others look into it afterwards.

    Raises:
        ValueError: this is not the first process, and it sees no folder of the first one, or one of
            other flags.
        FileExistsError: the folder holds another run or something else; nothing of it is touched.
        BlockingIOError: the run is being trained by another process.
    """
    folder, recipe = str(folder), os.path.join(folder, RECIPE_FILE)
    if process:
        if not files.exists(recipe):
            raise ValueError(
                f"Process {process} does not see the run folder {folder} of the first one. Give "
                "an --out that all machines see: on a shared disk, or on gs://."
            )
        run = read_run(folder)
        if difference := run.settings.differences(settings):
            raise ValueError(
                f"Process {process} has other flags or data than the first one: {difference}."
            )
        yield replace(run, writes=False)
        return
    if (
        files.exists(folder)
        and not files.exists(recipe)
        and any(name[0] != "." for name in files.list_names(folder))
    ):
        raise FileExistsError(f"{folder} is not empty and holds no run. Choose another --out.")
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
        # Nothing was trained yet: nothing is lost.
        if not files.exists(recipe) or there.differences(settings):
            files.write_json(recipe, settings.to_json())
        yield Run(folder, settings)


def has_begun(folder):
    """Tell whether a folder holds a run with an epoch done."""
    return any(files.exists(os.path.join(folder, name)) for name in (LAST, PREVIOUS))


def read_run(folder):
    """Open a run folder to read from.

    Raises:
        FileNotFoundError: it is none.
        ValueError: its recipe.json cannot be read.
    """
    path = os.path.join(folder, RECIPE_FILE)
    if not files.exists(path):
        raise FileNotFoundError(
            f"{folder} is no run folder: it has no recipe.json. Train one with python -m "
            "vgg_tf.train."
        )
    remedy = "Choose another --out, or delete the folder."
    values = files.read_json(path, remedy)
    try:
        return Run(str(folder), Settings.from_json(values))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} cannot be read ({error}). {remedy}") from error
