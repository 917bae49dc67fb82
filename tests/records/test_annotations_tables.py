"""Reading of Kaggle solution files, and errors for other files."""

import csv

import pytest

from tests.records.making import written
from vgg_tf.records import annotations


@pytest.fixture
def table(tmp_path):
    """A function that writes a solution file and returns its path."""

    def write(content):
        return written(tmp_path / "LOC_val_solution.csv", content)

    return write


HEAD = "ImageId,PredictionString\n"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_row_has_five_words_per_box_and_a_final_space(table, newline):
    rows = [
        "ILSVRC2012_val_00000002,n01440764 10 20 30 40 n01440764 1 2 3 4 ",
        "ILSVRC2012_val_00000001,n02084071 85 1 499 272 ",
    ]
    found = annotations.read_solution(table((HEAD + "\n".join(rows) + "\n").replace("\n", newline)))
    assert found == {
        "ILSVRC2012_val_00000002": [("n01440764", 10, 20, 30, 40), ("n01440764", 1, 2, 3, 4)],
        "ILSVRC2012_val_00000001": [("n02084071", 85, 1, 499, 272)],
    }


def test_a_table_from_csv_writer_is_read_back(tmp_path):
    rows = {
        f"ILSVRC2012_val_{i:08d}": [(f"n{j:08d}", i, j, i + 1.5, j + 2) for j in range(1 + i % 3)]
        for i in range(9)
    }
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["ImageId", "PredictionString"])
        writer.writerows(
            (name, " ".join(str(word) for box in boxes for word in box))
            for name, boxes in rows.items()
        )
    assert annotations.read_solution(str(path)) == rows


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n",
        "n01440764 tench\n",
        "PredictionString,ImageId\na,n1 1 2 3 4\n",
        "ImageId\na\n",
        b"PK\x03\x04\x14\x00",
        b"\x1f\x8b\xff\xfe",
    ],
)
def test_the_error_for_another_file_names_it(table, content):
    with pytest.raises(
        ValueError,
        match=r"LOC_val_solution\.csv.*(Download the solution file again|UTF-8)",
    ):
        annotations.read_solution(table(content))


@pytest.mark.parametrize(
    "row",
    [
        "b,n1 1 2 3",
        "b,n1 1 2 3 4 n1 1 2 3",
        "b,n1 1 2 3 4 5",
        "b,",
        "b",
        "b,n1 1 2 3 4,n1 1 2 3 4",
        "b,1 2 3 4 n1",
        "b,n1 1 2 x 4",
        "b,n1 1 2 nan 4",
    ],
)
def test_the_error_for_a_wrong_row_names_file_and_line(table, row):
    with pytest.raises(ValueError, match=r"LOC_val_solution\.csv, line 3: .+ Received: b"):
        annotations.read_solution(table(f"{HEAD}a,n1 1 2 3 4 \n{row}\nc,n1 1 2 3 4 \n"))


@pytest.mark.parametrize(
    "content",
    [
        HEAD.encode() + b"a,n1 1 2 3 4\nb\xff\xfe,n1 1 2 3 4\n",
        HEAD
        + 'a,"n1 1 2 3 4\n'
        + "b,n1 1 2 3 4\n" * 20_000,  # a quotation mark that is never closed
    ],
    ids=["bytes that are not text", "an open quotation mark"],
)
def test_the_error_for_an_unreadable_table_names_it(table, content):
    with pytest.raises(ValueError, match=r"LOC_val_solution\.csv"):
        annotations.read_solution(table(content))


def test_an_image_with_two_different_rows_is_an_error(tmp_path):
    path = tmp_path / "LOC_val_solution.csv"
    rows = ["ImageId,PredictionString", "a,n1 1 2 3 4 ", "b,n1 1 2 3 4 ", "a,n1 1 2 3 4 "]
    path.write_text("\n".join(rows))
    assert annotations.read_solution(str(path)).keys() == {"a", "b"}
    path.write_text("\n".join([*rows, "b,n2 1 2 3 4 "]))
    with pytest.raises(
        ValueError, match=r"LOC_val_solution\.csv, line 5: b occurs twice with different boxes"
    ):
        annotations.read_solution(str(path))
