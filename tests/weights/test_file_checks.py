"""Errors about damaged files and pickles name the file."""

import pickle
import shlex
import zipfile

import pytest

from tests.weights.making_files import keras_layers, old_h5, scrambled
from vgg_tf import read_weights, write_weights


@pytest.mark.parametrize("name", ["a.keras", "a.safetensors", "a.weights.h5", "a.h5"])
def test_a_truncated_file_is_refused_at_any_length(name, tmp_path):
    if name == "a.keras":
        scrambled().save(tmp_path / name)
    elif name == "a.h5":
        old_h5(tmp_path / name, keras_layers("vgg11"), "W")
    else:
        write_weights(scrambled(), tmp_path / name)
    data = (tmp_path / name).read_bytes()
    for length in (0, 1, 7, 9, 100, len(data) // 2, len(data) - 1):
        (tmp_path / name).write_bytes(data[:length])
        message = (
            rf"{name} (must be a file of weights\. .* Supported formats: a run folder|"
            r"is truncated or damaged\. Received: .*\. Copy or download it again)"
        )
        with pytest.raises(ValueError, match=message):
            read_weights(tmp_path / name)


def test_the_error_about_a_damaged_hdf5_file_names_it(tmp_path):
    write_weights(scrambled(), tmp_path / "a.weights.h5")
    data = (tmp_path / "a.weights.h5").read_bytes()
    (tmp_path / "a.weights.h5").write_bytes(data.replace(b"SNOD", b"XXXX"))  # HDF5's symbol tables
    with pytest.raises(ValueError, match=r"a\.weights\.h5 is truncated or damaged"):
        read_weights(tmp_path / "a.weights.h5")


class Trap:
    """An object that writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_not_loaded_and_the_error_gives_the_conversion(zipped, tmp_path):
    data = pickle.dumps({"features.0.weight": Trap(tmp_path / "sprung")})
    path = tmp_path / "vgg11-8a719046.pth"
    if zipped:  # torch's format since 1.6
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("vgg11/data.pkl", data)
            archive.writestr("vgg11/data/0", b"0000")
    else:
        path.write_bytes(data)
    with pytest.raises(
        ValueError, match="must not be a pickle, because loading one can run any program"
    ) as error:
        read_weights(path)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(data)["features.0.weight"].close()
    assert (tmp_path / "sprung").exists(), "the pickle does not write the file"
    command = shlex.split(str(error.value).split("with torch: ")[1])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "the command", "exec")
    assert f"torch.load('{path}', map_location='cpu', weights_only=True)" in command[2]
    assert str(path.with_suffix(".safetensors")) in command[2]
