"""What every program shares: errors in one line, Ctrl-C, child programs, figures that may fail."""

import contextlib
import io
import math
import os
import signal
import subprocess
import sys
import traceback

from vgg_tf.runtime.quiet import TENSORFLOW_MISSING, lacks_tensorflow
from vgg_tf.runtime.signals import PREEMPTED, TERMINATED, Notice, PreemptedError

# Faults whose message is meant for the user when one of our modules raised them; raised elsewhere
# they are bugs and keep their traceback.
_OUR_FAULTS = (ValueError, FloatingPointError)


def run(main):
    """Call `main()` as a program: exit code 0, 1 after an error told in one line, 75 after
    SIGTERM, 130 after Ctrl-C.
    """
    # A line at a time also into a file, which a kill would leave without.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        with Notice(0):  # nothing is under way yet that would be worth a delay
            main()
    except KeyboardInterrupt:
        print("\ninterrupted; the same command continues", file=sys.stderr, flush=True)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        # At once: under TensorFlow's threads, still at work, Python's own end crashes now and then.
        os._exit(130)
    except PreemptedError:
        print(f"\n{TERMINATED}", file=sys.stderr)
        sys.exit(PREEMPTED)
    except BrokenPipeError:  # the reader, such as head, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except ModuleNotFoundError as error:
        if lacks_tensorflow(error):
            sys.exit(f"error: {TENSORFLOW_MISSING}")
        if "pip install" not in str(error):
            raise
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.filename is None and not _is_ours(error):
            raise
        sys.exit(f"error: {error}")
    except _OUR_FAULTS as error:
        if not _is_ours(error):
            raise
        sys.exit(f"error: {error}")


def _is_ours(error):
    frames = list(traceback.walk_tb(error.__traceback__))
    return frames[-1][0].f_globals.get("__name__", "").split(".")[0] in (
        "vgg_tf",
        "tfrecords_tools",
        "__main__",
    )


def call(words, said=None, **options):
    """Run a program of ours and hand SIGTERM on to it.

    Args:
        words: after `python -m`.
        said: called with each line that it writes as an error; without it they are written as ever.
        options: of `subprocess.Popen`.

    Returns:
        its exit code, as a shell tells it.

    Raises:
        PreemptedError: SIGTERM came too early, or too late, for the program to end by it.
    """
    errors = subprocess.PIPE if said else None
    words = [sys.executable, "-m", *words]
    with (
        Notice(math.inf) as notice,
        subprocess.Popen(words, stderr=errors, text=True, errors="replace", **options) as child,
    ):
        notice.hand_on = child.terminate
        if notice.told:  # while it was started
            child.terminate()
        try:
            for line in child.stderr or ():
                said(line)
            code = child.wait()
        except KeyboardInterrupt:  # it was told as well
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(10)
            child.kill()
            raise
    if notice.told and code in (0, -signal.SIGTERM):
        raise PreemptedError
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def noting(what, noted=None):
    """Context in which an error becomes a note on stderr: a figure that fails ends no training and
    no test.

    Args:
        what: the figure, such as its path.
        noted: a set of what has been noted before, which is not noted again; it is updated.
    """
    noted = set() if noted is None else noted
    try:
        yield
    except Exception as error:
        if what not in noted:
            message = " ".join(str(error).split())[:500]
            print(
                f"note: {what} was not drawn ({type(error).__name__}: {message}). Everything "
                "else goes on.",
                file=sys.stderr,
            )
        noted.add(what)
