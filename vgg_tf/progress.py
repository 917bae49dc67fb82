"""What is said of an epoch: a bar while it runs, a line when it is done; and what ends it early."""

import math
import sys
import time

import keras

LOOK_EVERY = 50  # steps between two looks at the loss, which wait for the device


def line(row, state, recipe):
    """An epoch in one line.

    Args:
        row: of the log.
        state: the `runs.State` after it.
        recipe: the `Recipe`.
    """
    words = [f"epoch {state.epoch:>{len(str(recipe.epochs))}}/{recipe.epochs}", f"loss {row['loss']:.3f}"]
    words.append(f"train error {row['train_error']:.2f} %")
    if row["validation_error"] is not None:
        best = " *" if state.best_epoch == state.epoch else ""
        words.append(f"validation error {row['validation_error']:.2f} %{best}")
        if row["validation_top5_error"] is not None:
            words.append(f"top-5 {row['validation_top5_error']:.2f} %")
    words += [f"rate {row['learning_rate']:.3g}", f"{row['images_per_second']:.0f} images/s", f"{row['seconds']:.0f} s"]
    return ", ".join(words)


def explosion(what, recipe, epoch):
    """The error that ends a training whose loss is `what` epoch number `epoch`, from 0."""
    rate = recipe.learning_rate
    return FloatingPointError(
        f"The loss is {what} epoch {epoch + 1}. Look at the learning rate ({rate:g}; try --learning-rate {rate / 10:g}), the "
        f"initializer ({recipe.initializer}; a Gaussian of std 0.1 explodes, auto does not) and the images. The run folder "
        "holds the last good epoch, if there was one; other numbers then want another --out."
    )


class Watch(keras.callbacks.Callback):
    """A bar with rate and ETA on a terminal, a stop where the loss is not a number or the time ends."""

    def __init__(self, epoch, recipe, steps, batch, shown, heed, after):
        """Watch one epoch.

        Args:
            epoch: its number, from 0.
            recipe: the `Recipe`.
            steps: in the epoch.
            batch: images a step.
            shown: draw the bar where there is a terminal.
            heed: called after each step with the seconds until the epoch is saved; may raise.
            after: of these, the seconds from the last step on.
        """
        super().__init__()
        self.epoch, self.recipe, self.steps, self.batch = epoch, recipe, steps, batch
        self.shown, self.heed, self.after = shown, heed, after
        self.bar = self.started = None
        self.last_weights = []

    def on_train_begin(self, logs=None):
        """Draw the bar."""
        from tqdm import tqdm

        label = f"epoch {self.epoch + 1}/{self.recipe.epochs}"
        total = self.steps * self.batch
        disable = None if self.shown else True
        self.bar = tqdm(total=total, desc=label, unit=" images", leave=False, disable=disable, file=sys.stdout)

    def on_train_batch_end(self, batch, logs=None):
        """Move the bar, now and then look at the loss."""
        now, done = time.perf_counter(), batch + 1
        self.started = self.started or (now, done)
        self.bar.update(done * self.batch - self.bar.n)
        if done % LOOK_EVERY == 0 or done == self.steps:
            loss = float(logs["loss"])
            self.bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            if not math.isfinite(loss):
                self.bar.close()
                raise explosion(f"{loss} at step {done} of", self.recipe, self.epoch)
        start, before = self.started  # the end of the first step, which compiles
        self.heed((now - start) / max(1, done - before) * (self.steps - done) + self.after)

    def on_epoch_end(self, epoch, logs=None):
        """Keep the weights that the averages replace."""
        if self.recipe.average:
            self.last_weights = [variable.numpy() for variable in self.model.trainable_variables]

    def on_train_end(self, logs=None):
        """Remove the bar."""
        self.bar.close()
