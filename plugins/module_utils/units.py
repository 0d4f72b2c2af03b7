"""What systemd says of a unit, and whether files have changed since it read them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import datetime, timezone

PROPERTIES = (
    "LoadState ActiveState SubState UnitFileState NeedDaemonReload FragmentPath DropInPaths NRestarts "
    "InvocationID StateChangeTimestamp ActiveEnterTimestamp"
)


def systemctl(*arguments: str) -> None:
    """Run systemctl; raises RuntimeError with its own words when it fails."""
    process = subprocess.run(["systemctl", *arguments], capture_output=True, text=True)
    if process.returncode != 0:
        raise RuntimeError(f"systemctl {' '.join(arguments)}: {process.stderr.strip()}")


def show(name: str) -> dict[str, str]:
    """A unit's properties. A unit that does not exist has them, too: its LoadState says so."""
    arguments = [
        "systemctl",
        "show",
        name,
        "--timestamp=us+utc",
        f"--property={PROPERTIES.replace(' ', ',')}",
    ]
    out = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    return dict.fromkeys(PROPERTIES.split(), "") | dict(line.split("=", 1) for line in out.splitlines())


def log(name: str, since: float, lines: int = 60) -> str:
    """The last lines that a unit logged since a time in seconds since 1970."""
    # What was printed a moment ago may not be written yet.
    subprocess.run(["journalctl", "--sync"], capture_output=True)
    # Not --lines: together with --since it gives the first ones.
    arguments = ["journalctl", f"--unit={name}", f"--since=@{since:.0f}", "--output=cat", "--no-pager"]
    text = subprocess.run(arguments, capture_output=True, text=True).stdout
    return "\n".join(text.splitlines()[-lines:])


def seconds(timestamp: str) -> float:
    """Seconds since 1970 of systemd's `Sat 2026-11-21 03:27:43.123456 UTC`; 0 for an empty one."""
    if not timestamp:
        return 0.0
    moment, form = timestamp.split(" ", 1)[1], "%Y-%m-%d %H:%M:%S.%f UTC"
    return datetime.strptime(moment, form).replace(tzinfo=timezone.utc).timestamp()


def own_files(name: str, unit: dict[str, str]) -> list[str]:
    """A unit's files, and the folder of its drop-ins, which changes when one is removed."""
    template = f"{name.split('@')[0]}@.{name.rsplit('.', 1)[1]}" if "@" in name else name
    folders = {f"/etc/systemd/system/{name}.d", f"/etc/systemd/system/{template}.d"}
    return [path for path in (unit["FragmentPath"], *unit["DropInPaths"].split(), *folders) if path]


def newest(paths: list[str]) -> tuple[float, str]:
    """When what is at the paths last changed, and where. Paths that do not exist are passed over."""
    # The inode's time, not the contents': `mv` and `cp -p` put old contents at a new time.
    changes = [(os.stat(path).st_ctime, path) for path in _files(paths) if os.path.exists(path)]
    return max(changes, default=(0.0, ""))


def _files(paths: list[str]) -> Iterator[str]:
    for path in paths:
        yield path
        for folder, folders, names in os.walk(path, followlinks=True):
            yield from (os.path.join(folder, name) for name in folders + names)
