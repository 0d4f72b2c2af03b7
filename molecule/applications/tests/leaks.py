"""Search a secret in files, logs, process lists and the output of a run."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.hosts.fixtures.lab import run_playbook

FOLDERS = "/etc /home /opt /root /run /srv /tmp /usr/local /var"


def lab_secret(variables: dict[str, Any], name: str) -> str:
    """Return a secret that the inventory generates."""
    return (Path(variables["lab_directory"]) / "secrets" / name).read_text().strip()


def pattern(secret: str) -> str:
    """Return a pattern that matches the secret, but not the command that contains the pattern."""
    assert secret.isalnum(), "expected a secret of letters and digits, which quotes do not change"
    return f"[{secret[0]}]{secret[1:]}"


def files_with(host, secret: str, user: str = "root") -> list[str]:
    """Return the files with a secret that a user can read. Compressed files are not unpacked."""
    with host.sudo(user):
        command = f"grep -rl --no-messages --devices=skip {pattern(secret)} {FOLDERS} /proc/[0-9]*/cmdline"
        return sorted(host.run(command).stdout.split())


def logs_with(host, secret: str) -> list[str]:
    """Return the commands with a secret in their output."""
    commands = ("journalctl --no-pager", "systemctl show --all '*'", "ps -e -o args")
    with host.sudo():
        return [each for each in commands if host.run(f"{each} | grep {pattern(secret)}").stdout]


@contextmanager
def watch_processes(ssh: list[str], secret: str) -> Iterator[list[str]]:
    """Search a secret in the command lines of all processes of the host while the block runs."""
    paths: list[str] = []
    search = f"grep -al {pattern(secret)} /proc/[0-9]*/cmdline 2>/dev/null"
    loop = f"echo begun; while read -t 0.05 _ || [ $? -gt 128 ]; do {search}; done; echo ended"
    with subprocess.Popen(
        [*ssh, f"sudo bash -c '{loop}'"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as watcher:
        assert watcher.stdout.readline() == "begun\n"
        try:
            yield paths
        finally:
            watcher.stdin.close()
            paths += watcher.stdout.read().split()
    assert paths.pop() == "ended", f"expected a search until the end, got {paths}"


def verbose_deploy(
    inventory: str, folder: Path, sites: dict[str, Any], site: str
) -> subprocess.CompletedProcess[str]:
    """Deploy a site with changed keys and the most verbose output."""
    variables = folder / "verbose.json"
    variables.write_text(json.dumps({"sites": sites}))
    start = time.monotonic()
    arguments = ("-e", f"@{variables}", "-e", f"site={site}", "--diff", "-vvv")
    process = run_playbook("deploy.yml", inventory, *arguments)
    assert "task path" in process.stdout, f"expected verbose output after {time.monotonic() - start:.0f} s"
    return process
