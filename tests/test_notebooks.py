"""The notebooks have no outputs, start with an introduction, and run with small numbers."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs import notebooks

FOLDER = Path(__file__).parent.parent / "notebooks"
# Runs first in the kernel and in every process that it starts. It does not change vgg11_bn, whose
# weights are shipped.
SITE = """
import importlib.machinery
import sys
from dataclasses import replace

from vgg_tf.paper.architectures import ARCHITECTURES

# with fewer convolutions, the paper's initializer gives too large outputs at 224 pixels
for name, n in (("vgg11", 5), ("vgg16", 1)):
    ARCHITECTURES[name] = replace(ARCHITECTURES[name], kernels=((3,),) * n + ((),) * (5 - n))


def few_digits(module):
    every = module._make_digits

    def some():
        source = every()
        splits = {
            name: split.take(range(0, len(split), 6)) for name, split in source.splits.items()
        }
        return replace(source, splits=splits)

    module._make_digits = some


def two_stages(module):
    every = module.list_stages
    module.list_stages = lambda *words: every(*words)[:2]


CHANGES = {
    "vgg_tf.paper.stages": two_stages,
    # instead of five seconds
    "vgg_tf.training.probe": lambda module: setattr(
        module.measure_throughput, "__defaults__", (0.0,)
    ),
    "vgg_tf.evaluation.reports": lambda module: setattr(module, "render_page", lambda *_: ""),
    "vgg_tf.data.opening": few_digits,
}


class Changed:
    def find_spec(self, name, path=None, target=None):
        if name in CHANGES:
            spec = importlib.machinery.PathFinder.find_spec(name, path)
            run = spec.loader.exec_module
            spec.loader.exec_module = lambda module: (run(module), CHANGES[name](module))[0]
            return spec


sys.meta_path.insert(0, Changed())
"""
SMALL = {
    "1_quickstart": "epochs = 1",
    "2_records_and_pipelines": "pictures, seconds = 18, 0.1",
    "3_train_on_a_tpu": "smoke, data, arch = True, 'digits', 'vgg11'",
    "4_testing_as_in_the_paper": "epochs = 1",
    "5_what_the_network_sees": "",
    "6_boxes_and_descriptors": "pictures, epochs = 80, 1",
    "7_export": "n = 2",
    "8_fine_tune_and_ship": "epochs = 1",
}
BOOKS = sorted(FOLDER.glob("*.ipynb"))


def source(cell):
    return "".join(cell["source"])


def test_every_notebook_has_small_numbers_here():
    assert [book.stem for book in BOOKS] == list(SMALL)


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_a_notebook_has_no_outputs_and_its_introduction_has_the_duration(book):
    cells = json.loads(book.read_text())["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert re.search(r"You will see .* (minute|minutes)\b", source(cells[0]).replace("\n", " "))
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
    code = "\n".join(source(cell) for cell in cells)
    assert re.search(r"from vgg_tf import|-m vgg_tf\.", code)
    assert ".main([" not in code
    assert not re.search(r"(?<!\w)/(home|root|work|tmp|content|kaggle)/", code)


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_the_install_cell_is_generated_and_badges_need_a_repository(book):
    stored = json.loads(book.read_text())
    made = copy.deepcopy(stored)
    notebooks.update(made, book.name)
    assert made == stored, "run python -m docs.notebooks"
    assert "badge" not in source(stored["cells"][0])
    notebooks.update(made, book.name, "https://github.com/me/vgg_tf")
    assert f"/github/me/vgg_tf/blob/main/notebooks/{book.name})" in source(made["cells"][0])
    assert "git+https://github.com/me/vgg_tf" in source(made["cells"][1])
    notebooks.update(made, book.name)
    assert made == stored


# What the images of Colab and Kaggle held in August 2026, by their Python. Keras may be upgraded.
IMAGES = {
    "3.13": ("jax==0.7.2", "libtpu==0.0.21.1", "numpy==2.1.3", "protobuf==7.35.1", "h5py==3.16.0"),
    "3.12": ("tensorflow-cpu==2.20.0", "jax==0.10.2", "libtpu==0.0.17"),
}


@pytest.mark.slow  # 20 s each: pip looks for versions that fit together
@pytest.mark.parametrize("version", IMAGES)
def test_the_install_cell_replaces_nothing_that_an_image_holds(version, tmp_path):
    python = shutil.which(f"python{version}")
    if not python or subprocess.run([python, "-c", "import pip"], capture_output=True).returncode:
        pytest.skip(f"no Python {version} with pip")
    (tmp_path / "image.txt").write_text("\n".join(IMAGES[version]))
    words = ["install", "--dry-run", "--ignore-installed", "-c", tmp_path / "image.txt"]
    asked = [*words, FOLDER.parent, "tensorflow-cpu", "jax"]
    result = subprocess.run([python, "-m", "pip", *asked], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    kept = [
        name.replace("==", "-").replace("tensorflow-cpu", "tensorflow_cpu")
        for name in IMAGES[version]
    ]
    for name in kept:
        if not name.startswith("libtpu"):  # nothing of vgg_tf asks for it
            assert f" {name}" in result.stdout


@pytest.mark.slow  # 1 min: a virtual environment
def test_the_install_cell_installs_a_wheel_that_lies_next_to_it(tmp_path):
    words = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, FOLDER.parent]
    subprocess.run(words, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    # Only what it would install, without its requirements.
    cell = notebooks.make_cell().replace('["-q", ', '["-q", "--no-deps", ')
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    python, options = tmp_path / "venv" / "bin" / "python", {"cwd": tmp_path, "env": environment}
    cell = cell.replace('find_spec("tensorflow") is None', "find_spec('os') is None")
    subprocess.run([python, "-c", cell], check=True, **options)
    out = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, **options)
    assert re.search(r"^vgg_tf +0\.9", out.stdout, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # warnings of Jupyter
@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_a_notebook_runs_with_small_numbers(book, tmp_path, monkeypatch):
    # Slow: each kernel imports TensorFlow, and most train.
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE)
    paths = (str(tmp_path / "site"), str(FOLDER.parent), os.environ.get("PYTHONPATH"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("TQDM_DISABLE", "1")  # bars would fill the pages of the documentation
    notebook = nbformat.read(book, as_version=4)
    small = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    assert len(small) == bool(SMALL[book.stem])
    for cell in small:
        cell.source += f"\n{SMALL[book.stem]}"
    nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", {}) for output in shown) or book.stem[0] in "37"
    assert not any(output.get("output_type") == "error" for output in shown)
    if kept := os.environ.get("VGG_TF_NOTEBOOKS"):  # for the pages of the documentation
        nbformat.write(notebook, Path(kept, book.name))
