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

Finished = subprocess.CompletedProcess[str]
FOLDERS = "/etc /home /opt /root /run /srv /tmp /usr/local /var"


def lab_secret(variables: dict[str, Any], name: str) -> str:
    """Return a secret that the inventory generates."""
    return (Path(variables["lab_directory"]) / "secrets" / name).read_text().strip()


def pattern(secret: str) -> str:
    """Return a pattern that matches the secret, but not the command that has the pattern."""
    assert secret.isalnum(), "expected a secret of letters and digits, which greps alike however it is quoted"
    return f"[{secret[0]}]{secret[1:]}"


def files_with(host, secret: str, user: str = "root") -> list[str]:
    """Return the files with a secret that a user can read; compressed ones are read as they are."""
    with host.sudo(user):
        command = f"grep -rl --no-messages --devices=skip {pattern(secret)} {FOLDERS} /proc/[0-9]*/cmdline"
        return sorted(host.run(command).stdout.split())


def logs_with(host, secret: str) -> list[str]:
    """Return the commands whose output has a secret."""
    commands = ("journalctl --no-pager", "systemctl show --all '*'", "ps -e -o args")
    with host.sudo():
        return [each for each in commands if host.run(f"{each} | grep {pattern(secret)}").stdout]


@contextmanager
def watched_processes(ssh: list[str], secret: str) -> Iterator[list[str]]:
    """Look for a secret in the command lines of all processes of the host while the block runs."""
    found: list[str] = []
    look = f"grep -al {pattern(secret)} /proc/[0-9]*/cmdline 2>/dev/null"
    loop = f"echo begun; while read -t 0.05 _ || [ $? -gt 128 ]; do {look}; done; echo ended"
    with subprocess.Popen(
        [*ssh, f"sudo bash -c '{loop}'"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as watcher:
        assert watcher.stdout.readline() == "begun\n"
        try:
            yield found
        finally:
            watcher.stdin.close()
            found += watcher.stdout.read().split()
    assert found.pop() == "ended", f"expected a watch until the end, got {found}"


def verbose_deploy(inventory: str, folder: Path, sites: dict[str, Any], site: str) -> Finished:
    """Deploy a site with changed keys, with the output that shows most."""
    variables = folder / "verbose.json"
    variables.write_text(json.dumps({"sites": sites}))
    begun = time.monotonic()
    arguments = ("-e", f"@{variables}", "-e", f"site={site}", "--diff", "-vvv")
    finished = run_playbook("deploy.yml", inventory, *arguments)
    assert "task path" in finished.stdout, f"expected verbose output after {time.monotonic() - begun:.0f} s"
    return finished
