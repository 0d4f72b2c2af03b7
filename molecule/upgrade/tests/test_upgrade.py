"""The upgrade of a host that an old version has converged. The tests run in this order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.hosts.fixtures.load_generator import Connection, LoadGenerator

# Features that the old version lacks: builds in a sandbox by uv, .package in the path of each unit, and files
# that programs on hosts share. Files of the firewall and of nginx differ in comments.
NECESSARY = {
    "base : Write the configuration",
    "firewall : Write the settings of ufw",
    "python_app : Install uv in its own virtual environment",
    "python_app : Create the service user and the build user of each site",
    "python_app : configure | Write the files that each site's units read",
    "python_app : configure | Write the program that builds releases",
    "python_app : configure | Write the service units of each site's processes and timers",
    "python_app : configure | Write each site's timers",  # Only a comment differs.
    "certbot : program | Install the program that renews and monitors certificates",
    "nginx : Configure nginx",
    "release : Read which sites need a release",
}


@dataclass
class Readers(LoadGenerator):
    """Visitors of Harbour who read."""

    name: str = "harbour.test"
    posting: bool = False

    def ask(self, connection: Connection, known: None, count: int, posted: str) -> tuple[int, str, bool]:
        connection.request("GET", ("/listings/", "/", "/static/style.css")[count % 3])
        response = connection.getresponse()
        response.read()
        return response.status, response.headers.get("X-Release") or "", response.status == 200


def live_release(host, site: str = "harbour") -> str:
    with host.sudo():
        return Path(host.check_output("readlink /srv/%s/current", site)).name


def changed_tasks(output: str) -> list[str]:
    """Return the tasks of a run that changed something, or would."""
    tasks = re.findall(r"^TASK \[(?:decanter\.stack\.)?(.*)\] \**\n((?:(?!TASK|PLAY).*\n)*)", output, re.M)
    return [name for name, lines in tasks if re.search(r"^changed: ", lines, re.M)]


def test_check_shows_only_necessary_changes(play, sites):
    finished = play("site.yml", sites, "--check", "--diff")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    found = set(changed_tasks(finished.stdout))
    assert found == NECESSARY, f"expected the necessary changes, got other ones: {found ^ NECESSARY}"


def test_upgrade_loses_no_request(host, visitor, play, sites):
    before = live_release(host)
    with Readers(visitor.place(443), visitor.ca) as readers:
        finished = play("site.yml", sites)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert len(readers.answers) > 500, f"expected more than 500 requests, got {len(readers.answers)}"
    assert not readers.lost, f"expected no lost request, got {readers.lost[:5]} of {len(readers.answers)}"
    after = live_release(host)
    assert after != before, f"expected a release of the new version, got {after} as before"


def test_second_converge_changes_nothing(play, sites):
    finished = play("site.yml", sites)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert changed_tasks(finished.stdout) == [], finished.stdout


def test_rollback_to_the_release_of_the_old_version(host, visitor, play, sites):
    after = live_release(host)
    with Readers(visitor.place(443), visitor.ca) as readers:
        finished = play("rollback.yml", sites, "-e", "site=harbour")
        assert finished.returncode == 0, finished.stdout + finished.stderr
        assert live_release(host) < after, f"expected an earlier release than {after}"
        finished = play("deploy.yml", sites, "-e", "site=harbour")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert not readers.lost, f"expected no lost request, got {readers.lost[:5]} of {len(readers.answers)}"
    assert live_release(host) == after, f"expected {after} again, got {live_release(host)}"
