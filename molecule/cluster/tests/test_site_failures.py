"""A site that fails does not affect other sites, and keeps one release on all hosts."""

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
from conftest import ROOT, WEB, add_comment, assert_succeeded, wait_until

from tests.hosts.fixtures.lab import run_playbook
from tools.library import ACCELERATED

testinfra_hosts = ["ansible://balancer1"]

HEALTHY = 'return "ok"'
UNHEALTHY_ON_WEB2 = 'return ("unhealthy on web2", 500) if socket.gethostname() == "web2" else "ok"'
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
    """Copy the sources of sites, so that a test can change them."""
    folders = {name: tmp_path / name for name in ("whoami", "signed", "harbour")}
    for name, folder in folders.items():
        original = ROOT / ("app" if name == "harbour" else "molecule/cluster/whoami")
        shutil.copytree(original, folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "instance"))
    return folders


@pytest.fixture
def arguments(inventory, sites, sources, tmp_path) -> Callable[..., list[str]]:
    """Return the arguments of a playbook that releases the copies, with other keys of sites.

    Releases the copy of Harbour, which takes longer, only if a keyword names it.
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
def start_deploy(inventory, arguments) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start a deploy. Return its process when its output contains a text."""
    processes: list[subprocess.Popen] = []

    def start(text: str, **keys: dict[str, Any]) -> subprocess.Popen:
        command = [Path(sys.executable).with_name("ansible-playbook"), ROOT / "playbooks/deploy.yml"]
        environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "true"}
        process = subprocess.Popen(
            [*command, "-i", inventory, *arguments(**keys)], cwd=ROOT, env=environment | ACCELERATED,
            start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        processes.append(process)
        output = []
        for line in process.stdout:
            output.append(line)
            if text in line:
                return process
        raise AssertionError(f"expected {text!r} in the output, got {''.join(output)}")

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(autouse=True)
def no_locks_left(get_host, inventory) -> Iterator[None]:
    """Check for locks and provisional releases after a test, and deploy the scenario's sites."""
    yield
    command = "ls /srv/*/lock.json /srv/*/provisional.json || true"
    files = {name: get_host(name).check_output(command) for name in WEB}
    assert_succeeded(run_playbook("deploy.yml", inventory, *UNTRUSTED))
    assert files == dict.fromkeys(WEB, ""), f"expected no lock and no provisional.json, got {files}"


def result_table(process: subprocess.CompletedProcess) -> dict[tuple[str, str], str]:
    """Return the result of each site and host from the table in the output."""
    rows = re.findall(r"^(\w+) +(web\d) +(.*)$", process.stdout, re.M)
    return {(site, host): result for site, host, result in rows}


def assert_failed(process: subprocess.CompletedProcess, site: str, **results: str) -> None:
    """Assert that one site failed, and that its results start with these texts."""
    assert process.returncode != 0, process.stdout
    assert f"Failed sites: {site}." in process.stdout, process.stdout
    assert process.stdout.count("RESULT\n") == 1, f"expected one table, got {process.stdout}"
    for host, result in results.items():
        found = result_table(process).get((site, host), "")
        assert found.startswith(result), f"expected {result!r} for {site} on {host}, got {found!r}"


def release_record(get_host: Callable[[str], Any], host: str, identifier: str) -> dict[str, Any]:
    """Return the record of a release on a host."""
    return json.loads(get_host(host).check_output("cat /srv/whoami/releases/%s.json", identifier))


def test_failed_build_of_one_site_does_not_stop_others(deploy, sources, live):
    before, signed = live(), live("signed")
    add_comment(sources["signed"])
    (sources["whoami"] / "requirements.txt").write_text("flask\nno-such-package-of-anybody==1\n")
    process = deploy()
    assert_failed(
        process, "whoami", web1="failed: no release was built.", web2="failed: no release was built."
    )
    assert live() == before, f"expected {before} to stay live, got {live()}"
    after = live("signed")
    assert len(set(after)) == 1 and after != signed, f"expected a new release of signed, got {after}"
    assert result_table(process)["signed", "web2"] == f"live {after[0]}", process.stdout
    assert result_table(process)["harbour", "web1"] == "unchanged", process.stdout


def test_failure_on_second_host_switches_first_host_back(
    generate_load, deploy, sources, live, get_host, visitor
):
    before, signed = live(), live("signed")
    add_comment(sources["signed"])
    code = (sources["whoami"] / "whoami.py").read_text()
    assert HEALTHY in code
    (sources["whoami"] / "whoami.py").write_text(code.replace(HEALTHY, UNHEALTHY_ON_WEB2))
    with generate_load() as load:
        process = deploy(whoami=HEALTH)
        time.sleep(3)
    assert_failed(
        process,
        "whoami",
        web1=f"unchanged: switched back to {before[0]}",
        web2="failed: it did not go live, it was not healthy within 3 s: 500",
    )
    assert live() == before, f"expected {before} to be live again, got {live()}"
    assert len(load.results) > 100 and not load.lost, (
        f"expected no lost request of {len(load.results)}, got {load.lost[:5]}"
    )
    log = get_host("web1").check_output("tail -2 /var/log/decanter/whoami.log").splitlines()
    assert " live " in log[0] and " failed " in log[1], f"expected a live, then failed release, got {log}"
    release = log[0].split()[2]
    for host, fault in (("web1", "it failed on web2: it did not go live"), ("web2", "it did not go live")):
        record = release_record(get_host, host, release)
        assert record["state"] == "failed" and record["fault"].startswith(fault), (host, record)
    after = live("signed")
    assert len(set(after)) == 1 and after != signed, f"expected a new release of signed, got {after}"
    served = {visitor.get("https://whoami.test/").headers["X-Release"] for _ in range(6)}
    assert served == set(before), f"expected responses of {before}, got {served}"
    # A corrected release becomes live on both hosts.
    (sources["whoami"] / "whoami.py").write_text(code.replace(HEALTHY, 'return "healthy"'))
    assert_succeeded(deploy(whoami=HEALTH))
    assert len(set(live())) == 1 and live() != before, live()


def test_failed_migration_of_one_site_does_not_stop_others(deploy, sources, live, get_host):
    before, signed = live("harbour"), live("signed")
    add_comment(sources["signed"])
    versions = sources["harbour"] / "migrations/versions"
    head = max(path.name.partition("_")[0] for path in versions.glob("*.py"))
    (versions / "bad.py").write_text(BAD_MIGRATION.format(head=head))
    process = deploy(harbour={})
    assert_failed(process, "harbour", web1="failed: `flask db upgrade` failed in release", web2="unchanged")
    assert "this migration is broken" in process.stdout, process.stdout
    assert live("harbour") == before, f"expected {before} to stay live, got {live('harbour')}"
    assert len(set(live("signed"))) == 1 and live("signed") != signed, live("signed")


def test_deploy_killed_between_hosts_is_completed_by_next(start_deploy, deploy, sources, live):
    before = live()
    code = (sources["whoami"] / "whoami.py").read_text()
    (sources["whoami"] / "whoami.py").write_text(code.replace(HEALTHY, UNHEALTHY_ON_WEB2))
    process = start_deploy("activate.yml for web2", whoami=HEALTH)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert live()[0] != before[0], f"expected the new release on web1 only, got {live()}"
    process = deploy(whoami=HEALTH)
    assert_failed(
        process, "whoami", web1=f"unchanged: switched back to {before[0]}", web2="failed: it did not"
    )
    assert live() == before, f"expected {before} to be live again, got {live()}"


@pytest.mark.alone
def test_killed_host_during_activation_unlocks_other_host(
    start_deploy, deploy, sources, live, get_host, podman, active_members
):
    before = live()
    with open(sources["whoami"] / "whoami.py", "a") as file:
        file.write(SLOW_ON_WEB1)
    add_comment(sources["signed"])
    process = start_deploy("activate.yml for web1")
    wait_until(
        lambda: "activating" in get_host("web1").run("systemctl is-active whoami@*.service").stdout, 60
    )
    podman("kill", "web1")
    output = process.communicate(timeout=240)[0]
    assert process.returncode != 0 and "UNREACHABLE" in output, output
    assert live_on(get_host, "web2") == before[1], "expected web2 to keep its release"
    lock = get_host("web2").file("/srv/whoami/lock.json")
    assert not lock.exists, f"expected web2 to be unlocked, got {lock.content_string}"
    podman("start", "web1")
    wait_until(lambda: get_host("web1").run("systemctl is-active nginx").succeeded, 60)
    # The failed deploy left web1 out of the balancer. The next deploy puts web1 back.
    assert_succeeded(deploy())
    assert active_members() == set(WEB), f"expected both hosts in the balancer, got {active_members()}"
    assert len(set(live())) == 1 and live() != before, f"expected the new release on both, got {live()}"


def live_on(get_host: Callable[[str], Any], host: str) -> str:
    return Path(get_host(host).check_output("readlink /srv/whoami/current")).name
