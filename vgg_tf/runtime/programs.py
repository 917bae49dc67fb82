"""What every program shares: settings that are restored, a quiet TensorFlow, errors in one line, Ctrl-C and SIGTERM."""

import contextlib
import io
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TENSORFLOW_MISSING = (
    "vgg_tf needs TensorFlow, which it leaves to you so that no image's own is replaced: "
    'pip install tensorflow-cpu (or "tensorflow[and-cuda]" for NVIDIA GPUs)'
)

# Faults whose message is meant for the user when one of our rooms raised them; raised elsewhere they are bugs and keep
# their traceback.
_OUR_FAULTS = (ValueError, FloatingPointError)

PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, give the same command again
TERMINATED = "terminated; the same command continues"


class PreemptedError(BaseException):
    """SIGTERM has ended the work: the machine is taken away, or its time is up. No fault, which a library might catch."""


class Notice:
    """Within, SIGTERM does not kill at once: whoever works asks whether the time that is left is enough.

    Who does not ask in time, as in a compilation or a long test, is ended with exit code 75 when all of it has passed. Only
    the main thread can be told of signals; in others SIGTERM kills as ever.

    Args:
        grace: seconds from SIGTERM until all is lost; infinite for who ends by other means.
    """

    def __init__(self, grace):
        self.grace, self.end = grace, math.inf
        self.told, self.hand_on = False, lambda: None
        self._undo, self._leaving, self._said = contextlib.ExitStack(), threading.RLock(), 2

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            mouth, ear = socket.socketpair()  # Python calls handlers between steps only, but writes here at once
            mouth.setblocking(False)
            self._said = os.dup(2)  # which TensorFlow's import turns away
            watch = threading.Thread(target=self._watch, args=(ear,), daemon=True)
            watch.start()
            self._undo.callback(os.close, self._said)
            self._undo.callback(watch.join)
            self._undo.callback(mouth.close)
            self._undo.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False))
            self._undo.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, self._handle))
        return self

    def __exit__(self, *_):
        self._undo.close()

    def _handle(self, *_):
        self._hear()
        self.hand_on()

    def _hear(self):
        self.told, self.end = True, min(self.end, time.monotonic() + self.grace)
        if not self.grace:  # here as well, so that nothing is begun meanwhile, such as another process
            self._leave()

    def _leave(self):
        with self._leaving:
            os.write(self._said, f"\n{TERMINATED}\n".encode())
            os._exit(PREEMPTED)

    def _watch(self, ear):
        with ear:
            while True:
                ear.settimeout(None if self.end == math.inf else max(1e-3, self.end - time.monotonic()))
                try:
                    heard = ear.recv(64)
                except TimeoutError:
                    self._leave()
                if signal.SIGTERM in heard:
                    self._hear()
                if not heard:
                    return

    def heed(self, seconds):
        """Go on where `seconds` more end in time, which is always so without a notice.

        Raises:
            PreemptedError: they do not.
        """
        if time.monotonic() + seconds > self.end:
            raise PreemptedError


def run(main):
    """Call `main()` as a program: exit code 0, 1 after an error told in one line, 75 after SIGTERM, 130 after Ctrl-C."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a line at a time also into a file, which a kill would leave without
        sys.stdout.reconfigure(line_buffering=True)
    try:
        with Notice(0):  # nothing is under way yet that would be worth a delay
            main()
    except KeyboardInterrupt:
        print("\ninterrupted; the same command continues", file=sys.stderr, flush=True)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(130)  # at once: under TensorFlow's threads, still at work, Python's own end crashes now and then
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


def lacks_tensorflow(error):
    """Tell whether it is TensorFlow, or a part of it, that this ModuleNotFoundError misses."""
    return (error.name or "").split(".")[0] == "tensorflow"


def _is_ours(error):
    frames = list(traceback.walk_tb(error.__traceback__))
    return frames[-1][0].f_globals.get("__name__", "").split(".")[0] in ("vgg_tf", "tfrecords_tools", "__main__")


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
    with Notice(math.inf) as notice, subprocess.Popen(words, stderr=errors, text=True, errors="replace", **options) as child:
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
def environment(**values):
    """Set environment variables, and restore them at the end.

    Libraries read theirs when they are imported or first used. If the variables stayed, all child processes would inherit them.
    """
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def precision(policy):
    """Context in which Keras builds layers in this dtype policy. Layers that were saved keep their own."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextlib.contextmanager
def noting(what, noted=None):
    """Context in which an error becomes a note on stderr: a figure that fails ends no training and no test.

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
            print(f"note: {what} was not drawn ({type(error).__name__}: {message}). Everything else goes on.", file=sys.stderr)
        noted.add(what)


def quiet_tensorflow():
    """TensorFlow, imported without its start-up noise, and with oneDNN wherever it was built with it.

    The lines that TF_CPP_MIN_LOG_LEVEL does not silence are written to the file descriptor, so that one is turned away
    during the import; what it said is shown when the import fails.

    TensorFlow turns oneDNN on by itself only where it finds AVX512-VNNI or AMX. On 2 cores with AVX2 (AMD EPYC, 2.45 GHz)
    a VGG-16 step at 32 pixels ran 2.0 to 2.3 times as fast with it (38 to 48 images/s against 19 to 21).
    """
    if sys.modules.get("tensorflow"):
        import tensorflow as tf  # waits where another thread is at it

        return tf
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
            return tf
        except BaseException:
            noise.seek(0)
            os.write(kept, noise.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
