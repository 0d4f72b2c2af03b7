"""Run nginx with a rendered configuration on loopback, in front of an application that echoes requests."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nginx_configuration import as_installed, nginx_command, write_configuration
from templates_cases import Case
from templates_rendering import render, root_of

HOST = "debian12"
# Administrators have no limits, and nginx_admin_networks contains loopback addresses by default.
SETTINGS = {"nginx_admin_networks": ["192.0.2.1"]}


class Application(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """An application with a catch-all route, which returns each request line and header as it arrived."""

    daemon_threads = True
    request_queue_size = 64
    status = "200 OK"

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True)
        super().__init__(str(path), Echo)
        path.chmod(0o600)  # only the socket of the instance green is executable
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        line = self.rfile.readline().decode().strip()
        headers = []
        while header := self.rfile.readline().decode().strip():
            headers.append(header.partition(": ")[::2])
        body = json.dumps({"line": line, "headers": headers}).encode()
        self.wfile.write(
            f"HTTP/1.1 {self.server.status}\r\nX-Received: {line}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + (b"" if line.startswith("HEAD ") else body)
        )


class Response(NamedTuple):
    status: int
    headers: dict[str, str]  # by lower-case names
    body: str

    @property
    def forwarded(self) -> str:
        """Return the request line that the application received, or an empty string."""
        return self.headers.get("x-received", "")

    def received(self, name: str) -> list[str]:
        """Return the values of a header that the application received."""
        return [value for key, value in json.loads(self.body)["headers"] if key.lower() == name.lower()]


class Server(NamedTuple):
    root: Path
    port: int
    applications: Mapping[str, Application]

    def request(
        self, target: str, method: str = "GET", host: str = "", headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send a request line as it is, without the normalization of HTTP clients."""
        context = ssl._create_unverified_context()
        address = ("127.0.0.1", self.port)
        given = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        with (
            socket.create_connection(address, 10) as plain,
            context.wrap_socket(plain, server_hostname=host) as connection,
        ):
            lines = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{given}Connection: close\r\n\r\n"
            connection.sendall(lines.encode())
            received = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        head, _, body = received.partition("\r\n\r\n")
        status, *rest = head.split("\r\n")
        if not status:
            return Response(0, {}, "")  # closed without a response
        pairs = (line.partition(": ")[::2] for line in rest)
        return Response(int(status.split()[1]), {name.lower(): value for name, value in pairs}, body)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextlib.contextmanager
def running_nginx(sites: Mapping[str, Any], **settings: Any) -> Iterator[Server]:
    """Run nginx with these sites. The password of the user `ada` is `correct horse` where one is required."""
    case = Case(dict(sites), SETTINGS | settings)
    files = render(HOST, case, ["nginx"], __nginx_brotli=False, **as_installed(HOST))
    port, plain_port = free_port(), free_port()
    ports = {
        "443": f"127.0.0.1:{port}",
        "[::]:443": f"[::1]:{port}",
        "80": f"127.0.0.1:{plain_port}",
        "[::]:80": f"[::1]:{plain_port}",
    }
    for root in root_of(files):
        main = write_configuration(root, ports)
        (root / "etc/nginx/passwords").mkdir()
        applications = {}
        for site in sites:
            (root / f"etc/nginx/passwords/{site}").write_text("ada:{PLAIN}correct horse\n")
            (root / f"var/lib/decanter/maintenance/{site}").mkdir(parents=True)
            applications[site] = Application(root / f"run/decanter/{site}/live.sock")
        # One process, so that root does not become a user without access to the folder.
        command = nginx_command(root, main, "-g", "daemon off; master_process off;")
        log = root / "stderr"
        with log.open("w") as file:
            process = subprocess.Popen(command, stderr=file)
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            else:
                raise AssertionError(f"nginx did not start: {log.read_text()}")
            yield Server(root, port, applications)
        finally:
            process.kill()
            process.wait()
            for application in applications.values():
                application.shutdown()
                application.server_close()
