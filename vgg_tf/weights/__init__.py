"""Weights: reading, writing and inheritance, in Keras' and torchvision's formats."""
