"""A failure of one site does not affect other sites; a lost host ends the run. All modules are stubs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
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


@pytest.fixture
def run(tmp_path):
    """Run the role on three hosts in batches of one. `results` maps `HOST STEP SITE` to a result."""
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


def test_run_without_failure_prints_no_table(run):
    done = run({})
    assert done.status == 0, done.output
    for site in SITES:
        assert done.hosts("release_migrate", site) == ["web1"], done.calls
        assert done.hosts("release_switch", site) == list(WEB), done.calls
        assert sorted(done.hosts("finish", site)) == list(WEB), done.calls
        assert done.hosts("unlock", site) == done.hosts("release_withdraw", site) == [], done.calls
    assert done.table() == [], f"expected no table, got {done.output}"


@pytest.mark.parametrize("step", ["site_credentials", "read", "lock", "build"])
def test_failure_before_migration_activates_no_release(run, step):
    sites = [resolved(name, secrets={"KEY": "ssm:/key"}, migrate="true") for name in SITES]
    done = run({f"web2 {step} shop": failed("it cannot be read")}, release_sites=sites)
    assert_blog_is_live(done)
    assert done.hosts("release_migrate") == done.hosts("release_switch") == [], done.calls
    assert_result(done, web1="unchanged", web2="failed: it cannot be read", web3="unchanged")
    assert sorted(done.hosts("unlock")) == sorted(
        set(done.hosts("lock")) - {"web2" if step == "lock" else ""}
    )
    assert done.output.count("the log of it") == 1, f"expected the log once, got {done.output}"


@pytest.mark.parametrize("step", ["release_migrate", "release_setup"])
def test_failed_migration_activates_no_release(run, step):
    done = run({f"web1 {step} shop": failed("it is broken")})
    assert_blog_is_live(done)
    assert done.hosts("release_switch") == [], done.calls
    assert_result(done, web1="failed: it is broken", web2="unchanged", web3="unchanged")
    # All hosts withdraw the release, because the next run must not find it on some of them.
    assert sorted(done.hosts("release_withdraw")) == sorted(done.hosts("unlock")) == list(WEB), done.calls


def test_failure_on_second_host_switches_back_first_host(run):
    returned = {"changed": True, "returned": True, "live": OLD}
    done = run(
        {"web2 release_switch shop": failed("it was not healthy"), "web1 release_withdraw shop": returned}
    )
    assert_blog_is_live(done)
    assert done.hosts("release_switch") == ["web1", "web2"], f"expected no later batch, got {done.calls}"
    assert sorted(done.hosts("release_withdraw")) == list(WEB), done.calls
    assert_result(
        done, web1=f"unchanged: switched back to {OLD}", web2="failed: it was not healthy", web3="unchanged"
    )


def test_site_that_cannot_switch_back_is_reported(run):
    kept = {"live": NEW, "kept": "nothing was live before"}
    done = run({"web2 release_switch shop": failed("it ended"), "web1 release_withdraw shop": kept})
    assert_blog_is_live(done)
    expected = f"live {NEW}, not switched back: nothing was live before"
    assert_result(done, web1=expected, web2="failed: it ended", web3="unchanged")


def test_failed_switch_back_is_reported_on_its_host(run):
    results = {
        "web2 release_switch shop": failed("it ended"),
        "web1 release_withdraw shop": failed("it stays"),
    }
    done = run(results)
    assert_blog_is_live(done)
    assert_result(done, web1="failed: it stays", web2="failed: it ended", web3="unchanged")


def test_failure_of_every_site_keeps_hosts_in_balancer(run):
    results = {f"web1 build {site}": failed("no") for site in SITES}
    done = run(results, release_balanced=True, balancer_kind="haproxy", balancer_instances=["lb"])
    assert done.status != 0 and "Failed sites: blog, shop." in done.output, done.output
    assert not {"out", "in", "release_switch"} & {step for _, step, _ in done.calls}, done.calls


def test_host_without_live_release_rejoins_without_health_check(run):
    ended = failed("it ended") | {"live": ""}
    results = {f"{host} release_switch {site}": ended for host in WEB for site in SITES}
    done = run(results, release_balanced=True, balancer_kind="haproxy", balancer_instances=["lb"])
    assert ["web1", "in", ""] in done.calls, (
        f"expected web1 in the balancer without a health check, got {done.calls}"
    )
    assert_result(done, web1="failed: it ended", web2="unchanged", web3="unchanged")


def test_failed_rollback_on_second_host_switches_back_first_host(run):
    returned = {"changed": True, "returned": True, "live": NEW}
    results = {"web2 release_switch shop": failed("it ended"), "web1 release_withdraw shop": returned}
    sites = [resolved("shop")]
    done = run(results, play=ROLLBACK, release_sites=sites)
    assert done.status != 0 and "Failed sites: shop." in done.output, done.output
    assert done.hosts("release_switch") == ["web1", "web2"], done.calls
    assert_result(done, web1=f"unchanged: switched back to {NEW}", web2="failed: it ended", web3="unchanged")
    assert sorted(done.hosts("unlock")) == list(WEB), done.calls


def test_rollback_of_locked_site_releases_its_locks(run):
    sites = [resolved("shop")]
    done = run({"web2 lock shop": failed("ada works on it")}, play=ROLLBACK, release_sites=sites)
    assert done.status != 0 and "ada works on it" in done.output, done.output
    assert {"web1", "web3"} <= set(done.hosts("unlock")), done.calls
    assert done.hosts("release_switch") == [], done.calls


# --- Failures of hosts -------------------------------------------------------------------------


def assert_ended_unlocked(done: Run, *left: str) -> None:
    """The run ended with an error, the remaining hosts hold no lock, and no release is finished."""
    assert done.status != 0, done.output
    for site in SITES:
        assert set(left) <= set(done.hosts("unlock", site)), (
            f"expected {left} to be unlocked, got {done.calls}"
        )
        assert done.hosts("finish", site) == [], done.calls


def test_host_lost_while_building_ends_run_before_migration(run):
    done = run({"web3 build blog": "unreachable"})
    assert_ended_unlocked(done, "web1", "web2")
    assert "web3: the host became unreachable or failed" in done.output, done.output
    assert done.hosts("release_migrate") == done.hosts("release_migrate", "blog") == [], done.calls


@pytest.mark.parametrize("host", WEB)
def test_host_lost_while_activating_ends_run_and_unlocks_others(run, host):
    done = run({f"{host} release_switch blog": "unreachable"})
    assert_ended_unlocked(done, *(other for other in WEB if other != host))
    switched = done.hosts("release_switch", "blog")
    assert switched == list(WEB[: WEB.index(host) + 1]), f"expected no later batch, got {switched}"


def test_host_lost_while_reading_ends_run(run):
    done = run({"web2 read blog": "unreachable"})
    assert done.status != 0 and "web2: the host became unreachable" in done.output, done.output
    assert not {"lock", "build"} & {step for _, step, _ in done.calls}, done.calls


def test_failed_drain_ends_run_and_unlocks_all(run):
    balanced = {"release_balanced": True, "balancer_kind": "haproxy", "balancer_instances": ["lb"]}
    done = run({"web2 out": {"failed": True, "msg": "no"}}, **balanced)
    assert_ended_unlocked(done, *WEB)
    assert done.hosts("release_switch", "blog") == ["web1"], done.calls
    changes = [(host, step) for host, step, _ in done.calls if step in ("out", "in")]
    assert changes == [("web1", "out"), ("web1", "in"), ("web2", "out"), ("web2", "in")], changes


def test_error_of_the_role_ends_run(run):
    # A result without its list makes the plan of all sites fail.
    done = run({"web1 read shop": {"setup_done": None}})
    assert done.status != 0 and "release_plan" in done.output, done.output
    assert {step for _, step, _ in done.calls} == {"read"}, done.calls
    assert "Failed sites" not in done.output, done.output


def test_check_mode_only_reads(run):
    done = run({}, "--check")
    assert done.status == 0, done.output
    assert {step for _, step, _ in done.calls} == {"read"}, done.calls


def test_run_without_changes_only_reads(run):
    done = run({f"{host} read {site}": {"current": True, "id": NEW} for host in WEB for site in SITES})
    assert done.status == 0, done.output
    assert {step for _, step, _ in done.calls} == {"read"}, done.calls
