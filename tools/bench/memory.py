"""Print the resident memory of a host's processes as JSON, in KiB by systemd unit. Root runs it there.

PSS of /proc/PID/smaps_rollup counts a page that n processes share as 1/n for each, so that the sum is their
common use. If the kernel does not report PSS, the program prints RSS, which counts such a page n times. The
kernel's own memory, the page cache and files in tmpfs are excluded. Units named `(…)` do not belong to the
stack: systemd itself (programs in /usr/lib/systemd) and login sessions, such as that of this script.
"""

import json
import os
import re


def memory(pid: str) -> tuple[str, int]:
    """Return the source and the memory of one process in KiB; empty for a kernel thread."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            found = re.search(r"^Pss:\s+(\d+)", rollup.read(), re.M)
            return "PSS", int(found[1]) if found else 0
    except FileNotFoundError:
        with open(f"/proc/{pid}/status") as status:
            found = re.search(r"^VmRSS:\s+(\d+)", status.read(), re.M)
        return "RSS", int(found[1]) if found else 0


def unit(pid: str) -> str:
    """Return the innermost unit that contains the cgroup of a process."""
    with open(f"/proc/{pid}/cgroup") as file:
        cgroup = next(line for line in file.read().splitlines() if line.startswith("0::"))
    if "/user.slice/" in cgroup:
        return "(sessions)"
    if os.readlink(f"/proc/{pid}/exe").startswith("/usr/lib/systemd/"):
        return "(systemd)"
    return next((part for part in reversed(cgroup.split("/")) if part.endswith(".service")), cgroup)


units: dict[str, dict[str, int]] = {}
kinds = set()
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        kind, kib = memory(pid)
        name = unit(pid)
    except (FileNotFoundError, ProcessLookupError, TypeError):
        continue  # the process has ended
    kinds.add(kind)
    row = units.setdefault(name, {"kib": 0, "processes": 0})
    row["kib"] += kib
    row["processes"] += 1
print(json.dumps({"kind": "/".join(sorted(kinds)), "units": units}))
