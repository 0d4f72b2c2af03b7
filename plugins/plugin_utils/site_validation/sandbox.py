"""Rules of a site's processes, timers and sandbox.

systemd ignores an invalid value of the sandbox with a warning, so that the value of the unit stays in force.
The tables have values that systemd 249 and later accept (systemd.exec(5)).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import (
    error_line,
    schema_at,
    shown,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import part

SYSTEM_CALLS = Path(__file__).parents[2] / "schema/system_calls.txt"
BOOLEANS = ("yes", "no", "true", "false", "on", "off", "1", "0")
BOOLEAN = {
    *("LockPersonality", "MemoryDenyWriteExecute", "PrivateDevices", "ProtectClock", "ProtectControlGroups"),
    *("ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables"),
    "RestrictRealtime",
}
SINGLE = {
    "DevicePolicy": ("auto", "closed", "strict"),
    "ProcSubset": ("all", "pid"),
    "ProtectProc": ("noaccess", "invisible", "ptraceable", "default"),
    "SystemCallErrorNumber": (
        *(
            "EPERM",
            "EACCES",
            "EINVAL",
            "ENODEV",
            "ENOENT",
            "ENOSYS",
            "ENOTSUP",
            "EOPNOTSUPP",
            "EROFS",
            "EUCLEAN",
        ),
    ),
}
# Lists, and the values that stand alone. ~ at the start inverts a list.
LISTS = {
    "RestrictAddressFamilies": (
        *("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_ALG", "AF_BLUETOOTH", "AF_CAN"),
        *("AF_KEY", "AF_RDS", "AF_TIPC", "AF_VSOCK", "AF_XDP"),
    ),
    "RestrictNamespaces": ("cgroup", "ipc", "net", "mnt", "pid", "user", "uts"),
    "SystemCallArchitectures": ("native", "x86", "x86-64", "x32", "arm", "arm64"),
}
ALONE = {"RestrictNamespaces": BOOLEANS, "RestrictAddressFamilies": ("none",)}
NOT_INVERTIBLE = {"SystemCallArchitectures"}
PATH = re.compile(r"-?\+?(/[^\s%\"'\\]+)")


def sandbox_errors(site_id: Any, site: Any) -> Iterator[str]:
    for name in part(site, "processes").keys() & part(site, "timers").keys():
        found = f"the name {shown(name)}"
        yield error_line((site_id, "timers", name), found=found, expected="a name that no process has")
    for name in part(site, "sandbox"):
        value = part(site, "sandbox", name).get("value")
        steps = (site_id, "sandbox", name, "value")
        # The schema rejects other values.
        if isinstance(value, bool) or (
            isinstance(value, str) and re.fullmatch(schema_at(steps)[0]["pattern"], value)
        ):
            text = value if isinstance(value, str) else "yes" if value else "no"
            if expected := expected_value(name, text, site_id):
                yield error_line(steps, value, expected=expected)


def expected_value(name: Any, text: str, site_id: Any) -> str:
    """Return what is expected instead of an invalid value of a directive, or an empty string."""
    words = set((text if name in NOT_INVERTIBLE else text.removeprefix("~")).split())
    valid, expected = True, ""
    if name == "ReadWritePaths":
        valid = all(is_writable(path, site_id) for path in text.split())
        expected = "folders of the application's own, such as /var/lib/myproject"
    elif name == "SystemCallFilter":
        groups, calls = system_calls()
        valid = bool(words) and words <= groups | calls
        expected = f"names of system calls, or some of: {', '.join(sorted(groups))}"
    elif name in BOOLEAN:
        valid = text.lower() in BOOLEANS
        expected = "true or false"
    elif name in SINGLE:
        valid = text in SINGLE[name]
        expected = f"one of: {', '.join(SINGLE[name])}"
    elif name in LISTS:
        alone = ALONE.get(name, ())
        valid = text in alone or (bool(words) and words <= set(LISTS[name]))
        expected = f"{', '.join((*alone[:2], 'some of'))}: {', '.join(LISTS[name])}"
    return "" if valid else expected


@functools.cache
def system_calls() -> tuple[set[str], set[str]]:
    """Return the names of groups of system calls, and of system calls."""
    lines = SYSTEM_CALLS.read_text("utf-8").splitlines()
    names = {name for line in lines if not line.startswith("#") for name in line.split()}
    groups = {name for name in names if name.startswith("@")}
    return groups, names - groups


def is_writable(text: str, site_id: Any) -> bool:
    """Return whether a site may write to a path, which belongs neither to the system nor to another site."""
    match = PATH.fullmatch(text)
    parts = Path(match[1]).parts if match else ()
    if ".." in parts or len(parts) < 3:
        return False
    if parts[1] == "srv":
        return parts[2] == site_id and len(parts) > 3 and parts[3] not in ("releases", "venvs")
    return parts[1] not in ("boot", "etc", "proc", "sys", "usr")
