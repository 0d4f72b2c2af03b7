"""Print the resident memory of a host's processes as JSON, in KiB by systemd unit. Root runs it there.

PSS, from /proc/PID/smaps_rollup: a page that n processes share counts as 1/n for each, so that a sum
is what they occupy together. Where the kernel does not tell it, RSS, which counts such a page n times.
Not in it: the kernel's own memory, the page cache, files in tmpfs. Units named `(…)` are not the
stack's: systemd itself (what runs from /usr/lib/systemd) and the sessions that are logged in, of which
this script is one.
"""

import json
import os
import re


def memory(pid: str) -> tuple[str, int]:
    """What was read, and the memory of one process in KiB; a kernel thread has none."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            found = re.search(r"^Pss:\s+(\d+)", rollup.read(), re.M)
            return "PSS", int(found[1]) if found else 0
    except FileNotFoundError:
        with open(f"/proc/{pid}/status") as status:
            found = re.search(r"^VmRSS:\s+(\d+)", status.read(), re.M)
        return "RSS", int(found[1]) if found else 0


def unit(pid: str) -> str:
    """The unit that a process belongs to, of all that its cgroup lies in the innermost."""
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
        continue  # it ended meanwhile
    kinds.add(kind)
    row = units.setdefault(name, {"kib": 0, "processes": 0})
    row["kib"] += kib
    row["processes"] += 1
print(json.dumps({"kind": "/".join(sorted(kinds)), "units": units}))
