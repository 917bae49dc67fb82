"""VGG networks as Keras models: layers, initializers, costs, heatmaps."""
