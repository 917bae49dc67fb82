"""Tables in Markdown keep each cell in its column, with its text."""

import doctest

import pytest

from tests.making import cells_of
from vgg_tf.figures import markdown
from vgg_tf.figures.markdown import format_csv, make_markdown_table


def test_numbers_in_strings_are_unchanged():
    rows = [["007", "1e5", "1,000", " 3.10 "], [1.50, None, 10**6, True]]
    header, *found = cells_of(make_markdown_table(["a", "b", "c", "d"], rows))
    assert header == ["a", "b", "c", "d"]
    assert found == [["007", "1e5", "1,000", "3.10"], ["1.5", "None", "1000000", "True"]]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<script>alert(1)</script> | x", r"\<script>alert(1)\</script> \| x"),
        ("two\nlines\r\n", "two lines"),
        (r"a\|b", r"a\\\|b"),
        ("", ""),
        ("猫", "猫"),
    ],
)
def test_a_text_stays_in_its_cell_and_its_line(name, shown):
    text = make_markdown_table(["name", "n"], [[name, 1], ["other", 2]])
    assert len(text.splitlines()) == 4
    assert cells_of(text) == [["name", "n"], [shown, "1"], ["other", "2"]]


def test_a_table_without_rows_has_a_header():
    assert make_markdown_table(["a", "b"], []).splitlines()[0].split() == ["|", "a", "|", "b", "|"]


def test_the_example_of_the_docstring():
    assert doctest.testmod(markdown).failed == 0


CELLS = {"=1+1": "'=1+1", "@x": "'@x", "+a": "'+a", "-1.5": "-1.5", "+3": "+3", "a=b": "a=b"}


@pytest.mark.parametrize(("cell", "written"), CELLS.items())
def test_a_text_like_a_formula_is_written_with_an_apostrophe(cell, written):
    assert format_csv([["class", "n"], [cell, -2]]) == f"class,n\n{written},-2\n"
