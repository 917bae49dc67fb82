"""Train the paper's chain of runs: `python -m vgg_tf.stages --arch vgg16 --data SHARDS`."""

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from vgg_tf.forecast import trial
from vgg_tf.paper.architectures import find_architecture
from vgg_tf.paper.recipes import describe_differences
from vgg_tf.paper.stages import list_stages
from vgg_tf.runtime import command_line, files, programs
from vgg_tf.runtime.engines import make_child_environment
from vgg_tf.training.flags import Flags as TrainFlags
from vgg_tf.training.flags import parse

OWN = ("--recipe", "--config", "--scale", "--learning-rate", "--inherit", "--inherit-layers")

PROG = "python -m vgg_tf.stages"


@dataclass(frozen=True)
class Flags:
    """Train A from scratch, then the network from A at S=256, S=384 and S in [256, 512].

    These are the stages of sections 3.1 and 4.1. Each stage is a run folder and one command of
    python -m vgg_tf.train, which gets all other flags, such as --epochs, --batch-size or
    --strategy. The same command continues where it was interrupted, in any stage.

    Attributes:
        data: Images: a folder of shards, of class folders or of the ILSVRC competition, tfds:NAME,
            or digits (scikit-learn's).
        arch: Architecture: vgg11, vgg11_lrn, vgg13, vgg16c, vgg16 or vgg19. Add _bn for batch
            normalization (all but vgg11_lrn).
        out: Folder of the runs. The default is runs/<arch>-stages-<name of the data>.
        size: Side of the crops, in pixels. S is scaled in proportion.
        plan: Train nothing. Show the stages, their images, and an estimate of their hours here.
    """

    data: str
    arch: str = "vgg16"
    out: str | None = None
    size: int = 224
    plan: bool = False


def plan_runs(flags, others):
    """Return the stages in their order.

    Args:
        flags: the `Flags`.
        others: words for python -m vgg_tf.train in all stages.

    Returns:
        list of `(stage, out, arguments)`: the `stages.Stage`, its run folder, and the words for
        python -m vgg_tf.train.

    Raises:
        ValueError: a word is a flag that the stages set themselves.
    """
    if own := [word for word in others if word.split("=")[0].replace("_", "-") in OWN]:
        raise ValueError(
            f"Each stage sets its own {', '.join(OWN)}. Received: "
            f"{', '.join(own)}. Omit it, or use python -m vgg_tf.train for a single run."
        )
    folder = flags.out or os.path.join(
        "runs", f"{flags.arch}-stages-{Path(flags.data).name.replace(':', '-')}"
    )
    stages = []
    for i, stage in enumerate(list_stages(flags.arch, flags.size), start=1):
        scale = ",".join(map(str, sorted(set(stage.scale))))
        out = os.path.join(folder, f"{i}-{stage.arch}-S{scale.replace(',', '-')}")
        words = ["--arch", stage.arch, "--data", flags.data, "--recipe", stage.recipe]
        words += ["--size", str(flags.size), "--scale", scale, "--out", out]
        if stages:
            words += ["--inherit", stages[-1][1], "--inherit-layers", stage.layers]
        stages.append((stage, out, [*words, *others]))
    return stages


def main(arguments=None):
    """Train the stages that are not done, or show the plan."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    command_line.check_words((Flags, TrainFlags), words, PROG)
    flags, others = tyro.cli(Flags, args=words, return_unknown_args=True, prog=PROG)
    find_architecture(flags.arch)
    stages = plan_runs(flags, others)
    source = _check(stages)
    if flags.plan:
        _plan(stages, source)
        return
    for i, (_, _, words) in enumerate(stages, start=1):
        print(
            f"\nstage {i} of {len(stages)}: python -m vgg_tf.train {shlex.join(words)}", flush=True
        )
        # A process for each stage, so that it ends as its command does, and frees all memory.
        if code := programs.call(["vgg_tf.train", *words], env=make_child_environment()):
            sys.exit(code)


def _check(stages):
    """Open the data, and raise if the flags do not fit all stages, before any stage runs."""
    source = None
    for _, out, words in stages:
        flags, source = parse(words, source)
        from vgg_tf.runs import run_folder  # after the flags: --help needs no numpy

        if run_folder.has_begun(out) and (
            difference := describe_differences(
                run_folder.read_run(out).settings.recipe, flags.numbers
            )
        ):
            raise FileExistsError(
                f"{out} holds another run: {difference}. Choose another --out, or delete it first."
            )
    return source


def _plan(stages, source):
    """Print the images and the estimated hours of each stage."""
    print(f"{'stage':24}{'images':>14}{'images/s':>10}{'hours':>10}  weights from")
    left, before = 0.0, "random"
    for stage, out, words in stages:
        name = os.path.basename(out)
        words_before, before = f"{before} ({stage.layers} layers)" if stage.layers else before, name
        if files.exists(os.path.join(out, "report.json")):
            print(f"{name:24}{'done':>14}{'':20}  {words_before}")
            continue
        images, speed = trial.time_training(words, source)
        hours = images / speed / 3600
        left += hours
        print(f"{name:24}{images:14,}{speed:10.1f}{hours:10.2f}  {words_before}", flush=True)
    print(
        f"{'remaining':24}{'':24}{left:10.2f}  at most: a plateau after the last drop ends a "
        "stage earlier"
    )


if __name__ == "__main__":
    programs.run(main)
