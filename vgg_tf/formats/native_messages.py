"""Messages that runtimes and converters write to stderr past Python, without the chatter."""

import contextlib
import os
import re
import sys
import tempfile

# Lines below the level of a warning, and two warnings that nobody can act on: ONNX Runtime's about
# graphics cards that are missing, and the converter's about flags that it sets itself.
CHATTER = re.compile(
    r"INFO\b|I\d{4} \d\d:\d\d|fully_quantize: |WARNING: All log messages before absl::InitializeLog"
    r"|.*\[[IV]:onnxruntime|.*\[W:onnxruntime:.*device_discovery"
    r"|W\d{4} .*tf_tfl_flatbuffer_helpers.*Ignored"
)


@contextlib.contextmanager
def hide_chatter():
    """Hold back what is written to stderr, and show it at the end without the chatter.

    Libraries in C++ write to the file descriptor, so `sys.stderr` does not see their lines. After
    an error all lines are shown.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # a process without stderr
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            held.seek(0)
            for line in held:
                if failed or not CHATTER.match(line.decode(errors="replace")):
                    os.write(kept, line)
            os.close(kept)
