"""Build a release in the sandbox of a transient unit, and take its results over."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import subprocess
import tarfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.module_utils.build_guard import (
    LARGEST_LIST,
    LARGEST_RESULT,
    bound,
    extract,
    is_nearly_full,
    is_over,
    processes_of,
    read_result,
)
from ansible_collections.decanter.stack.plugins.module_utils.build_log import explain, unit_fault
from ansible_collections.decanter.stack.plugins.module_utils.interpreter import BuildError, about
from ansible_collections.decanter.stack.plugins.module_utils.log_text import clean, end
from ansible_collections.decanter.stack.plugins.module_utils.paths import SitePaths
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import write_file
from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import show, systemctl
from ansible_collections.decanter.stack.plugins.module_utils.site import Site, read_json, write_json
from ansible_collections.decanter.stack.plugins.module_utils.takeover import (
    Takeover,
    TakeoverError,
    give,
    remove,
    shown,
    sync,
)

PROGRAM = Path("/usr/local/lib/decanter/build")
PYTHON = Path("/opt/decanter/uv/current/bin/python")
LONGEST_LOG = 256 * 1024
LONGEST_FAULT = 4000


@dataclass
class Wanted:
    """The inputs of a build besides the source."""

    python: str
    server: str  # locked requirements of gunicorn
    site: dict[str, Any]
    commands: list[str]
    secrets: dict[str, str]  # environment variables with credentials of package indexes

    @property
    def driver(self) -> dict[str, Any]:
        """Return the driver that the URL of the site's database needs, or an empty dictionary."""
        return (self.site.get("database") or {}).get("driver", {})

    @property
    def identity(self) -> str:
        """Return the inputs by which environments of equal requirements differ. Patch releases do not."""
        return json.dumps([about(self.python)[:2], self.server, sorted(self.site["packages"])])

    @property
    def inputs(self) -> str:
        """A hash of all inputs but the source; a release of other inputs is another release."""
        parts = [self.identity, *(self.site.get(key) or "" for key in ("requirements", "install", "indexes"))]
        parts += [self.driver or "", self.site["gunicorn"]["worker_class"] == "gevent"]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


# --- Environments ------------------------------------------------------------------------------


def marker(environment: Path) -> Path:
    """The file beside an environment that exists once it is complete."""
    return environment.with_name(f"{environment.name}.json")


def is_complete(environment: Path) -> bool:
    return marker(environment).exists() and environment.is_dir()


def environments(site: Site) -> list[Path]:
    """The complete environments of a site, the newest first."""
    found = [path for path in site.venvs.glob("*Z-*") if path.is_dir() and is_complete(path)]
    return sorted(found, key=lambda path: path.name, reverse=True)


# --- One build ---------------------------------------------------------------------------------


class Build:
    """One release in the making. Its folder is root's alone; inside, the builder owns what it may write."""

    def __init__(self, site: Site, identifier: str, wanted: Wanted) -> None:
        self.site, self.identifier, self.wanted = site, identifier, wanted
        self.unit = f"{site.name}.build.service"
        self.folder = site.root / ".build"
        self.cache = Path(SitePaths(site.name).build_cache)
        self.tree, self.environment = site.release(identifier), site.venvs / identifier
        self.log = self.folder / "log"
        try:
            self.user = pwd.getpwnam(f"build_{site.name}")
            self.properties = properties(Path(SitePaths(site.name).configuration, "build.conf").read_text())
        except (KeyError, FileNotFoundError) as error:
            raise BuildError("this host is not prepared for builds\nRemedy: run make converge.") from error
        limit = next(value for name, value in self.properties if name == "LimitFSIZE")
        self.limit = int(limit.removesuffix("M")) << 20

    def run(self, archive: str) -> Path:
        """Build the release of an archive; return its environment. Raise BuildError.

        Afterwards the tree is `releases/.new-ID`, all of it root's.
        """
        self.clear()
        # Environments have the names of the releases that made them, and other releases use them.
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

    def stop(self) -> None:
        """Stop the unit with all its processes, before root reads or writes a file of the build."""
        # This fails if the unit does not exist. The processes decide.
        systemctl("stop", self.unit, check=False)
        deadline = time.monotonic() + 10  # a killed process exists until its parent has read its status
        while left := processes_of(self.user.pw_uid):
            if time.monotonic() > deadline:
                found = f"processes {', '.join(left[:10])} of {self.user.pw_name}"
                raise BuildError(f"{found} cannot be ended\nRemedy: reboot the host.")
            time.sleep(0.1)
        if show(self.unit)["ActiveState"] not in ("inactive", "failed"):
            raise BuildError(f"{self.unit} cannot be stopped\nRemedy: see `systemctl status {self.unit}`.")

    def clear(self) -> None:
        """Remove what a build that failed or was cut off has left."""
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
            "python_version": about(self.wanted.python)[2],
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

    def arguments(self) -> list[str]:
        """The command that starts the unit and waits for its end."""
        root, own = self.site.root, self.folder
        places = [
            ("BindPaths", f"{own}/tree:{self.tree}"),
            ("BindPaths", f"{own}/tmp:/tmp"),
            ("BindPaths", f"{own}/tmp:/var/tmp"),
            ("BindPaths", f"{own}/results:{root}/build/results"),
            ("BindPaths", str(self.cache)),
            ("BindReadOnlyPaths", f"{own}/job.json:{root}/build/job.json"),
            *(("BindReadOnlyPaths", str(path)) for path in environments(self.site)),
            *self.new_environment(),
            ("StandardOutput", f"append:{self.log}"),
            ("StandardError", f"append:{self.log}"),
            ("EnvironmentFile", f"{own}/credentials"),
        ]
        variables = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": "/tmp",
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            "UV_CACHE_DIR": str(self.cache),
            "UV_LINK_MODE": "copy",  # the cache stays the builder's
            "UV_NO_PROGRESS": "1",
            "UV_PROJECT_ENVIRONMENT": str(self.environment),
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_SYSTEM_CERTS": "1",
        }
        user = self.user.pw_name
        return [
            *("systemd-run", "--wait", "--collect", f"--unit={self.unit}", "--service-type=exec"),
            *(f"--uid={user}", f"--gid={user}", f"--working-directory={self.tree}"),
            *(f"--description=build of {self.site.name}, release {self.identifier}",),
            *(f"--setenv={name}={value}" for name, value in variables.items()),
            *(f"--property={name}={value}" for name, value in [*self.properties, *places]),
            *(str(PYTHON), "-I", str(PROGRAM), f"{root}/build/job.json"),
        ]

    def new_environment(self) -> list[tuple[str, str]]:
        """The folder of the new environment, unless this build has completed it."""
        if is_complete(self.environment):
            return []
        return [("BindPaths", f"{self.folder}/environment:{self.environment}")]

    def execute(self) -> None:
        """Run the unit to its end, within its limits. Raise BuildError with the reason if it fails."""
        write_file(self.log, "", 0o600)
        with subprocess.Popen(
            self.arguments(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as running:
            assert running.stderr
            try:
                result = self.watch(running)
            finally:
                if running.poll() is None:
                    self.stop()
            said = running.stderr.read()
        self.stop()
        result = result or next(iter(re.findall(r"Finished with result: (\S+)", said)), "")
        if result == "success" and running.returncode == 0:
            return
        raise BuildError(self.fault(result, said))

    def watch(self, running: subprocess.Popen[str]) -> str:
        """Wait for the unit's end; return `disk` as soon as the build has written more than its limit.

        Raise BuildError if the file system is nearly full, TakeoverError if folders are nested too deep.
        """
        pause = 0.5
        while True:
            try:
                running.wait(pause)
                return ""
            except subprocess.TimeoutExpired:
                begun = time.monotonic()
            if is_over(self.folder, self.cache, self.limit):
                return "disk"
            if is_nearly_full(self.folder):
                found = f"{self.site.root}: found a file system that is nearly full"
                raise BuildError(f"{found}\nRemedy: free space on the host.")
            # A twentieth of the time at most goes into measuring.
            pause = max(0.5, 20 * (time.monotonic() - begun))

    def fault(self, result: str, said: str) -> str:
        """Word the failure of the unit: its own result, our message, a failed command, or uv's log."""
        log = self.read_log()
        if result and (fault := unit_fault(result, self.limits())):
            return f"{fault}\nThe log ends:\n{end(log)}"
        if own := self.message("fault"):
            return own
        failed = self.message("failed")
        if failed.startswith("`"):
            return f"{failed}. The log ends:\n{end(log)}"
        return explain(log or said, about(self.wanted.python)[2])

    def read_log(self) -> str:
        """Return the log without credentials and control characters; of a long one its start and its end.

        uv names the package that failed before the output of its backend, which has any length.
        """
        with open(self.log, "rb") as file:
            text, size = file.read(LONGEST_LOG), os.fstat(file.fileno()).st_size
            if size > LONGEST_LOG:
                file.seek(max(LONGEST_LOG, size - LONGEST_LOG))
                text += b"\n" + file.read()
        return clean(self.redacted(text.decode(errors="replace")))

    def message(self, name: str) -> str:
        """Return a message of the builder, cleaned and bounded; empty if there is none."""
        return end(clean(self.redacted(self.read(name)[:LONGEST_FAULT])))

    def limits(self) -> dict[str, str]:
        """The limits of the unit by the results that exceeding them has."""
        values = dict(self.properties)
        return {
            "oom-kill": values.get("MemoryMax", ""),
            "timeout": f"{values.get('RuntimeMaxSec', '')} s",
            "disk": f"{self.limit >> 20}M",
        }

    def redacted(self, text: str) -> str:
        """Remove credentials of indexes from a text."""
        for value in self.wanted.secrets.values():
            if len(value) > 3 and "://" not in value:
                text = text.replace(value, "***")
        return text

    def read(self, name: str, limit: int = LARGEST_RESULT) -> str:
        """Return a result of the builder, an untrusted text of limited size; empty if there is none."""
        return read_result(self.folder / "results" / name, limit)

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
            "python": about(self.wanted.python)[2],
        }
        write_json(marker(self.environment), note)
        return self.environment

    def take(self, source: Path, target: Path, earlier: Path | None = None, kept: Iterable[str] = ()) -> None:
        Takeover(pwd.getpwnam(self.site.name).pw_gid, self.limit).take(source, target, earlier, kept)


def properties(text: str) -> list[tuple[str, str]]:
    """Return the settings of a unit's file, in their order."""
    lines = (line for line in text.splitlines() if "=" in line and line[0] not in "#;")
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def quoted(value: str) -> str:
    """A value as systemd reads it from a file of variables."""
    return '"' + re.sub(r'([\\"`$])', r"\\\1", value) + '"'


def finish(path: Path, final: Path) -> None:
    """Give a complete tree its final name, after everything of it is on the disk."""
    sync(path)
    path.rename(final)
