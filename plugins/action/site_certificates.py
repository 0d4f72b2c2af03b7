"""Verify from the controller the certificates that clients get for each name of the sites."""

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
SELF_SIGNED, OTHER_NAMES = "self-signed certificate", "the certificate is for "


def served(name: str, place: tuple[str, int], context: ssl.SSLContext) -> bytes:
    """Return the certificate that a client gets for a name, in DER. Raise OSError."""
    with (
        socket.create_connection(place, TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        return connection.getpeercert(binary_form=True) or b""


def faults(name: str, certificate: Certificate, now: float) -> Iterator[str]:
    """Yield the faults of a certificate, except that it expires soon."""
    if certificate.self_issued:
        yield SELF_SIGNED
        return
    if name not in certificate.names and f"*.{name.partition('.')[2]}" not in certificate.names:
        yield f"{OTHER_NAMES}{', '.join(certificate.names) or 'no name'}"
    if not certificate.begins <= now < certificate.ends:
        begins, ends = (iso(at).partition(" ")[0] for at in (certificate.begins, certificate.ends))
        yield f"the certificate is valid from {begins} to {ends}"


def check(name: str, place: tuple[str, int], ca: str, trusted: bool) -> tuple[list[str], float, bool]:
    """Return the faults of a name's certificate, the days until it expires, and whether they are too few."""
    from cryptography import x509

    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    now = time.time()
    try:
        certificate = described(x509.load_der_x509_certificate(served(name, place, unverified)))
    except (OSError, ValueError) as error:
        return [f"the TLS handshake with {place[0]} failed ({error})"], 0.0, False
    wrong = list(faults(name, certificate, now))
    if trusted and not wrong:
        try:
            served(name, place, ssl.create_default_context(cafile=ca or None))
        except OSError as error:
            reason = getattr(error, "verify_message", "") or str(error)
            wrong = [f"the controller does not trust the issuer {certificate.issuer_name} ({reason})"]
    return wrong, (certificate.ends - now) / DAY, now > certificate.last_third


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = self._task.args
        found: dict[str, list[str]] = {}
        few: dict[str, str] = {}
        for site in arguments["sites"]:
            for name in site["server_names"]:
                place = arguments.get("address") or name, int(arguments.get("port", 443))
                wrong, days, too_few = check(
                    name, place, arguments.get("ca", ""), arguments.get("trusted", True)
                )
                if wrong:
                    found.setdefault(site["name"], []).append(f"{name}: {'; '.join(wrong)}")
                elif too_few:
                    few[site["name"]] = f"{name}: the certificate expires too soon, in {days:.1f} days"
        reasons = self._reasons(task_vars) if found else {}
        warned: list[str] = []
        failed: list[str] = []
        for name, lines in found.items():
            for line in lines:
                reason = f", because {reasons[name]}" if name in reasons else ""
                # The host replaces a self-signed certificate, and repeats an order that failed. Other faults
                # require an operator.
                temporary = SELF_SIGNED in line or (reason and OTHER_NAMES in line)
                (warned if temporary else failed).append(f"sites.{name}: {line}{reason}")
        warned += [f"sites.{name}: {line}" for name, line in few.items()]
        for line in warned:
            warn(self._display, line)
        if failed:
            raise AnsibleActionFail("\n".join(failed))
        return {"changed": False}

    def _reasons(self, task_vars: dict[str, Any]) -> dict[str, str]:
        """Return the last error of each site's certificate; empty if another host has the certificates."""
        listed = self._execute_module("ansible.builtin.command", {"argv": PROGRAM}, task_vars=task_vars)
        rows = json.loads(listed["stdout"]) if listed.get("rc") == 0 else []
        return {row["name"]: row["error"] for row in rows if row.get("error")}
