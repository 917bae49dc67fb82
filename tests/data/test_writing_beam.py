"""Beam writes the same shards as the local writer."""

import subprocess
import sys

import pytest

from tests.data.making_zoo import contents, damage, quietly
from tests.making import call
from vgg_tf.writing import beam


@pytest.mark.slow
def test_beam_and_the_local_writer_write_the_same_files_and_continue_each_other(zoo, tmp_path):
    pytest.importorskip(
        "apache_beam", reason='needs pip install "vgg_tf[beam]"', exc_type=ImportError
    )
    quietly(zoo, tmp_path / "local", shards=3)
    command = [
        sys.executable,
        "-m",
        "tfrecords_tools.write",
        str(zoo),
        str(tmp_path / "beam"),
        "--shards",
        "3",
    ]
    command += [
        "--runner",
        "beam",
        "--beam-args=--runner=DirectRunner --direct_running_mode=multi_threading",
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert contents(tmp_path / "beam") == contents(tmp_path / "local")
    kept = damage(zoo)
    command[4] = str(tmp_path / "bad")
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert all(name in result.stderr for name in kept)
    for name, content in kept.items():
        (zoo / name).write_bytes(content)
    quietly(zoo, tmp_path / "bad", shards=3)
    assert contents(tmp_path / "bad") == contents(tmp_path / "local")


@pytest.mark.slow
def test_a_full_disk_is_a_one_line_error_of_beam(zoo, tmp_path, monkeypatch):
    pytest.importorskip(
        "apache_beam", reason='needs pip install "vgg_tf[beam]"', exc_type=ImportError
    )
    (tmp_path / "out" / ".writing").mkdir(parents=True)
    (tmp_path / "out" / ".writing" / "train-00001-of-00003.tmp").symlink_to("/dev/full")
    for arguments in ("", "--runner=DirectRunner --direct_running_mode=multi_threading"):
        with pytest.raises(
            OSError, match=r"^cannot write .*train-00001-of-00003: no space is left"
        ):
            quietly(zoo, tmp_path / "out", shards=3, run=beam.make_runner(arguments))


def test_beam_args_without_the_beam_runner_are_refused(zoo, tmp_path):
    result = call("tfrecords_tools.write", zoo, tmp_path / "out", "--beam-args=--project=P")
    assert result.returncode == 1
    assert "--beam-args requires --runner beam. Received: --runner local" in result.stderr


def test_the_error_without_beam_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "vgg_tf\[beam\]"'):
        beam.make_runner("")
