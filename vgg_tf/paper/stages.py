"""The paper's chain of trainings: which network starts from which."""

from dataclasses import dataclass

from vgg_tf.paper.presets import RECIPES


@dataclass(frozen=True)
class Stage:
    """One training of the paper's chain.

    Attributes:
        arch: the architecture.
        recipe: name of its recipe.
        scale: S in pixels, `(S_min, S_max)`.
        layers: which layers come from the stage before, as for `inheritance.inherit_weights`; empty
            for none.
    """

    arch: str
    recipe: str
    scale: tuple[int, int]
    layers: str


def list_stages(arch, size=224):
    """The chain that ends with this network trained at S in [256, 512] (sections 3.1 and 4.1).

    A from random weights; B to E from seven layers of A; then S=384 from S=256, and S in [256, 512]
    from S=384, all layers. A itself and A-LRN, which is no deeper, begin with their own S=256.

    Args:
        arch: the architecture's name; with batch normalisation A is `vgg11_bn`.
        size: side of the crop in pixels; S is the paper's for 224, in proportion for others.
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
