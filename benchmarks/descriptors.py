"""Descriptors of appendix B: what they are worth beside plainer ones, and how fast they come.

    python benchmarks/descriptors.py worth FOLDER --weights cifar10 --scales 48,64,96
    python benchmarks/descriptors.py speed FOLDER --pictures 60

`worth` trains the same linear SVM, by the same protocol and on the same random splits, on raw
pixels, on colour histograms and on our descriptors. `speed` takes a VGG-16 of 224 pixels with
random weights through the same pictures, dense at Q=256 with the flip, by us and by a plain loop
over `keras.applications`, whose last map is averaged; medians of the rounds.
"""

import argparse
import statistics
import time

import numpy as np


def main(arguments=None):
    """Run what the first word names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["worth", "speed"])
    parser.add_argument("folder", help="class folders")
    parser.add_argument("--weights", nargs="+", default=["cifar10"])
    parser.add_argument("--scales", default="48,64,96")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--width", type=float, default=1.0, help="of our VGG-16, whose speed is measured"
    )
    parser.add_argument("--head-width", type=int, default=4096)
    flags = parser.parse_args(arguments)
    from vgg_tf.runtime import quiet

    quiet.quiet_tensorflow()
    from vgg_tf.data import opening
    from vgg_tf.features.protocols import merge_splits

    source, *_ = merge_splits(opening.open_source(flags.folder), "caltech")
    (worth if flags.what == "worth" else speed)(source, flags)


def worth(source, flags):
    """Mean class recall of each kind of descriptor, in a table."""
    from vgg_tf.features import descriptors, svm

    images = source.splits["train"]
    ours = descriptors.extract(source, flags.weights, flags.scales, "stack")
    kinds = {
        "raw pixels, 32 x 32": _described(images, _pixels),
        "colour histogram, 8 x 8 x 8": _described(images, _histogram),
        f"{' + '.join(flags.weights)}, Q={flags.scales}, stacked": ours,
    }
    print(
        f"\n| descriptor | numbers | mean class recall, {flags.splits} splits |\n| --- | --- | "
        "--- |"
    )
    for name, rows in kinds.items():
        means = [
            100 * svm.run_caltech(rows, images.labels, seed).mean for seed in range(flags.splits)
        ]
        print(
            f"| {name} | {rows.shape[1]:,} | {np.mean(means):.1f} +- "
            f"{np.std(means, ddof=1):.1f} % |",
            flush=True,
        )


def _described(images, of):
    from vgg_tf.images.decoding import decode_named

    rows = np.stack([of(decode_named(images.read(i), images.names[i])) for i in range(len(images))])
    rows = np.float64(rows) - np.mean(rows, 0)
    return np.float32(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _pixels(image):
    import tensorflow as tf

    return tf.image.resize(image, [32, 32], antialias=True).numpy().ravel()


def _histogram(image):
    counts = np.histogramdd(image.reshape(-1, 3), bins=(8, 8, 8), range=[(0, 256)] * 3)[0].ravel()
    return np.sqrt(counts / counts.sum())


def speed(source, flags):
    """Descriptors a second by us and by a plain loop, side by side."""
    import keras
    import tensorflow as tf

    from vgg_tf import build_vgg, write_weights
    from vgg_tf.evaluation import checkpoint, posteriors
    from vgg_tf.images.decoding import decode_named
    from vgg_tf.runtime import devices, files

    some = source.splits["train"]
    pictures = [
        decode_named(some.read(i), some.names[i]) for i in range(min(flags.pictures, len(some)))
    ]
    path = "runs/descriptors-benchmark.safetensors"
    files.make_folder("runs")
    write_weights(build_vgg("vgg16", seed=0, width=flags.width, head_width=flags.head_width), path)
    theirs = keras.applications.VGG16(
        weights=None, include_top=False, input_shape=(None, None, 3), pooling="avg"
    )

    def plain():
        rows = []
        for picture in pictures:
            h, w, _ = picture.shape
            side = 256 / min(h, w)
            rescaled = tf.image.resize(
                picture, [round(h * side), round(w * side)], antialias=True
            ).numpy()
            for view in (rescaled, rescaled[:, ::-1]):
                rows.append(
                    theirs.predict_on_batch(
                        keras.applications.vgg16.preprocess_input(view.copy())[np.newaxis]
                    )
                )
        return rows

    found = {}
    for precision in ("float32", devices.choose("cpu", "auto").policy):
        found.setdefault(f"ours, {precision}", (precision, []))
    network = checkpoint.open_checkpoint(path)
    evaluators = {}
    for name, (precision, _) in found.items():
        evaluators[name] = posteriors.make_evaluator(
            network, [(256, "dense")], devices.choose("cpu", precision), describe=True
        )
    loop = []
    for _ in range(flags.rounds + 1):  # the first warms up
        for name, (_, seconds) in found.items():
            start = time.perf_counter()
            list(
                evaluators[name].see(
                    (k, [v.numpy() for v in evaluators[name].cut_views(p)])
                    for k, p in enumerate(pictures)
                )
            )
            seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        plain()
        loop.append(time.perf_counter() - start)
    base = statistics.median(loop[1:])
    print(f"\n{len(pictures)} pictures, Q=256 and flip, medians of {flags.rounds}\n")
    print("| way | descriptors/s | beside the loop |\n| --- | --- | --- |")
    print(
        "| keras.applications VGG16, one view at a time, last map averaged | "
        f"{len(pictures) / base:.2f} | 1.00 |"
    )
    for name, (_, seconds) in found.items():
        ours = statistics.median(seconds[1:])
        print(f"| {name}, fc2 averaged | {len(pictures) / ours:.2f} | {base / ours:.2f} |")


if __name__ == "__main__":
    main()
