"""Fetch the secrets of a site that AWS stores."""

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
short_description: Fetch the secrets of a site that AWS stores
description:
  - Runs C(decanter-credentials@SITE.service), which the site's units also run when they start, and returns
    whether a secret has changed. The release of the site then replaces an instance with the old secret.
  - Check mode sends no request, because the unit may not exist yet.
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
    # Without this file the service fetches again, even if the last fetch was a moment ago.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{FOLDER}/.{site}")
    before, start_time = newest([folder]), time.time()
    try:
        systemctl("start", unit)
    except SystemdError as error:
        lines = [line for line in log(unit, start_time).splitlines() if line.startswith(f"{site}: ")]
        module.fail_json(msg="\n".join(lines) or f"{unit}: {error.output}\n{log(unit, start_time)}")
    module.exit_json(changed=newest([folder]) != before)


if __name__ == "__main__":
    main()
