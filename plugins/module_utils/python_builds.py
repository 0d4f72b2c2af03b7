"""Builds of Python that uv can install: pinned, installed, and used by environments.

/opt/decanter/python/VERSION-HASH/    one build; the hash is that of its archive
/opt/decanter/python/bin/pythonX.Y    a symlink to the current build of a version
"""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

# The default location of the archives, which a mirror replaces: CPYTHON_DOWNLOADS_URL_PREFIX in uv's sources.
RELEASES = "https://github.com/astral-sh/python-build-standalone/releases/download"
REMEDY = "Set python_mirror to a server with these archives, or let the host reach the default location."


class ManagedPythonError(Exception):
    """A Python cannot be installed. The text is one line with the reason and the remedy."""


class Build(NamedTuple):
    """One pinned build."""

    key: str
    minor: str
    patch: int
    sha256: str
    url: str

    @property
    def version(self) -> str:
        return f"{self.minor}.{self.patch}"

    @property
    def folder(self) -> str:
        """The name of its folder. A version may be built again, which gives it another checksum."""
        return f"{self.version}-{self.sha256[:12]}"

    @property
    def program(self) -> str:
        return f"{self.folder}/{self.key}/bin/python{self.minor}"


def pinned(pins: dict[str, Any], minor: str, machine: str) -> Build:
    """Return the newest build of a minor version. Raise ManagedPythonError if none exists."""
    builds = [
        Build(key, f"{pin['major']}.{pin['minor']}", pin["patch"], pin["sha256"], pin["url"])
        for key, pin in pins.items()
        if (pin["name"], pin["os"], pin["libc"], pin["variant"]) == ("cpython", "linux", "gnu", None)
        and pin["arch"] == {"family": machine, "variant": None}
    ]
    matching = [build for build in builds if build.minor == minor]
    if not matching:
        known = sorted({build.minor for build in builds}, key=lambda name: [*map(int, name.split("."))])
        expected = f"one of: {', '.join(known)}" if known else "x86_64 or aarch64"
        raise ManagedPythonError(f"python: found {minor} for {machine}, expected {expected}")
    return max(matching, key=lambda build: build.patch)


def location(build: Build, mirror: str) -> str:
    """Return the URL of an archive."""
    return build.url.replace(RELEASES, mirror, 1) if mirror else build.url


def explained(log: str, build: Build, mirror: str) -> str:
    """Return the reason and the remedy of a failed `uv python install` as one line."""
    name, url = f"Python {build.version}", location(build, mirror)
    if match := re.search(r"Hash mismatch.*?Expected:\s*(\w+)\s*Computed:\s*(\w+)", log, re.S):
        return (
            f"python: {name} from {url}: found the SHA-256 {match[2]}, expected {match[1]}. "
            f"Replace the file{' on python_mirror ' + mirror if mirror else ''}, or pin it again (make lock)."
        )
    causes = re.findall(r"^(?:error|  cause): (.+)$", log, re.M)
    reason = causes[-1] if causes else "uv gave no reason"
    if any("Failed to download" in cause or "retries" in cause for cause in causes):
        status = re.search(r"error \((\d{3}[^)]*)\)", reason)
        reason = f"HTTP {status[1]}" if status else reason
        where = f"python_mirror {mirror}" if mirror else "the default location"
        return f"python: {name} cannot be downloaded from {where} ({url}): {reason}. {REMEDY}"
    return f"python: uv cannot install {name} from {url}: {reason}."


class Installation:
    """The builds below a folder, compared with those that should be there."""

    def __init__(self, root: Path, builds: list[Build], environments: list[str]) -> None:
        self.root = root
        self.links = {path.name[len("python") :]: os.readlink(path) for path in root.glob("bin/python*")}
        self.missing = [build for build in builds if not (root / build.folder / ".complete").exists()]
        self.unlinked = [build for build in builds if self.links.get(build.minor) != f"../{build.program}"]
        self.stale = sorted(self.links.keys() - {build.minor for build in builds})
        # A build that a link leads to now stays until the next run: a release may be using it.
        kept = {build.folder for build in builds} | self.used(environments)
        kept |= {target.split("/")[1] for target in self.links.values()}
        self.superseded = sorted(path for path in root.glob("[0-9]*-*") if path.name not in kept)

    def used(self, environments: list[str]) -> set[str]:
        """Return the folders of builds that are the base of an environment."""
        programs = (
            os.path.realpath(f"{path}/bin/python") for each in environments for path in glob.glob(each)
        )
        root = os.path.realpath(self.root)
        return {os.path.relpath(path, root).split("/")[0] for path in programs if path.startswith(f"{root}/")}

    @property
    def changed(self) -> bool:
        return bool(self.missing or self.unlinked or self.stale or self.superseded)

    @property
    def outdated(self) -> list[str]:
        """Return one line for each version with a current build other than the pinned one."""
        lines = []
        for build in self.unlinked:
            if build.minor in self.links:
                version = self.links[build.minor].split("/")[1].partition("-")[0]
                version = version if version != build.version else f"an older build of {version}"
                lines.append(
                    f"python: found {version}, expected {build.version}. Install it with make converge."
                )
        return lines
