"""The training loop: flags, model, optimizers, schedules, progress."""
