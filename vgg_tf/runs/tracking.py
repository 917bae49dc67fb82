"""TensorBoard and Weights & Biases, fed with the rows of a run's log; off unless asked for.

Whoever joins late, or was away, is told what is missing: each has in its folder of the run a note
of how many epochs it has.
"""

import contextlib
import importlib.util
import math
import secrets
import time
from pathlib import Path
from types import SimpleNamespace

from vgg_tf.runtime import files, remote

LOGS = {  # columns of the log by Keras' names
    "loss": "loss",
    "train_error": "top1_error",
    "learning_rate": "learning_rate",
    "images_per_second": "images_per_second",
    "validation_loss": "val_loss",
    "validation_error": "val_top1_error",
    "validation_top5_error": "val_top5_error",
}


def _tensorboard(run, name):
    from keras.callbacks import TensorBoard

    callback = TensorBoard(f"{run.folder}/tensorboard", write_graph=False)
    return callback, lambda code: callback.on_train_end()


def _wandb(run, name):
    import wandb
    from wandb.integration.keras import WandbMetricsLogger

    folder = files.make_absolute(run.folder)  # its service may have another working folder
    where = {"name": Path(folder).name, "dir": None if remote.is_remote(folder) else folder}
    started = wandb.init(
        project="vgg_tf", id=name, resume="allow", config=run.settings.to_json(), **where
    )
    return WandbMetricsLogger(), started.finish


# By their packages' names, which are the extras' as well; with the seconds that they may keep an
# epoch in memory, where a kill takes it. W&B 0.31 writes every 15 s, TensorBoard at once.
TRACKERS = {"tensorboard": (_tensorboard, 0), "wandb": (_wandb, 30)}


def check_trackers(words):
    """Names of the trackers in `words`, such as `tensorboard,wandb`, found ready to use.

    Raises:
        ValueError: an unknown one; W&B online without a login, which it would ask for.
        ModuleNotFoundError: its package is not installed.
    """
    names = list(dict.fromkeys(filter(None, map(str.strip, words.split(",")))))
    for name in names:
        if name not in TRACKERS:
            raise ValueError(
                f"No tracker {name!r}. Known: {', '.join(TRACKERS)}, or both with a comma between."
            )
        spec = importlib.util.find_spec(name)
        # A mere folder of that name, as W&B makes them, has no origin.
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(
                f'--track {name} needs a package: pip install "vgg_tf[{name}]"', name=name
            )
    if "wandb" in names:
        import wandb

        mode = wandb.setup().settings.mode
        if mode == "disabled":  # what it is told now it would never show
            names.remove("wandb")
        elif mode in ("online", "shared") and not wandb.login(prompt=False, verify=False):
            raise ValueError(
                "--track wandb finds no login: call wandb login, or set WANDB_MODE=offline and "
                "wandb sync later."
            )
    return names


class _Tracker:
    def __init__(self, name, run):
        opener, self.delay = TRACKERS[name]
        self.note = f"{run.folder}/{name}/tracked.json"
        files.make_folder(f"{run.folder}/{name}")
        self.kept = (
            files.read_json(self.note, f"Delete it: {name} is sent all epochs again.")
            if files.exists(self.note)
            else {"id": secrets.token_hex(8), "epochs": 0}
        )
        self.told = [(self.kept["epochs"], -math.inf)]
        self._keep(self.kept["epochs"])
        self.callback, self.finish = opener(run, self.kept["id"])
        # Callbacks read the learning rate off the model's, where it is the next epoch's.
        self.optimizer = SimpleNamespace()
        self.callback.set_model(SimpleNamespace(optimizer=self.optimizer))

    def _keep(self, epochs):
        files.write_json(self.note, self.kept | {"epochs": epochs})

    def tell(self, rows):
        import tensorflow as tf

        for row in rows[self.told[-1][0] :]:
            self.optimizer.learning_rate = tf.constant(row["learning_rate"], tf.float64)
            self.callback.on_epoch_end(
                row["epoch"], {LOGS[key]: row[key] for key in LOGS if row[key] is not None}
            )
            self.told.append((row["epoch"], time.monotonic()))
        self._keep(max(epoch for epoch, when in self.told if time.monotonic() - when >= self.delay))

    def close(self, code):
        self.finish(code)
        self._keep(self.told[-1][0])


@contextlib.contextmanager
def open_trackers(words, run, say=print):
    """Give a function that tells all rows of a run's log to the trackers in `words`; close these at
    the end, however it comes.

    A tracker that fails is told of and left; the training goes on.
    """
    trackers, code = {}, 1

    @contextlib.contextmanager
    def sparing_the_training(name):
        try:
            yield
        except Exception as error:
            trackers.pop(name, None)
            say(
                f"--track {name} failed: {error}. The training goes on; what is missing follows "
                "when the run is continued."
            )

    def track(rows):
        for name, tracker in list(trackers.items()):
            with sparing_the_training(name):
                tracker.tell(rows)

    for name in check_trackers(words):
        with sparing_the_training(name):
            trackers[name] = _Tracker(name, run)
    try:
        yield track
        code = 0
    finally:
        for name, tracker in list(trackers.items()):
            with sparing_the_training(name):
                tracker.close(code)
