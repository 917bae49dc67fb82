"""Quiet TensorFlow, oneDNN as in the programs, and the folder of real pictures."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
