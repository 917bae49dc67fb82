"""List the programs: `python -m vgg_tf`."""

PROGRAMS = {
    "vgg_tf.train": "train a network and test it; --smoke for a trial in seconds",
    "vgg_tf.stages": "train the paper's networks: VGG-11, then deeper ones, then larger scales",
    "vgg_tf.evaluate": "test trained networks with the paper's protocols",
    "vgg_tf.predict": "classify pictures",
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
    """Print the programs with their descriptions."""
    print("Programs of vgg_tf. Each prints its flags with --help.\n")
    for name, what in PROGRAMS.items():
        print(f"python -m {name:23}{what}")


if __name__ == "__main__":
    main()
