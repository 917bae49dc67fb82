"""Weights: read, write and copy them, in the formats of Keras and torchvision."""
