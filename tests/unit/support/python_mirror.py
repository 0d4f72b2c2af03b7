"""A mirror of Python archives on loopback, with an archive that uv can install."""

from __future__ import annotations

import hashlib
import io
import platform
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

RELEASES = "https://github.com/astral-sh/python-build-standalone/releases/download"
# A stub of Python: it prints its version, and does nothing for compileall.
PROGRAM = """#!/bin/sh
case "$*" in *compileall*) exit 0 ;; esac
echo {version}
"""
# uv rewrites this file and fails without it.
SYSCONFIG = """# system configuration generated and used by the sysconfig module
build_time_vars = {'CC': 'cc', 'prefix': '/install'}
"""


def archive(version: str, program: str = PROGRAM, mark: str = "") -> bytes:
    """Return an archive like those of python-build-standalone, with unsafe modes and owners."""
    minor = version.rpartition(".")[0]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        files = {
            f"bin/python{minor}": (program.format(version=version), 0o6777),
            f"lib/python{minor}/os.py": (mark, 0o666),
            f"lib/python{minor}/_sysconfigdata__linux_{platform.machine()}-linux-gnu.py": (SYSCONFIG, 0o664),
        }
        for name, (text, mode) in files.items():
            entry = tarfile.TarInfo(f"python/{name}")
            entry.size, entry.mode, entry.uid, entry.gid = len(text), mode, 1234, 1234
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Mirror:
    """A server of archives by the paths of their pins. `fault` is empty, `cut` or `stall`."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.fault = ""
        self.stalled, self.released = threading.Event(), threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.respond(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/python"

    def add(self, version: str, data: bytes, build: str = "20260101") -> dict[str, Any]:
        """Serve an archive, and return its pin in the format of uv's list."""
        machine = platform.machine()
        major, minor, patch = map(int, version.split("."))
        path = (
            f"/{build}/cpython-{version}%2B{build}-{machine}-unknown-linux-gnu-install_only_stripped.tar.gz"
        )
        self.files[unquote(f"/python{path}")] = data
        entry = {
            "name": "cpython",
            "arch": {"family": machine, "variant": None},
            "os": "linux",
            "libc": "gnu",
            "major": major,
            "minor": minor,
            "patch": patch,
            "prerelease": "",
            "url": RELEASES + path,
            "sha256": hashlib.sha256(data).hexdigest(),
            "variant": None,
            "build": build,
        }
        return {f"cpython-{version}-linux-{machine}-gnu": entry}

    def respond(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(request.path)
        self.requests.append(path)
        data = self.files.get(path)
        if data is None:
            request.send_error(404)
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[: len(data) // 2] if self.fault else data)
        request.wfile.flush()
        if self.fault == "stall":
            self.stalled.set()
            self.released.wait(60)

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
