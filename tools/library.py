"""The library of these programs: commands with a log, environments of Ansible, labs of hosts, ssh."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv/bin"
STOPPING = {signal.SIGINT, signal.SIGTERM}
TAIL = 40  # lines of the log of a failed command
Record = dict[str, Any]  # a host's variables, or something measured

_MITOGEN = importlib.util.find_spec("ansible_mitogen")
# Empty if Mitogen is not installed: plain Ansible does the same work.
ACCELERATED: dict[str, str] = (
    {
        "ANSIBLE_STRATEGY": "mitogen_linear",
        "ANSIBLE_STRATEGY_PLUGINS": f"{_MITOGEN.submodule_search_locations[0]}/plugins/strategy",
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
    }
    if _MITOGEN and _MITOGEN.submodule_search_locations
    else {}
)
# Settings of the caller's shell must not change what is measured.
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
PLAIN["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
MITOGEN = PLAIN | ACCELERATED


class Failure(Exception):
    """A command or a check failed; the message has what the program prints."""


def exit_on_sigterm() -> None:
    """Turn SIGTERM into SystemExit, so that `finally` removes the hosts as on Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def run_program(main: Callable[[], int], failed: int = 1) -> int:
    """Run a program that creates hosts, and return its exit status: `failed` after a Failure."""
    exit_on_sigterm()
    try:
        return main()
    except (Failure, subprocess.TimeoutExpired) as error:
        print(f"\n{error}", file=sys.stderr)
        return failed
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


def run_step(
    title: str,
    log: Path,
    command: list[str],
    env: dict[str, str] = PLAIN,
    until: Callable[[], None] | None = None,
) -> tuple[float, str]:
    """Run a command of a program in the repository, and print its title and its seconds.

    Args:
        log: the file that gets the output of the command.
        until: waits after the command; its time counts.

    Returns the seconds and the output. Raises Failure if the command fails.
    """
    print(f"  {title}… ", end="", flush=True)
    started = time.monotonic()
    with log.open("w") as file:
        done = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    output = log.read_text(errors="replace")
    if done.returncode:
        print("failed")
        tail = "\n".join(output.splitlines()[-TAIL:])
        raise Failure(f"{tail}\n{title} failed. The whole output is in {log}.")
    if until:
        until()
    seconds = time.monotonic() - started
    print(f"{seconds:.1f} s")
    return round(seconds, 2), output


def inventory_options(inventories: Iterable[str | Path]) -> list[str]:
    """Return the options by which a program of Ansible reads inventories."""
    return [word for inventory in inventories for word in ("-i", str(inventory))]


def playbook_command(inventories: Iterable[str | Path], *arguments: str) -> list[str]:
    """Return the command that runs a playbook on the hosts of inventories."""
    return [f"{BIN}/ansible-playbook", *inventory_options(inventories), *arguments]


def ssh_command(host: Record, remote: str, root: bool = False) -> list[str]:
    """Return the command that runs a shell command on a host, as Ansible's user or as root."""
    options = [*shlex.split(host["ansible_ssh_common_args"]), "-i", host["ansible_ssh_private_key_file"]]
    target = f"{host['ansible_user']}@{host['ansible_host']}"
    if root:
        remote = f"sudo sh -c {shlex.quote(remote)}"
    return ["ssh", *options, "-p", str(host.get("ansible_port", 22)), target, remote]


def lab_sites() -> Record:
    """Return the variables of inventories/lab that have `sites`."""
    variables: Record = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/sites.yml").read_text())
    return variables


class Lab:
    """Lab hosts of one program; logs and results are in `work`, their inventory in `hosts_file`."""

    def __init__(self, name: str, hosts: list[Record]) -> None:
        self.name, self.hosts, self.work = name, hosts, ROOT / ".lab" / name
        self.hosts_file = self.work / "hosts.yml"
        self.work.mkdir(parents=True, exist_ok=True)

    def step(
        self, title: str, log: str, command: list[str], env: dict[str, str] = PLAIN
    ) -> tuple[float, str]:
        """Run a step with a log in the folder of the lab; see run_step."""
        return run_step(title, self.work / f"{log}.log", command, env)

    def create(self, title: str = "hosts") -> None:
        """Create the hosts; existing ones stay as they are."""
        self._play(title, "create")

    def remove(self, title: str = "removing the hosts") -> None:
        self._play(title, "destroy")

    @contextlib.contextmanager
    def temporary_hosts(self, new: bool = False, keep: bool = False) -> Iterator[None]:
        """Create the hosts, and remove them at the end.

        Args:
            new: remove the hosts of an earlier run before.
            keep: leave the hosts at the end.
        """
        if new:
            self.remove("removing the hosts of an earlier run")
        try:
            self.create()
            yield
        finally:
            if not keep:
                # A second Ctrl-C must not interrupt the removal.
                signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
                self.remove()
                signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)

    def _play(self, title: str, playbook: str) -> None:
        variables = {
            "lab_name": self.name,
            "lab_directory": str(self.work / "lab"),
            "lab_inventory": str(self.hosts_file),
            "lab_images_kept": True,
            "lab_hosts": self.hosts,
        }
        command = playbook_command(["localhost,"], f"tests/lab/{playbook}.yml", "-e", json.dumps(variables))
        self.step(title, f"lab_{playbook}", command)
