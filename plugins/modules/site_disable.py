"""Stop and disable all units of a site. Its data stays."""

from __future__ import annotations

import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils import companions
from ansible_collections.decanter.stack.plugins.module_utils.paths import SitePaths, slice_name
from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import show, systemctl
from ansible_collections.decanter.stack.plugins.module_utils.site import COLOURS, SERVICES, Site

DOCUMENTATION = r"""
module: site_disable
short_description: Stop serving a site
description:
  - Stops its units, keeps them from starting at boot, and removes them with its configuration and its
    credentials. Releases, uploads, database and user are kept.
options:
  name: {description: The site., type: str, required: true}
"""
RETURN = r"""
removed: {description: What was removed., type: list, elements: str, returned: always}
"""


def files(name: str) -> list[Path]:
    """Return the files of the site's units, in the order in which they can be removed safely."""
    system = Path("/etc/systemd/system")
    units = [*system.glob(f"{name}@*"), *system.glob(f"{name}.*@.*")]
    notes = [Path(f"/etc/tmpfiles.d/decanter-{name}{part}.conf") for part in ("-live", "")]
    paths = SitePaths(name)
    units.append(system / slice_name(name))
    # The archive first, because the next boot would restore the units.
    folders = [Path(paths.sockets), Path(paths.configuration)]
    return [Path(paths.settings_archive), *units, *notes, *folders]


def main() -> None:
    module = AnsibleModule(
        argument_spec={"name": {"type": "str", "required": True}}, supports_check_mode=True
    )
    site = Site(module.params["name"])
    instances = [site.unit(colour, kind) for colour in COLOURS for kind in ("socket", "service")]
    instances += [f"{service}@{site.name}.service" for service in SERVICES]
    # Processes and timers of all releases.
    instances += companions.other_companions(site, "", {"processes": [], "timers": []})
    running = [unit for unit in instances if show(unit)["ActiveState"] not in ("inactive", "failed")]
    enabled = [unit for unit in instances if show(unit)["UnitFileState"] == "enabled"]
    left = [path for path in files(site.name) if path.exists()]
    result = {"changed": bool(running or enabled or left), "removed": [str(path) for path in left]}
    if module.check_mode or not result["changed"]:
        module.exit_json(**result)

    if enabled:
        systemctl("--quiet", "disable", *enabled)
    # Stop the sockets in the same call, because a late request would start the site again.
    if running:
        systemctl("stop", *running)
        systemctl("reset-failed", *running, check=False)  # This fails for units that have not failed.
    for path in left:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    systemctl("daemon-reload")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
