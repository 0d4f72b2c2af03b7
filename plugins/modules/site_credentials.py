"""Have a site's secrets fetched that are kept elsewhere."""

from __future__ import annotations

import contextlib
import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import (
    SystemdError,
    show,
    systemctl,
)
from ansible_collections.decanter.stack.plugins.module_utils.units import log, newest

DOCUMENTATION = r"""
module: site_credentials
short_description: Have a site's secrets fetched that are kept elsewhere
description:
  - Runs C(decanter-credentials@SITE.service), which the site's units run as well when they start, and says
    whether a secret is another now. A site that runs with an old one is started anew by its release.
  - A check asks nobody, so that it needs nothing that is not there yet.
options:
  site: {description: The site's name., type: str, required: true}
"""
FOLDER = "/run/decanter-credentials"


def main() -> None:
    module = AnsibleModule(
        argument_spec={"site": {"type": "str", "required": True}}, supports_check_mode=True
    )
    site = module.params["site"]
    unit, folder = f"decanter-credentials@{site}.service", f"{FOLDER}/{site}"
    if module.check_mode:
        module.exit_json(changed=not os.path.isdir(folder))
    if show(unit)["NeedDaemonReload"] == "yes" or show(unit)["LoadState"] != "loaded":
        systemctl("daemon-reload")
    # Whoever deploys wants what is there now, however short ago it was asked for.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{FOLDER}/.{site}")
    before, begun = newest([folder]), time.time()
    try:
        systemctl("start", unit)
    except SystemdError as error:
        lines = [line for line in log(unit, begun).splitlines() if line.startswith(f"{site}: ")]
        module.fail_json(msg="\n".join(lines) or f"{unit}: {error.output}\n{log(unit, begun)}")
    module.exit_json(changed=newest([folder]) != before)


if __name__ == "__main__":
    main()
