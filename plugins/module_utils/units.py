"""The log of a unit, and whether files have changed since the unit read them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator


def log(name: str, since: float, lines: int = 60) -> str:
    """Return the last lines that a unit logged since a time in seconds since 1970."""
    # journald may not have written the latest lines yet.
    subprocess.run(["journalctl", "--sync"], capture_output=True)
    # With --since, --lines would return the first lines.
    arguments = ["journalctl", f"--unit={name}", f"--since=@{since:.0f}", "--output=cat", "--no-pager"]
    text = subprocess.run(arguments, capture_output=True, text=True).stdout
    return "\n".join(text.splitlines()[-lines:])


def own_files(name: str, unit: dict[str, str]) -> list[str]:
    """Return a unit's files, and the folder of its drop-ins, which changes if a drop-in is removed."""
    template = f"{name.split('@')[0]}@.{name.rsplit('.', 1)[1]}" if "@" in name else name
    folders = {f"/etc/systemd/system/{name}.d", f"/etc/systemd/system/{template}.d"}
    return [path for path in (unit["FragmentPath"], *unit["DropInPaths"].split(), *folders) if path]


def newest(paths: list[str]) -> tuple[float, str]:
    """Return the time and the path of the last change below some paths. Skip paths that do not exist."""
    # ctime instead of mtime, because `mv` and `cp -p` keep the mtime of old contents.
    changes = [(os.stat(path).st_ctime, path) for path in _files(paths) if os.path.exists(path)]
    return max(changes, default=(0.0, ""))


def _files(paths: list[str]) -> Iterator[str]:
    for path in paths:
        yield path
        for folder, folders, names in os.walk(path, followlinks=True):
            yield from (os.path.join(folder, name) for name in folders + names)
