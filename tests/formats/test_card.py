"""Model cards state what the files of a run say, and their lines load the network."""

import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from tests.making import ROOT, cells_of, noise, save
from vgg_tf import export, read_weights
from vgg_tf.evaluation import checkpoint
from vgg_tf.formats import card, card_use, pushing
from vgg_tf.runs import results

REFERENCE = Path(ROOT, "tests", "references", "run")
SECTIONS = "Data Training Result Classes Preprocessing Use".split()


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a copy of a run folder, as `run` in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(REFERENCE, tmp_path / "run")
    return tmp_path / "run"


def sections(text):
    """Return the front matter, and the text of each section by its title."""
    _, front, body = text.split("---\n", 2)
    titles = re.split(r"^## (.*)\n", body, flags=re.M)[1:]
    return yaml.safe_load(front), dict(zip(titles[::2], titles[1::2], strict=True))


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_card_has_a_front_matter_and_says_what_the_files_say(run, capsys):
    export.main(["run", "--card"])
    assert "model card: exports/run/README.md. Fill in its license." in capsys.readouterr().out
    front, parts = sections(Path("exports/run/README.md").read_text())
    assert front == {
        "license": "unknown",
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["vgg", "image-classification", "vgg_tf", "vgg11_bn"],
    }
    assert set(SECTIONS) < set(parts)
    data = json.loads((run / "dataset.json").read_text())
    assert [row[:2] for row in cells_of(parts["Data"])[1:]] == [
        [split, str(entry["images"])] for split, entry in data["splits"].items()
    ]
    stated = dict(row for row in cells_of(parts["Training"]))
    recipe = json.loads((run / "recipe.json").read_text())["recipe"]
    for name in ("learning_rate", "cutout", "padding", "seed", "label_smoothing", "epochs"):
        assert stated[name] == f"{recipe[name]:g}"
    assert (stated["flip"], stated["class_weights"]) == ("yes", "none")
    assert [row[1] for row in cells_of(parts["Classes"])[1:]] == data["classes"]
    assert "32 x 32 pixels" in parts["Preprocessing"]
    assert f"mean ({', '.join(f'{v:.4g}' for v in data['mean_rgb'])})" in parts["Preprocessing"]
    low, high = results.compute_interval(2, 4)
    assert cells_of(parts["Result"])[1][:4] == [
        *("test", "center", "4", f"50.00 ({low:.2f} to {high:.2f})")
    ]


def test_all_tests_of_a_run_and_its_inherited_weights_are_in_the_card(run):
    recipe = json.loads((run / "recipe.json").read_text())
    recipe["recipe"]["class_weights"] = "balanced"
    recipe["inherit"] = f"timm/vgg11_bn.tv_in1k@{'0' * 40}"
    (run / "recipe.json").write_text(json.dumps(recipe))
    devices = SimpleNamespace(kind="cpu", policy="float32")
    for folder, wrong in ((run, 3), (run / "tests" / "test-dense-32", 2)):
        folder.mkdir(parents=True, exist_ok=True)
        found = {"n": 10, "top1_error": 10 * wrong, "top5_error": 0}
        facts = {"split": "test", "protocol": "dense", "data": "/a/b"}
        results.write_result(
            folder, ("vgg_tf.evaluate", ["--data", "/a/b"]), devices, found, **facts
        )
    text = card.make_card(checkpoint.open_checkpoint("run"), "out", "me/ants")
    front, parts = sections(text)
    assert front["base_model"] == "timm/vgg11_bn.tv_in1k"
    rows = [row[3].split()[0] for row in cells_of(parts["Result"])[1:]]
    assert rows == ["30.00", "20.00"]
    assert "Class weights: balanced." in parts["Training"]
    assert "hf download me/ants --local-dir ants" in parts["Use"]


def test_many_classes_are_folded_and_names_cannot_break_the_table(run):
    data = json.loads((run / "dataset.json").read_text())
    names = [f"class {i}" for i in range(38)] + ["a|b", "<c>\nd"]
    for entry in data["splits"].values():
        entry["per_class"] = [1] * 40
        entry["images"] = 40
        entry.pop("per_shard")
        entry["shards"] = 0
    change(run / "dataset.json", classes=names, splits=data["splits"], texts=[])
    opened = checkpoint.open_checkpoint("run")
    text = card._describe_classes(opened)
    assert text.startswith("<details><summary>40 classes</summary>\n\n|")
    assert cells_of(text)[-1] == ["39", r"\<c> d", "1"]


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_the_lines_of_a_card_load_the_network_without_vgg_tf(run, monkeypatch, capsys):
    hub = pytest.importorskip("huggingface_hub")
    opened = checkpoint.open_checkpoint("run")
    Path("pushed").mkdir()
    pushing.copy_network(opened, "pushed")
    _, parts = sections(card.make_card(opened, "pushed", "me/ants"))
    with_ours, without = re.findall(r"```python\n(.*?)```", parts["Use"], re.S)
    monkeypatch.setattr(hub, "hf_hub_download", lambda repository, name: f"pushed/{name}")
    save(Path("picture.jpg"), noise(50, 70))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "vgg_tf", None)
        names = {}
        exec(without, names)
    shutil.copytree("pushed", "ants")
    exec(with_ours, theirs := {})
    view = names["view"][np.newaxis]
    np.testing.assert_allclose(
        theirs["model"].predict(view, verbose=0)[0], names["probabilities"], rtol=1e-4
    )
    assert capsys.readouterr().out.split()[0] in ("ant", "bee")


