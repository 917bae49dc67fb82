"""Decoding, colors, and the views that a network sees in training and tests."""
