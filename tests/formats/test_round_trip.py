"""Each format's own runtime returns Keras' probabilities; a file that differs is removed."""

import os

import pytest

from tests.formats.making_networks import CLASSES, ROOMS, SHALLOW, copied, network_of, pixels
from vgg_tf import export
from vgg_tf.formats import onnx, round_trip, runtimes, source_network

pytestmark = pytest.mark.usefixtures("table")


@pytest.mark.parametrize("kind", ROOMS)
@pytest.mark.parametrize(
    ("arch", "crop", "size"),
    [
        ("shallow", 32, None),
        ("shallow_c_bn", 64, None),
        ("shallow_bn", 32, (64, 96)),
        ("shallow_lrn", 32, None),
    ],
)
def test_a_file_returns_the_probabilities_of_keras_and_has_its_classes(
    kind, arch, crop, size, tmp_path
):
    room, name = ROOMS[kind]
    network = network_of(tmp_path, arch, crop, size)
    path = str(tmp_path / name)
    if kind == "litert" and arch == "shallow_lrn":
        with pytest.raises(
            ValueError, match=r"local response normalization. Received: shallow_lrn"
        ):
            room.write(network, path)
        assert not os.path.exists(path)
        return
    room.write(network, path)
    run, about = runtimes.open_model(path)
    found = source_network.compare(network, run, pixels(network.height, network.width))
    assert found["log_posterior"] < 2e-4  # float32 sums in another order
    assert found["top1_agreement"] == 1
    assert tuple(about["classes"]) == CLASSES
    assert about["layers"] == SHALLOW[arch].weight_layers
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_a_file_that_differs_is_removed(file, tmp_path, monkeypatch):
    monkeypatch.setattr(round_trip, "LIMIT", 0.0)
    with pytest.raises(ValueError, match=r"may differ .* by 0 in a log probability"):
        export.main([str(file), "--format", "onnx", "--out", str(tmp_path / "out"), "--n", "2"])
    assert os.listdir(tmp_path / "out") == []


def contents(folder):
    """Return the bytes of all files in a folder, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", ["onnx", "coreml"])  # a file, and a folder
def test_an_old_export_stays_until_the_new_one_is_read_back(
    done, file, kind, tmp_path, monkeypatch
):
    name, out = f"shallow_bn{round_trip.SUFFIXES[kind]}", tmp_path / "out"
    out.mkdir()
    copied(done / "out" / f"vgg11_bn{round_trip.SUFFIXES[kind]}", out / name)
    before, words = contents(out), [str(file), "--format", kind, "--out", str(out), "--n", "2"]
    write, kept = ROOMS[kind][0].write, tmp_path / name

    def write_once(network, path):  # the same file both times, as Core ML takes 2 s
        if not kept.exists():
            write(network, str(kept))
        copied(kept, path)

    monkeypatch.setattr(ROOMS[kind][0], "write", write_once)
    with monkeypatch.context() as patch:
        patch.setattr(round_trip, "LIMIT", -1.0)
        with pytest.raises(ValueError, match=rf"{name} may differ .* by -1 in a log probability"):
            export.main(words)
    assert contents(out) == before
    stale = next(path for path in [out / name, *(out / name).rglob("*")] if path.is_file())
    stale.write_bytes(b"of another network")
    export.main(words)
    assert runtimes.open_model(out / name)[1]["classes"] == list(CLASSES)
    assert sorted(os.listdir(out)) == sorted(["export.json", name])


def test_a_file_with_other_layers_is_removed(file, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "read_contents", lambda path: (3, []))
    with pytest.raises(ValueError, match=r"5 layers with equal weights. Received: 3 layers"):
        export.main([str(file), "--format", "onnx", "--out", str(tmp_path / "out"), "--n", "2"])
    assert os.listdir(tmp_path / "out") == []


def test_a_full_disk_is_an_error_before_the_export(file, tmp_path, monkeypatch):
    monkeypatch.setattr(
        round_trip.shutil, "disk_usage", lambda path: type("usage", (), {"free": 1000})()
    )
    with pytest.raises(OSError, match=r"Received: 0 MB. Free some space"):
        export.main([str(file), "--out", str(tmp_path / "out")])
