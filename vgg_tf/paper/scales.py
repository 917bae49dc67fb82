"""The smaller side S of the training images as a flag: one number, or the ends of a range."""

from typing import Annotated

import tyro


def _read_scale(words):
    low, _, high = words[0].partition(",")
    return (int(low), int(high or low))


Scale = Annotated[
    tuple[int, int],
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="S|S_MIN,S_MAX",
        instance_from_str=_read_scale,
        is_instance=lambda value: isinstance(value, tuple) and len(value) == 2,
        str_from_instance=lambda pair: [
            str(pair[0]) if pair[0] == pair[1] else f"{pair[0]},{pair[1]}"
        ],
    ),
]
