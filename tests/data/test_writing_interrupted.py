"""A killed run leaves complete shards, and the same command continues it."""

import json
import pickle
import subprocess
import sys
import time

import pytest
from PIL import Image

from tests.data.making_zoo import contents, damage, examples, quietly, snapshot
from tests.making import call, noise, save
from vgg_tf.records.collection import Collection


@pytest.fixture(scope="module")
def killed(once):
    """A killed and continued run.

    It takes 6 s for a process to kill.

    Returns:
        The folder with the shards `out`, killed and continued, and `sound`, never killed; the files
        of `out` after the kill; the output of the continued run.
    """

    def make(root):
        # Large and with few colors: slow to decode, fast to make, small on the disk.
        save(
            root / "in" / "a" / "0.png",
            Image.fromarray(noise(4, 4)).resize((800, 800), Image.Resampling.NEAREST),
        )
        (root / "in" / "b").mkdir()
        for i in range(24):
            # Bytes after the end of a PNG file change no pixel, but the files are no copies.
            (root / "in" / "ab"[i % 2] / f"{i:02d}.png").write_bytes(
                (root / "in" / "a" / "0.png").read_bytes() + bytes([i])
            )
        out = root / "out"
        command = [
            sys.executable,
            "-m",
            "tfrecords_tools.write",
            str(root / "in"),
            str(out),
            "--shards",
            "8",
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not list(out.glob("train-*")):
                assert process.poll() is None, "ended before it wrote a shard"
                time.sleep(0.005)
        finally:
            process.kill()
            process.wait()
        left = snapshot(out)
        result = call(*command[2:])
        assert result.returncode == 0, result.stderr
        quietly(root / "in", root / "sound", shards=8)
        (root / "result").write_bytes(pickle.dumps((left, result.stdout)))

    root = once("killed", make)
    return root, *pickle.loads((root / "result").read_bytes())


def test_a_killed_run_leaves_only_complete_shards_and_no_dataset_json(killed):
    _, left, _ = killed
    done = [name for name in left if name.startswith("train-")]
    assert 1 <= len(done) < 8
    assert "dataset.json" not in left
    assert all(f".writing/{name}.json" in left for name in done)


def test_the_same_command_continues_without_writing_finished_shards_again(killed):
    root, left, said = killed
    assert (
        ": 8 train, 1 validation shards, 25 images, 0 boxes; 0 changed and 0 left out"
        in said.splitlines()[-1]
    )
    now = snapshot(root / "out")
    for name in left:
        if name.startswith("train-"):
            assert now[name] == left[name]
    assert not (root / "out" / ".writing").exists()


def test_a_continued_run_has_the_records_of_an_uninterrupted_one(killed):
    root, *_ = killed
    assert set(contents(root / "out")) == set(contents(root / "sound"))
    for split in ("train", "validation"):
        assert examples(root / "out", split) == examples(root / "sound", split)
    assert Collection.read(root / "out") == Collection.read(root / "sound")


def test_a_continued_run_has_identical_files(killed):
    root, *_ = killed
    assert contents(root / "out") == contents(root / "sound")


def test_another_command_does_not_continue_an_interrupted_run(zoo, tmp_path):
    damage(zoo)
    with pytest.raises(ValueError, match="cannot be read"):
        quietly(zoo, tmp_path / "out", shards=7)
    before = snapshot(tmp_path / "out")
    for options in ({"shards": 6}, {"shards": 7, "seed": 1}):
        with pytest.raises(
            FileExistsError,
            match=r"out must be empty or .* Received: an interrupted write of other shards",
        ):
            quietly(zoo, tmp_path / "out", **options)
    assert snapshot(tmp_path / "out") == before


def test_a_full_disk_is_reported_with_the_shard_and_the_same_command_continues(
    finished, zoo, tmp_path
):
    work = tmp_path / "out" / ".writing"
    work.mkdir(parents=True)
    (work / "train-00001-of-00003.tmp").symlink_to("/dev/full")
    with pytest.raises(
        OSError,
        match=(
            r"cannot write .*train-00001-of-00003: no space is left. "
            r"Free some space, then run the same command"
        ),
    ):
        quietly(zoo, tmp_path / "out", shards=3)
    (work / "train-00001-of-00003.tmp").unlink()
    assert (tmp_path / "out" / "train-00000-of-00003").exists()
    quietly(zoo, tmp_path / "out", shards=3)
    assert contents(tmp_path / "out") == contents(finished / "out")


def test_a_damaged_plan_or_result_is_reported(zoo, tmp_path):
    work = tmp_path / "out" / ".writing"
    work.mkdir(parents=True)
    (work / "plan.json").write_text("{")
    with pytest.raises(ValueError, match=r"plan\.json must be .* invalid JSON.*Delete .*\.writing"):
        quietly(zoo, tmp_path / "out", shards=3)
    (work / "plan.json").unlink()
    (work / "train-00000-of-00003.json").write_text("[]")
    (tmp_path / "out" / "train-00000-of-00003").touch()
    with pytest.raises(ValueError, match=r"it must be a JSON object.*it writes the shard again"):
        quietly(zoo, tmp_path / "out", shards=3)
    (work / "train-00000-of-00003.json").unlink()
    assert quietly(zoo, tmp_path / "out", shards=3).count_images("train") == 28


def test_a_plan_cannot_name_files_of_other_folders(zoo, tmp_path):
    work = tmp_path / "out" / ".writing"
    work.mkdir(parents=True)
    victim = tmp_path / "victim-00000-of-00001"
    victim.touch()
    shards = {"../victim": 1}
    plan = {"fingerprint": "0", "seed": 0, "shards": shards, "check": True, "bad_of": str(zoo)}
    (work / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(ValueError, match=r"a key of shards must be one of train, .*\.\./victim"):
        quietly(zoo, tmp_path / "out", shards=3)
    assert victim.exists()
