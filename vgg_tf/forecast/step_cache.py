"""Compiled steps in a file, so that an interrupted table continues."""

import json
import os
from dataclasses import asdict

from vgg_tf.forecast.bounds import Step
from vgg_tf.paper import recipes
from vgg_tf.runtime import files
from vgg_tf.runtime.doctor import find_version

NAME = "steps.json"
# What compiles: another version of one of them may need other memory.
_COMPILERS = ("jax", "libtpu", "keras", "vgg_tf")


class StepCache:
    """The compiled steps of one network on one topology, kept in a file.

    The file has the steps of all networks and topologies. It is written after each step.
    """

    def __init__(self, folder, name, arch, recipe, classes):
        """Read the file, if it exists.

        Args:
            folder: path of a folder, which is made for the first step.
            name: name of the topology.
            arch: name of the architecture.
            recipe: the `Recipe`.
            classes: number of classes.

        Raises:
            ValueError: the file is not one of these.
        """
        self.path = os.path.join(folder, NAME)
        versions = [f"{package} {find_version(package)}" for package in _COMPILERS]
        facts = [*versions, name, arch, f"{classes} classes", json.dumps(recipes.to_json(recipe))]
        self._key = ", ".join(facts)

    def find(self, make, batch, kind="train"):
        """Return a step from the file, or make it and keep it.

        Args:
            make: function of the batch and the kind, as `topology.Topology.compile`.
            batch: number of images.
            kind: `train`, `crops` or `dense`.

        Returns:
            The `Step`.
        """
        steps, key = self._read(), f"{kind}, {batch} images, {self._key}"
        if key not in steps:
            steps[key] = asdict(make(batch, kind))
            files.make_folder(os.path.dirname(self.path))
            files.write_json(self.path, steps)
        return Step(**steps[key])

    def _read(self):
        remedy = "Delete it. The steps are then compiled again."
        return files.read_json(self.path, remedy) if files.exists(self.path) else {}
