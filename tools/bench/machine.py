"""The machine of a benchmark: its load before the benchmark, and its versions."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tools.library import ACCELERATED, ROOT, Record


def others_percent() -> int:
    """Return the load by other programs: percent of all cores, over one second."""
    clocks = []
    for pause in (1, 0):
        clocks.append([int(field) for field in Path("/proc/stat").read_text().split(maxsplit=9)[1:9]])
        time.sleep(pause)
    spent = [now - then for then, now in zip(*clocks, strict=True)]
    return round(100 - 100 * (spent[3] + spent[4]) / sum(spent))  # idle, and waiting for a disk


def machine() -> Record:
    """Return the date, the processor and the versions of a run."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    versions = {"python": platform.python_version(), "ansible-core": version("ansible-core")}
    if ACCELERATED:
        versions["mitogen"] = version("mitogen")
    for name, command in {"podman": "podman --version", "commit": "git describe --always --dirty"}.items():
        versions[name] = subprocess.getoutput(f"cd {shlex.quote(str(ROOT))} && {command}").split()[-1]
    here = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "cores": os.cpu_count()}
    return here | {"cpu": cpu[1] if cpu else platform.machine(), "versions": versions}
