"""The lab of bin/audit and `bin/bench front`: a host that serves Harbour, and two hosts that request it.

`auditor` has the scanners and is an ordinary client, `flooder` is an attacker. Both are not in the inventory,
because they are not hosts of the operator. Nothing is installed on this machine.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import yaml

from tools.library import MITOGEN, ROOT, Failure, Lab, Record, lab_sites, playbook_command, ssh_command

# In this order, because the lab counts their addresses and ports.
HOSTS = ("web1", "auditor", "flooder")
SITE = "harbour.test"
URL = f"https://{SITE}"
CA = "/opt/onlooker/ca.crt"


class AuditLab(Lab):
    """The host that serves Harbour, and its clients."""

    def __init__(self, name: str) -> None:
        hosts: list[Record] = [{"name": host, "suite": "trixie", "listed": False} for host in HOSTS]
        hosts[0] |= {"listed": True, "groups": ["web", "database"]}
        super().__init__(name, hosts)

    def play(self, title: str, playbook: str, *arguments: str) -> None:
        """Run a playbook of the project on the lab's hosts."""
        command = playbook_command([ROOT / "tools/audit/inventory", self.hosts_file], *arguments, playbook)
        self.step(title, Path(playbook.removeprefix("decanter.stack.")).stem, command, MITOGEN)

    def converge(
        self,
        settings: Record,
        names: tuple[str, ...] = (),
        scanners: bool = True,
        others: Record | None = None,
    ) -> None:
        """Converge Harbour on the host, and install the tools of its clients.

        Args:
            settings: variables of the inventory that differ from the lab's.
            names: names that resolve to the host, in addition to Harbour's own.
            scanners: install the scanners on `auditor`, and not only the clients.
            others: sites next to Harbour.
        """
        sites = lab_sites()
        # A name, as in production: `make up` serves the lab by an address, for which browsers store no HSTS.
        sites["sites"]["harbour"] |= {"server_names": [SITE, f"www.{SITE}"]}
        sites["sites"]["harbour"] |= {"source": {"path": str(ROOT / "app")}}
        sites["sites"] |= others or {}
        (self.work / "settings.json").write_text(json.dumps(sites | settings))
        self.play("Harbour", "decanter.stack.site", "-e", f"@{self.work}/settings.json")
        clients = {
            "clients": [
                {
                    "name": name,
                    "address": self.host(name)["ansible_host"],
                    "port": self.host(name).get("ansible_port", 22),
                    "groups": ["clients"] + (["auditors"] if scanners and name == "auditor" else []),
                }
                for name in HOSTS[1:]
            ],
            "client_names": [SITE, f"www.{SITE}", *names],
        }
        self.play("tools", "tools/audit/prepare.yml", "-e", json.dumps(clients))

    def host(self, name: str) -> Record:
        """Return the variables of a host, also of one that the inventory does not have."""
        inventory = yaml.safe_load(self.hosts_file.read_text())["all"]
        listed = inventory["hosts"][HOSTS[0]]
        after = HOSTS.index(name)
        if "ansible_port" in listed:  # Podman is rootless: ports of this machine, ten apart
            place = {"ansible_port": listed["ansible_port"] + 10 * after}
        else:
            network, last = listed["ansible_host"].rsplit(".", 1)
            place = {"ansible_host": f"{network}.{int(last) + after}"}
        return inventory["vars"] | listed | place

    def address(self, name: str) -> str:
        """Return the address of a host in the lab's network; this machine may need another one."""
        prefix = self.host(name)["lab_prefix"]
        return self.output("web1", f"getent ahostsv4 {prefix}{name}").split()[0]

    def output(self, name: str, remote: str, stdin: str = "", codes: tuple[int, ...] = (0,)) -> str:
        """Return the output of a shell command that root runs on a host.

        Raises Failure if the exit status is not one of `codes`.
        """
        command = ssh_command(self.host(name), remote, root=True)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=600)
        if done.returncode not in codes:
            raise Failure(f"on {name}: {remote}\n{(done.stdout + done.stderr)[-2000:]}")
        return done.stdout

    def start(self, name: str, remote: str) -> subprocess.Popen[str]:
        """Start a shell command on a host as root."""
        command = ssh_command(self.host(name), remote, root=True)
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)

    def client_command(self, seconds: float, rate: int) -> str:
        """Return the command of an ordinary client: `rate` pages and files a second."""
        command = ["python3", "/opt/onlooker/client.py", URL, str(seconds), str(rate), *self.paths()]
        return shlex.join(command)

    def paths(self) -> list[str]:
        """Return the paths that the client requests: pages, one with a query, and a stylesheet."""
        page = self.output("auditor", f"curl -sS --fail --cacert {CA} {URL}/")
        style = re.search(r'href="(/static/[^"]+\.css[^"]*)"', page)
        if not style:
            raise Failure(f"{URL}/ names no stylesheet below /static/; found {page[:500]}")
        return ["/", "/listings/", "/listings/?page=2", "/listings/1", style[1]]
