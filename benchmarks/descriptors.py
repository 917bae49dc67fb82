"""Measure the recall and the throughput of the descriptors of appendix B.

    python benchmarks/descriptors.py worth FOLDER --weights cifar10 --scales 48,64,96
    python benchmarks/descriptors.py speed FOLDER --pictures 60

`worth` trains a linear SVM on raw pixels, on color histograms and on our descriptors, with the same
protocol and the same random splits. `speed` computes descriptors with a VGG-16 at 224 pixels with
random weights, dense at Q=256 with the flip. It compares this library with a plain loop over
`keras.applications` that averages the last map. Times are medians of the rounds.
"""

import argparse
import statistics
import time

import numpy as np

from vgg_tf.figures.markdown import make_markdown_table


def main(arguments=None):
    """Run the comparison that the first argument names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["worth", "speed"], help="recall or throughput")
    parser.add_argument("folder", help="class folders")
    parser.add_argument("--weights", nargs="+", default=["cifar10"], help="networks, for worth")
    parser.add_argument("--scales", default="48,64,96", help="scales in pixels, for worth")
    parser.add_argument("--splits", type=int, default=3, help="number of random splits, for worth")
    parser.add_argument("--pictures", type=int, default=60, help="number of pictures, for speed")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds, for speed")
    parser.add_argument(
        "--width", type=float, default=1.0, help="width multiplier of our VGG-16, for speed"
    )
    parser.add_argument(
        "--head-width", type=int, default=4096, help="outputs of fc1 and fc2, for speed"
    )
    flags = parser.parse_args(arguments)
    from vgg_tf.runtime import quiet

    quiet.quiet_tensorflow()
    from vgg_tf.data import opening
    from vgg_tf.features.protocols import merge_splits

    source, *_ = merge_splits(opening.open_source(flags.folder), "caltech")
    (compare_recall if flags.what == "worth" else compare_speed)(source, flags)


def compare_recall(source, flags):
    """Print the mean class recall of each kind of descriptor."""
    from vgg_tf.features import descriptors, svm

    images = source.splits["train"]
    ours = descriptors.extract(source, flags.weights, flags.scales, "stack")
    kinds = {
        "raw pixels, 32 x 32": _describe(images, _flatten_pixels),
        "color histogram, 8 x 8 x 8": _describe(images, _count_colors),
        f"{' + '.join(flags.weights)}, Q={flags.scales}, stacked": ours,
    }
    rows = []
    for name, described in kinds.items():
        runs = [svm.run_caltech(described, images.labels, seed) for seed in range(flags.splits)]
        means = [100 * run.mean for run in runs]
        spread = np.std(means, ddof=1)
        rows.append([name, f"{described.shape[1]:,}", f"{np.mean(means):.1f} +- {spread:.1f} %"])
    header = ["descriptor", "numbers", f"mean class recall, {flags.splits} splits"]
    print("\n" + make_markdown_table(header, rows))


def _describe(images, describe):
    """Return a centered descriptor of length 1 for each image, from a function of its pixels."""
    from vgg_tf.images.decoding import decode_named

    rows = [describe(decode_named(images.read(i), images.names[i])) for i in range(len(images))]
    rows = np.float64(rows) - np.mean(rows, 0)
    return np.float32(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _flatten_pixels(image):
    """Return the pixels of an image at 32 x 32, as a vector."""
    import tensorflow as tf

    return tf.image.resize(image, [32, 32], antialias=True).numpy().ravel()


def _count_colors(image):
    """Return the square roots of a normalized color histogram of 8 x 8 x 8 bins."""
    counts = np.histogramdd(image.reshape(-1, 3), bins=(8, 8, 8), range=[(0, 256)] * 3)[0].ravel()
    return np.sqrt(counts / counts.sum())


def compare_speed(source, flags):
    """Print the descriptors per second of this library and of a plain loop."""
    from vgg_tf.images.decoding import decode_named

    some = source.splits["train"]
    n = min(flags.pictures, len(some))
    pictures = [decode_named(some.read(i), some.names[i]) for i in range(n)]
    ways = {**_make_ours(flags), "loop": _make_loop()}
    seconds = {name: [] for name in ways}
    for _ in range(flags.rounds + 1):  # the first round is a warm-up
        for name, describe in ways.items():
            start = time.perf_counter()
            describe(pictures)
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    base = medians.pop("loop")
    loop = "keras.applications VGG16, one view at a time, last map averaged"
    rows = [[loop, f"{n / base:.2f}", "1.00"]]
    for name, ours in medians.items():
        rows.append([f"{name}, fc2 averaged", f"{n / ours:.2f}", f"{base / ours:.2f}"])
    print(f"\n{n} pictures, Q=256 and flip, medians of {flags.rounds}\n")
    print(make_markdown_table(["way", "descriptors/s", "versus the loop"], rows))


def _make_ours(flags):
    """Return a function of pictures for each precision, by name."""
    from vgg_tf import build_vgg, write_weights
    from vgg_tf.evaluation import checkpoint, posteriors
    from vgg_tf.runtime import devices, files

    path = "runs/descriptors-benchmark.safetensors"
    files.make_folder("runs")
    write_weights(build_vgg("vgg16", seed=0, width=flags.width, head_width=flags.head_width), path)
    network = checkpoint.open_checkpoint(path)

    def make(precision):
        chosen = devices.choose("cpu", precision)
        evaluator = posteriors.make_evaluator(network, [(256, "dense")], chosen, describe=True)

        def describe(pictures):
            views = ([view.numpy() for view in evaluator.cut_views(p)] for p in pictures)
            return list(evaluator.see(enumerate(views)))

        return describe

    precisions = dict.fromkeys(("float32", devices.choose("cpu", "auto").policy))
    return {f"ours, {precision}": make(precision) for precision in precisions}


def _make_loop():
    """Return a function that computes descriptors with Keras' VGG16, one view at a time."""
    import keras
    import tensorflow as tf

    network = keras.applications.VGG16(
        weights=None, include_top=False, input_shape=(None, None, 3), pooling="avg"
    )
    preprocess = keras.applications.vgg16.preprocess_input

    def describe(pictures):
        rows = []
        for picture in pictures:
            h, w, _ = picture.shape
            side = 256 / min(h, w)
            size = [round(h * side), round(w * side)]
            rescaled = tf.image.resize(picture, size, antialias=True).numpy()
            for view in (rescaled, rescaled[:, ::-1]):
                rows.append(network.predict_on_batch(preprocess(view.copy())[np.newaxis]))
        return rows

    return describe


if __name__ == "__main__":
    main()
