"""A path with a scheme is remote, and errors of remote files name the file."""

import errno

import pytest
import tensorflow as tf

from vgg_tf.runtime.remote import is_remote, naming


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("gs://bucket/x", True),
        ("ram://x", True),
        ("hdfs://host:9000/x", True),
        ("/gs:/x", False),
        ("gs:x", False),
        ("", False),
    ],
)
def test_a_path_with_a_scheme_is_remote(path, remote):
    assert is_remote(path) == remote


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            OSError,
            r"^cannot write x/y: no space is left\. Free some",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded"),
            OSError,
            r"^cannot write x/y: no space is left\. Free some",
        ),
        (
            tf.errors.ResourceExhaustedError(None, None, "/t; No space left"),
            OSError,
            r"^cannot write x/y: no space is left",
        ),
        (
            tf.errors.NotFoundError(None, None, ""),
            FileNotFoundError,
            "^cannot write x/y: it does not exist",
        ),
        (tf.errors.PermissionDeniedError(None, None, "403"), OSError, "^cannot write x/y: 403"),
        (
            tf.errors.UnavailableError(None, None, "try later"),
            OSError,
            "^cannot write x/y: try later",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "a/b"),
            PermissionError,
            "Permission denied: 'a/b'",
        ),
        (KeyError("mine"), KeyError, "mine"),
        (KeyboardInterrupt("stop"), KeyboardInterrupt, "stop"),
    ],
)
def test_only_errors_of_files_become_oserrors_that_name_the_file(error, kind, message):
    with pytest.raises(kind, match=message) as raised, naming("x/y"):
        raise error
    assert type(raised.value) is kind
