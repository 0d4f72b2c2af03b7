"""The health check of an instance, through its socket."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

from ansible_collections.decanter.stack.plugins.module_utils.site import Wanted


class UnixConnection(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def check(path: Path, wanted: Wanted) -> str:
    """Return why the instance behind a socket is unhealthy, or an empty string."""
    connection = UnixConnection(path, timeout=10)
    try:
        headers = {
            "Host": wanted["server_names"][0],
            # As nginx sends them. The client is this host.
            "X-Forwarded-For": "127.0.0.1",
            "X-Forwarded-Proto": "https",
            "User-Agent": "decanter-health",
        }
        connection.request("GET", wanted["health"]["path"], headers=headers)
        response = connection.getresponse()
        body = response.read(500).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"no response ({error!r})"
    finally:
        connection.close()
    return "" if response.status < 400 else f"{response.status} {response.reason}: {body.strip()}"
