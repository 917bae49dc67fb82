"""TensorBoard and Weights & Biases: send the rows of a run's log, if `--track` selects them.

Each tracker stores in its folder of the run how many epochs it has received. A tracker that starts
later, or failed, receives the missing epochs.
"""

import contextlib
import importlib.util
import math
import secrets
import time
from pathlib import Path
from types import SimpleNamespace

from vgg_tf.runtime import files, remote, schemas
from vgg_tf.runtime.schemas import Fields, Number, Text

LOGS = {  # column of log.csv: name in Keras' logs
    "loss": "loss",
    "train_error": "top1_error",
    "learning_rate": "learning_rate",
    "images_per_second": "images_per_second",
    "validation_loss": "val_loss",
    "validation_error": "val_top1_error",
    "validation_top5_error": "val_top5_error",
    "validation_recall": "val_mean_class_recall",  # only where the classes are unequal
}


def _tensorboard(run, name):
    from keras.callbacks import TensorBoard

    callback = TensorBoard(f"{run.folder}/tensorboard", write_graph=False)
    return callback, lambda code: callback.on_train_end()


def _wandb(run, name):
    import wandb
    from wandb.integration.keras import WandbMetricsLogger

    folder = files.make_absolute(run.folder)  # W&B's service may have another working folder
    where = {"name": Path(folder).name, "dir": None if remote.is_remote(folder) else folder}
    started = wandb.init(
        project="vgg_tf", id=name, resume="allow", config=run.settings.to_json(), **where
    )
    return WandbMetricsLogger(), started.finish


# The keys are names of packages and of extras. The number is how long a tracker may keep an epoch
# in memory, in seconds; a kill loses such epochs. W&B 0.31 writes every 15 s, TensorBoard at once.
TRACKERS = {"tensorboard": (_tensorboard, 0), "wandb": (_wandb, 30)}


def check_trackers(words):
    """Check that the trackers are known, installed and logged in.

    Args:
        words: Value of `--track`: comma-separated names, such as `tensorboard,wandb`.

    Returns:
        List of the names, without repetitions. `wandb` is omitted if W&B is disabled.

    Raises:
        ValueError: A name is unknown, or W&B is online without a login.
        ModuleNotFoundError: The package of a tracker is not installed.
    """
    names = list(dict.fromkeys(filter(None, map(str.strip, words.split(",")))))
    for name in names:
        if name not in TRACKERS:
            raise ValueError(
                f"--track must be {', '.join(TRACKERS)}, or both with a comma between them. "
                f"Received: {name!r}. Correct the name."
            )
        spec = importlib.util.find_spec(name)
        # A folder without __init__.py has no origin. W&B creates a folder called wandb.
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(
                f"--track {name} needs the package {name}. Received: not installed. Install it: "
                f'pip install "vgg_tf[{name}]"',
                name=name,
            )
    if "wandb" in names:
        import wandb

        mode = wandb.setup().settings.mode
        if mode == "disabled":  # W&B would count the epochs as received and never show them
            names.remove("wandb")
        elif mode in ("online", "shared") and not wandb.login(prompt=False, verify=False):
            raise ValueError(
                f"--track wandb must have a login. Received: WANDB_MODE {mode} without one. Run "
                "wandb login, or set WANDB_MODE=offline and run wandb sync later."
            )
    return names


class _Tracker:
    """A tracker of one run, and the number of epochs that it has received."""

    def __init__(self, name, run):
        opener, self.delay = TRACKERS[name]
        self.note = f"{run.folder}/{name}/tracked.json"
        files.make_folder(f"{run.folder}/{name}")
        self.kept = (
            schemas.read(
                self.note,
                Fields({"id": Text(100), "epochs": Number()}),
                "the note of a tracker",
                f"Delete it. {name} then receives all epochs again.",
            )
            if files.exists(self.note)
            else {"id": secrets.token_hex(8), "epochs": 0}
        )
        self.told = [(self.kept["epochs"], -math.inf)]
        self._keep(self.kept["epochs"])
        self.callback, self.finish = opener(run, self.kept["id"])
        # Callbacks read the learning rate from the optimizer. The model's has the next epoch's.
        self.optimizer = SimpleNamespace()
        self.callback.set_model(SimpleNamespace(optimizer=self.optimizer))

    def _keep(self, epochs):
        files.write_json(self.note, self.kept | {"epochs": epochs})

    def tell(self, rows):
        import tensorflow as tf

        for row in rows[self.told[-1][0] :]:
            self.optimizer.learning_rate = tf.constant(row["learning_rate"], tf.float64)
            self.callback.on_epoch_end(
                row["epoch"], {LOGS[key]: row[key] for key in LOGS if row.get(key) is not None}
            )
            self.told.append((row["epoch"], time.monotonic()))
        self._keep(max(epoch for epoch, when in self.told if time.monotonic() - when >= self.delay))

    def close(self, code):
        self.finish(code)
        self._keep(self.told[-1][0])


@contextlib.contextmanager
def open_trackers(words, run, say=print):
    """Open the trackers of a run, and close them at the end.

    If a tracker fails, `say` reports it, and training continues without it.

    Args:
        words: Value of `--track`, as for `check_trackers`.
        run: `run_folder.Run` that is trained.
        say: Function that prints a line.

    Yields:
        Function of the rows of the log. It sends each tracker the rows that it has not received.
    """
    trackers, code = {}, 1

    @contextlib.contextmanager
    def sparing_the_training(name):
        try:
            yield
        except Exception as error:
            trackers.pop(name, None)
            say(
                f"--track {name} failed: {error}. Training continues without it. Continue the "
                "run later to send the missing epochs."
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
