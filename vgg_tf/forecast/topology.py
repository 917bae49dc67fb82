"""Memory and operations of a training step, compiled for a TPU that is not attached.

libtpu compiles for a topology without the chips. The step is the one that Keras runs on JAX: the
network and optimizer of the recipe, metrics, and uint8 images shared among all devices. The first
topology imports Keras, on JAX, for the whole process.
"""

import functools
import math
import os
import re
import time
from dataclasses import replace
from types import SimpleNamespace

from vgg_tf.forecast.bounds import GIB, TOPOLOGIES, Step, compute_whole_sides
from vgg_tf.runtime import quiet, scopes

_JAX = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
# Without them libtpu queries Google's servers for minutes.
_LIBTPU = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
    # No chip is opened, so another process that compiles or trains does not matter.
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


def set_environment():
    """Return a context that loads Keras on JAX, JAX on the CPU, and libtpu without chips."""
    return scopes.set_environment(
        **{name: os.environ.get(name, value) for name, value in _LIBTPU.items()} | _JAX
    )


def find_devices(name):
    """Return the JAX devices of a topology. Call it inside `set_environment`.

    Args:
        name: one of `bounds.TOPOLOGIES`.

    Returns:
        List of devices.
    """
    from jax.experimental import topologies

    # libtpu expects 2 x 2 chips in a host, unless a single chip is named as the whole host.
    alone = {"chips_per_host_bounds": (1, 1, 1)} if TOPOLOGIES[name] == 1 else {}
    return topologies.get_topology_desc(platform="tpu", topology_name=name, **alone).devices


class Topology:
    """TPU devices that are not attached, and a network's training step on them."""

    def __init__(self, name, arch, recipe, classes):
        """Build the network.

        Args:
            name: one of `bounds.TOPOLOGIES`, such as `v5e:2x4`.
            arch: the architecture's name.
            recipe: the `Recipe`.
            classes: number of classes.

        Raises:
            ValueError: Keras runs on another backend.
        """
        with set_environment():
            quiet.quiet_tensorflow()
            import jax
            import keras
            import numpy as np

            if (engine := keras.config.backend()) != "jax":
                raise ValueError(
                    f"A topology needs Keras on JAX. Received: Keras on {engine}. Run "
                    "python -m vgg_tf.preflight --topology in a separate process."
                )
            found = find_devices(name)

        from vgg_tf.training.class_balance import compute_class_weights
        from vgg_tf.training.model import build, compile_scores, drop_softmax, make_optimizer

        self.recipe = recipe
        self.mesh = jax.sharding.Mesh(np.array(found), ("batch",))
        unseen = SimpleNamespace(mean_rgb=(0.0,) * 3, std_rgb=(1.0,) * 3)
        with scopes.set_precision("mixed_bfloat16"):
            model = build(arch, replace(recipe, initializer="zeros"), unseen, outputs=classes)
            self.scores = drop_softmax(model)
            weights = compute_class_weights(recipe.class_weights, (1,) * classes)
            compile_scores(self.scores, make_optimizer(recipe, 1), recipe.label_smoothing, weights)
            self.scores.optimizer.build(self.scores.trainable_variables)
            images, labels = (
                np.zeros((2, recipe.size, recipe.size, 3), np.uint8),
                np.zeros(2, np.int32),
            )
            # Makes the metrics' variables, as fit would.
            self.scores._symbolic_build(data_batch=(images, labels))

    @property
    def devices(self):
        """Number of JAX devices."""
        return self.mesh.devices.size

    @functools.cached_property
    def available(self):
        """Memory of a device in bytes, from XLA's error for a program that is too large."""
        import jax

        endless = self._place((2**40,), "float32")
        try:
            jax.jit(lambda x: x + x[::-1]).lower(endless).compile()
        except jax.errors.JaxRuntimeError as error:
            return _out_of_memory(error)[1]
        raise AssertionError(f"libtpu compiled a program of 4 TiB for {self.devices} devices")

    def compile(self, batch, kind="train"):
        """Compile a step for `batch` images on all devices together.

        With `recipe.accumulate`, a training step takes one part of a batch.

        Args:
            batch: number of images.
            kind: `train`; `crops` for the logits of center crops; or `dense` for the logits of
                whole images of 4:3 and their flips.

        Returns:
            A `Step`.
        """
        import jax

        network, rows, sides = self.scores, batch, (self.recipe.size,) * 2
        if kind == "dense":
            network, rows, sides = self.dense, 2 * batch, compute_whole_sides(self.recipe)
        groups = [network.trainable_variables, network.non_trainable_variables]
        if kind == "train":
            groups += [network.optimizer.variables, network.metrics_variables]
        state = tuple([self._place(v.value.shape, v.value.dtype) for v in g] for g in groups)
        images = self._place((rows, *sides, 3), "uint8", "batch")
        if kind == "train":
            data = (images, self._place((batch,), "int32", "batch"))
            step = jax.jit(network.train_step, donate_argnums=0)
        else:
            data, step = images, jax.jit(lambda state, x: network.stateless_call(*state, x)[0])
        start = time.perf_counter()
        return self._count(step.lower(state, data), batch, start)

    @functools.cached_property
    def dense(self):
        """The network with its head as convolutions."""
        from vgg_tf.models.conversion import convert_head

        with scopes.set_precision("mixed_bfloat16"):
            return convert_head(self.scores)

    def _place(self, shape, dtype, *axes):
        """Return an array without values, whole on each device or shared along `axes`."""
        import jax

        place = jax.sharding.NamedSharding(self.mesh, jax.sharding.PartitionSpec(*axes))
        return jax.ShapeDtypeStruct(shape, dtype, sharding=place)

    def _count(self, lowered, batch, start):
        """Compile a lowered step, and return the `Step`."""
        import jax

        try:
            compiled = lowered.compile()
        except jax.errors.JaxRuntimeError as error:
            needed = _out_of_memory(error)[0]
            seconds = time.perf_counter() - start
            return Step(self.devices, batch, needed, self.available, 0.0, 0.0, seconds)
        seconds = time.perf_counter() - start
        memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
        # Outputs reuse the memory of the arguments that they replace.
        needed = memory.argument_size_in_bytes + memory.temp_size_in_bytes
        needed += memory.output_size_in_bytes - memory.alias_size_in_bytes
        counts = cost["flops"], cost["bytes accessed"], seconds
        return Step(self.devices, batch, needed, self.available, *counts)


