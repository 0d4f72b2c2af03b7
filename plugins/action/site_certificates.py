"""Look at the certificates that visitors of each name are shown, from the controller."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.decanter.stack.plugins.plugin_utils.display import warn

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

LISTED = ["/usr/bin/python3", "-Es", "/usr/local/lib/decanter/certificates.py", "list"]
TIMEOUT = 10.0
# No warning earlier than that, however long a certificate is good for; as on the hosts.
LONGEST_WARNING = datetime.timedelta(days=30)
STANDS_IN, OTHER_NAMES = "still the one that stands in", "it is for "


def shown(name: str, place: tuple[str, int], context: ssl.SSLContext) -> bytes:
    """The certificate that a visitor of a name is shown. Raises OSError."""
    with (
        socket.create_connection(place, TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        return connection.getpeercert(binary_form=True) or b""


def faults(name: str, made: Certificate, now: datetime.datetime) -> Iterator[str]:
    """What is wrong with a certificate itself, but for its end."""
    from cryptography import x509

    if made.issuer == made.subject:
        yield STANDS_IN
        return
    try:
        extension = made.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = [str(each.value) for each in extension.value]
    except x509.ExtensionNotFound:
        names = []
    if name not in names and f"*.{name.partition('.')[2]}" not in names:
        yield f"{OTHER_NAMES}{', '.join(names) or 'no name'}"
    if not made.not_valid_before_utc <= now < made.not_valid_after_utc:
        begins, ends = (f"{at:%Y-%m-%d}" for at in (made.not_valid_before_utc, made.not_valid_after_utc))
        yield f"it is valid from {begins} to {ends}"


def look(name: str, place: tuple[str, int], ca: str, trusted: bool) -> tuple[list[str], float, bool]:
    """What is wrong with what a visitor of a name is shown, for how many days it is good, and whether
    those are too few."""
    from cryptography import x509

    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    now = datetime.datetime.now(datetime.UTC)
    try:
        made = x509.load_der_x509_certificate(shown(name, place, unverified))
    except (OSError, ValueError) as error:
        return [f"no handshake with {place[0]} ({error})"], 0.0, False
    wrong = list(faults(name, made, now))
    if trusted and not wrong:
        try:
            shown(name, place, ssl.create_default_context(cafile=ca or None))
        except OSError as error:
            said = getattr(error, "verify_message", "") or str(error)
            wrong = [f"{made.issuer.rfc4514_string()} has given it, whom nobody trusts here ({said})"]
    life = made.not_valid_after_utc - made.not_valid_before_utc
    left = made.not_valid_after_utc - now
    return wrong, left / datetime.timedelta(days=1), left < min(life / 3, LONGEST_WARNING)


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
        listed = self._execute_module("ansible.builtin.command", {"argv": LISTED}, task_vars=task_vars)
        rows = json.loads(listed["stdout"]) if listed.get("rc") == 0 else []
        return {row["name"]: row["error"] for row in rows if row.get("error")}
