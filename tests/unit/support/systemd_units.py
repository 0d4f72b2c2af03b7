"""Check rendered units with systemd."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repository import ROLES
from templates_rendering import program, read, run

SERVICES = read(ROLES["services"] / "vars/main.yml")["__services_properties"]
# Units of the distribution that our units and drop-ins need.
STUBS = {
    **{
        f"{name}.target": "[Unit]\nDescription=stub\n"
        for name in ("basic", "sysinit", "shutdown", "sockets", "swap", "network", "multi-user", "umount")
    },
    "nginx.service": "[Service]\nType=forking\nExecStart=/bin/sh\n",
    "haproxy.service": "[Service]\nType=notify\nExecStart=/bin/sh\n",
    "mariadb.service": "[Service]\nUser=mysql\nExecStart=/bin/sh\n",
    "mysql.service": "[Service]\nUser=mysql\nExecStart=/bin/sh\n",
    "ssh.socket": "[Socket]\nListenStream=22\nAccept=no\n",
    "ssh.service": "[Service]\nExecStart=/bin/sh\n",
    "logrotate.timer": "[Timer]\nOnCalendar=daily\n",
    "logrotate.service": "[Service]\nExecStart=/bin/sh\n",
}
# The rest of the transient unit of a build: plugins/module_utils/build_unit.py.
BUILD = (
    "User=build_{0}\nGroup=build_{0}\nBindPaths=/srv/{0}/.build/tree:/srv/{0}/releases/1\nExecStart=/bin/sh\n"
)


def add_units(root: Path, sites: Mapping[str, Any]) -> None:
    """Add the files below a folder that the rendered units of the sites need."""
    folder = root / "etc/systemd/system"
    for name, text in STUBS.items():
        (folder / name).write_text(text)
    programs = [
        *("bin/sh", "bin/kill", "usr/bin/python3", "usr/bin/systemctl", "usr/bin/touch", "usr/sbin/haproxy"),
        "opt/decanter/aws/current/bin/python",
        *(service["program"].lstrip("/") for service in SERVICES.values()),
    ]
    for site, values in sites.items():
        if values.get("state") == "absent":
            continue
        # The role python_app creates a link.
        (folder / f"{site}@.service.d").mkdir()
        shutil.copy(root / f"etc/decanter/{site}/unit.conf", folder / f"{site}@.service.d/site.conf")
        programs.append(f"srv/{site}/blue/.venv/bin/python")
        # The module release starts the transient unit.
        text = (root / f"etc/decanter/{site}/build.conf").read_text()
        (folder / f"{site}.build.service").write_text(f"{text}\n{BUILD.format(site)}")
    for name in programs:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("#!/bin/sh\n")
        (root / name).chmod(0o755)


def unit_names(root: Path) -> list[str]:
    """Return the units that have a file or a drop-in. Template units get an instance."""
    folder, names = root / "etc/systemd/system", []
    for path in sorted(folder.iterdir()):
        if path.name in STUBS:
            continue
        names.append(path.name.removesuffix(".d"))
    return sorted({re.sub(r"@\.", "@blue.", name) for name in names})


def check_systemd(root: Path, host: str) -> None:
    """Fail if systemd rejects a unit below a folder, or prints a warning."""
    verify = ("verify", "--man=no", "--generators=no", f"--root={root}")
    code, output = run(program("systemd-analyze"), *verify, *unit_names(root))
    lines = [line[:500] for line in output.splitlines() if "does not match any known unit" not in line]
    assert code == 0 and not lines, f"systemd rejects the units of {host}:\n" + "\n".join(lines)
