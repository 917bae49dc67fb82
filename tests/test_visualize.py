"""Each command draws a figure from real input, and reports unknown names."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.making import cells_of, noise, save
from vgg_tf import build_vgg, write_weights
from vgg_tf.runtime import quiet
from vgg_tf.visualize import WHAT
from vgg_tf.visualize import main as visualize


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with pictures of two classes, a network, and the log of a run."""
    place = tmp_path_factory.mktemp("drawn")
    for i in range(16):
        save(
            place
            / "data"
            / ("train", "test")[i % 2]
            / ("cat", "dog")[i // 2 % 2]
            / f"{i // 4}.png",
            noise(48, 60, i),
        )
    model = build_vgg(
        "vgg11_bn",
        input_shape=(32, 32, 3),
        classes=2,
        width=1 / 8,
        head_width=8,
        seed=1,
        std=(60, 60, 60),
    )
    write_weights(model, place / "a.safetensors", classes=("cat", "dog"))
    (place / "run").mkdir()
    (place / "run/log.csv").write_text("epoch,validation_error,loss\n1,50.0,1.0\n2,40.0,0.8\n")
    return place


def commands(place):
    network, picture = str(place / "a.safetensors"), str(place / "data/test/cat/0.png")
    return {
        "sheet": [str(place / "data"), "--n", "4"],
        "classes": [str(place / "data")],
        "views": [picture, "--size", "32", "--scale", "32,48", "--cutout", "8"],
        "curves": [str(place / "run"), str(place / "run")],
        "heat": [
            network,
            picture,
            "--layers",
            "block2_conv1,block4_conv2",
            "--method",
            "all",
            "--label",
            "dog",
        ],
        "features": [network, picture, "--layer", "block2_conv1"],
        "field": [network, picture, "--layer", "block3_conv2", "--unit", "0,7"],
        "filters": [network],
        "mistakes": [network, "--data", str(place / "data")],
        "network": ["vgg11", "--size", "64"],
    }


@pytest.mark.parametrize("what", [name for name in WHAT if name != "table"])
def test_each_command_draws_a_figure(what, place, tmp_path, monkeypatch, uncompiled, capsys):
    # heat takes 2 s, for the gradients of two layers and the input; mistakes takes 2 s.
    monkeypatch.chdir(tmp_path)
    visualize([what, *commands(place)[what], "--out", "a.png"])
    with Image.open("a.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert min(pixels.shape[:2]) > 200
    assert (pixels != 255).any(2).mean() > 0.02  # not empty
    if what == "mistakes":
        with Image.open("a-pairs.png") as picture:
            assert picture.size[0] > 200


def test_mistakes_uses_the_images_and_classes_of_the_run(
    all_trained, tmp_path, monkeypatch, uncompiled, capsys
):
    # Takes 2 s, without the training.
    monkeypatch.chdir(tmp_path)
    shutil.copytree(all_trained / "run", "run")
    visualize(
        ["mistakes", "run", "--out", "new/folder/a.png"]
    )  # two classes; the network would not fit all ten
    assert (tmp_path / "new" / "folder" / "a-pairs.png").exists()
    with pytest.raises(
        ValueError, match="has no split 'validation'"
    ):  # the run trained on all images
        visualize(["mistakes", "run", "--split", "validation"])


def test_the_table_is_printed(capsys):
    visualize(["table", "--size", "32", "--classes", "10"])
    assert ["vgg16", "D", "16", "15.2"] in [row[:4] for row in cells_of(capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("what", "words", "message"),
    [
        ("heat", ["--label", "bird"], "Received: --label bird. Choose from: cat, dog"),
        ("heat", ["--layers", "block9"], "Unknown layer 'block9'"),
        ("field", ["--unit", "9,0"], "between 0,0 and 7,7 in .* Received: --unit 9,0"),
        ("features", ["--layer", "fc1"], "'fc1' has no feature map"),
        ("network", ["--style", "graph"], "needs graphviz"),
        ("curves", ["--out", "a.doc"], r"must end in .*\.png"),
    ],
)
def test_unknown_names_raise_an_error_that_lists_the_known_ones(
    what, words, message, place, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match=re.compile(message)):
        visualize([what, *commands(place)[what], *words])
    assert not list(tmp_path.glob("*.doc"))


def test_a_run_without_a_log_raises_an_error(place):
    with pytest.raises(FileNotFoundError, match=r"must contain log\.csv.* Received: no log\.csv"):
        visualize(["curves", str(place / "data")])


@pytest.mark.parametrize("what", [name for name in WHAT if name not in ("curves", "table")])
def test_each_command_that_imports_tensorflow_does_so_quietly(
    what, place, tmp_path, monkeypatch, uncompiled
):
    class Quieted(Exception):  # noqa: N818 - it ends the command and is no error
        pass

    def stop():
        raise Quieted

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(quiet, "quiet_tensorflow", stop)
    words = commands(place)[what]
    if what == "network":  # only Keras' plot needs Keras
        monkeypatch.setattr("shutil.which", str)
        monkeypatch.setattr("importlib.util.find_spec", str)
        words = [*words, "--style", "graph"]
    with pytest.raises(Quieted):
        visualize([what, *words])
