"""The checks of the report: each returns its facts, and says whether they are good.

They run on JAX. A second network on the CPU, in float32, computes what the devices should find.
"""

import contextlib
import os
import platform
import resource
from dataclasses import replace

from vgg_tf.forecast import bounds, host
from vgg_tf.forecast.machine_bench import make_pixels, time_steps
from vgg_tf.runtime import chips, doctor

STEPS = 5  # of the comparison with the CPU
# Largest relative differences from the CPU. float32 is computed with full products. bfloat16 has 8
# bits: on a CPU the five losses of VGG-16 differed by 0.5 %.
LOSS, WEIGHTS, LOSS_BFLOAT16, POSTERIOR, RESUMED = 1e-3, 2e-2, 5e-2, 1e-3, 1e-4


def check_versions(bench):
    """Compare the installed packages with what belongs together."""
    versions = {name: doctor.find_version(name) for name in ("vgg_tf", "keras", "jax", "libtpu")}
    asked = doctor.find_asked_libtpu(doctor.list_requirements("jax"))
    every = {name: doctor.find_version(name) for name in doctor.PACKAGES}
    remedies = doctor.list_remedies(every, chips.find_tpu_chips()[1], asked)
    named = ", ".join(f"{name} {version or '-'}" for name, version in versions.items())
    facts = versions | {"python": platform.python_version(), "libtpu_asked": asked}
    return facts, f"{named}; {'; '.join(remedies)}", remedies == ["nothing to fix"]


def check_devices(bench):
    """Report the devices, and whether the machine has a TPU that is not used."""
    import jax

    found, (version, n) = bench.devices, chips.find_tpu_chips()
    facts = {"kind": found.kind, "replicas": found.replicas, "chips": n, "version": version}
    facts |= {"device_kind": jax.local_devices()[0].device_kind, "cpu": chips.describe_cpu()}
    good = found.kind == "tpu" or not (n or chips.describe_lost_tpu())
    return facts, f"{found.reason}; {facts['device_kind']}", good


def check_parity(bench):
    """Train five steps on the devices and on the CPU, from equal weights and on equal images."""
    import jax
    import numpy as np

    # At 0.01 the loss of noise jumps, and bfloat16 differs by 40 % after five steps.
    recipe = replace(bench.size.small, dropout=0.0, learning_rate=1e-3)
    batch = 8 * bench.devices.replicas
    images, labels = make_pixels(recipe, STEPS * batch)

    def train(devices, start=None):
        with devices.scope():
            _, scores = bench.build(recipe)
            if start is not None:
                scores.set_weights(start)
            before, losses = scores.get_weights(), []
            for i in range(STEPS):
                rows, _ = slice(i * batch, (i + 1) * batch), scores.reset_metrics()
                logs = scores.train_on_batch(images[rows], labels[rows], return_dict=True)
                losses.append(float(logs["loss"]))
            flat = [
                np.concatenate([w.ravel() for w in ws]) for ws in (before, scores.get_weights())
            ]
            return before, np.array(losses), flat[1] - flat[0]

    with jax.default_matmul_precision("highest"):
        start, right, moved = train(bench.cpu)
        _, exact, exactly = train(replace(bench.devices, policy="float32"), start)
    _, rough, _ = train(bench.devices, start)
    facts = {
        "losses_cpu": right.tolist(),
        "loss_float32": float(np.max(np.abs(exact / right - 1))),
        "weights_float32": float(np.linalg.norm(exactly - moved) / np.linalg.norm(moved)),
        "loss_own_precision": float(np.max(np.abs(rough / right - 1))),
    }
    good = facts["loss_float32"] < LOSS and facts["weights_float32"] < WEIGHTS
    good = good and facts["loss_own_precision"] < LOSS_BFLOAT16
    words = [f"{name.replace('_', ' ')} {facts[name]:.1e}" for name in list(facts)[1:]]
    return facts, f"{STEPS} steps differ from the CPU by: {', '.join(words)}", good


def check_step(bench):
    """Time training steps of one fixed batch, and compare them with the peak of the chip."""
    import jax

    from vgg_tf.forecast.topology import count_flops

    scores, batch, seconds = bench.timed
    chip = bounds.CHIPS.get(bounds.KINDS.get(jax.local_devices()[0].device_kind))
    flops = count_flops(scores)
    facts = {"arch": bench.size.arch, "size": bench.size.speed.size, "batch": batch}
    facts |= {"images_per_second": batch / seconds, "gflop_per_image": flops / 1e9}
    facts["share_of_peak"] = None
    if chip:
        peak = chip.peak * 1e12 * bench.devices.replicas
        facts["share_of_peak"] = flops * batch / seconds / peak
    share = f"{facts['share_of_peak']:.1%} of the peak" if chip else "the peak is not known"
    line = f"{facts['images_per_second']:,.0f} images/s, {share}: {facts['arch']} at "
    line += f"{facts['size']} pixels, {bench.devices.policy}, {batch:,} images a step"
    return facts, line, True


