"""A pass over a pipeline has new views, and a pass with a seed has the same views again."""

import gc
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.making import noise, save
from vgg_tf import load_dataset, load_epochs, process_path
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection
from vgg_tf.runtime.pipelines import BATCHES, disable_autotuner
from vgg_tf.writing.write import write

FILES = 12


@pytest.fixture(scope="module")
def made(once):
    """Return pictures of two classes, as `files` and as `shards`."""

    def make(folder):
        for i in range(FILES):
            save(folder / "files" / "ab"[i % 2] / f"{i}.png", noise(30, 40, i))
        write(
            open_source(str(folder / "files"), Selection(hold_out=0)),
            str(folder / "shards"),
            progress=False,
        )

    return once("files_and_shards", make)


@pytest.fixture(scope="module")
def folder(made):
    return made / "files"


def views(batches):
    return [view.tobytes() for pixels, _ in batches for view in np.asarray(pixels)]


def plain(folder, parallel=None):
    """Return the pipeline of the README: `process_path` on listed files."""
    paths = tf.data.Dataset.list_files(f"{folder}/*/*", shuffle=False)
    return paths.map(
        lambda path: process_path(path, ["a", "b"], 16, (16, 24)), num_parallel_calls=parallel
    ).batch(4)


@pytest.mark.parametrize("parallel", [None, tf.data.AUTOTUNE])
def test_process_path_gives_new_views_in_every_pass(folder, parallel):
    keras.utils.set_random_seed(0)  # from here on, tf.random.uniform inside the map would repeat
    dataset = plain(folder, parallel)
    seen = views(dataset) + views(dataset)
    if parallel:
        seen += views(dataset.repeat(2)) + views(dataset.unbatch().shuffle(FILES, seed=0).batch(5))
    assert len(set(seen)) == len(seen) == (5 if parallel else 2) * FILES


def test_process_path_gives_new_views_in_every_epoch_of_fit_under_a_strategy(folder):
    seen = []

    class Model(keras.Model):
        def train_step(self, data):
            look = tf.numpy_function(
                lambda x: seen.extend(v.tobytes() for v in x) or np.float32(0),
                [data[0]],
                tf.float32,
            )
            return {"loss": tf.ensure_shape(look, [])}

    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        inputs = keras.Input([16, 16, 3])
        model = Model(inputs, keras.layers.Flatten()(inputs))
        model.compile(run_eagerly=False)
        model.fit(plain(folder), epochs=2, verbose=0, shuffle=False)
    assert len(seen) >= 2 * FILES
    assert len(set(seen)) == len(seen)


def test_a_seed_fixes_the_view_of_a_file_and_calls_without_a_seed_differ(folder):
    path = next(folder.glob("a/*"))

    def view(**options):
        return process_path(str(path), ["a", "b"], 16, (16, 24), **options)[0].numpy().tobytes()

    assert view(seed=3) == view(seed=3) != view(seed=4)
    assert view() != view()


def test_seeds_from_a_dataset_give_new_views_in_each_pass_and_repeat_in_each_program(folder):
    def program():
        paths = tf.data.Dataset.list_files(f"{folder}/*/*", shuffle=False)
        seeds = tf.data.Dataset.random(seed=0, rerandomize_each_iteration=True)
        pairs = tf.data.Dataset.zip(paths, seeds)
        dataset = pairs.map(
            lambda path, seed: process_path(path, ["a", "b"], 16, (16, 24), seed=seed)
        ).batch(4)
        return views(dataset), views(dataset)

    first, second = program()
    assert not set(first) & set(second)
    assert program() == (first, second)


@pytest.fixture(scope="module")
def sources(made):
    all_of_them = {"selection": Selection(hold_out=0)}
    return {"files": (str(made / "files"), all_of_them), "shards": (str(made / "shards"), {})}


# Options with which all tests share one graph of a view, or of a batch of views.
PASS = {"batch_size": 4, "size": 16, "scale": 16, "shift": 0.0, "padding": 2, "seed": 2, "steps": 2}


