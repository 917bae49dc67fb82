"""JSON files are read and written whole, and a damaged file is named with a remedy."""

import re

import pytest

from vgg_tf.runtime import files


def test_a_written_value_is_read_back(tmp_path):
    value = {"name": "é", "numbers": [1, 2.5, None], "nested": {"a": True}}
    files.write_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value
    assert (tmp_path / "a.json").read_text().isascii()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1', r"a\.json is not valid JSON \(.*\)\. Delete it\.$"),
        (b"", r"a\.json is not valid JSON \(.*\)\. Delete it\.$"),
        (b"[1, 2]", r"a\.json must hold a JSON object\. Received: '\[1, 2\]'\. Delete it\.$"),
        (b"\xff\xfe", r"a\.json must be UTF-8 text\. Received: .*utf-8"),
    ],
)
def test_a_damaged_file_is_named_in_one_line_with_what_to_do(content, message, tmp_path):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        files.read_json(str(tmp_path / "a.json"), "Delete it.")
    assert "\n" not in str(raised.value)


def test_the_error_of_a_json_text_names_its_file():
    with pytest.raises(ValueError, match=re.escape("x.onnx is not valid JSON")):
        files.parse_json("{", "x.onnx")
