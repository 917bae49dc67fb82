"""Exported networks: ONNX, SavedModel, LiteRT and Core ML."""
