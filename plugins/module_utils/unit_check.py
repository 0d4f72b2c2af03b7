"""Check unit files with systemd-analyze before they are installed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PACKAGE_UNITS = Path("/lib/systemd/system")
# systemd ignores most invalid directives and starts the unit without them. It does not load a unit with a
# bad setting. Other output, such as a program that is missing until the first release, is not a fault.
FAULT = re.compile(r"ignoring|bad unit file setting|Refusing")


def unit_contents(entries: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """Return the path and the content of unit files and drop-ins, by the path below systemd/system.

    The content of a link is that of the file that the same entries install at its target.
    """
    entries = list(entries)
    files = {entry["path"]: entry["content"] for entry in entries if entry["state"] == "file"}
    found = {}
    for entry in entries:
        source = entry["path"] if entry["state"] == "file" else str(entry.get("src"))
        if source in files and (match := re.search(r"/systemd/system/(.+)$", entry["path"])):
            found[match[1]] = (source, files[source])
    return found


def unit_faults(units: Mapping[str, tuple[str, str]]) -> list[str]:
    """Return the lines of systemd-analyze about directives that systemd rejects or ignores."""
    with TemporaryDirectory(prefix="decanter-units-") as folder:
        names = {path.split("/")[0].removesuffix(".d"): None for path in units}
        for path, (_, content) in units.items():
            file = Path(folder, path)
            file.parent.mkdir(exist_ok=True)
            file.write_text(content)
        for name in list(names):
            # A drop-in of a package's unit.
            if not (file := Path(folder, name)).exists():
                if (PACKAGE_UNITS / name).exists():
                    file.write_bytes((PACKAGE_UNITS / name).read_bytes())
                else:
                    del names[name]
        if not names:
            return []
        command = ["systemd-analyze", "verify", "--man=no", *(f"{folder}/{name}" for name in names)]
        process = subprocess.run(command, capture_output=True, text=True, errors="replace")
        # systemd-analyze gives a template an instance.
        ours = [folder, *(re.escape(name).replace(r"@\.", r"@\w+\.") for name in names)]
        lines = [
            line
            for line in process.stderr.splitlines()
            if FAULT.search(line) and any(re.search(pattern, line) for pattern in ours)
        ]
        # Longer paths first, because the path of a drop-in starts with that of its unit.
        for path, (source, _) in sorted(units.items(), reverse=True):
            lines = [line.replace(f"{folder}/{path}", source) for line in lines]
        # Units that share a drop-in repeat its faults.
        return list(dict.fromkeys(lines))
