"""The paper as data: architectures, recipes, protocols, results. No Keras."""
