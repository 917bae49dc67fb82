"""Run folders: settings, state, checkpoints and trackers."""
