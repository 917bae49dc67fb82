"""The paper's chain of training runs: which network starts from which."""

from dataclasses import dataclass

from vgg_tf.paper.presets import RECIPES


@dataclass(frozen=True)
class Stage:
    """One training run of the paper's chain.

    Attributes:
        arch: Name of the architecture.
        recipe: Name of the recipe.
        scale: Training scale `(S_min, S_max)`, in pixels.
        layers: Layers to copy from the previous stage, as for `inheritance.inherit_weights`; empty
            for none.
    """

    arch: str
    recipe: str
    scale: tuple[int, int]
    layers: str


def list_stages(arch, size=224):
    """Return the chain that ends with this network at S in [256, 512] (sections 3.1 and 4.1).

    A starts from random weights, and B to E start from seven layers of A. Then S=384 starts from
    S=256, and S in [256, 512] starts from S=384, with all layers. A and A-LRN have the same depth;
    both start from random weights at S=256.

    Args:
        arch: Name of the architecture. For networks with batch normalization A is `vgg11_bn`.
        size: Side of the crop, in pixels. S is the paper's for 224, and in proportion for others.

    Returns:
        List of `Stage`, in training order.
    """
    first = "vgg11_bn" if arch.endswith("_bn") else "vgg11"
    deeper = arch not in (first, "vgg11_lrn")
    links = [(first, "paper", "")] if deeper else []
    links += [(arch, "paper", "paper" if deeper else ""), (arch, "paper384", "all-matching")]
    links += [(arch, "paper-jitter", "all-matching")]
    scales = {
        name: tuple(round(S * size / 224) for S in RECIPES[name].scale) for _, name, _ in links
    }
    return [Stage(arch, name, scales[name], layers) for arch, name, layers in links]