def test_pushed_files_have_no_paths_of_the_machine_and_open_as_the_run(run):
    change(run / "report.json", note="/data/me/secret/ants")
    opened = checkpoint.open_checkpoint("run")
    Path("pushed").mkdir()
    Path("pushed/export.json").write_text('{"formats": [], "compared_on": "/data/me/ants, test"}')
    pushing.copy_network(opened, "pushed")
    for path in Path("pushed").glob("*.json"):
        assert not re.search(r'[" ]/\w', path.read_text()), path
    again = checkpoint.open_checkpoint("pushed")
    assert (again.data, again.classes, again.fingerprint) == (
        *("shards", opened.classes, opened.fingerprint),
    )
    assert "last.safetensors" not in {path.name for path in Path("pushed").iterdir()}


def test_the_program_uploads_the_folder_with_the_network_and_its_card(run, monkeypatch, capsys):
    pushed = []

    def push(folder, name, private):
        names = {path.name for path in Path(folder).iterdir()}
        pushed.append((name, private, names))
        return "https://hub/me/ants", "c0ffee"

    monkeypatch.setattr(pushing, "push", push)
    for words in (["--private"], []):  # the second time, the card that is there is uploaded
        export.main(["run", "--push", "me/ants", *words])
    names = {"README.md", "model.keras", "recipe.json", "dataset.json", "report.json", "log.csv"}
    assert pushed == [("me/ants", True, names), ("me/ants", False, names)]
    out = capsys.readouterr().out
    assert out.count("model card: ") == 1
    assert "uploaded exports/run to https://hub/me/ants, commit c0ffee" in out
    assert 'hf_hub_download("me/ants", ' in Path("exports/run/README.md").read_text()


def test_a_wrong_name_and_a_missing_client_are_errors_before_the_work(monkeypatch):
    with pytest.raises(ValueError, match=r"--push must be owner/name\. Received: --push ants\."):
        export.main(["nosuchrun", "--push", "ants"])
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "vgg_tf\[hub\]"'):
        export.main(["nosuchrun", "--push", "me/ants"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data/me/my cats", "my cats"),
        ("train --data /data/me/cats --out=/a/b", "train --data cats --out=b"),
        ("gs://bucket/cats and runs/a/b, 1/2/3", "gs://bucket/cats and runs/a/b, 1/2/3"),
        ("'/a/b/c.png' is bad; /d", "'c.png' is bad; /d"),
        (["/a/b", {"x": "/c/d"}, 3, None, True], ["b", {"x": "d"}, 3, None, True]),
    ],
)
def test_paths_of_the_machine_become_names(text, expected):
    assert card.hide_folders(text) == expected


def test_a_card_that_was_changed_by_hand_is_kept(run):
    export.main(["run", "--card"])
    path = Path("exports/run/README.md")
    path.write_text(path.read_text().replace("license: unknown", "license: mit"))
    before = path.read_text()
    with pytest.raises(FileExistsError, match=r"README\.md, which was changed by hand"):
        export.main(["run", "--card"])
    assert path.read_text() == before
    path.write_text(before.replace("license: mit", "license: unknown"))
    export.main(["run", "--card"])  # unchanged again


def test_the_shipped_network_has_its_card_with_the_numbers_of_its_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export.main(["cifar10", "--card"])
    front, parts = sections(Path("exports/cifar10/README.md").read_text())
    assert front["license"] == "mit"
    assert set(SECTIONS) < set(parts)
    rows = cells_of(parts["Result"])[1:]
    for row, name in zip(rows, ("result", "evaluate", "evaluate-dense"), strict=True):
        found = json.loads(Path(ROOT, f"results/cifar10-shipped/{name}.json").read_text())
        errors = [card._format_error(found[key]) for key in ("top1", "top5")]
        facts = [found["split"], found["protocol"], f"{found['n']:,}", *errors]
        assert row == [*facts, found["date"], found["machine"], found["note"]]
    assert (
        json.loads(Path(ROOT, "results/cifar10-shipped/result.json").read_text())["command"]
        in (parts["Training"])
    )
    opened = checkpoint.open_checkpoint("cifar10")
    assert [row[1] for row in cells_of(parts["Classes"])[1:]] == list(opened.classes)
    assert card_use.describe_input(opened) == " ".join(parts["Preprocessing"].split())
    pushing.copy_network(opened, "exports/cifar10")
    weights = read_weights("exports/cifar10/model.safetensors")
    assert weights.fingerprint() == opened.fingerprint
