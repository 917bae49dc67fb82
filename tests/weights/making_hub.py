"""A Hub on 127.0.0.1 for the real client, which runs in a child process.

`python -m tests.weights.making_hub WORDS` resolves each word, or pushes `FOLDER=NAME`, and prints
what came of it as JSON.
"""

import contextlib
import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.making import ROOT

CHUNK = 2**16  # bytes that the client writes at once; a real one writes 10 MB
COMMIT = "c0ffee" + "0" * 34


class Hub(ThreadingHTTPServer):
    """A server with repositories.

    Attributes:
        files: Dict from `owner/name` to a dict from the name of a file to its bytes.
        gated: Names of gated repositories.
        cut: Names of files whose first download ends in the middle.
        reset: Names of files whose first download ends in the middle by a reset connection.
        asked: List of `(method, path, range)` of all requests.
    """

    daemon_threads = True

    def __init__(self, files, gated=(), cut=(), reset=()):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.gated, self.asked, self.objects = files, set(gated), [], {}
        self.cut, self.reset = set(cut) | set(reset), set(reset)

    def shutdown_request(self, request):
        """End a connection; one with SO_LINGER is reset, so no proper end may come before."""
        if struct.unpack("ii", request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))[0]:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    """The part of the Hub's protocol that the client needs."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, status, body=b"", length=None, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_json(self, value, status=200):
        self.send(status, json.dumps(value).encode(), Content_Type="application/json")

    def find(self, repository, revision):
        """Return the files of a repository, or None after an error was sent."""
        if repository in self.server.gated:
            self.send(403, X_Error_Code="GatedRepo", X_Error_Message="Access is restricted")
        elif repository not in self.server.files:
            self.send(401, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
        elif revision not in (None, "main", "v1", COMMIT):
            self.send(404, X_Error_Code="RevisionNotFound", X_Error_Message="Invalid rev id")
        else:
            return self.server.files[repository]
        return None

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.server.asked.append((self.command, path, self.headers.get("Range")))
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            if (files := self.find(*match.groups())) is not None:
                kinds = {"type": "file", "oid": "0" * 40}
                self.send_json([{"path": n, "size": len(b), **kinds} for n, b in files.items()])
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            if (files := self.find(*match.groups())) is not None:
                siblings = [{"rfilename": name} for name in files]
                self.send_json({"id": match[1], "sha": COMMIT, "siblings": siblings})
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            if (files := self.find(match[1], match[2])) is not None:
                self.send_file(files, match[1], match[3])
        else:
            self.send(404)

    do_HEAD = do_GET  # noqa: N815

    def send_file(self, files, repository, name):
        if name not in files:
            self.send(404, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found")
            return
        whole, start, status = files[name], 0, 200
        headers = {"X_Repo_Commit": COMMIT, "Accept_Ranges": "bytes"}
        headers["ETag"] = f'"{hashlib.sha256(whole).hexdigest()}"'
        if match := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or ""):
            start, status = int(match[1]), 206
            headers["Content_Range"] = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
        part = whole[start:]
        key = f"{repository}/{name}"
        if self.command == "GET" and key in self.server.cut:
            self.server.cut.discard(key)
            self.send(status, part[: len(part) // 2], length=len(part), **headers)
            self.close_connection = True
            if key in self.server.reset:
                # The client must have the first half before the system drops the rest.
                time.sleep(0.2)
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return
        self.send(status, part, **headers)

    def do_PUT(self):
        self.server.asked.append((self.command, self.path, None))
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.objects[hashlib.sha256(data).hexdigest()] = data
        self.send(200)

    def do_POST(self):
        path = self.path.partition("?")[0]
        self.server.asked.append((self.command, path, None))
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length) if length else self.read_chunks()
        if path == "/api/validate-yaml":
            unknown = b"license: nonsense" in text
            errors = [{"message": '"license" must be known'}] * unknown
            self.send_json({"errors": errors, "warnings": []}, 400 if errors else 200)
            return
        if "Authorization" not in self.headers:
            self.send(401, X_Error_Message="Invalid username or password.")
            return
        if path == "/api/repos/create":
            name = json.loads(text)
            name = "/".join(filter(None, (name.get("organization"), name["name"])))
            self.server.files.setdefault(name, {})
            self.send_json({"url": f"{self.server.address}/{name}"})
        elif "/preupload/" in path:
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".keras") else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(text)["files"]
            ]
            self.send_json({"files": modes})
        elif path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(text)["objects"]
            for one in objects:
                one["actions"] = {"upload": {"href": f"{self.server.address}/lfs/{one['oid']}"}}
            self.send_json({"transfer": "basic", "objects": objects})
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", path):
            self.commit(match[1], [json.loads(line) for line in text.splitlines()])
        else:
            self.send(404)

    def read_chunks(self):
        data = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        return data

    def commit(self, repository, operations):
        files = self.server.files[repository]
        for one in operations:
            if one["key"] == "file":
                files[one["value"]["path"]] = b64decode(one["value"]["content"])
            elif one["key"] == "lfsFile":
                files[one["value"]["path"]] = self.server.objects[one["value"]["oid"]]
        url = f"{self.server.address}/{repository}/commit/{COMMIT}"
        self.send_json({"commitUrl": url, "commitOid": COMMIT, "hookOutput": ""})


@contextlib.contextmanager
def serving(hub):
    """Let a `Hub` answer in a thread."""
    with hub:
        threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield hub
        finally:
            hub.shutdown()


def make_environment(home, address):
    """Return the environment of a process whose client asks the Hub at `address`."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    own |= {"HF_HOME": str(home), "HF_ENDPOINT": address, "HF_HUB_DISABLE_XET": "1"}
    return own | {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def ask(home, address, *words, **environment):
    """Return what the real client does with the words, in a process of its own.

    Args:
        home: Folder of the client's cache.
        address: Of the Hub.
        *words: Names to resolve, or `FOLDER=NAME` to push.
        **environment: More of the environment.

    Returns:
        Dict from word to what `Found` has, or to `[name of the exception, message]`.
    """
    own = make_environment(home, address) | environment
    command = [sys.executable, "-m", "tests.weights.making_hub", *words]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=own)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def main():
    from huggingface_hub import constants

    from vgg_tf.formats.pushing import push
    from vgg_tf.weights import hub

    time.sleep = lambda seconds: None  # between attempts
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK
    answers = {}
    for word in sys.argv[1:]:
        folder, _, name = word.partition("=")
        try:
            answers[word] = push(folder, name) if name else vars(hub.resolve(word))
        except (OSError, ValueError) as error:
            answers[word] = [type(error).__name__, str(error)]
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
