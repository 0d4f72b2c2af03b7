"""Mail settings of hosts, `base_mail`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.variables import (
    Hostvars,
    Variables,
    first_host_lines,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.project import project_path

MAIL_KEYS = ("to", "server", "security", "port", "from", "user", "password", "ca")
MAIL_ADDRESS = re.compile(r"[^@\s<>,]+@[^@\s<>,]+")
MAIL_EXAMPLE = "such as ops@myproject.org"


def mail_lines(mail: Any) -> Iterator[str]:
    """Yield the errors of base_mail, each with its key. The value of the password is not read."""
    if not isinstance(mail, Mapping):
        example = "{to: [ops@myproject.org], server: smtp.myproject.org}"
        yield f": found a {type(mail).__name__}, expected a dictionary such as {example}"
        return
    for key in sorted(map(str, mail.keys() - set(MAIL_KEYS))):
        near = difflib.get_close_matches(key, MAIL_KEYS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        yield f".{key}: found an unknown key, expected one of: {', '.join(MAIL_KEYS)}{hint}"
    to = mail.get("to")
    if not isinstance(to, Sequence) or isinstance(to, str) or not to:
        found = f'"{to}"' if to else "nothing"
        yield f".to: found {found}, expected a list of addresses {MAIL_EXAMPLE}"
        to = []
    for key, address in [*((f"to[{i}]", a) for i, a in enumerate(to)), ("from", mail.get("from"))]:
        if address is not None and not MAIL_ADDRESS.fullmatch(str(address)):
            yield f'.{key}: found "{address}", expected an address {MAIL_EXAMPLE}'
    server = mail.get("server")
    if not (isinstance(server, str) and re.fullmatch(r"[A-Za-z0-9.:-]+", server)):
        found = f'"{server}"' if server else "nothing"
        yield f".server: found {found}, expected the name of a mail server"
    security, port = mail.get("security", "starttls"), mail.get("port", 25)
    if security not in ("starttls", "tls", "none"):
        yield f'.security: found "{security}", expected one of: starttls, tls, none'
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        yield f'.port: found "{port}", expected an integer from 1 to 65535'
    for key, other in (("user", "password"), ("password", "user")):
        if key in mail and other not in mail:
            yield f".{other}: found nothing, expected a value, because {key} is set"
    if security == "none" and "password" in mail:
        yield ".security: found none with a password, expected starttls or tls"
    if "ca" in mail and not Path(project_path(str(mail["ca"]))).is_file():
        yield f'.ca: found "{mail["ca"]}", expected a file on the controller'


def variable_lines(variables: Variables) -> Iterator[str]:
    if "base_mail" in list(variables) and (mail := variables["base_mail"]) != {}:
        yield from (f"base_mail{line}" for line in mail_lines(mail))


def mail_errors(hostvars: Hostvars, hosts: Iterable[str]) -> Iterator[str]:
    """Yield one line for each error, whatever the number of hosts that have it."""
    return first_host_lines(hostvars, hosts, variable_lines)
