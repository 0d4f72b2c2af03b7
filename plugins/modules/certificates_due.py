"""Tell which sites' certificates have to be made anew."""

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


def check(folder: Path, site: dict[str, Any], days: int) -> None:
    """Raise Due unless the certificate in a folder will do."""
    chain, key = folder / "fullchain.pem", folder / "privkey.pem"
    if not (chain.exists() and key.exists()):
        raise Due("there is none")
    try:
        public_key = public_key_of(key)
    except ValueError:
        raise Due("its key cannot be read") from None
    try:
        made = read_certificate(chain)
    except ValueError:
        raise Due("it cannot be read") from None
    if public_key != made.public_key:
        raise Due("its key is another's")
    if site["stands_in"]:
        return
    if made.ends - time.time() < days * DAY:
        raise Due(f"it ends at {iso(made.ends)}")
    if not made.names:
        raise Due("it has no names")
    if set(made.names) != {canonical(name) for name in site["server_names"]}:
        raise Due(f"it is for {', '.join(sorted(made.names))}")
    if site["authority"]:
        # cryptography verifies a signature from version 40 on, and Ubuntu 22.04 has 3.4.
        command = ("openssl", "verify", "-partial_chain", "-trusted", "/dev/stdin", str(chain))
        if subprocess.run(command, input=site["authority"], capture_output=True, text=True).returncode != 0:
            raise Due("another authority has signed it")
    elif not made.self_issued:
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
        folder = Path(module.params["directory"], site["name"])
        try:
            check(folder, site, module.params["days"])
        except Due as reason:
            due.append({"name": site["name"], "because": str(reason), "folder": folder.is_dir()})
    module.exit_json(changed=False, due=due)


if __name__ == "__main__":
    main()
