"""A lab of its own for bin/audit and bin/bench-front: the host that is looked at, and hosts that look at it.

Those are no hosts of ours, so the inventory does not have them: `auditor` has the tools and is a visitor,
`flooder` is whoever means harm. Nothing is installed on this machine.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from tests.hosts.ansible_environment import MITOGEN, PLAIN

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv/bin"
# In this order, for the lab counts their addresses and ports.
HOSTS = ("web1", "auditor", "flooder")
SITE = "harbour.test"
Record = dict[str, Any]


class Failure(Exception):
    """A step failed; the text is what to show."""


class Lab:
    """The hosts, by the lab's name; what is written of a run is in `work`."""

    def __init__(self, name: str) -> None:
        self.name, self.work = name, ROOT / ".lab" / name
        self.work.mkdir(parents=True, exist_ok=True)

    def step(self, what: str, log: str, command: list[str], env: Record = PLAIN) -> str:
        """The output of a command that must not fail, and that is kept in a log."""
        print(f"  {what}… ", end="", flush=True)
        begun, path = time.monotonic(), self.work / f"{log}.log"
        with path.open("w") as file:
            done = subprocess.run(
                command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )
        output = path.read_text(errors="replace")
        if done.returncode:
            print("failed")
            tail = "\n".join(output.splitlines()[-40:])
            raise Failure(f"{tail}\n{what} failed; all of its output is in {path}")
        print(f"{time.monotonic() - begun:.1f} s")
        return output

    def play(self, what: str, playbook: str, *arguments: str) -> None:
        """Run a playbook of the project on the lab's hosts."""
        inventory = ["-i", str(ROOT / "tools/audit/inventory"), "-i", str(self.work / "hosts.yml")]
        command = [f"{BIN}/ansible-playbook", *inventory, *arguments, playbook]
        self.step(what, Path(playbook.removeprefix("decanter.stack.")).stem, command, MITOGEN)

    def _role(self, what: str, playbook: str) -> None:
        hosts = [{"name": name, "suite": "trixie", "listed": False} for name in HOSTS]
        hosts[0] |= {"listed": True, "groups": ["web", "database"]}
        variables = {
            "lab_name": self.name,
            "lab_directory": str(self.work / "lab"),
            "lab_inventory": str(self.work / "hosts.yml"),
            "lab_images_kept": True,
            "lab_hosts": hosts,
        }
        command = [f"{BIN}/ansible-playbook", "-i", "localhost,", f"decanter.stack.{playbook}"]
        self.step(what, playbook, [*command, "-e", json.dumps(variables)])

    def hosts(self) -> None:
        """Have the hosts; those that are there are left alone."""
        self._role("hosts", "lab_up")

    def up(
        self,
        settings: Record,
        names: tuple[str, ...] = (),
        audits: bool = True,
    ) -> None:
        """Have Harbour on the host, and what looks at it on the others.

        Args:
            settings: variables of the inventory that differ from the lab's.
            names: those that lead to the host besides Harbour's own.
            audits: whether the auditor has the tools as well, and not only what visitors have.
        """
        sites = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/sites.yml").read_text())
        # A name, as in production: `make up` serves the lab by an address, where browsers keep no HSTS.
        sites["sites"]["harbour"] |= {"server_names": [SITE, f"www.{SITE}"]}
        sites["sites"]["harbour"] |= {"source": {"path": str(ROOT / "app")}}
        (self.work / "settings.json").write_text(json.dumps(sites | settings))
        self.play("Harbour", "decanter.stack.site", "-e", f"@{self.work}/settings.json")
        looking = {
            "onlookers": [
                {
                    "name": name,
                    "address": self.host(name)["ansible_host"],
                    "port": self.host(name)["port"],
                    "groups": ["onlookers"] + (["auditors"] if audits and name == "auditor" else []),
                }
                for name in HOSTS[1:]
            ],
            "onlookers_names": [SITE, f"www.{SITE}", *names],
        }
        self.play("tools", "tools/audit/prepare.yml", "-e", json.dumps(looking))

    def down(self) -> None:
        self._role("removing the hosts", "lab_down")

    def host(self, name: str) -> Record:
        """The variables of a host, of those as well that the inventory does not have."""
        inventory = yaml.safe_load((self.work / "hosts.yml").read_text())["all"]
        listed = inventory["hosts"][HOSTS[0]]
        after = HOSTS.index(name)
        if "ansible_port" in listed:  # Podman is rootless: ports of this machine, ten apart
            place = {"port": listed["ansible_port"] + 10 * after}
        else:
            network, last = listed["ansible_host"].rsplit(".", 1)
            place = {"ansible_host": f"{network}.{int(last) + after}", "port": 22}
        return inventory["vars"] | listed | place

    def address(self, name: str) -> str:
        """Where the hosts find each other; this machine may have to go another way."""
        prefix = self.host(name)["lab_prefix"]
        return self.ask("web1", f"getent ahostsv4 {prefix}{name}").split()[0]

    def ssh(self, name: str, remote: str) -> list[str]:
        """The command that runs a shell command on a host, as root."""
        host = self.host(name)
        options = [*shlex.split(host["ansible_ssh_common_args"]), "-i", host["ansible_ssh_private_key_file"]]
        target = f"{host['ansible_user']}@{host['ansible_host']}"
        return ["ssh", *options, "-p", str(host["port"]), target, f"sudo sh -c {shlex.quote(remote)}"]

    def ask(self, name: str, remote: str, stdin: str = "", codes: tuple[int, ...] = (0,)) -> str:
        """What a shell command prints on a host. Raises Failure when it ends with another code."""
        done = subprocess.run(
            self.ssh(name, remote), input=stdin, capture_output=True, text=True, timeout=600
        )
        if done.returncode not in codes:
            raise Failure(f"on {name}: {remote}\n{(done.stdout + done.stderr)[-2000:]}")
        return done.stdout

    def paths(self) -> list[str]:
        """What somebody reads: pages, one of them by a query, and a file that the first of them names."""
        page = self.ask("auditor", f"curl -sS --fail --cacert /opt/onlooker/ca.crt https://{SITE}/")
        style = re.search(r'href="(/static/[^"]+\.css[^"]*)"', page)
        if not style:
            raise Failure(f"https://{SITE}/ names no stylesheet below /static/; found {page[:500]}")
        return ["/", "/listings/", "/listings/?page=2", "/listings/1", style[1]]

    def start(self, name: str, remote: str) -> subprocess.Popen[str]:
        """The same, without waiting for it."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.ssh(name, remote), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )
