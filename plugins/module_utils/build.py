"""Build a release in the sandbox of a transient unit, and take its results over."""

from __future__ import annotations

import json
import os
import pwd
import re
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.module_utils import interpreter
from ansible_collections.decanter.stack.plugins.module_utils.build_guard import LARGEST_LIST, bound, extract
from ansible_collections.decanter.stack.plugins.module_utils.build_unit import BuildUnit
from ansible_collections.decanter.stack.plugins.module_utils.environments import (
    environments,
    is_complete,
    marker,
)
from ansible_collections.decanter.stack.plugins.module_utils.interpreter import BuildError
from ansible_collections.decanter.stack.plugins.module_utils.log_text import end
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import write_file
from ansible_collections.decanter.stack.plugins.module_utils.site import read_json, write_json
from ansible_collections.decanter.stack.plugins.module_utils.takeover import (
    Takeover,
    TakeoverError,
    give,
    remove,
    shown,
    sync,
)


class Build(BuildUnit):
    """The build of one release, from its archive to a tree and an environment that root owns."""

    def run(self, archive: str) -> Path:
        """Build the release of an archive; return its environment. Raise BuildError.

        Afterwards the tree is `releases/.new-ID`, all of it root's.
        """
        self.clear()
        # An environment has the name of the release that created it; other releases use it, too.
        existed = is_complete(self.environment)
        try:
            self.prepare(archive)
            self.execute()
            result = self.result()
            environment = self.take_environment(result)
            if result["again"]:
                self.prepare_folders()
                self.execute()
                environment = self.result()["environment"]
            self.take(self.folder / "tree", self.site.releases / f".new-{self.identifier}")
        except (BuildError, TakeoverError, OSError) as error:
            self.clear()
            if not existed:
                marker(self.environment).unlink(missing_ok=True)
                remove(self.environment)
            if isinstance(error, BuildError):
                raise
            # No space left, for instance.
            what = "was rejected" if isinstance(error, TakeoverError) else "cannot be completed"
            raise BuildError(f"the build {what}: {error}") from error
        finally:
            bound(self.cache, self.limit)
        remove(self.folder)
        return environment

    def clear(self) -> None:
        """Remove the files of a failed or interrupted build."""
        self.stop()
        for leftover in (self.folder, *self.site.releases.glob(".new-*"), *self.site.venvs.glob(".new-*")):
            remove(leftover)

    def prepare(self, archive: str) -> None:
        """Lay out the folders of the build and the job."""
        for folder, mode in ((self.folder, 0o700), (self.cache.parent, 0o755), (self.cache, 0o700)):
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
        os.chown(self.cache, self.user.pw_uid, self.user.pw_gid)
        (self.folder / "tree").mkdir(mode=0o755)
        with tarfile.open(archive) as tar:
            extract(tar, self.folder / "tree")
        give(self.folder / "tree", self.user.pw_uid, self.user.pw_gid)
        self.prepare_folders()

    def prepare_folders(self) -> None:
        """Lay out empty folders for the results, and the job, for one run of the unit."""
        for name in ("environment", "tmp", "results"):
            remove(self.folder / name)
            (self.folder / name).mkdir(mode=0o755)
            give(self.folder / name, self.user.pw_uid, self.user.pw_gid)
        known = environments(self.site)
        notes = {path: read_json(marker(path)) for path in known}
        offline = ("PrivateNetwork", "yes") in self.properties
        job = {
            "tree": str(self.tree),
            "environment": str(self.environment),
            "environments": {note["key"]: str(path) for path, note in reversed(notes.items())},
            "previous": str(known[0]) if known else "",
            "resolved": notes[known[0]]["resolved"] if known else "",
            "results": f"{self.site.root}/build/results",
            "identity": self.wanted.identity,
            "python": self.wanted.python,
            "python_version": interpreter.about(self.wanted.python)[2],
            "server": self.wanted.server,
            "requirements": self.wanted.site.get("requirements", ""),
            "install": self.wanted.site["install"],
            "driver": self.wanted.driver,
            "worker_class": self.wanted.site["gunicorn"]["worker_class"],
            "build": self.wanted.commands,
            "offline": offline,
            "secret_variables": sorted(self.wanted.secrets),
        }
        write_file(self.folder / "job.json", json.dumps(job, indent=2))
        lines = [f"{name}={quoted(value)}\n" for name, value in sorted(self.wanted.secrets.items())]
        write_file(self.folder / "credentials", "".join(lines), 0o600)

    def result(self) -> dict[str, Any]:
        """Return the builder's result. Raise BuildError if it is not one that the job permits."""
        try:
            result = json.loads(self.read("result.json"))
            path, key = Path(result["environment"]), str(result["key"])
            new, again = bool(result["new"]), bool(result["again"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            log = end(self.read_log())
            raise BuildError(f"the build ended without a result\nThe log ends:\n{log}") from error
        known = set(environments(self.site))
        allowed = {self.environment} - known if new else known
        if path not in allowed or not re.fullmatch("[0-9a-f]{64}", key):
            found = shown(str(path))
            raise BuildError(
                f"the build was rejected: found the environment {found}, expected one of the site"
            )
        return {"environment": path, "key": key, "new": new, "again": again and new}

    def take_environment(self, result: dict[str, Any]) -> Path:
        """Take over a new environment, complete before it has its name and its marker."""
        if not result["new"]:
            return result["environment"]
        known = environments(self.site)
        new = self.site.venvs / f".new-{self.identifier}"
        kept = [path for path in self.read("kept", LARGEST_LIST).split("\0") if path]
        self.take(self.folder / "environment", new, known[0] if known else None, kept)
        new.rename(self.environment)
        note = {
            "key": result["key"],
            "resolved": self.read("resolved.txt"),
            "python": interpreter.about(self.wanted.python)[2],
        }
        write_json(marker(self.environment), note)
        return self.environment

    def take(self, source: Path, target: Path, earlier: Path | None = None, kept: Iterable[str] = ()) -> None:
        Takeover(pwd.getpwnam(self.site.name).pw_gid, self.limit).take(source, target, earlier, kept)


def quoted(value: str) -> str:
    """Return a value in the quoting of systemd's EnvironmentFile."""
    return '"' + re.sub(r'([\\"`$])', r"\\\1", value) + '"'


def finish(path: Path, final: Path) -> None:
    """Give a complete tree its final name, after all of it is on the disk."""
    sync(path)
    path.rename(final)
