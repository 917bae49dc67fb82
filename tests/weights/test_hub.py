"""Weights by name: the real client gets them from a local Hub, or says in one line why not."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.making import ROOT, program
from tests.weights.making_hub import CHUNK, COMMIT, Hub, ask, make_environment, serving
from vgg_tf.paper.architectures import ARCHITECTURES
from vgg_tf.weights import hub, hub_client
from vgg_tf.weights.reading import SHIPPED, read_weights

RUN = Path(ROOT, "tests", "references", "run")
PUSH = f"{RUN}=me/new"
TIMM = "timm/vgg11_bn.tv_in1k"
CUT = SHIPPED["cifar10"].read_bytes()
CASES = {
    "hf://me/gated": ("PermissionError", "a gated repository. Accept its terms on http://127"),
    "hf://me/nothing": ("FileNotFoundError", "none of this name, or a private one"),
    "timm/vgg99.tv_in1k": ("FileNotFoundError", "none of this name, or a private one"),
    "hf://me/run@v7": ("FileNotFoundError", "a revision that the repository does not have"),
    "hf://me/two": ("ValueError", "a.safetensors, b.h5. Name one: hf://me/two/a.safetensors."),
    "hf://me/two/c.h5": ("FileNotFoundError", "Received: no c.h5 among a.safetensors, b.h5"),
    "hf://me/empty": ("ValueError", "must have weights: .* Received: README.md, pytorch_model"),
    "timm/empty": ("FileNotFoundError", "must have model.safetensors. Received: 404 Client Error"),
    "hf://me": ("ValueError", "must be timm/NAME or hf://owner/name, .* Received: hf://me. Try"),
    "hf://a/b@c@d": ("ValueError", "Received: hf://a/b@c@d. Try"),
}
FOUND = (
    TIMM,
    "hf://me/run",
    "hf://me/run@v1",
    f"hf://me/run@{COMMIT}",
    "hf://me/two/a.safetensors",
    "hf://me/reset",
    "hf://me/timm",
    "imagenet",
)
# As timm's push_to_hf_hub writes it.
CONFIG = {
    "architecture": "vgg11_bn",
    "label_names": ["ant", "bee"],
    "pretrained_cfg": {"mean": [0.5, 0.4, 0.2], "std": [0.2, 0.2, 0.4], "input_size": [3, 32, 32]},
}


def make_hub():
    return Hub(
        {
            TIMM: {"model.safetensors": CUT, "config.json": b"{}", "pytorch_model.bin": b"\x80"},
            hub.IMAGENET["vgg16"]: {"model.safetensors": CUT},
            "me/run": {
                **{path.name: path.read_bytes() for path in RUN.iterdir()},
                "last.safetensors": b"",
            },
            "me/timm": {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": CUT},
            "me/two": {"a.safetensors": CUT, "b.h5": b""},
            "me/reset": {"weights.safetensors": CUT},
            "me/empty": {"README.md": b"", "pytorch_model.bin": b"\x80"},
            "timm/empty": {"README.md": b""},
        },
        gated=["me/gated"],
        cut=[f"{TIMM}/model.safetensors"],
        reset=["me/reset/weights.safetensors"],
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def answered(home):
    """Return the answers and the requests of a client that asks for all names."""
    with serving(make_hub()) as server:
        return ask(home, server.address, *FOUND, *CASES, PUSH), server.asked


def test_timms_weights_are_read_and_a_cut_download_goes_on(answered):
    answers, asked = answered
    found = hub.Found(**answers[TIMM])
    assert Path(found.path).read_bytes() == CUT
    assert (found.name, found.revision) == (f"{TIMM}@{COMMIT}", COMMIT)
    assert len(found.classes) == 1000
    gets = [line for line in asked if line[0] == "GET" and TIMM in line[1]]
    half = len(CUT) // 2
    assert [line[2] for line in gets] == [None, f"bytes={half - half % CHUNK}-"]
    weights, expected = read_weights(found.path), read_weights("cifar10")
    np.testing.assert_array_equal(weights.layers["fc1"]["kernel"], expected.layers["fc1"]["kernel"])


@pytest.mark.parametrize("word", FOUND[1:4])
def test_a_run_folder_is_a_folder_without_the_states_of_its_training(answered, word):
    found = hub.Found(**answered[0][word])
    assert sorted(path.name for path in Path(found.path).iterdir()) == [
        *("dataset.json", "log.csv", "model.keras", "recipe.json", "report.json")
    ]
    assert read_weights(found.path).classes == ("ant", "bee")
    assert (found.name, found.revision) == (f"hf://me/run@{COMMIT}", COMMIT)
    assert hub.parse_name(found.name) == ("me/run", COMMIT, None)
    assert found.classes is None


def test_timms_config_states_classes_and_statistics(answered):
    found = hub.Found(**answered[0]["hf://me/timm"])
    assert found.path.endswith("/model.safetensors")
    assert found.classes == ["ant", "bee"]  # a tuple before the way through JSON
    assert (found.mean, found.std) == ([127.5, 102, 51], [51, 51, 102])


@pytest.mark.parametrize(
    "values",
    [{}, {"label_names": {"a": 1}}, {"label_names": [1]}, {"pretrained_cfg": [1]}]
    + [{"pretrained_cfg": {"mean": value}} for value in (0.5, [1, 2], ["a", 1, 2], [None] * 3)],
)
def test_a_config_of_another_form_states_nothing(tmp_path, values):
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert hub._read_config(tmp_path / "config.json") == {}


def test_a_download_whose_connection_was_reset_goes_on(answered):
    found = hub.Found(**answered[0]["hf://me/reset"])
    assert Path(found.path).read_bytes() == CUT
    gets = [line for line in answered[1] if line[0] == "GET" and "me/reset/resolve" in line[1]]
    assert len(gets) == 2


def test_a_file_of_a_repository_has_its_name(answered):
    found = hub.Found(**answered[0]["hf://me/two/a.safetensors"])
    assert found.path.endswith("/a.safetensors")
    assert found.name == f"hf://me/two@{COMMIT}/a.safetensors"


@pytest.mark.parametrize("word", CASES)
def test_what_cannot_be_found_is_an_error_in_one_line(answered, word):
    (kind, message), (expected, text) = answered[0][word], CASES[word]
    assert kind == expected
    assert "\n" not in message
    assert message.startswith(word) or word in message
    assert text.split(" .* ")[0] in message
    assert text.split(" .* ")[-1] in message


@pytest.mark.parametrize(
    ("environment", "reason"),
    [({"HF_HUB_OFFLINE": "1"}, "Offline mode is on"), ({}, "no connection")],
)
def test_without_a_connection_the_cache_answers(answered, home, environment, reason):
    words = (*FOUND[:2], f"{TIMM}@{COMMIT}", "timm/vgg19.tv_in1k", "hf://a/b")
    answers = ask(home, "http://127.0.0.1:9", *words, **environment)
    for word in words[:2]:
        assert answers[word] == answered[0][word]
    assert answers[f"{TIMM}@{COMMIT}"] == answered[0][TIMM]
    for word in words[-2:]:
        kind, message = answers[word]
        assert kind == "ConnectionError"
        assert f"Received: {reason}" in message
        assert "\n" not in message


def fill(folder, license):
    """Make a folder to push: a run without the states of its training, and a card."""
    folder.mkdir()
    for name in (*hub.RUN, "report.json"):
        (folder / name).write_bytes((RUN / name).read_bytes())
    (folder / "README.md").write_text(f"---\nlicense: {license}\n---\n# a\n")
    for name in ("mine.txt", "a[1].onnx", "b.onnx", "c/saved_model.pb", "c/.lock", "d/mine.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("")
    measured = {"bytes": 1, "ms_an_image": 1.0, "top1_agreement": 1.0}
    measured |= {"log_posterior": 0.0, "posterior": 0.0}
    rows = [
        {"format": "onnx", "file": f"exports/{name}", **measured} for name in ("a[1].onnx", "c")
    ]
    (folder / "export.json").write_text(json.dumps({"formats": rows}))
    return folder


def test_a_folder_is_pushed_and_its_name_opens_it(tmp_path):
    push, bad = (f"{fill(tmp_path / name, name)}=me/{name}" for name in ("mit", "nonsense"))
    with serving(make_hub()) as server:
        answers = ask(tmp_path / "home", server.address, push, "hf://me/mit", bad, HF_TOKEN="hf_x")
        assert answers[push] == [f"{server.address}/me/mit", COMMIT]
        # What others put into the folder is not uploaded.
        names = {*hub.RUN, "report.json", "README.md", "export.json"}
        assert server.files["me/mit"].keys() == names | {"a[1].onnx", "c/saved_model.pb"}
        posts = [path for method, path, _ in server.asked if method in ("POST", "PUT")]
        for part in ("repos/create", "validate-yaml", "preupload", "lfs/objects/batch", "commit"):
            assert any(part in path for path in posts), part
        found = hub.Found(**answers["hf://me/mit"])
        assert (Path(found.path, "model.keras").read_bytes()) == (RUN / "model.keras").read_bytes()
    kind, message = answers[bad]
    assert kind == "ValueError"
    assert message.startswith(f"The card must be accepted by {server.address}. Received: ")
    assert '"license" must be known' in message
    assert "\n" not in message


def test_a_push_without_a_token_is_an_error_in_one_line(answered):
    kind, message = answered[0][PUSH]
    assert kind == "PermissionError"
    assert "401, Invalid username or password. Log in with hf auth login" in message
    assert "\n" not in message


def test_a_local_path_wins_over_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hub.is_hub_name(TIMM)
    Path(TIMM).mkdir(parents=True)
    assert not hub.is_hub_name(TIMM)
    assert not hub.is_hub_name("runs/vgg16")
    assert hub.is_hub_name("hf://me/run")


def test_eight_networks_have_imagenet_weights_and_the_error_lists_them():
    assert [arch for arch in ARCHITECTURES if arch not in hub.IMAGENET] == [
        *("vgg11_lrn", "vgg16c", "vgg16c_bn")
    ]
    assert set(hub.IMAGENET) < set(ARCHITECTURES)
    with pytest.raises(ValueError, match=r"trained: vgg11, vgg11_bn, .*Received: vgg16c_bn"):
        hub.expand_name("imagenet", "vgg16c_bn")


def test_imagenet_is_the_network_of_the_architecture(answered, tmp_path, monkeypatch):
    assert hub.expand_name("imagenet", "vgg19_bn") == "timm/vgg19_bn.tv_in1k"
    assert hub.expand_name("hf://me/run", "vgg19_bn") == "hf://me/run"
    assert answered[0]["imagenet"]["name"] == f"timm/vgg16.tv_in1k@{COMMIT}"
    monkeypatch.chdir(tmp_path)
    Path("imagenet").mkdir()  # often the folder of the data
    assert hub.is_hub_name("imagenet")
    assert not hub.is_hub_name("./imagenet")


# 12 s: the program trains in a process of its own, twice.
@pytest.mark.slow
def test_train_inherits_imagenet_weights_of_its_architecture(tmp_path):
    words = ["--arch", "vgg11_bn", "--inherit", "imagenet", "--smoke", "--out", "run"]
    with serving(make_hub()) as server:
        env = make_environment(tmp_path / "home", server.address)
        first = program("vgg_tf.train", *words, cwd=tmp_path, env=env)
        assert first.returncode == 0, first.stderr
        asked = len(server.asked)
        second = program("vgg_tf.train", *words, cwd=tmp_path, env=env)
        assert "run is done" in second.stdout, second.stderr
        assert len(server.asked) == asked
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert recipe["inherit"] == f"{TIMM}@{COMMIT}"


def test_a_missing_client_is_an_error_with_the_pip_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "vgg_tf\[hub\]"'):
        hub.resolve(TIMM)


def test_a_name_to_push_to_is_checked():
    hub_client.check_push_name("me/flowers-2.b")
    for name in ("flowers", "hf://me/flowers", "me/a/b", "me/", "../a"):
        with pytest.raises(ValueError, match=r"--push must be owner/name\. Received: --push"):
            hub_client.check_push_name(name)
