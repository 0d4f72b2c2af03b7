"""List the sites that need a new certificate."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import canonical
from ansible_collections.decanter.stack.plugins.module_utils.shared.certificate import (
    DAY,
    public_key_of,
    read_certificate,
)
from ansible_collections.decanter.stack.plugins.module_utils.shared.journal import iso

DOCUMENTATION = r"""
module: certificates_due
short_description: List the sites that need a new certificate
description:
  - Reads F(fullchain.pem) and F(privkey.pem) of all sites in one call, so that the slower modules that create
    keys and certificates run only for sites that need it. Changes nothing.
options:
  directory: {description: The folder of the sites' folders., type: path, required: true}
  sites:
    description: The sites.
    type: list
    elements: dict
    required: true
    options:
      name: {description: The site., type: str, required: true}
      server_names: {description: The names of the certificate., type: list, elements: str, required: true}
      authority:
        {description: The certificate of the private CA in PEM; self-signed if empty., type: str, default: ""}
      temporary:
        description: Whether any readable certificate is sufficient until an ACME CA has issued the first.
        type: bool
        default: false
  days: {description: Days before its expiry at which a certificate is due., type: int, required: true}
"""
RETURN = r"""
due:
  description: The C(name), the reason C(because), and whether the C(folder) exists, of each site that is due.
  type: list
  elements: dict
  returned: always
"""


class Due(Exception):
    """A site needs a new certificate; the message is the reason."""


def check(folder: Path, site: dict[str, Any], days: int) -> None:
    """Raise Due if the site needs a new certificate."""
    chain, key = folder / "fullchain.pem", folder / "privkey.pem"
    if not (chain.exists() and key.exists()):
        raise Due("it does not exist")
    try:
        public_key = public_key_of(key)
    except ValueError:
        raise Due("its key cannot be read") from None
    try:
        certificate = read_certificate(chain)
    except ValueError:
        raise Due("it cannot be read") from None
    if public_key != certificate.public_key:
        raise Due("its key belongs to another certificate")
    if site["temporary"]:
        return
    if certificate.ends - time.time() < days * DAY:
        raise Due(f"it expires {iso(certificate.ends)}")
    if not certificate.names:
        raise Due("it has no names")
    if set(certificate.names) != {canonical(name) for name in site["server_names"]}:
        raise Due(f"it is for {', '.join(sorted(certificate.names))}")
    if site["authority"]:
        # cryptography verifies signatures since version 40; Ubuntu 22.04 has 3.4.
        command = ("openssl", "verify", "-partial_chain", "-trusted", "/dev/stdin", str(chain))
        if subprocess.run(command, input=site["authority"], capture_output=True, text=True).returncode != 0:
            raise Due("another CA has signed it")
    elif not certificate.self_issued:
        raise Due("it is not self-signed")


def main() -> None:
    site_options = {
        "name": {"type": "str", "required": True},
        "server_names": {"type": "list", "elements": "str", "required": True},
        "authority": {"type": "str", "default": ""},
        "temporary": {"type": "bool", "default": False},
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
        folder = Path(module.params["directory"], site["name"])
        try:
            check(folder, site, module.params["days"])
        except Due as reason:
            due.append({"name": site["name"], "because": str(reason), "folder": folder.is_dir()})
    module.exit_json(changed=False, due=due)


if __name__ == "__main__":
    main()
