"""Run systemctl."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone

PROPERTIES = (
    *("LoadState", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload", "FragmentPath"),
    *("DropInPaths", "NRestarts", "InvocationID", "StateChangeTimestamp", "ActiveEnterTimestamp"),
)


class SystemdError(RuntimeError):
    """systemctl has failed."""

    def __init__(self, arguments: Sequence[str], output: str) -> None:
        super().__init__(f"systemctl {' '.join(arguments)}: {output}")
        self.output = output


def systemctl(*arguments: str, check: bool = True) -> str:
    """Run systemctl and return its output. Raise SystemdError if it fails, unless `check` is false."""
    process = subprocess.run(["systemctl", *arguments], capture_output=True, text=True)
    if check and process.returncode != 0:
        raise SystemdError(arguments, process.stderr.strip())
    return process.stdout


def show(name: str, properties: Sequence[str] = PROPERTIES) -> dict[str, str]:
    """Return properties of a unit. The LoadState of a unit that does not exist is `not-found`."""
    output = systemctl("show", name, "--timestamp=us+utc", f"--property={','.join(properties)}")
    return dict.fromkeys(properties, "") | dict(line.split("=", 1) for line in output.splitlines())


def timestamp_seconds(timestamp: str) -> float:
    """Return seconds since 1970 of `Sat 2026-11-21 03:27:43.123456 UTC`; 0 if the text is empty."""
    if not timestamp:
        return 0.0
    moment, form = timestamp.split(" ", 1)[1], "%Y-%m-%d %H:%M:%S.%f UTC"
    return datetime.strptime(moment, form).replace(tzinfo=timezone.utc).timestamp()
