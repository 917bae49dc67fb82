"""A folder with pictures, shards, weights and runs."""

import shutil

import pytest

import vgg_tf
from tests.global_state.making_calls import BFLOAT16, picture, tiny
from tests.making import save
from vgg_tf.data import opening
from vgg_tf.records import statistics
from vgg_tf.runs import run_folder
from vgg_tf.runs.settings import Settings
from vgg_tf.writing.write import write

XML = (
    "<annotation><size><width>40</width><height>40</height></size><object><name>{}</name>"
    "<bndbox><xmin>4</xmin><ymin>4</ymin><xmax>30</xmax><ymax>30</ymax></bndbox>"
    "</object></annotation>"
)


def make(made):
    """Make pictures of two classes (also with boxes), their shards, weights and a run."""
    for i in range(24):
        name = ("blue", "red")[i % 2]
        for path in (made / "pictures" / name / f"{i}.png", made / "voc" / "images" / f"{i}.png"):
            save(path, picture(i))
        (made / "voc" / "annotations").mkdir(exist_ok=True)
        (made / "voc" / "annotations" / f"{i}.xml").write_text(XML.format(name))
    source = opening.open_source(str(made / "pictures"))
    write(source, str(made / "shards"), progress=False)
    vgg_tf.write_weights(tiny(classes=2), made / "a.safetensors", classes=("blue", "red"))
    recipe = vgg_tf.Recipe(size=32, scale=(32, 40), width=1 / 16, head_width=16)
    asked = Settings("vgg11", "pictures", source.fingerprint(), BFLOAT16.policy, recipe)
    with run_folder.open_run(made / "run", asked) as run, BFLOAT16.scope():
        statistics.measure(source).write(run.folder)
        run.save_best(tiny(classes=2))


@pytest.fixture
def place(once, tmp_path, monkeypatch):
    """Return a folder to write to, with copies of pictures, shards, weights and a run."""
    shutil.copytree(once("state", make), tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path
