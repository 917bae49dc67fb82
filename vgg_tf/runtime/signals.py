"""SIGTERM handling: the current epoch may finish within a grace period."""

import contextlib
import math
import os
import signal
import socket
import threading
import time

PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: no fault, the same command can be run again
TERMINATED = "terminated; run the same command again to continue"


class PreemptedError(BaseException):
    """SIGTERM has ended the work, because the machine or its time limit ends.

    It is not an Exception, so libraries do not catch it.
    """


class Notice:
    """Context in which SIGTERM does not end the program immediately.

    The program calls `heed` to check whether the remaining time is enough. If it does not, as in a
    compilation or a long test, it is ended with exit code 75 after the grace period. Python
    delivers signals to the main thread only. In other threads SIGTERM ends the program immediately.

    Args:
        grace: Seconds from SIGTERM until the program is ended. Infinite if something else ends it.

    Attributes:
        grace: As given.
        end: Time of `time.monotonic` at which the grace period ends; infinite before SIGTERM.
        told: Whether SIGTERM has arrived.
        hand_on: Function that is called at SIGTERM, such as one that terminates a child process.
    """

    def __init__(self, grace):
        self.grace, self.end = grace, math.inf
        self.told, self.hand_on = False, lambda: None
        self._undo, self._leaving, self._said = contextlib.ExitStack(), threading.RLock(), 2

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            # Python runs handlers only between bytecodes, but writes to this socket immediately.
            mouth, ear = socket.socketpair()
            mouth.setblocking(False)
            self._said = os.dup(2)  # TensorFlow's import redirects stderr itself
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
        # Also in the handler, so that nothing new starts meanwhile, such as another process.
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
        """Continue if there is enough time, which is always so before SIGTERM.

        Args:
            seconds: Time that the next step takes.

        Raises:
            PreemptedError: The grace period ends before that.
        """
        if time.monotonic() + seconds > self.end:
            raise PreemptedError
