"""SIGTERM handling: the current epoch may finish within the grace period."""

import contextlib
import math
import os
import signal
import socket
import threading
import time

PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, give the same command again
TERMINATED = "terminated; the same command continues"


class PreemptedError(BaseException):
    """SIGTERM has ended the work: the machine is taken away, or its time is up. No fault, which
    a library might catch.
    """


class Notice:
    """Within, SIGTERM does not kill at once: whoever works asks whether the time that is left is
    enough.

    Who does not ask in time, as in a compilation or a long test, is ended with exit code 75 when
    all of it has passed. Only the main thread can be told of signals; in others SIGTERM kills as
    ever.

    Args:
        grace: seconds from SIGTERM until all is lost; infinite for who ends by other means.
    """

    def __init__(self, grace):
        self.grace, self.end = grace, math.inf
        self.told, self.hand_on = False, lambda: None
        self._undo, self._leaving, self._said = contextlib.ExitStack(), threading.RLock(), 2

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            # Python calls handlers between steps only, but writes here at once.
            mouth, ear = socket.socketpair()
            mouth.setblocking(False)
            self._said = os.dup(2)  # which TensorFlow's import turns away
            watch = threading.Thread(target=self._watch, args=(ear,), daemon=True)
            watch.start()
            self._undo.callback(os.close, self._said)
            self._undo.callback(watch.join)
            self._undo.callback(mouth.close)
            self._undo.callback(
                signal.set_wakeup_fd,
                signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False),
            )
            self._undo.callback(
                signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, self._handle)
            )
        return self

    def __exit__(self, *_):
        self._undo.close()

    def _handle(self, *_):
        self._hear()
        self.hand_on()

    def _hear(self):
        self.told, self.end = True, min(self.end, time.monotonic() + self.grace)
        # Here as well, so that nothing is begun meanwhile, such as another process.
        if not self.grace:
            self._leave()

    def _leave(self):
        with self._leaving:
            os.write(self._said, f"\n{TERMINATED}\n".encode())
            os._exit(PREEMPTED)

    def _watch(self, ear):
        with ear:
            while True:
                ear.settimeout(
                    None if self.end == math.inf else max(1e-3, self.end - time.monotonic())
                )
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
