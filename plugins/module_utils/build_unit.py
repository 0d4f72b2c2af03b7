"""The transient unit that builds a release: its command, limits, results and log."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import time
from pathlib import Path

from ansible_collections.decanter.stack.plugins.module_utils import interpreter
from ansible_collections.decanter.stack.plugins.module_utils.build_guard import (
    LARGEST_RESULT,
    is_nearly_full,
    is_over,
    processes_of,
    read_result,
)
from ansible_collections.decanter.stack.plugins.module_utils.build_inputs import Wanted
from ansible_collections.decanter.stack.plugins.module_utils.build_log import explain, unit_fault
from ansible_collections.decanter.stack.plugins.module_utils.environments import environments, is_complete
from ansible_collections.decanter.stack.plugins.module_utils.interpreter import BuildError
from ansible_collections.decanter.stack.plugins.module_utils.log_text import clean, end
from ansible_collections.decanter.stack.plugins.module_utils.paths import SitePaths
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import write_file
from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import show, systemctl
from ansible_collections.decanter.stack.plugins.module_utils.site import Site

PROGRAM = Path("/usr/local/lib/decanter/build")
PYTHON = Path("/opt/decanter/uv/current/bin/python")
LONGEST_LOG = 256 * 1024
LONGEST_FAULT = 4000


class BuildUnit:
    """The unit of one build, in a folder that only root may enter.

    The user of the build owns the subfolders that the unit may write.
    """

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

    def stop(self) -> None:
        """Stop the unit and all its processes, before root reads or writes a file of the build."""
        # This fails if the unit does not exist. The check of the processes follows.
        systemctl("stop", self.unit, check=False)
        deadline = time.monotonic() + 10  # a killed process exists until its parent has read its status
        while left := processes_of(self.user.pw_uid):
            if time.monotonic() > deadline:
                found = f"processes {', '.join(left[:10])} of {self.user.pw_name}"
                raise BuildError(f"{found} cannot be ended\nRemedy: reboot the host.")
            time.sleep(0.1)
        if show(self.unit)["ActiveState"] not in ("inactive", "failed"):
            raise BuildError(f"{self.unit} cannot be stopped\nRemedy: see `systemctl status {self.unit}`.")

    def arguments(self) -> list[str]:
        """Return the command that starts the unit and waits for its end."""
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
            "UV_LINK_MODE": "copy",  # the builder owns the cache
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
        """Return the mount of the new environment, unless this build has completed it."""
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
            output = running.stderr.read()
        self.stop()
        result = result or next(iter(re.findall(r"Finished with result: (\S+)", output)), "")
        if result == "success" and running.returncode == 0:
            return
        raise BuildError(self.fault(result, output))

    def watch(self, running: subprocess.Popen[str]) -> str:
        """Wait for the end of the unit, and return `disk` if the build exceeds its limit.

        Raise BuildError if the file system is nearly full, TakeoverError if folders are nested too deep.
        """
        pause = 0.5
        while True:
            try:
                running.wait(pause)
                return ""
            except subprocess.TimeoutExpired:
                start_time = time.monotonic()
            if is_over(self.folder, self.cache, self.limit):
                return "disk"
            if is_nearly_full(self.folder):
                found = f"{self.site.root}: found a file system that is nearly full"
                raise BuildError(f"{found}\nRemedy: free space on the host.")
            # Spend at most 5 percent of the time on the measurement.
            pause = max(0.5, 20 * (time.monotonic() - start_time))

    def fault(self, result: str, output: str) -> str:
        """Return the reason of a failure: a result of the unit, a message, a command, or uv's log."""
        log = self.read_log()
        if result and (fault := unit_fault(result, self.limits())):
            return f"{fault}\nThe log ends:\n{end(log)}"
        if own := self.message("fault"):
            return own
        failed = self.message("failed")
        if failed.startswith("`"):
            return f"{failed}. The log ends:\n{end(log)}"
        return explain(log or output, interpreter.about(self.wanted.python)[2])

    def read_log(self) -> str:
        """Return the log without credentials and control characters: its start and its end if it is long.

        uv prints the package that failed before the output of its build backend, which has any length.
        """
        with open(self.log, "rb") as file:
            text, size = file.read(LONGEST_LOG), os.fstat(file.fileno()).st_size
            if size > LONGEST_LOG:
                file.seek(max(LONGEST_LOG, size - LONGEST_LOG))
                text += b"\n" + file.read()
        return clean(self.redacted(text.decode(errors="replace")))

    def message(self, name: str) -> str:
        """Return a message of the builder, cleaned and bounded; empty if it does not exist."""
        return end(clean(self.redacted(self.read(name)[:LONGEST_FAULT])))

    def limits(self) -> dict[str, str]:
        """Return the limits of the unit by the result of exceeding them."""
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
        """Return a result of the builder, an untrusted text of limited size; empty if it does not exist."""
        return read_result(self.folder / "results" / name, limit)


def properties(text: str) -> list[tuple[str, str]]:
    """Return the settings of a unit's file, in their order."""
    lines = (line for line in text.splitlines() if "=" in line and line[0] not in "#;")
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]