def _out_of_memory(error):
    """Return the bytes needed and available from XLA's error; raise any other error."""
    units = {"K": 2**10, "M": 2**20, "G": GIB, "T": 2**40}
    found = re.search(
        r"\(([\d.]+)([KMGT])\) exceeds available HBM \(([\d.]+)([KMGT])\)", str(error)
    )
    if "RESOURCE_EXHAUSTED" not in str(error) or not found:
        raise error
    needed, unit, available, other = found.groups()
    return int(float(needed) * units[unit]), int(float(available) * units[other])


def count_flops(model):
    """Count the operations of a training step per image.

    A weight makes a multiplication and an addition at each position; padding does not count. The
    backward pass takes twice the operations of the forward pass: for the gradient of the weights
    and that of the input. The first trained layer needs no gradient of its input. Frozen layers
    before it run forward only.

    Args:
        model: a network of `build_vgg` with its head, for crops of one size.

    Returns:
        float, operations per image.
    """
    total, below = 0, False  # whether a layer below learns
    for layer in model.layers:
        if not hasattr(layer, "kernel"):
            continue
        forward = 2 * math.prod(layer.kernel.shape)
        if len(layer.kernel.shape) == 4:
            for side in layer.output.shape[1:3]:
                reach = layer.kernel.shape[0]
                # At each edge, reach // 2 of the kernel's rows are padding, and one fewer with
                # each step inwards.
                forward *= (side * reach - reach // 2 * (reach // 2 + 1)) / reach
        total += forward * (1 + layer.trainable + below)
        below = below or layer.trainable
    return total
