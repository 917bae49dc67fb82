"""Jobs for workers are JSON: the same job comes back, and nothing in a folder is a pickle."""

import json
import pickletools

import numpy as np
import pytest

from vgg_tf.records.framing import Record
from vgg_tf.records.schema import TFDS
from vgg_tf.records.splits import Split
from vgg_tf.runtime.schemas import DamagedFileError
from vgg_tf.writing import beam
from vgg_tf.writing.job_files import read_job, write_job
from vgg_tf.writing.jobs import Job

NAME = "train-00000-of-00001"
CONTENTS = ["/a/b\udcff.png", bytes(range(256)), Record("s", 3, 16, 99, TFDS, True)]
BOXES = [None, "b.xml", [("bee", 1.0, 2.5, 3.0, 4.0)]]


@pytest.mark.parametrize("boxes", [None, BOXES])
def test_a_job_is_read_back_unchanged(tmp_path, boxes):
    images = Split(["a", "b", "c"], np.array([1, 0, 1]), [*CONTENTS], boxes)
    write_job(tmp_path, Job(NAME, images, 2), ("ant", "bee"), ("x",), True)
    job, *more = read_job(tmp_path, NAME)
    assert more == [("ant", "bee"), ("x",), True]
    assert (job.name, job.every, job.images.names) == (NAME, 2, images.names)
    assert job.images.contents == CONTENTS
    assert type(job.images.contents[2].form) is type(TFDS)
    assert job.images.boxes == boxes
    np.testing.assert_array_equal(job.images.labels, images.labels)


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("name", "../away", "name must be one of train"),
        ("labels", [1, 0], "columns of different lengths"),
        ("contents", [{"bytes": "%"}] * 3, "base64|non-alphabet|padding"),
        ("contents", [{}] * 3, "an image without contents"),
        ("every", 0, "every must be an integer from 1"),
    ],
)
def test_a_damaged_job_is_refused(tmp_path, key, value, match):
    images = Split(["a", "b", "c"], np.array([1, 0, 1]), [*CONTENTS])
    write_job(tmp_path, Job(NAME, images), ("ant", "bee"), (), False)
    path = tmp_path / f"{NAME}.job"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(DamagedFileError, match=match):
        read_job(tmp_path, NAME)


def is_pickle(data):
    """Return whether the standard library can take bytes apart as a pickle, to its end."""
    try:
        return sum(1 for _ in pickletools.genops(data)) > 1
    except Exception:  # whatever it raises about other bytes
        return False


def test_no_file_of_a_worker_is_a_pickle(zoo, tmp_path, monkeypatch):
    from tests.data.making_zoo import quietly
    from vgg_tf.writing import jobs

    seen = {}

    def run(out, work, missing, classes, texts, skip_bad, tick):
        """Do what a pipeline does: store the jobs, then write each shard as a worker."""
        for job in missing:
            write_job(work, job, classes, texts, skip_bad)
        for job in missing:
            beam.write_one(job.name, out, work)
            yield jobs.read_result(work, job.name)
        seen.update(
            {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
        )

    quietly(zoo, tmp_path / "out", shards=3, run=run)
    assert sum(path.suffix == ".job" for path in seen) == 5
    assert not [path for path, data in seen.items() if is_pickle(data)]
    for path, data in seen.items():
        if path.suffix in (".job", ".json"):
            json.loads(data)
