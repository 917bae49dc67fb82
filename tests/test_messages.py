"""Every error says what was received, and stands in the table of the docs."""

from pathlib import Path

from docs import errors
from tests.making import ROOT

# Parts of a message, to which the caller adds the name of the file.
PARTS = {
    "vgg_tf/images/flattening.py",
    "vgg_tf/records/annotations.py",
    "vgg_tf/records/collection.py",
    "vgg_tf/records/schema.py",
    "vgg_tf/runs/curves.py",
    "vgg_tf/runs/state_file.py",
    "vgg_tf/runtime/array_files.py",
    "vgg_tf/runtime/schemas.py",
    "vgg_tf/training/loop.py",
    "vgg_tf/weights/fitting.py",
    "vgg_tf/weights/pixel_layers.py",
    "vgg_tf/weights/container.py",
    "vgg_tf/weights/preprocessing.py",
    "vgg_tf/writing/job_files.py",
}


def test_every_error_says_what_was_received():
    files = [
        path for name in ("vgg_tf", "tfrecords_tools") for path in Path(ROOT, name).rglob("*.py")
    ]
    found = {
        (path.relative_to(ROOT).as_posix(), message): names
        for path in files
        for _, _, message, names in errors.find_messages(path)
    }
    assert len(found) > 200
    assert [key for key, names in found.items() if not names and key[0] not in PARTS] == []


def test_the_table_of_the_docs_is_that_of_the_code():
    page = Path(ROOT, "docs", "reference", "errors.md").read_text()
    assert page == errors.make_page(), "run python docs/errors.py"


def test_a_message_is_read_from_the_syntax_tree(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(
        "raise ValueError(f'a {x.y} b' 'c')\n"
        "raise OSError('plain')\n"
        "raise KeyError(text)\n"
        "sys.exit('n={}'.format(3))\n"
        "raise TypeError(where + 'c')\n"
    )
    found = [row[1:] for row in errors.find_messages(path)]
    assert sorted(found) == [
        ("OSError", "plain", False),
        ("TypeError", "{where}c", True),
        ("ValueError", "a {y} bc", True),
        ("sys.exit", "n={}", True),
    ]
