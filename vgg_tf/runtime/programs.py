"""The shell of every program: errors in one line, Ctrl-C, child programs, figures that fail."""

import contextlib
import io
import math
import os
import signal
import subprocess
import sys
import traceback

from vgg_tf.runtime import files
from vgg_tf.runtime.quiet import TENSORFLOW_MISSING, lacks_tensorflow
from vgg_tf.runtime.signals import PREEMPTED, TERMINATED, Notice, PreemptedError

# If our modules raise these errors, the message is for the user. From other modules they are bugs
# and keep their traceback.
_OUR_FAULTS = (ValueError, FloatingPointError)
LONGEST_LIST = 20  # lines in a message; the rest of a list is counted


def run(main):
    """Run `main()` as a program, with errors in one line.

    The exit code is 0, 1 after an error, 75 after SIGTERM and 130 after Ctrl-C. Errors that are
    bugs keep their traceback.

    Args:
        main: Function without arguments.

    Raises:
        ModuleNotFoundError: A module is missing for which no installation is known.
        OSError: It does not name a file and is not from our modules.
    """
    # Line by line also into a file, which would otherwise lose its last lines at a kill.
    # A stream that cannot encode a name shows the codes of its characters.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        with Notice(0):  # outside a training, no work is lost by an immediate end
            main()
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command again to continue", file=sys.stderr, flush=True)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        # Immediately: Python's normal exit sometimes crashes while TensorFlow's threads are busy.
        os._exit(130)
    except PreemptedError:
        print(f"\n{TERMINATED}", file=sys.stderr)
        sys.exit(PREEMPTED)
    except BrokenPipeError:  # the reader, such as `head`, has ended
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


def hides_bar(stream=None):
    """Return whether a progress bar would only fill a log.

    It would where the output is neither a terminal nor a notebook, and where TQDM_DISABLE is set.

    Args:
        stream: The bar's stream. None is `sys.stderr`.

    Returns:
        bool, for the argument `disable` of tqdm.
    """
    if os.environ.get("TQDM_DISABLE"):
        return True
    python = sys.modules.get("IPython")
    in_notebook = python and hasattr(python.get_ipython(), "kernel")
    return not (in_notebook or (stream or sys.stderr).isatty())


def count(n, noun, nouns=None):
    """Return a number with its noun, such as `1 picture` or `1,234 classes`.

    Args:
        n: Integer, 0 or more.
        noun: Word for one.
        nouns: Word for several; the default is `noun` with an s.

    Returns:
        str.
    """
    return f"{n:,} {noun if n == 1 else nouns or noun + 's'}"


def format_list(lines, path=None):
    """Return the first 20 lines of a list for a message, and how many more there are.

    Args:
        lines: Sequence of str.
        path: File into which all lines are written if there are more. None writes no file.

    Returns:
        str, lines that are indented from the second one on.
    """
    if len(lines) <= LONGEST_LIST:
        return "\n  ".join(lines)
    more = f"and {len(lines) - LONGEST_LIST:,} more"
    if path:
        try:
            files.write_whole(path, "".join(f"{line}\n" for line in lines).encode(errors="replace"))
            more += f"; all of them are in {path}"
        except OSError as error:  # a folder without write permission must not hide the list
            more += f" ({path} was not written: {error})"
    return "\n  ".join([*lines[:LONGEST_LIST], more])


def format_names(names):
    """Return the first 20 names of a sequence, with commas, and how many more there are."""
    more = f" and {len(names) - LONGEST_LIST} more" if len(names) > LONGEST_LIST else ""
    return ", ".join(names[:LONGEST_LIST]) + more


def call(words, said=None, **options):
    """Run another program of this project, and pass SIGTERM on to it.

    Args:
        words: Program and arguments, after `python -m`.
        said: Function that is called with each line of the program's stderr. None prints them.
        **options: Options of `subprocess.Popen`.

    Returns:
        int, the exit code as a shell reports it.

    Raises:
        PreemptedError: SIGTERM came, and the program was killed by it or had already ended.
        KeyboardInterrupt: Ctrl-C was pressed. The program is ended first.
    """
    errors = subprocess.PIPE if said else None
    words = [sys.executable, "-m", *words]
    with (
        Notice(math.inf) as notice,
        subprocess.Popen(words, stderr=errors, text=True, errors="replace", **options) as child,
    ):
        notice.hand_on = child.terminate
        if notice.told:  # SIGTERM came while the program started
            child.terminate()
        try:
            for line in child.stderr or ():
                said(line)
            code = child.wait()
        except KeyboardInterrupt:  # the child has received Ctrl-C, too
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(10)
            child.kill()
            raise
    if notice.told and code in (0, -signal.SIGTERM):
        raise PreemptedError
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def noting(what, noted=None):
    """Print an error as a note on stderr, and continue.

    A figure that fails must not end a training run or a test.

    Args:
        what: The figure, such as its path.
        noted: Set of the figures that were noted before, which is updated. These are not noted
            again.
    """
    noted = set() if noted is None else noted
    try:
        yield
    except Exception as error:
        if what not in noted:
            message = " ".join(str(error).split())[:500]
            print(
                f"note: {what} was not drawn ({type(error).__name__}: {message}). The program "
                "continues.",
                file=sys.stderr,
            )
        noted.add(what)
