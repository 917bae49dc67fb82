"""Write the cell that installs vgg_tf, and badges, into the notebooks: `python -m docs.notebooks`.

The address is `REPOSITORY` of docs/repository.py. While it is empty, the notebooks install a wheel
or a clone, and have no badges.
"""

import json
import sys
from pathlib import Path

from docs.repository import REPOSITORY

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
# Packages of the image are constraints, so that none of them is replaced. Keras is not among them:
# vgg_tf needs 3.15, and Colab's image had 3.13 in August 2026.
CELL = """\
# Install vgg_tf where it is missing. What is installed already stays as it is, except Keras.
import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("vgg_tf") is None:
    # A wheel next to the notebook or attached as a Kaggle data set, a clone, or the repository.
    found = [*Path().glob("vgg_tf-*.whl"), *Path("/kaggle", "input").rglob("vgg_tf-*.whl")]
    found += [path for path in (Path(), Path("..")) if (path / "vgg_tf" / "__init__.py").exists()]
    source = str(found[0].resolve()) if found else "{source}"
    if not source:
        raise SystemExit("Put the wheel of vgg_tf next to the notebook, or attach it as a data set")
    kept = {{package.name: package.version for package in importlib.metadata.distributions()}}
    kept = [f"{{name}}=={{version}}" for name, version in kept.items() if name.lower() != "keras"]
    Path("constraints.txt").write_text("\\n".join(kept))
    words = ["-q", "-c", "constraints.txt", source]
    if importlib.util.find_spec("tensorflow") is None:  # it reads the pictures, also for JAX
        words.append("tensorflow-cpu")
    subprocess.run([sys.executable, "-m", "pip", "install", *words], check=True)"""
COLAB = "https://colab.research.google.com"
BADGE = "[![Open in {name}]({image})]({link})"
MARK = "<!-- badges -->"


def make_cell(repository=REPOSITORY):
    """Return the source of the cell that installs the package.

    Args:
        repository: Address of the repository; empty if it is not published.

    Returns:
        str.
    """
    return CELL.format(source=f"git+{repository}" if repository else "")


def make_badges(name, repository=REPOSITORY):
    """Return the badges that open a notebook in Colab and in Kaggle.

    Args:
        name: File name of the notebook.
        repository: Address of the repository; empty if it is not published.

    Returns:
        str, Markdown; empty without a repository.
    """
    if not repository:
        return ""
    place = f"{repository}/blob/main/notebooks/{name}"
    colab = f"{COLAB}/github/{place.partition('github.com/')[2]}"
    badges = [
        ("Colab", f"{COLAB}/assets/colab-badge.svg", colab),
        (
            "Kaggle",
            "https://kaggle.com/static/images/open-in-kaggle.svg",
            f"https://kaggle.com/kernels/welcome?src={place}",
        ),
    ]
    lines = [BADGE.format(name=site, image=image, link=link) for site, image, link in badges]
    return "\n".join([MARK, *lines])


def update(notebook, name, repository=REPOSITORY):
    """Put the badges and the install cell into a notebook.

    Args:
        notebook: Dict of the notebook, changed in place.
        name: Its file name.
        repository: Address of the repository; empty if it is not published.
    """
    cells = notebook["cells"]
    start = "".join(cells[0]["source"]).partition(f"\n\n{MARK}")[0]
    badges = make_badges(name, repository)
    _set_source(cells[0], start + (f"\n\n{badges}" if badges else ""))
    install = next((cell for cell in cells if "install" in cell["metadata"].get("tags", ())), None)
    if install is None:
        install = {"cell_type": "code", "execution_count": None, "outputs": []}
        install["metadata"] = {"tags": ["install"]}
        cells.insert(1, install)
    _set_source(install, make_cell(repository))
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i:02d}"


def _set_source(cell, text):
    cell["source"] = text.splitlines(keepends=True)


def main():
    """Write the notebooks that differ, and print their names."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = json.loads(path.read_text())
        update(notebook, path.name)
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        if text != path.read_text():
            path.write_text(text)
            print(f"written: notebooks/{path.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
