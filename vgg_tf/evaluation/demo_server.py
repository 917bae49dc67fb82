"""Web server of `python -m vgg_tf.demo`.

It listens on this computer only. It serves one page and one example picture, and no files of the
user.
"""

import json
import re
import socketserver
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from urllib.parse import parse_qs, urlsplit

from vgg_tf.evaluation.demo_network import LARGEST

HOST, PORT = "127.0.0.1", 8000
LOCAL = r"(127\.0\.0\.1|localhost)(:\d+)?"
# The page has its style and script inside, and loads nothing from elsewhere.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class DemoServer(ThreadingHTTPServer):
    """HTTP server of a `Demo` on this computer.

    Attributes:
        demo: the `Demo`.
        turn: lock; one prediction at a time keeps the memory of many pictures small.
        url: address of the page.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, demo, port):
        """Listen on a port.

        Args:
            demo: the `Demo`.
            port: number of the port; 0 is any free one.

        Raises:
            OSError: the port is in use.
        """
        self.demo, self.turn = demo, threading.Lock()
        super().__init__((HOST, port), _Handler)
        self.url = f"http://{HOST}:{self.server_address[1]}/"

    def server_bind(self):
        """Bind the socket, without HTTPServer's search for a domain name, which may be slow."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address

    def handle_error(self, request, client_address):
        """Print the traceback of an error, except if the browser has closed the connection."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def open_server(demo, port=0):
    """Return a `DemoServer`, which listens already.

    Args:
        demo: the `Demo`.
        port: number of the port; 0 is 8000, or any free one if 8000 is in use.

    Returns:
        The server. Call its method `serve_forever`.

    Raises:
        ValueError: the port cannot be used.
    """
    if not 0 <= port < 2**16:
        raise ValueError(f"--port must be from 0 to 65535. Received: --port {port}. Try --port 0.")
    try:
        return DemoServer(demo, port or PORT)
    except OSError as error:
        if port:
            raise ValueError(
                f"--port must be a free port. Received: --port {port} ({error.strerror}). Try "
                "--port 0, which takes a free one."
            ) from None
    return DemoServer(demo, 0)


class _Handler(BaseHTTPRequestHandler):
    timeout = 60  # seconds without a byte from the browser

    def do_GET(self):
        """Send the page, its facts or the example."""
        path = urlsplit(self.path).path
        if not self._is_local():
            return
        if path == "/":
            page = resources.files("vgg_tf.evaluation").joinpath("demo.html").read_bytes()
            self._send(200, "text/html; charset=utf-8", page)
        elif path == "/network":
            self._send_json(200, self.server.demo.facts)
        elif path == "/example.jpg":
            folder = resources.files("sklearn.datasets.images")
            self._send(200, "image/jpeg", folder.joinpath("china.jpg").read_bytes())
        else:
            self._refuse(404, f"{path} must be /, /network or /example.jpg. Open the page at /.")

    def do_POST(self):
        """Classify the picture in the body."""
        url, length = urlsplit(self.path), self.headers.get("Content-Length", "")
        if not self._is_local():
            return
        if url.path != "/predict":
            self._refuse(404, f"{url.path} must be /predict. Open the page at /.")
        elif not re.fullmatch(r"[0-9]{1,18}", length):
            self._refuse(411, f"Content-Length must be a number. Received: {length!r}. Send it.")
        elif int(length) > LARGEST:
            self._discard(int(length))
            limit, given = (f"{size / 1e6:.1f} MB" for size in (LARGEST, int(length)))
            self._refuse(
                413, f"The picture must have at most {limit}. Received: {given}. Make it smaller."
            )
        else:
            word = parse_qs(url.query).get("label", [""])[-1]
            self._send_json(*self._answer(self.rfile.read(int(length)), word))

    def _answer(self, contents, word):
        """Return the status and the JSON for a picture and the number of a class, or no number."""
        demo = self.server.demo
        with self.server.turn:
            try:
                label, picture = demo.read_label(word), demo.read(contents)
            except (ValueError, OSError) as error:
                return 400, {"error": _make_line(error)}
            try:
                return 200, demo.predict(picture, label)
            except Exception as error:  # the page must not wait for an answer
                traceback.print_exc()
                return 500, {"error": f"{type(error).__name__}: {_make_line(error)}"}

    def _is_local(self):
        """Return whether the page asks, and not another website (DNS rebinding); else refuse."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if not re.fullmatch(LOCAL, host, re.IGNORECASE):
            self._refuse(403, f"Host must be {HOST} or localhost. Received: {host!r}.")
        elif origin and not re.fullmatch("https?://" + LOCAL, origin, re.IGNORECASE):
            self._refuse(403, f"Origin must be this page. Received: {origin!r}.")
        else:
            return True
        return False

    def _discard(self, length):
        """Read a body that is too large, since a browser reads no answer while it sends."""
        left = min(length, 10 * LARGEST)
        while left > 0 and (part := self.rfile.read(min(left, 2**16))):
            left -= len(part)

    def _refuse(self, status, message):
        self._send_json(status, {"error": message})

    def _send_json(self, status, value):
        self._send(status, "application/json", json.dumps(value, allow_nan=False).encode())

    def _send(self, status, kind, data):
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(data)),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Print nothing; the page shows the errors."""


def _make_line(error):
    return " ".join(str(error).split())
