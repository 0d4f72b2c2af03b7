"""Probe a site at its public address, as a client does, from the controller."""

from __future__ import annotations

import http
import http.client
import socket
import ssl
import time
from urllib.parse import urlsplit

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

PATIENCE = 10  # seconds: a draining instance may send a last response, and DNS may be slow


class Connection(http.client.HTTPSConnection):
    """Connect to an address other than the one that the name resolves to, but verify the name."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=20, context=context)
        self.address, self.context = address, context

    def connect(self) -> None:
        plain = socket.create_connection((self.address, self.port), self.timeout)
        self.sock = self.context.wrap_socket(plain, server_hostname=self.host)


def get(url: str, address: str, ca: str, verified: bool) -> tuple[int, str]:
    """Return the status of a response and its X-Release. Raise OSError or HTTPException."""
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=ca or None)
    if not verified:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host = parts.hostname or ""
    connection = Connection(host, parts.port or 443, address or host, context)
    try:
        connection.request("GET", parts.path or "/", headers={"User-Agent": "decanter-verify"})
        response = connection.getresponse()
        return response.status, response.headers.get("X-Release", "")
    finally:
        connection.close()


class ActionModule(ActionBase):
    """Arguments: `url`; `address`, if the name does not resolve to the host; `ca` and `verified`; `release`,
    the expected one; `closed`, whether the site is in maintenance."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = self._task.args
        wanted, deadline = arguments.get("release", ""), time.monotonic() + PATIENCE
        while True:
            try:
                status, release = get(
                    arguments["url"],
                    arguments.get("address") or "",
                    arguments.get("ca") or "",
                    arguments["verified"],
                )
                if arguments["closed"]:
                    self._display.display(f"{arguments['url']}: {status}, in maintenance")
                    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
                        return {"changed": False, "status": status, "release": release}
                if status < 400 and wanted in ("", release):
                    return {"changed": False, "status": status, "release": release}
                found = f"{status} from release {release or 'unknown'}" if wanted else str(status)
            except (OSError, http.client.HTTPException) as error:
                found = f"no response ({error})"
            if time.monotonic() > deadline:
                raise AnsibleActionFail(
                    f"{arguments['url']}: found {found}, expected success"
                    + (f" from {wanted}" if wanted else "")
                )
            time.sleep(0.3)
