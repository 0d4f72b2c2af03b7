"""Look at the certificates that visitors of each name are shown, from the controller."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.decanter.stack.plugins.action.certificates import PROGRAM
from ansible_collections.decanter.stack.plugins.module_utils.shared.certificate import (
    DAY,
    Certificate,
    described,
)
from ansible_collections.decanter.stack.plugins.module_utils.shared.journal import iso
from ansible_collections.decanter.stack.plugins.plugin_utils.display import warn

TIMEOUT = 10.0
STANDS_IN, OTHER_NAMES = "still the one that stands in", "it is for "


def shown(name: str, place: tuple[str, int], context: ssl.SSLContext) -> bytes:
    """The certificate that a visitor of a name is shown. Raises OSError."""
    with (
        socket.create_connection(place, TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        return connection.getpeercert(binary_form=True) or b""


def faults(name: str, made: Certificate, now: float) -> Iterator[str]:
    """Yield the faults of a certificate, except that it ends soon."""
    if made.self_issued:
        yield STANDS_IN
        return
    if name not in made.names and f"*.{name.partition('.')[2]}" not in made.names:
        yield f"{OTHER_NAMES}{', '.join(made.names) or 'no name'}"
    if not made.begins <= now < made.ends:
        begins, ends = (iso(at).partition(" ")[0] for at in (made.begins, made.ends))
        yield f"it is valid from {begins} to {ends}"


def look(name: str, place: tuple[str, int], ca: str, trusted: bool) -> tuple[list[str], float, bool]:
    """What is wrong with what a visitor of a name is shown, for how many days it is good, and whether
    those are too few."""
    from cryptography import x509

    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    now = time.time()
    try:
        made = described(x509.load_der_x509_certificate(shown(name, place, unverified)))
    except (OSError, ValueError) as error:
        return [f"no handshake with {place[0]} ({error})"], 0.0, False
    wrong = list(faults(name, made, now))
    if trusted and not wrong:
        try:
            shown(name, place, ssl.create_default_context(cafile=ca or None))
        except OSError as error:
            said = getattr(error, "verify_message", "") or str(error)
            wrong = [f"{made.issuer_name} has given it, whom nobody trusts here ({said})"]
    return wrong, (made.ends - now) / DAY, now > made.last_third


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        given = self._task.args
        found: dict[str, list[str]] = {}
        few: dict[str, str] = {}
        for site in given["sites"]:
            for name in site["server_names"]:
                place = given.get("address") or name, int(given.get("port", 443))
                wrong, days, too_few = look(name, place, given.get("ca", ""), given.get("trusted", True))
                if wrong:
                    found.setdefault(site["name"], []).append(f"{name}: {'; '.join(wrong)}")
                elif too_few:
                    few[site["name"]] = f"{name}: {days:.1f} days left, which are too few"
        reasons = self._reasons(task_vars) if found else {}
        warned: list[str] = []
        failed: list[str] = []
        for name, lines in found.items():
            for line in lines:
                reason = f", because {reasons[name]}" if name in reasons else ""
                # What stands in will go, and a host that says why tries again by itself. Anything else is
                # somebody's to look at.
                helped = STANDS_IN in line or (reason and OTHER_NAMES in line)
                (warned if helped else failed).append(f"sites.{name}: {line}{reason}")
        warned += [f"sites.{name}: {line}" for name, line in few.items()]
        for line in warned:
            warn(self._display, line)
        if failed:
            raise AnsibleActionFail("\n".join(failed))
        return {"changed": False}

    def _reasons(self, task_vars: dict[str, Any]) -> dict[str, str]:
        """What the host says of each site's certificate; nothing where another has them."""
        listed = self._execute_module("ansible.builtin.command", {"argv": PROGRAM}, task_vars=task_vars)
        rows = json.loads(listed["stdout"]) if listed.get("rc") == 0 else []
        return {row["name"]: row["error"] for row in rows if row.get("error")}
