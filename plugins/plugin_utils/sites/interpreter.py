"""The Python of a site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# In this order: the distribution's Python first, because apt updates it. The module `managed_python` installs
# the last one if the host has no other.
LOCATIONS = (
    "/usr/bin/python{}",
    "/usr/local/bin/python{}",
    "/opt/python*/bin/python{}",
    "/opt/decanter/python/bin/python{}",
)


@dataclass(frozen=True)
class Interpreter:
    """Where the Python of a site is; all fields are empty if the site uses the distribution's default."""

    version: str = ""  # such as 3.12; empty if the site names a path
    package: str = ""  # the distribution's package of this version
    paths: Sequence[str] = field(default_factory=list)  # searched in this order
    alternatives: Sequence[str] = field(
        default_factory=list
    )  # paths or patterns; if one exists, the package is not installed


def resolve_interpreter(site: Mapping[str, Any]) -> Interpreter:
    python = site.get("python", "")
    if not python:
        return Interpreter()
    if python.startswith("/"):
        return Interpreter(paths=[python])
    paths = [location.format(python) for location in LOCATIONS]
    # The package completes the first location, and replaces a managed Python in the last one.
    return Interpreter(python, f"python{python}", paths, paths[1:-1])


def missing_interpreter(site: Mapping[str, Any], pins: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a host needs to decide whether a resolved site has a Python there.

    `pins` are the builds that hosts may download (roles/python_app/files/pythons.json). paths and
    package: see Interpreter. machines: architectures for which the version can be downloaded. refusal: the
    error message for a host that has none.
    """
    interpreter = site["interpreter"]
    machines, expected = [], "expected one there"
    if interpreter["package"]:
        builds = [(f"{pin['major']}.{pin['minor']}", pin["arch"]["family"]) for pin in pins.values()]
        versions = sorted({version for version, _ in builds}, key=lambda each: [*map(int, each.split("."))])
        machines = sorted({machine for version, machine in builds if version == interpreter["version"]})
        expected += f", the package {interpreter['package']}, or a version that can be downloaded: "
        expected += ", ".join(versions)
    paths = ", ".join(interpreter["paths"])
    return {
        "paths": interpreter["paths"],
        "package": interpreter["package"],
        "machines": machines,
        "refusal": f"sites.{site['name']}.python: found no Python at {paths}, {expected}",
    }
