"""Unpacked copies of gzip and zlib shards, and the checksum by which shards are known."""

import gzip
import os
import subprocess
import sys
import zlib

import pytest
import tensorflow as tf

from vgg_tf.records import checksums, unpacking


@pytest.fixture
def packed(tmp_path):
    """Return a folder of a gzip, a zlib and a plain file of the same bytes."""
    data = bytes(range(256)) * 9
    for k, pack in enumerate((gzip.compress, zlib.compress, bytes)):
        (tmp_path / f"{k}.tfrec").write_bytes(pack(data))
    return str(tmp_path)


def test_unpacked_copies_have_the_bytes_of_all_members(packed, monkeypatch):
    whole = b"".join(bytes([k]) * 99 for k in range(9))
    parts = [whole[i : i + 50] for i in range(0, len(whole), 50)]
    members = b"".join(map(gzip.compress, parts)) + bytes(99)
    for step, chunk in ((7, 50), (50, 7), (64, 64), (2**16, 2**22)):
        monkeypatch.setattr(unpacking, "STEP", step)
        monkeypatch.setattr(unpacking, "CHUNK", chunk)
        path = f"{packed}/{step}.tfrec"
        with open(path, "wb") as file:
            file.write(members)
        with open(unpacking.get_plain(path), "rb") as file:
            assert file.read() == whole
        with open(path, "wb") as file:
            file.write(members[:-130])
        with pytest.raises(
            ValueError, match=rf"{step}\.tfrec: .* ends at byte {len(members) - 130}"
        ):
            unpacking.get_plain(path)


def test_copies_are_made_once_and_removed_at_the_end(packed):
    path = f"{packed}/0.tfrec"
    plain = unpacking.get_plain(path)
    assert plain != path
    assert unpacking.get_plain(path) == plain
    os.utime(path, (1, 1))
    assert unpacking.get_plain(path) != plain
    assert unpacking.get_plain(f"{packed}/2.tfrec") == f"{packed}/2.tfrec"
    code = f"from vgg_tf.records import unpacking; print(unpacking.get_plain({path!r}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() != path
    assert not os.path.exists(os.path.dirname(run.stdout.strip()))


def test_a_full_disk_is_named(packed, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    os.utime(f"{packed}/1.tfrec", (2, 2))
    monkeypatch.setattr(unpacking, "_read_unpacked", full)
    with pytest.raises(OSError, match=r"must have space for .*1\.tfrec.* Set TMPDIR"):
        unpacking.get_plain(f"{packed}/1.tfrec")


def test_the_checksum_of_a_length_is_that_of_tensorflow(tmp_path):
    for n in (0, 1, 35615, 0x9C78):  # two that look like gzip and zlib files
        with tf.io.TFRecordWriter(str(tmp_path / "shard")) as writer:
            writer.write(bytes(n))
        head = (tmp_path / "shard").read_bytes()[:16]
        assert checksums.is_framed(head)
        assert not unpacking.is_packed(head)
        assert not checksums.is_framed(head[:11])
        assert not checksums.is_framed(bytes([head[0] ^ 1]) + head[1:])
