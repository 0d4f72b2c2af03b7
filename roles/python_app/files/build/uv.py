"""Calls of uv for one release."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import processes

UV = "/opt/decanter/uv/current/bin/uv"


class CommandError(Exception):
    """A command failed; its output is in the log of the unit."""

    def __init__(self, what: str, status: int) -> None:
        super().__init__(f"{what} failed ({status})")


class Uv:
    """Calls of uv in the tree of a release, with one interpreter and one environment."""

    def __init__(
        self, tree: Path, environment: Path, python: str, version: str, offline: bool, program: str = UV
    ) -> None:
        self.tree, self.environment, self.python = tree, environment, python
        # The version of the site's interpreter, because packaging uses that of this program by default.
        self.markers = {
            "python_version": ".".join(version.split(".")[:2]),
            "python_full_version": version,
        }
        self.program, self.folder = program, Path(tempfile.mkdtemp(prefix="requirements-"))
        self.options = ["--offline"] if offline else []

    @property
    def pip_install(self) -> list[str]:
        """Return the command that installs exactly the given requirements into the environment."""
        return ["pip", "install", "--python", str(self.environment / "bin/python"), "--no-deps"]

    def run(self, *arguments: str) -> None:
        """Run uv. Its output is the log. Raise CommandError if it fails."""
        done = processes.run([self.program, *self.options, *arguments], cwd=self.tree)
        if done.returncode != 0:
            raise CommandError(f"uv {arguments[0]}", done.returncode)

    def read(self, *arguments: str, errors: int | None = None) -> str:
        """Run uv and return its standard output. Raise CommandError if it fails. Its errors are the log."""
        command = [self.program, *self.options, "--quiet", *arguments]
        done = processes.run(command, cwd=self.tree, stdout=subprocess.PIPE, stderr=errors)
        if done.returncode != 0:
            raise CommandError(f"uv {arguments[0]}", done.returncode)
        return done.stdout

    def read_cached(self, *arguments: str) -> str:
        """Return the output of uv from its cache if possible, which saves a third of a second.

        Only for results that do not depend on the current state of the index.
        """
        try:
            return self.read("--offline", *arguments, errors=subprocess.DEVNULL)
        except CommandError:
            return self.read(*arguments)

    def write(self, name: str, text: str) -> str:
        """Write a file that uv reads, outside of the tree; return its path."""
        path = self.folder / name
        path.write_text(text)
        return str(path)
