"""The tables give the paper's numbers beside the settings that they belong to."""

from vgg_tf.localization import tables


def test_the_papers_numbers_stand_beside_what_they_are_of_alone():
    error = (30.0, (20.0, 40.0))
    rows = tables.format_table8(
        [("a", begin, "pcr", (384, 384), error) for begin in ("", "fc1", "block4")]
    ).splitlines()[2:]
    layers, theirs = zip(*(row.split(" | ")[1::4] for row in rows), strict=True)
    assert layers == ("all", "fully connected", "from block4")
    assert theirs == ("33.1 % |", "34.3 % |", " |")
    networks = [
        ("a", (256, 256), [256], error),
        ("b", (256, 512), [256], error),
        ("c", None, [256, 384], error),
    ]
    for known, theirs in ((False, ["29.5 % |", " |", "26.9 % |"]), (True, [" |"] * 3)):
        rows = tables.format_table9(networks, known).splitlines()
        assert ("class known" in rows[0]) == known
        assert [row.split(" | ")[4] for row in rows[2:]] == theirs
