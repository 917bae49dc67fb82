"""Write the address of the repository where it is shown: `python docs/repository.py`.

It stands in the metadata of the package, in CITATION.cff and in mkdocs.yml. While there is no
address, they have none. `python -m docs.notebooks` writes it into the notebooks.
"""

import re
from pathlib import Path

REPOSITORY = ""  # such as https://github.com/OWNER/vgg_tf
ROOT = Path(__file__).resolve().parent.parent
# For each file: the line before the address, and the lines of the address.
PLACES = {
    "pyproject.toml": (
        'vgg-tf = "vgg_tf.__main__:main"\n',
        '\n[project.urls]\nRepository = "{0}"\nIssues = "{0}/issues"\n',
    ),
    "CITATION.cff": ("license: MIT\n", "repository-code: {0}\n"),
    "mkdocs.yml": ("site_dir: build/site\n", "repo_url: {0}\n"),
}


def fill(name, text, url):
    """Return the text of a file with an address, or without one.

    Args:
        name: a key of `PLACES`.
        text: str, the file.
        url: str, the address; empty removes it.

    Returns:
        str.

    Raises:
        ValueError: the file has no line after which the address belongs.
    """
    before, lines = PLACES[name]
    if before not in text:
        raise ValueError(
            f"{name} must have the line {before!r}. Received: a file without it. Add it."
        )
    old = re.escape(lines).replace(r"\{0\}", r"[^\s\"]+")
    bare = re.sub(re.escape(before) + old, before, text)
    return bare.replace(before, before + (lines.format(url) if url else ""), 1)


if __name__ == "__main__":
    for each in PLACES:
        path = ROOT / each
        path.write_text(fill(each, path.read_text(), REPOSITORY))
