"""Runs of the role `release` on three hosts. All modules are stubs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from repository import ROOT
from resolved_site import resolved

WEB = ("web1", "web2", "web3")
SITES = ("blog", "shop")
OLD, NEW = "20260101T000000Z-aaaa", "20260202T000000Z-bbbb"

# One action plugin for all modules: it records the call and returns the result of the test, or success.
STUB = """
import fcntl, json, os
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments, host = self._task.args, task_vars["inventory_hostname"]
        site = arguments.get("site", "")
        site = site if isinstance(site, str) else site["name"]
        step = self._task.action.removeprefix("decanter.stack.")
        if step == "release":
            step = "build" if arguments["make"] else "read"
        if step == "release_lock":
            step = "finish" if arguments.get("final") else "unlock"
            step = "lock" if arguments["state"] == "taken" else step
        if step == "balancer_member":
            step = arguments["state"]
        with open(os.environ["CALLS"], "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(json.dumps([host, step, site or ",".join(arguments.get("sites", []))]) + "\\n")
        result = json.loads(os.environ["RESULTS"]).get(" ".join(filter(None, (host, step, site))), {})
        if result == "unreachable":
            raise AnsibleConnectionFailure("the connection was closed")
        state = {"id": "", "current": False, "content": "bbbb", "moment": "20260202T000000Z"}
        state |= {"commit": "", "pin": {}, "setup_done": [], "taken": []}
        information = {"target": "20260101T000000Z-aaaa", "fault": "", "differences": []}
        activation = {"changed": True, "live": "20260202T000000Z-bbbb"}
        defaults = {"read": state, "release_info": information, "release_switch": activation}
        return {"changed": False} | defaults.get(step, {}) | result
"""
STUBS = {
    *("release", "release_lock", "release_migrate", "release_setup", "release_switch", "release_withdraw"),
    *("release_info", "site_credentials", "balancer_member"),
}
PLAY = """
- name: Build the releases
  hosts: web
  gather_facts: false
  any_errors_fatal: true
  roles: [decanter.stack.release]
- import_playbook: decanter.stack.live
- import_playbook: decanter.stack.failures
"""
ROLLBACK = PLAY.replace(
    "roles: [decanter.stack.release]",
    "tasks: [{include_role: {name: decanter.stack.release, tasks_from: rollback}}]",
)


class Run:
    """A finished run: its exit status, its output, and the calls of modules in their order."""

    def __init__(self, process: subprocess.CompletedProcess, calls: list[list[str]]) -> None:
        self.status, self.output, self.calls = process.returncode, process.stdout + process.stderr, calls

    def hosts(self, step: str, site: str = "shop") -> list[str]:
        """Return the hosts on which a step of a site was called, in the order of the calls."""
        return [host for host, called, name in self.calls if (called, name) == (step, site)]

    def table(self) -> list[list[str]]:
        """Return the rows below the head of the table."""
        lines = [line.split(maxsplit=2) for line in self.output.splitlines()]
        return [line for line in lines if line[:1] in (["blog"], ["shop"]) and line[1] in WEB]


def runner(tmp_path: Path) -> Callable[..., Run]:
    """Return a function that runs the role on three hosts in batches of one.

    `results` maps `HOST STEP SITE` to a result.
    """
    collection = tmp_path / "ansible_collections/decanter/stack"
    (collection / "plugins/action").mkdir(parents=True)
    for name in ("galaxy.yml", "meta", "playbooks", "roles"):
        (collection / name).symlink_to(ROOT / name)
    for path in {*(ROOT / "plugins").iterdir(), *(ROOT / "plugins/action").iterdir()}:
        if path.name != "action" and path.stem not in STUBS:
            (collection / path.relative_to(ROOT)).symlink_to(path)
    for name in STUBS:
        (collection / f"plugins/action/{name}.py").write_text(STUB)
    hosts = "\n".join((*WEB, "[web]", *WEB, "[balancer]", "lb", "[all:vars]", "ansible_connection=local"))
    (tmp_path / "hosts").write_text(f"{hosts}\nansible_python_interpreter={sys.executable}\n")
    site = {"migrate": "flask db upgrade", "setup": ["flask seed"]}

    def run(results: dict[str, Any], *arguments: str, play: str = PLAY, **variables: Any) -> Run:
        (tmp_path / "play.yml").write_text(play)
        defaults = {
            "release_sites": [resolved(name, **site) for name in SITES],
            "release_sources": {name: {"path": "/"} for name in SITES},
            "release_database_shared": True,
            **{"release_hosts": [], "release_live": {}, "release_pinned": True, "release_batches": [1]},
            **{"release_rollback_to": "", "release_rollback_forced": False},
            "balancer_sites": [{"name": name} for name in SITES],
            **{"release_balanced": False, "ansible_become": False, "fleet_bucket": ""},
            **variables,
        }
        (tmp_path / "variables.json").write_text(json.dumps(defaults))
        (tmp_path / "calls").write_text("")
        environment = {name: text for name, text in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment |= {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(tmp_path),
            "ANSIBLE_NOCOLOR": "true",
            "CALLS": str(tmp_path / "calls"),
            "RESULTS": json.dumps(results),
        }
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", tmp_path / "hosts"]
        command += ["-e", f"@{tmp_path}/variables.json", tmp_path / "play.yml", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        return Run(done, [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()])

    return run


def failed(text: str) -> dict[str, Any]:
    return {"failed": True, "msg": f"shop: {text}", "details": "the log of it", "live": OLD}


def assert_blog_is_live(done: Run) -> None:
    """The other site is live on all hosts, and the run ends with an error that names the failed one."""
    assert done.hosts("release_switch", "blog") == list(WEB), done.output
    assert sorted(done.hosts("finish", "blog")) == list(WEB), done.output
    assert done.status != 0 and "Failed sites: shop." in done.output, done.output
    assert [row for row in done.table() if row[0] == "blog"] == [
        ["blog", host, f"live {NEW}"] for host in WEB
    ], done.output


def assert_result(done: Run, **expected: str) -> None:
    found = {host: result for site, host, result in done.table() if site == "shop"}
    assert found == expected, f"expected {expected}, got {found} of {done.output}"
