"""Tell which sites' certificates have to be made anew."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import canonical

DOCUMENTATION = r"""
module: certificates_due
short_description: Tell which sites' certificates have to be made anew
description:
  - Reads each site's F(fullchain.pem) and F(privkey.pem), all of them in one call, so that the modules
    which make keys and certificates are called for those alone that need it. Changes nothing.
options:
  directory: {description: Where each site's folder is., type: path, required: true}
  sites:
    description: The sites.
    type: list
    elements: dict
    required: true
    options:
      name: {description: The site., type: str, required: true}
      server_names: {description: What the certificate is for., type: list, elements: str, required: true}
      authority:
        {description: PEM of the authority that signs; itself where it is empty., type: str, default: ""}
      stands_in:
        description: Whether it only stands in for that of an ACME server, and any that can be served will do.
        type: bool
        default: false
  days: {description: A certificate that ends within so many days is due., type: int, required: true}
"""
RETURN = r"""
due:
  description: A C(name), a C(because), and whether its C(folder) is there, for each that is due.
  type: list
  elements: dict
  returned: always
"""


class Due(Exception):
    """A certificate has to be made; the message says why."""


def openssl(*arguments: str, stdin: str = "", otherwise: str) -> str:
    """What openssl prints; raises Due with the given words when it fails."""
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        raise Due(otherwise)
    return done.stdout


def names_of(extension: str) -> set[str]:
    """Names in openssl's `DNS:a.test, IP Address:10.0.0.1`."""
    parts = (part.strip() for line in extension.splitlines() for part in line.split(", "))
    return {canonical(part.split(":", 1)[1]) for part in parts if part.startswith(("DNS:", "IP Address:"))}


def check(folder: str, site: dict[str, Any], days: int) -> None:
    """Raise Due unless the certificate in a folder will do."""
    chain, key = (os.path.join(folder, name) for name in ("fullchain.pem", "privkey.pem"))
    if not (os.path.exists(chain) and os.path.exists(key)):
        raise Due("there is none")
    ours = openssl("pkey", "-in", key, "-pubout", otherwise="its key cannot be read")
    certificate = openssl(
        *("x509", "-in", chain, "-noout", "-pubkey", "-enddate", "-subject", "-issuer"),
        otherwise="it cannot be read",
    )
    if ours.strip() not in certificate:
        raise Due("its key is another's")
    if site["stands_in"]:
        return
    told = dict(
        line.split("=", 1) for line in certificate.splitlines() if "=" in line and "-----" not in line
    )
    end = datetime.strptime(told["notAfter"], "%b %d %H:%M:%S %Y GMT").replace(tzinfo=timezone.utc)
    if end.timestamp() - time.time() < days * 86400:
        raise Due(f"it ends at {end:%Y-%m-%d %H:%M} UTC")
    names = openssl("x509", "-in", chain, "-noout", "-ext", "subjectAltName", otherwise="it has no names")
    found = names_of(names)
    if not found:
        raise Due("it has no names")
    if found != {canonical(name) for name in site["server_names"]}:
        raise Due(f"it is for {', '.join(sorted(found))}")
    if site["authority"]:
        arguments = ("verify", "-partial_chain", "-trusted", "/dev/stdin", chain)
        openssl(*arguments, stdin=site["authority"], otherwise="another authority has signed it")
    elif told["subject"] != told["issuer"]:
        raise Due("somebody else has signed it")


def main() -> None:
    site_options = {
        "name": {"type": "str", "required": True},
        "server_names": {"type": "list", "elements": "str", "required": True},
        "authority": {"type": "str", "default": ""},
        "stands_in": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "sites": {"type": "list", "elements": "dict", "required": True, "options": site_options},
            "days": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    due = []
    for site in module.params["sites"]:
        folder = os.path.join(module.params["directory"], site["name"])
        try:
            check(folder, site, module.params["days"])
        except Due as reason:
            due.append({"name": site["name"], "because": str(reason), "folder": os.path.isdir(folder)})
    module.exit_json(changed=False, due=due)


if __name__ == "__main__":
    main()
