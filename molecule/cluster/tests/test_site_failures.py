"""A site that fails leaves the other sites alone, and ends with one release on all hosts."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, WEB, succeeded, touch, until

from tests.hosts.fixtures.lab import run_playbook
from tools.library import ACCELERATED

testinfra_hosts = ["ansible://balancer1"]

HEALTHY = 'return "ok"'
ILL_ON_WEB2 = 'return ("ill on web2", 500) if socket.gethostname() == "web2" else "ok"'
SLOW_ON_WEB1 = "\nif socket.gethostname() == 'web1':\n    time.sleep(20)\n"
# verify.yml expects no trusted certificate from a staging server; this scenario's Pebble has a CA of its own.
UNTRUSTED = ("-e", "certbot_server=https://staging.test/directory")
HEALTH = {"health": {"path": "/healthz", "timeout": 3}}
BAD_MIGRATION = """
revision = "bad"
down_revision = "{head}"


def upgrade() -> None:
    raise RuntimeError("this migration is broken")
"""


@pytest.fixture
def sources(tmp_path) -> dict[str, Path]:
    """Copies of the sites' sources that may be changed."""
    folders = {name: tmp_path / name for name in ("whoami", "signed", "harbour")}
    for name, folder in folders.items():
        original = ROOT / ("app" if name == "harbour" else "molecule/cluster/whoami")
        shutil.copytree(original, folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "instance"))
    return folders


@pytest.fixture
def arguments(inventory, sites, sources, tmp_path) -> Callable[..., list[str]]:
    """The arguments of a playbook that releases copies; `keys` are added to those of a site.

    Harbour, which takes longer, is released from its copy where it is named.
    """

    def arguments(**keys: dict[str, Any]) -> list[str]:
        changed = {
            name: sites[name] | {"source": {"path": str(folder)}} | keys.get(name, {})
            for name, folder in sources.items()
            if name != "harbour" or name in keys
        }
        (tmp_path / "sites.json").write_text(json.dumps({"sites": sites | changed}))
        return ["-e", f"@{tmp_path}/sites.json", *UNTRUSTED]

    return arguments


@pytest.fixture
def deploy(inventory, arguments) -> Callable[..., subprocess.CompletedProcess]:
    return lambda **keys: run_playbook("deploy.yml", inventory, *arguments(**keys))


@pytest.fixture
def begin(inventory, arguments) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start a deploy, and return its process when its output has a text."""
    begun: list[subprocess.Popen] = []

    def begin(text: str, **keys: dict[str, Any]) -> subprocess.Popen:
        command = [Path(sys.executable).with_name("ansible-playbook"), ROOT / "playbooks/deploy.yml"]
        environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "true"}
        process = subprocess.Popen(
            [*command, "-i", inventory, *arguments(**keys)], cwd=ROOT, env=environment | ACCELERATED,
            start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        begun.append(process)
        said = []
        for line in process.stdout:
            said.append(line)
            if text in line:
                return process
        raise AssertionError(f"expected {text!r} in the output, got {''.join(said)}")

    yield begin
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(autouse=True)
def unlocked(machine, inventory) -> Iterator[None]:
    """Whatever happens, no host keeps a lock or a note; afterwards the scenario's releases are live."""
    yield
    notes = "ls /srv/*/lock.json /srv/*/provisional.json || true"
    kept = {name: machine(name).check_output(notes) for name in WEB}
    succeeded(run_playbook("deploy.yml", inventory, *UNTRUSTED))
    assert kept == dict.fromkeys(WEB, ""), f"expected no lock and no note, got {kept}"


def table(finished: subprocess.CompletedProcess) -> dict[tuple[str, str], str]:
    """The result of each site and host, as the table of a run has it."""
    rows = re.findall(r"^(\w+) +(web\d) +(.*)$", finished.stdout, re.M)
    return {(site, host): result for site, host, result in rows}


def assert_failed(finished: subprocess.CompletedProcess, site: str, **results: str) -> None:
    """The run failed because of one site, whose table has these results, or their beginnings."""
    assert finished.returncode != 0, finished.stdout
    assert f"Failed sites: {site}." in finished.stdout, finished.stdout
    assert finished.stdout.count("RESULT\n") == 1, f"expected one table, got {finished.stdout}"
    for host, result in results.items():
        found = table(finished).get((site, host), "")
        assert found.startswith(result), f"expected {result!r} of {site} on {host}, got {found!r}"


def state(machine: Callable[[str], Any], host: str, identifier: str, site: str = "whoami") -> dict[str, Any]:
    """Return the record of a release on a host."""
    return json.loads(machine(host).check_output("cat /srv/%s/releases/%s.json", site, identifier))


def test_site_that_does_not_build_leaves_other_sites_alone(deploy, sources, live):
    before, signed = live(), live("signed")
    touch(sources["signed"])
    (sources["whoami"] / "requirements.txt").write_text("flask\nno-such-package-of-anybody==1\n")
    finished = deploy()
    assert_failed(
        finished, "whoami", web1="failed: no release was built.", web2="failed: no release was built."
    )
    assert live() == before, f"expected {before} to stay live, got {live()}"
    after = live("signed")
    assert len(set(after)) == 1 and after != signed, f"expected a new release of signed, got {after}"
    assert table(finished)["signed", "web2"] == f"live {after[0]}", finished.stdout
    assert table(finished)["harbour", "web1"] == "unchanged", finished.stdout


