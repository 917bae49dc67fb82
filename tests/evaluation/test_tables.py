"""The paper's tables, copied a second time from the paper."""

from types import SimpleNamespace

import pytest

from tests.making import cells_of
from vgg_tf.evaluation import tables
from vgg_tf.paper import results

# Net, S, Q, then top-1 / top-5 error on the validation images: Tables 3 and 4.
ONE_SCALE = """
A 256 256 29.6 10.4
A-LRN 256 256 29.7 10.5
B 256 256 28.7 9.9
C 256 256 28.1 9.4
C 384 384 28.1 9.3
C 256-512 384 27.3 8.8
D 256 256 27.0 8.8
D 384 384 26.8 8.7
D 256-512 384 25.6 8.1
E 256 256 27.3 9.0
E 384 384 26.9 8.7
E 256-512 384 25.5 8.0
"""
SEVERAL_SCALES = """
B 256 224,256,288 28.2 9.6
C 256 224,256,288 27.7 9.2
C 384 352,384,416 27.8 9.2
C 256-512 256,384,512 26.3 8.2
D 256 224,256,288 26.6 8.6
D 384 352,384,416 26.5 8.6
D 256-512 256,384,512 24.8 7.5
E 256 224,256,288 26.9 8.7
E 384 352,384,416 26.7 8.6
E 256-512 256,384,512 24.8 7.5
"""
ARCHS = {
    "A": "vgg11",
    "A-LRN": "vgg11_lrn",
    "B": "vgg13",
    "C": "vgg16c",
    "D": "vgg16",
    "E": "vgg19",
}
JITTER = (256, 512)


def network(arch, scale, crop=224, name="net"):
    return SimpleNamespace(arch=arch, scale=scale, crop=crop, name=name, flip=True)


@pytest.mark.parametrize(
    ("preset", "text"), [("paper-table3", ONE_SCALE), ("paper-table4", SEVERAL_SCALES)]
)
def test_tables_3_and_4_have_the_scales_and_errors_of_the_paper(preset, text):
    lines = [line.split() for line in text.split("\n") if line]
    networks = []
    for letter, S, *_ in lines:
        low, _, high = S.partition("-")
        networks.append(network(ARCHS[letter], (int(low), int(high or low))))
    found = tables.plan_rows(preset, networks)
    assert len(found) == len(lines) == len(results.PAPER[int(preset[-1])])
    for (nets, (protocol,), told), net, (_, _, Q, top1, top5) in zip(
        found, networks, lines, strict=True
    ):
        assert nets == [net]
        assert protocol.name == "dense"
        assert ",".join(map(str, protocol.scales)) == Q
        assert told == (float(top1), float(top5))


def test_table_5_compares_the_techniques():
    found = tables.plan_rows("paper-table5", [network("vgg16", JITTER), network("vgg19", JITTER)])
    assert [protocol.name for _, (protocol,), _ in found] == [
        "dense",
        "multi-crop",
        "multi-crop+dense",
    ] * 2
    assert [told for *_, told in found] == [
        (24.8, 7.5),
        (24.6, 7.5),
        (24.4, 7.2),
        (24.8, 7.5),
        (24.6, 7.4),
        (24.4, 7.1),
    ]
    assert {protocol.scales for _, (protocol,), _ in found} == {(256, 384, 512)}


def test_table_6_averages_networks_at_the_scales_of_each():
    two = [network("vgg19", JITTER), network("vgg16", JITTER)]
    assert [told for *_, told in tables.plan_rows("paper-table6", two)] == [
        (24.0, 7.1),
        (23.9, 7.2),
        (23.7, 6.8),
    ]
    seven = [
        ("vgg16", (256, 256)),
        ("vgg16", (384, 384)),
        ("vgg16", JITTER),
        ("vgg16c", (256, 256)),
        ("vgg16c", (384, 384)),
    ]
    seven = [network(*row) for row in (*seven, ("vgg19", (256, 256)), ("vgg19", (384, 384)))]
    dense, multi_crop, both = tables.plan_rows("paper-table6", seven)
    assert (dense[2], multi_crop[2], both[2]) == ((24.7, 7.5), None, None)
    assert [protocol.scales for protocol in dense[1]][:3] == [
        (224, 256, 288),
        (352, 384, 416),
        (256, 384, 512),
    ]
    assert [told for *_, told in tables.plan_rows("paper-table6", [*two, two[0]])] == [None] * 3
    with pytest.raises(
        ValueError, match=r"paper-table6 averages several networks, at least 2. Received: 1"
    ):
        tables.plan_rows("paper-table6", two[:1])


def test_networks_that_are_not_in_the_paper_have_no_numbers_from_it():
    small, normed, other = (
        network("vgg16", (32, 32), 32),
        network("vgg16_bn", (256, 256)),
        network("vgg16", (300, 300)),
    )
    found = tables.plan_rows("paper-table4", [small, normed, other])
    assert [told for *_, told in found] == [None] * 3
    assert [protocol.scales for _, (protocol,), _ in found] == [
        (32, 37),
        (224, 256, 288),
        (268, 300, 332),
    ]


def test_a_table_shows_our_errors_next_to_the_papers():
    scored = {
        "top1_error": 12.345,
        "top1_interval": [11, 14],
        "top5_error": 1.5,
        "top5_interval": [1.25, 2],
    }
    lines = [
        (*row, scored)
        for row in tables.plan_rows("paper-table3", [network("vgg19", JITTER, name="mine")])
    ]
    header, row = cells_of(tables.format_table(lines))
    assert header[-2:] == ["the paper's top-1", "top-5"]
    assert row == [
        *("E (mine)", "256-512", "384", "dense"),
        *("12.35 (11.00 to 14.00)", "1.50 (1.25 to 2.00)", "25.5", "8.0"),
    ]


def test_a_name_with_html_and_a_bar_stays_in_its_cell():
    scored = dict.fromkeys(("top1_error", "top5_error"), 1.0)
    scored |= dict.fromkeys(("top1_interval", "top5_interval"), (0, 2))
    name = "<script>alert(1)</script> | x"
    lines = tables.plan_rows("paper-table3", [network("vgg19", JITTER, name=name)])
    _, row = cells_of(tables.format_table([(*line, scored) for line in lines]))
    assert row[0] == r"E (\<script>alert(1)\</script> \| x)"
    assert len(row) == 8
