"""Random damage to files: changed bytes, cut files, and JSON values that cannot be right."""

import json

from hypothesis import strategies as st

# Values of other types, huge ones, and ones that are no numbers.
JUNK = [
    *(None, True, "", "x", "../../away", [], {}, [None], {"a": 1}, [[[]]], "1" * 5000),
    *(-1, 0, 0.5, 10**7, 10**9, 10**30, -(10**30), 1e308),
    *(float("nan"), float("inf"), -float("inf"), ["x"] * 3, [float("nan")] * 3),
]


def list_places(value, place=()):
    """Yield the place of each value in a JSON value: the keys and positions that lead to it."""
    if place:
        yield place
    if isinstance(value, list):
        value = dict(enumerate(value))
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from list_places(inner, (*place, key))


def change_value(text, place, junk, remove):
    """Return a JSON text with another value at a place, or without it."""
    values = json.loads(text)
    *way, last = place
    inner = values
    for key in way:
        inner = inner[key]
    if remove:
        del inner[last]
    else:
        inner[last] = junk
    return json.dumps(values)


@st.composite
def damaged_json(draw, text):
    """Return a strategy of JSON texts with one to three changed or removed values."""
    for _ in range(draw(st.integers(1, 3))):
        if not (places := list(list_places(json.loads(text)))):
            break
        junk, remove = draw(st.sampled_from(JUNK)), draw(st.integers(0, 3)) == 0
        text = change_value(text, draw(st.sampled_from(places)), junk, remove)
    return text


@st.composite
def damaged_bytes(draw, data):
    """Return a strategy of bytes with one to three changed ones, or cut off."""
    if draw(st.integers(0, 4)) == 0:
        return data[: draw(st.integers(0, len(data) - 1))]
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        changed[draw(st.integers(0, len(data) - 1))] ^= draw(st.integers(1, 255))
    return bytes(changed)


def damaged(data, is_json):
    """Return a strategy of damaged bytes of a file."""
    if not is_json:
        return damaged_bytes(data)
    texts = damaged_json(data.decode()).map(str.encode)
    return st.one_of(texts, texts, damaged_bytes(data))
