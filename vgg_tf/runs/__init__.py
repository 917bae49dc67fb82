"""Run folders: settings, state, checkpoints, trackers."""
