"""MkDocs hook: the notebooks as pages.

The slow tests run the notebooks with small numbers, and keep them with their outputs where the
environment variable `VGG_TF_NOTEBOOKS` names a folder. Without it, the pages have no outputs.
"""

import os
from pathlib import Path

import nbformat
from mkdocs.structure.files import File
from nbconvert.exporters import MarkdownExporter

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "tutorials"


def on_config(config):
    """Add the pages to the navigation.

    Args:
        config: the `MkDocsConfig`.

    Returns:
        The changed config.
    """
    pages = [f"{FOLDER}/{path.stem}.md" for path in _list_notebooks()]
    config.nav = [
        entry if "Tutorials" not in entry else {"Tutorials": pages} for entry in config.nav
    ]
    return config


def on_files(files, config):
    """Add the page and the figures of each notebook.

    Args:
        files: the `Files` of the site.
        config: the `MkDocsConfig`.

    Returns:
        The files.
    """
    for path in _list_notebooks():
        ran = Path(os.environ.get("VGG_TF_NOTEBOOKS", ""), path.name)
        notebook = nbformat.read(ran if ran.is_file() else path, as_version=4)
        resources = {"unique_key": path.stem, "output_files_dir": path.stem}
        text, resources = MarkdownExporter().from_notebook_node(notebook, resources)
        files.append(File.generated(config, f"{FOLDER}/{path.stem}.md", content=text))
        for name, content in resources["outputs"].items():
            files.append(File.generated(config, f"{FOLDER}/{name}", content=content))
    return files


def _list_notebooks():
    return sorted((ROOT / "notebooks").glob("*.ipynb"))
