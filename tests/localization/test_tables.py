"""Tables show the paper's numbers next to the settings that they belong to."""

from tests.making import cells_of
from vgg_tf.localization import tables


def test_the_papers_numbers_appear_only_next_to_their_own_settings():
    error = (30.0, (20.0, 40.0))
    _, *rows = cells_of(
        tables.format_table8(
            [("a", begin, "pcr", (384, 384), error) for begin in ("", "fc1", "block4")]
        )
    )
    layers, theirs = zip(*((row[1], row[5]) for row in rows), strict=True)
    assert layers == ("all", "fully connected", "from block4")
    assert theirs == ("33.1 %", "34.3 %", "")
    networks = [
        ("a", (256, 256), [256], error),
        ("b", (256, 512), [256], error),
        ("c", None, [256, 384], error),
    ]
    for known, theirs in ((False, ["29.5 %", "", "26.9 %"]), (True, [""] * 3)):
        header, *rows = cells_of(tables.format_table9(networks, known))
        assert ("class known" in header[3]) == known
        assert [row[4] for row in rows] == theirs


def test_a_name_with_a_bar_stays_in_its_cell():
    (row,) = cells_of(tables.format_table9([("a | b", None, [256], (1.0, (0.0, 2.0)))], True))[1:]
    assert row[:3] == [r"a \| b", "", "256"]
