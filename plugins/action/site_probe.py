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

PATIENCE = 10  # seconds: an instance that drains may answer once more, and DNS may take its time


class Connection(http.client.HTTPSConnection):
    """Connect to an address instead of the one that the name resolves to. The certificate is for the name."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=20, context=context)
        self.address, self.context = address, context

    def connect(self) -> None:
        plain = socket.create_connection((self.address, self.port), self.timeout)
        self.sock = self.context.wrap_socket(plain, server_hostname=self.host)


def ask(url: str, address: str, ca: str, verified: bool) -> tuple[int, str]:
    """The status of an answer, and the release that gave it. Raises OSError, or what is no HTTP."""
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
    """url; address, where no name leads there; ca and verified; the release that has to answer; and whether
    the site is closed to visitors, who are told so."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        given = self._task.args
        wanted, deadline = given.get("release", ""), time.monotonic() + PATIENCE
        while True:
            try:
                status, release = ask(
                    given["url"], given.get("address") or "", given.get("ca") or "", given["verified"]
                )
                if given["closed"]:
                    self._display.display(f"{given['url']}: {status}, and closed to visitors")
                    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:  # no page is left open
                        return {"changed": False, "status": status, "release": release}
                if status < 400 and wanted in ("", release):
                    return {"changed": False, "status": status, "release": release}
                found = f"{status} from release {release or 'unknown'}" if wanted else str(status)
            except (OSError, http.client.HTTPException) as error:
                found = f"no answer ({error})"
            if time.monotonic() > deadline:
                raise AnsibleActionFail(
                    f"{given['url']}: found {found}, expected success" + (f" from {wanted}" if wanted else "")
                )
            time.sleep(0.3)