def test_site_that_fails_on_second_host_returns_on_first_host(crowd, deploy, sources, live, machine, visitor):
    before, signed = live(), live("signed")
    touch(sources["signed"])
    code = (sources["whoami"] / "whoami.py").read_text()
    assert HEALTHY in code
    (sources["whoami"] / "whoami.py").write_text(code.replace(HEALTHY, ILL_ON_WEB2))
    with crowd() as visits:
        finished = deploy(whoami=HEALTH)
        time.sleep(3)
    assert_failed(
        finished,
        "whoami",
        web1=f"unchanged: switched back to {before[0]}",
        web2="failed: it did not go live, it was not healthy within 3 s: 500",
    )
    assert live() == before, f"expected {before} to be live again, got {live()}"
    assert len(visits.answers) > 100 and not visits.lost, (
        f"expected none of {len(visits.answers)} to be lost, got {visits.lost[:5]}"
    )
    log = machine("web1").check_output("tail -2 /var/log/decanter/whoami.log").splitlines()
    assert " live " in log[0] and " failed " in log[1], f"expected it to have been live on web1, got {log}"
    tried = log[0].split()[2]
    for host, fault in (("web1", "it failed on web2: it did not go live"), ("web2", "it did not go live")):
        record = state(machine, host, tried)
        assert record["state"] == "failed" and record["fault"].startswith(fault), (host, record)
    after = live("signed")
    assert len(set(after)) == 1 and after != signed, f"expected a new release of signed, got {after}"
    served = {visitor.get("https://whoami.test/").headers["X-Release"] for _ in range(6)}
    assert served == set(before), f"expected {before} to answer, got {served}"
    # The same content gets one new release on both hosts when it can live.
    (sources["whoami"] / "whoami.py").write_text(code.replace(HEALTHY, 'return "well"'))
    succeeded(deploy(whoami=HEALTH))
    assert len(set(live())) == 1 and live() != before, live()


def test_site_whose_migration_fails_leaves_other_sites_alone(deploy, sources, live, machine):
    before, signed = live("harbour"), live("signed")
    touch(sources["signed"])
    versions = sources["harbour"] / "migrations/versions"
    head = max(path.name.partition("_")[0] for path in versions.glob("*.py"))
    (versions / "bad.py").write_text(BAD_MIGRATION.format(head=head))
    finished = deploy(harbour={})
    assert_failed(finished, "harbour", web1="failed: `flask db upgrade` failed in release", web2="unchanged")
    assert "this migration is broken" in finished.stdout, finished.stdout
    assert live("harbour") == before, f"expected {before} to stay live, got {live('harbour')}"
    assert len(set(live("signed"))) == 1 and live("signed") != signed, live("signed")


def test_run_killed_between_hosts_is_completed_by_the_next(begin, deploy, sources, live):
    before = live()
    code = (sources["whoami"] / "whoami.py").read_text()
    (sources["whoami"] / "whoami.py").write_text(code.replace(HEALTHY, ILL_ON_WEB2))
    process = begin("activate.yml for web2", whoami=HEALTH)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert live()[0] != before[0], f"expected the release on web1 alone, got {live()}"
    finished = deploy(whoami=HEALTH)
    assert_failed(
        finished, "whoami", web1=f"unchanged: switched back to {before[0]}", web2="failed: it did not"
    )
    assert live() == before, f"expected {before} to be live again, got {live()}"


@pytest.mark.alone
def test_host_lost_while_activating_unlocks_the_other(begin, deploy, sources, live, machine, podman, inside):
    before = live()
    with open(sources["whoami"] / "whoami.py", "a") as file:
        file.write(SLOW_ON_WEB1)
    touch(sources["signed"])
    process = begin("activate.yml for web1")
    until(lambda: "activating" in machine("web1").run("systemctl is-active whoami@*.service").stdout, 60)
    podman("kill", "web1")
    said = process.communicate(timeout=240)[0]
    assert process.returncode != 0 and "UNREACHABLE" in said, said
    assert live_on(machine, "web2") == before[1], "expected web2 to keep its release"
    lock = machine("web2").file("/srv/whoami/lock.json")
    assert not lock.exists, f"expected web2 to be unlocked, got {lock.content_string}"
    podman("start", "web1")
    until(lambda: machine("web1").run("systemctl is-active nginx").succeeded, 60)
    # The run took the host out of the balancers and could not put it back. The next one does.
    succeeded(deploy())
    assert inside() == set(WEB), f"expected both hosts in the balancer, got {inside()}"
    assert len(set(live())) == 1 and live() != before, f"expected the new release on both, got {live()}"


def live_on(machine: Callable[[str], Any], host: str) -> str:
    return Path(machine(host).check_output("readlink /srv/whoami/current")).name
