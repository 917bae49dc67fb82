"""Keras files that would read other files of this machine are refused. All others are read."""

import io
import re
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from tests.weights.making_files import CLASSES, keras_layers, new_h5, old_h5, tiny
from vgg_tf import read_weights
from vgg_tf.runs import run_folder
from vgg_tf.weights import file_checks


def as_a_secret(file, kernel, place):
    """Write another file with data of the kernel's shape, and return its path.

    It also has a group like that of the kernel.
    """
    with h5py.File(place / "secret.h5", "w") as secret:
        group = secret.create_group("group")
        group.attrs.update(file[kernel].parent.attrs)
        for name, part in file[kernel].parent.items():
            group[name] = np.ones_like(part)
        secret["kernel"] = np.ones_like(file[kernel])
    return str(place / "secret.h5")


def external_storage(file, kernel, place):
    shape = file[kernel].shape
    np.ones(shape, np.float32).tofile(place / "secret")
    del file[kernel]
    file.create_dataset(
        kernel, shape, np.float32, external=[(str(place / "secret"), 0, 4 * int(np.prod(shape)))]
    )


def external_link(file, kernel, place):
    secret = as_a_secret(file, kernel, place)
    del file[kernel]
    file[kernel] = h5py.ExternalLink(secret, "kernel")


def external_group(file, kernel, place):
    secret, group = as_a_secret(file, kernel, place), file[kernel].parent.name
    del file[group]
    file[group] = h5py.ExternalLink(secret, "group")


def soft_link_through_an_external_link(file, kernel, place):
    file["elsewhere"] = h5py.ExternalLink(as_a_secret(file, kernel, place), "/")
    del file[kernel]
    file[kernel] = h5py.SoftLink("/elsewhere/kernel")


def virtual_dataset(file, kernel, place):
    shape = file[kernel].shape
    layout = h5py.VirtualLayout(shape, np.float32)
    layout[...] = h5py.VirtualSource(as_a_secret(file, kernel, place), "kernel", shape)
    del file[kernel]
    file.create_virtual_dataset(kernel, layout)


def deep_and_unread(file, kernel, place):
    file["optimizer/a/b/c/d"] = h5py.ExternalLink(as_a_secret(file, kernel, place), "kernel")


LEADING_ELSEWHERE = {
    external_storage: "external storage in .*secret",
    external_link: r"an external link to .*secret\.h5",
    external_group: r"an external link to .*secret\.h5",
    soft_link_through_an_external_link: r"/elsewhere is an external link to .*secret\.h5",
    virtual_dataset: "a virtual dataset",
    deep_and_unread: r"/optimizer/a/b/c/d is an external link to .*secret\.h5",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with one file of each Keras format."""
    place = tmp_path_factory.mktemp("written")
    tiny(classes=CLASSES).save(place / "a.keras")
    new_h5(place / "a.weights.h5", keras_layers("vgg11"))
    old_h5(place / "a.h5", keras_layers("vgg11"), "kernel", whole=True)
    return place


def changed(written, name, change, place):
    """Copy a file, apply `change` to it, and return the path for `read_weights`.

    `model.keras` is copied into a run folder.
    """
    if not name.endswith(".keras"):
        path = place / name
        path.write_bytes((written / name).read_bytes())
        with h5py.File(path, "a") as file:
            change(
                file,
                {"a.weights.h5": "layers/conv2d_0/vars/0"}.get(
                    name, "model_weights/block1_conv1/block1_conv1/kernel:0"
                ),
            )
        return path
    (place / "run").mkdir()
    path, weights = place / ("run" if name == "model.keras" else "") / name, io.BytesIO()
    with zipfile.ZipFile(written / "a.keras") as old, zipfile.ZipFile(path, "w") as new:
        weights.write(old.read("model.weights.h5"))
        with h5py.File(weights, "a") as file:
            change(file, "layers/conv2d/vars/0")
        new.writestr("model.weights.h5", weights.getvalue())
        for other in {*old.namelist()} - {"model.weights.h5"}:
            new.writestr(other, old.read(other))
    return path.parent if name == "model.keras" else path


FORMS = ("a.weights.h5", "a.h5", "a.keras", "model.keras")


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("change", LEADING_ELSEWHERE)
def test_files_that_would_read_other_files_of_this_machine_are_refused(
    change, name, written, tmp_path
):
    path = changed(written, name, lambda file, kernel: change(file, kernel, tmp_path), tmp_path)
    named = rf"{re.escape(name)} must contain all of its weights\. Received: /.* is "
    with pytest.raises(
        ValueError, match=rf"{named}.*which reads another file.*Save the network again"
    ):
        read_weights(path)
    with pytest.raises(ValueError, match=LEADING_ELSEWHERE[change]):
        read_weights(path)
    if name == "model.keras":
        with pytest.raises(ValueError, match=named):
            run_folder.Run(str(path), None).load_best()


def test_keras_only_gets_files_that_were_checked(written, tmp_path, monkeypatch):
    # Keras 3.12.1 and later refuse some of these files. The replacement refuses none.
    path = changed(
        written,
        "model.keras",
        lambda file, kernel: external_storage(file, kernel, tmp_path),
        tmp_path,
    )
    monkeypatch.setattr(
        keras.saving, "load_model", lambda *_, **__: pytest.fail("Keras opened the file")
    )
    with pytest.raises(ValueError, match=r"model\.keras must contain all of its weights"):
        run_folder.Run(str(path), None).load_best()
    (path / "model.keras").write_bytes(b"not an archive")
    with pytest.raises(ValueError, match=r"model\.keras is truncated or damaged"):
        run_folder.Run(str(path), None).load_best()


@pytest.mark.parametrize("name", FORMS)
def test_cycles_of_hard_links_and_soft_links_inside_a_file_are_read(name, written, tmp_path):
    def change(file, kernel):
        file["around"] = file["/"]
        file.move(kernel, "kept")
        file[kernel] = h5py.SoftLink("/kept")
        file["nowhere"] = h5py.SoftLink("/not/there")

    path = changed(written, name, change, tmp_path)
    before = read_weights(written / name.replace("model", "a")).layers["block1_conv1"]["kernel"]
    np.testing.assert_array_equal(read_weights(path).layers["block1_conv1"]["kernel"], before)
    if name == "model.keras":
        file_checks.check_archive(path / name, path / name)


def test_names_that_are_references_are_refused(written, tmp_path):
    def change(file, kernel):
        root = file["model_weights"]
        root.attrs["layer_names"] = np.array([root["block1_conv1"].ref], h5py.ref_dtype)

    path = changed(written, "a.h5", change, tmp_path)
    with pytest.raises(
        ValueError,
        match=r"a\.h5: layer_names of /model_weights must be names. Received: <HDF5 object ref",
    ):
        read_weights(path)


def test_keras_files_are_opened_only_by_the_functions_that_check_them():
    places = {
        "h5py.File(": {"keras_files.py", "writing.py"},
        ".load_model(": {"run_folder.py", "card_use.py"},  # a card shows the call to its readers
        ".load_weights(": set(),
    }
    for path in Path(file_checks.__file__).parents[1].rglob("*.py"):
        for call, where in places.items():
            assert call not in path.read_text() or path.name in where, f"{path.name} calls {call}"
