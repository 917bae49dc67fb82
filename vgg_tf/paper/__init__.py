"""The paper as data, without Keras: architectures, recipes, protocols, results."""