def check_input(bench):
    """Time the same steps on training views of the host, and the views alone."""
    scores, batch, alone = bench.timed
    with bench.devices.scope():
        views = host.make_views(bench.size.speed, batch)
        fed = time_steps(scores, views.take, bench.size.seconds)
    here = host.measure_host(bench.size.speed, bench.size.seconds)
    wanted = here.count_cores(batch / alone)
    facts = {"images_per_second": batch / fed, "waiting": max(0.0, 1 - alone / fed)}
    facts |= {"views_per_second": here.speed, "cores": here.cores, "cores_wanted": wanted}
    line = (
        f"{facts['waiting']:.1%} of a step waits for the input; {batch / fed:,.0f} images/s with "
    )
    line += f"it; views alone {here.per_core:,.0f} images/s a core on {here.cores} cores, of which "
    return facts, f"{line}the step wants {wanted:,}", True


def check_memory(bench):
    """Report the most memory that the steps took, of each device and of the host."""
    import jax

    assert bench.timed  # the steps have run
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    most = max(stats, key=lambda row: row.get("peak_bytes_in_use", 0))
    used, limit = most.get("peak_bytes_in_use"), most.get("bytes_limit")
    host_bytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    facts = {"device_bytes": used, "device_limit": limit, "host_bytes": host_bytes}
    words = "devices do not report theirs"
    if used:
        words = f"{used / bounds.GIB:.2f} of {(limit or 0) / bounds.GIB:.2f} GiB a device"
    return facts, f"{words}; {host_bytes / bounds.GIB:.2f} GiB of the host", True


class _StopError(Exception):
    """Interrupts a run after its first epoch."""


def check_resume(bench):
    """Interrupt a run after its first epoch, resume it, and compare it with a whole run."""
    import tensorflow as tf

    from vgg_tf.runs import run_folder
    from vgg_tf.runs.settings import Settings
    from vgg_tf.training import loop

    recipe, batch = replace(bench.size.small, epochs=2), 2 * bench.devices.replicas
    settings = Settings(bench.size.arch, "random", "0" * 16, bench.devices.policy, recipe)

    def batches(epoch):
        pixels = make_pixels(recipe, 2 * batch, epoch)
        return tf.data.Dataset.from_tensor_slices(pixels).batch(batch, drop_remainder=True)

    def stop(rows):
        if rows:
            raise _StopError

    def train(name, track):
        hooks = loop.Hooks(say=lambda line: None, track=track)
        folder = os.path.join(bench.folder, name)
        with bench.devices.scope(), run_folder.open_run(folder, settings) as run:
            model, _ = bench.build(recipe)
            state = loop.train(run, model, loop.Feed(2, batch, batches), hooks)
            return [row["loss"] for row in state.rows]

    whole = train("whole", lambda rows: None)
    with contextlib.suppress(_StopError):
        train("resumed", stop)
    resumed = train("resumed", lambda rows: None)
    difference = max(abs(b / a - 1) for a, b in zip(whole, resumed, strict=True))
    facts = {"losses": whole, "losses_resumed": resumed, "difference": difference}
    line = f"a resumed run differs from a whole one by {difference:.1e} of the loss"
    return facts, line, difference < RESUMED


def check_evaluation(bench):
    """Test center crops and whole images of two photographs on the devices and on the CPU."""
    import jax
    import numpy as np
    from sklearn.datasets import load_sample_images

    from vgg_tf.evaluation.evaluator import Evaluator

    recipe = bench.size.small
    low = recipe.size + 32
    units, photos = [(low, "center"), (low, "dense")], load_sample_images().images

    def test(devices, weights=None):
        with devices.scope():
            model, _ = bench.build(recipe)
            if weights is not None:
                model.set_weights(weights)
            batch = 2 * bench.devices.replicas
            evaluator = Evaluator(model, units, batch, devices.replicas, static=True)
            views = [
                (i, [view.numpy() for view in evaluator.cut_views(photo)])
                for i, photo in enumerate(photos)
            ]
            found = dict(evaluator.see(views))
            return np.stack([found[i] for i in range(len(photos))]), model.get_weights()

    with jax.default_matmul_precision("highest"):
        right, weights = test(bench.cpu)
        found, _ = test(replace(bench.devices, policy="float32"), weights)
    difference = float(np.abs(found - right).max())
    line = f"probabilities of center crops and dense tests differ from the CPU by {difference:.1e}"
    return {"difference": difference}, line, difference < POSTERIOR


CHECKS = {
    "versions": check_versions,
    "devices": check_devices,
    "parity": check_parity,
    "step": check_step,
    "input": check_input,
    "memory": check_memory,
    "resume": check_resume,
    "evaluation": check_evaluation,
}