@pytest.mark.parametrize(
    ("kind", "cache"), [("files", "bytes"), ("shards", "none"), ("shards", "pixels")]
)
def test_each_training_dataset_counts_its_passes_from_the_first_epoch(sources, kind, cache):
    # Takes 2 s, like the tests below: a pass over a dataset that counts takes 0.5 s to start.
    source, options = sources[kind]
    one = load_epochs(source, cache=cache, **PASS | options)
    tf.random.set_seed(1)
    try:
        dataset = load_dataset(source, cache=cache, **PASS | options)
        gc.collect()  # the dataset must not depend on objects that only its function held
        assert len(dataset) == 2
        first, second = views(dataset), views(dataset)
    finally:
        tf.random.set_seed(None)
    assert first != second
    assert [first, second] == [views(one(epoch)) for epoch in range(2)]


def test_an_interrupted_pass_counts_and_two_passes_at_the_same_time_differ(sources):
    source, options = sources["shards"]
    dataset = load_dataset(source, **PASS | options)
    next(iter(dataset))
    one, other = (views(side) for side in zip(*zip(dataset, dataset, strict=True), strict=True))
    assert one == views(load_dataset(source, epoch=1, **PASS | options))
    assert other == views(load_dataset(source, epoch=2, **PASS | options))


def test_fit_reads_another_pass_of_load_dataset_in_each_epoch(sources):
    source, options = sources["files"]
    seen = []
    dataset = load_dataset(source, **PASS | options)

    class Model(keras.Model):
        def train_step(self, data):
            seen.append(data[0].numpy().tobytes())
            return {"loss": 0.0}

    inputs = keras.Input([16, 16, 3])
    model = Model(inputs, keras.layers.Flatten()(inputs))
    model.compile(run_eagerly=True)
    model.fit(dataset, epochs=2, verbose=0, shuffle=False)
    assert len(seen) == len(set(seen)) == 4
    assert seen[2:] == [
        pixels.numpy().tobytes() for pixels, _ in load_dataset(source, epoch=1, **PASS | options)
    ]


def test_all_passes_of_an_evaluation_are_equal(sources):
    source, options = sources["shards"]
    dataset = load_dataset(source, training=False, batch_size=5, size=16, **options)
    first, second = (
        [tuple(part.numpy().tobytes() for part in batch) for batch in dataset] for _ in range(2)
    )
    assert first == second
    assert len(first) == len(dataset) == 3


# Hosts with many cores


def throughput(dataset, seconds=0.75):
    """Return the elements/s of batches of 16 on a pool of 64 threads."""
    options = tf.data.Options()
    options.threading.private_threadpool_size = 64
    batches, n = iter(dataset.with_options(options)), 0
    next(batches)
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        next(batches)
        n += 16
    return n / (time.perf_counter() - start)


def slow_views():
    """Return batches of views that take 50 ms each and no CPU time."""

    def view(number):
        return tf.numpy_function(lambda number: time.sleep(0.05) or number, [number], tf.int64)

    views = tf.data.Dataset.range(10**6).map(view, num_parallel_calls=tf.data.AUTOTUNE)
    return views.batch(16, num_parallel_calls=BATCHES).prefetch(2)


@pytest.mark.slow
def test_the_input_uses_all_cores_of_a_host_with_64():
    # Takes 4 s: tf.data's autotuner needs 1 s to reach the full number of threads.
    tuned = throughput(slow_views(), seconds=1.5)
    assert throughput(disable_autotuner(slow_views(), threads=64)) > 0.85 * tuned
    assert throughput(disable_autotuner(slow_views(), threads=16)) < 0.5 * tuned
    nested = tf.data.Dataset.from_tensors(0).flat_map(
        lambda _: slow_views()
    )  # like a dataset that counts its passes
    assert throughput(disable_autotuner(nested, threads=64)) > 0.85 * tuned
