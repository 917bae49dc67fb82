"""List the programs, or run one of them: `python -m vgg_tf [PROGRAM ...]`, or `vgg-tf`."""

import runpy
import sys

PROGRAMS = {
    "vgg_tf.train": "train a network and test it; --smoke for a trial in seconds",
    "vgg_tf.stages": "train the paper's networks: VGG-11, then deeper ones, then larger scales",
    "vgg_tf.evaluate": "test trained networks with the paper's protocols",
    "vgg_tf.predict": "classify pictures",
    "vgg_tf.demo": "open a page that classifies pictures you drop on it",
    "vgg_tf.localize": "train, test and use box regression (appendix A)",
    "vgg_tf.transfer": "train linear SVMs on image descriptors of other data (appendix B)",
    "vgg_tf.export": "write ONNX, SavedModel, LiteRT and Core ML files",
    "vgg_tf.visualize": "draw data, training runs, networks, feature maps and heatmaps",
    "vgg_tf.preflight": "check initializers, TPU memory and the installation",
    "tfrecords_tools.write": "write images as TFRecord shards",
    "tfrecords_tools.verify": "find damaged shards",
    "tfrecords_tools.show": "print examples of shards and draw a contact sheet",
}


def main():
    """Run the program that the first word names; without one, print the programs.

    Raises:
        SystemExit: there is no such program; or the program ends with an exit code.
    """
    word, *words = sys.argv[1:] or ["--help"]
    short = {name.rpartition(".")[2]: name for name in PROGRAMS}
    if word in ("-h", "--help"):
        print("Programs of vgg_tf. Each prints its flags with --help.\n")
        for name, what in PROGRAMS.items():
            print(f"python -m {name:23}{what}")
        print("\nvgg-tf NAME is short for python -m: vgg-tf train --help")
    elif word == "--version":
        from vgg_tf.runtime.command_line import format_version

        print(format_version())
    elif word not in short:
        print(f"error: vgg-tf has no program {word}. It has: {', '.join(short)}.", file=sys.stderr)
        raise SystemExit(2)
    else:
        sys.argv = [short[word], *words]
        runpy.run_module(short[word], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
