"""The pages of docs/: generated ones are up to date, links lead somewhere, and commands run."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from docs import cli
from tests import making_boxes
from tests.making import call, pictures, undrawn
from vgg_tf.paper.architectures import ARCHITECTURES
from vgg_tf.paper.presets import RECIPES

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"<!-- run -->\n```(sh|python)\n(.*?)```", re.S)
RUNNING = [page for page in PAGES if BLOCK.search(page.read_text())]
SHALLOW = ("vgg11", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19")
# What a block gets, so that it takes seconds.
TINY = {
    "vgg_tf.train": ["--smoke"],
    "vgg_tf.localize train": ["--epochs", "1"],
    "vgg_tf.preflight --init": ["--width", "0.0625"],
}


def name(page):
    return str(page.relative_to(ROOT))


def test_the_page_of_the_command_line_is_up_to_date():
    assert cli.PAGE.read_text() == cli.make_page(), "run python docs/cli.py"


def test_the_page_of_the_command_line_has_every_flag_of_a_recipe():
    text = cli.PAGE.read_text()
    for flag in vars(RECIPES["paper"]):
        assert f"| `--{flag.replace('_', '-')}`" in text


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http", "mailto:", "#")):
            assert (page.parent / target.split("#")[0]).exists(), target


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "guides").glob("*.md")), ids=name)
def test_a_guide_begins_with_its_end_and_a_figure_and_is_short(page):
    text = page.read_text()
    first = text.split("\n## ")[0]
    assert "![" in first, "a figure at the beginning"
    prose = re.sub(r"```.*?```|^\|.*?$|<!--.*?-->", "", text, flags=re.S | re.M)
    assert 300 <= len(prose.split()) <= 900
    assert all(line.count("](") for line in text.split("## Next")[1].strip().splitlines())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the libraries of exported files
@pytest.mark.parametrize("page", RUNNING, ids=name)
def test_the_commands_of_a_page_run(page, tmp_path, monkeypatch, uncompiled):
    # Slow: most pages train and test several tiny networks.
    monkeypatch.chdir(tmp_path)
    undrawn(monkeypatch)
    blocks = BLOCK.findall(page.read_text())
    own = () if "cifar10" in str(blocks) else ("vgg11_bn",)  # the shipped weights need theirs
    for name_of in (*SHALLOW, *own):  # a convolution instead of eight and more
        row = replace(ARCHITECTURES[name_of], kernels=((3,), (), (), (), ()))
        monkeypatch.setitem(ARCHITECTURES, name_of, row)
    for split in ("train", "test"):
        pictures(tmp_path / "pictures" / split)
    making_boxes.pictures(tmp_path / "voc")
    names = {"__name__": "__main__"}
    for language, block in blocks:
        if language == "python":
            exec(compile(block, name(page), "exec"), names)
            continue
        for line in block.replace("\\\n", " ").strip().splitlines():
            words = shlex.split(line, comments=True)
            assert words[:2] == ["python", "-m"], line
            program, *rest = words[2:]
            added = TINY.get(program) or TINY.get(f"{program} {rest[0]}", []) if rest else []
            result = call(program, *rest, *added)
            assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"
