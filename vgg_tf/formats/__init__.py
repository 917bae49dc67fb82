"""Exported networks: ONNX, SavedModel, LiteRT, Core ML."""
