"""Show the progress of an epoch, estimate the whole training, and stop at NaN."""

import math
import sys
import threading
import time

import keras

from vgg_tf.runtime import programs

LOOK_EVERY = 50  # steps between two checks of the loss
ESTIMATE_AFTER = 5  # steps, and seconds, after the first step and before the estimate
LONG = 2 * 24 * 3600  # seconds; a longer training gets a warning


def format_epoch(row, state, recipe):
    """Return the log line of an epoch.

    Args:
        row: row of the log.
        state: the `state.State` after the epoch.
        recipe: the `Recipe`.

    Returns:
        str.
    """
    words = [
        f"epoch {state.epoch:>{len(str(recipe.epochs))}}/{recipe.epochs}",
        f"loss {row['loss']:.3f}",
    ]
    words.append(f"train error {row['train_error']:.2f} %")
    if row["validation_error"] is not None:
        best = " *" if state.best_epoch == state.epoch else ""
        words.append(f"validation error {row['validation_error']:.2f} %{best}")
        if row["validation_top5_error"] is not None:
            words.append(f"top-5 {row['validation_top5_error']:.2f} %")
        if (recall := row.get("validation_recall")) is not None:
            words.append(f"mean class recall {recall:.2f} %")
    words += [
        f"rate {row['learning_rate']:.3g}",
        f"{row['images_per_second']:.0f} images/s",
        f"{row['seconds']:.0f} s",
    ]
    return ", ".join(words)


def format_duration(seconds):
    """Return a duration in words, in at most two units.

    Args:
        seconds: float, 0 or more.

    Returns:
        str, such as `3 h 20 min`.

    Examples:
        >>> format_duration(12_000)
        '3 h 20 min'
    """
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days {hours % 24} h"


def format_estimate(seconds, epochs):
    """Return the duration of a training, and what to change if it is long.

    Args:
        seconds: duration of all remaining epochs.
        epochs: number of remaining epochs.

    Returns:
        str, one line.
    """
    line = (
        f"about {format_duration(seconds)} for {programs.count(epochs, 'epoch')} at this "
        "throughput; finished epochs "
        "are kept"
    )
    if seconds > LONG:
        line += (
            ". That is more than two days: train on a TPU or a GPU, or lower --epochs, --width or "
            "--size, or choose a shallower --arch"
        )
    return line


def make_explosion_error(what, recipe, epoch):
    """Make the error of a loss that is not finite; `what` says where in `epoch` (from 0)."""
    rate = recipe.learning_rate
    return FloatingPointError(
        f"The loss is {what} epoch {epoch + 1}. Received: --learning-rate {rate:g}, --initializer "
        f"{recipe.initializer}. Try --learning-rate {rate / 10:g} or --initializer auto, and check "
        "the images. The run folder keeps the last good epoch, if any; other settings then need "
        "another --out."
    )


class Watch(keras.callbacks.Callback):
    """Progress bar with throughput and ETA that stops the epoch at NaN, or when time is up.

    Keras calls `on_train_batch_end` in its own threads, as a device finishes its steps
    (`async_safe`). Otherwise Keras would wait for the device after each step, and the device would
    be idle while the next batch is made. So that method only takes notes. Errors and output come
    before the next step, in the main thread.
    """

    async_safe = True

    def __init__(self, epoch, recipe, steps, batch, shown, heed, after, say=None):
        """Watch one epoch.

        Args:
            epoch: its number, from 0.
            recipe: the `Recipe`.
            steps: steps of the epoch.
            batch: images per step.
            shown: whether to draw the bar, if the output is a terminal.
            heed: called before each step with the seconds until the epoch is saved. It may raise.
            after: seconds from the last step until the epoch is saved.
            say: called once with an estimate of the whole training; None for no estimate.
        """
        super().__init__()
        self.epoch, self.recipe, self.steps, self.batch = epoch, recipe, steps, batch
        self.shown, self.heed, self.after, self.say = shown, heed, after, say
        self.bar = None
        # Time and number of finished steps, for the first report and the last; step 1 compiles.
        self.first = self.last = (0.0, 0)
        self.loss = (0, 0.0)  # the last step whose loss was read, and the loss
        self.last_weights = []
        self._lock = threading.Lock()

    def on_train_begin(self, logs=None):
        """Draw the bar."""
        from tqdm import tqdm

        label = f"epoch {self.epoch + 1}/{self.recipe.epochs}"
        total = self.steps * self.batch
        disable = not self.shown or programs.hides_bar(sys.stdout)
        self.bar = tqdm(
            total=total, desc=label, unit=" images", leave=False, disable=disable, file=sys.stdout
        )

    def on_train_batch_end(self, batch, logs=None):
        """Note a finished step. Threads may call this late, and out of order."""
        now, done = time.perf_counter(), batch + 1
        loss = float(logs["loss"]) if done % LOOK_EVERY == 0 or done == self.steps else None
        with self._lock:
            if not self.last[1]:
                self.first = now, done
            self.last = max(self.last, (now, done), key=lambda ended: ended[1])
            if loss is not None and done > self.loss[0]:
                self.loss = done, loss

    def on_train_batch_begin(self, batch, logs=None):
        """Check the loss and the time of all finished steps, and update the bar."""
        self._look()

    def on_epoch_end(self, epoch, logs=None):
        """Check the last steps, and keep the weights that the averages replace."""
        self._look()
        if self.recipe.average:
            self.last_weights = [variable.numpy() for variable in self.model.trainable_variables]

    def on_train_end(self, logs=None):
        """Remove the bar."""
        self.bar.close()

    def _look(self):
        with self._lock:
            (start, before), (end, done), (step, loss) = self.first, self.last, self.loss
        if not done:
            return
        if not math.isfinite(loss):
            self.bar.close()
            raise make_explosion_error(f"{loss} at step {step} of", self.recipe, self.epoch)
        if step:
            self.bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
        self.bar.update(done * self.batch - self.bar.n)
        step_seconds = (end - start) / max(1, done - before)
        if self.say and min(done - before, end - start) >= ESTIMATE_AFTER:
            epochs = self.recipe.epochs - self.epoch
            left = step_seconds * (epochs * self.steps - done)
            with self.bar.external_write_mode(file=sys.stdout):
                self.say(format_estimate(left, epochs))
            self.say = None
        self.heed(step_seconds * (self.steps - done) + self.after)
