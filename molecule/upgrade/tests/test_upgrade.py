"""The upgrade of a host that an old version has converged. The tests run in this order."""

from __future__ import annotations

import http.client
import re
from dataclasses import dataclass
from pathlib import Path

from tests.hosts.fixtures.load_generator import Connection, LoadGenerator

# Features that the old version lacks: builds in a sandbox by uv, .package in the path of each unit, and files
# that programs on hosts share. Files of the firewall and of nginx differ in comments.
NECESSARY = {
    "base : Write the configuration",
    "firewall : Write the settings of ufw",
    "firewall : Apply the firewall rules",
    "python_app : Install uv in its own virtual environment",
    "python_app : Create the service user and the build user of each site",
    "python_app : configure | Write each site's units and their files, and the build program",
    "python_app : configure | Write the service units of each site's processes and timers",
    "python_app : configure | Apply the limits of each site",
    "python_app : configure | Write each site's timers",  # Only a comment differs.
    "certbot : program | Install the program that renews and monitors certificates",
    "nginx : Install the error log of nginx and the rotation of logs",
    "nginx : Start the error log of nginx and the rotation of logs",
    "nginx : Configure nginx",
    "release : Read which sites need a release",
}


@dataclass
class HarbourLoad(LoadGenerator):
    """A load generator that reads pages of Harbour.

    The upgrade reloads nginx, which closes idle connections. A request on such a connection is sent again on
    a new one, as browsers do (RFC 9110, section 9.2.2).
    """

    name: str = "harbour.test"
    posting: bool = False

    def send(self, connection: Connection, session: None, count: int, posted: str) -> tuple[int, str, bool]:
        path = ("/listings/", "/", "/static/style.css")[count % 3]
        is_reused = connection.sock is not None
        try:
            connection.request("GET", path)
            response = connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            if not is_reused:
                raise
            connection.close()
            connection.request("GET", path)
            response = connection.getresponse()
        response.read()
        return response.status, response.headers.get("X-Release") or "", response.status == 200


def live_release(host, site: str = "harbour") -> str:
    with host.sudo():
        return Path(host.check_output("readlink /srv/%s/current", site)).name


def changed_tasks(output: str) -> list[str]:
    """Return the names of the changed tasks, or with --check of those that would change."""
    tasks = re.findall(r"^TASK \[(?:decanter\.stack\.)?(.*)\] \**\n((?:(?!TASK|PLAY).*\n)*)", output, re.M)
    return [name for name, lines in tasks if re.search(r"^changed: ", lines, re.M)]


def test_check_shows_only_necessary_changes(play, sites):
    result = play("site.yml", sites, "--check", "--diff")
    assert result.returncode == 0, result.stdout + result.stderr
    found = set(changed_tasks(result.stdout))
    assert found == NECESSARY, f"expected the necessary changes, got a difference of {found ^ NECESSARY}"


def test_upgrade_loses_no_request(host, visitor, play, sites):
    before = live_release(host)
    with HarbourLoad(visitor.endpoint(443), visitor.ca) as load:
        result = play("site.yml", sites)
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(load.results) > 500, f"expected more than 500 requests, got {len(load.results)}"
    assert not load.lost, f"expected no lost request, got {load.lost[:5]} of {len(load.results)}"
    after = live_release(host)
    assert after != before, f"expected a release of the new version, got {after} as before"


def test_second_converge_changes_nothing(play, sites):
    result = play("site.yml", sites)
    assert result.returncode == 0, result.stdout + result.stderr
    assert changed_tasks(result.stdout) == [], result.stdout


def test_rollback_to_the_release_of_the_old_version(host, visitor, play, sites):
    after = live_release(host)
    with HarbourLoad(visitor.endpoint(443), visitor.ca) as load:
        result = play("rollback.yml", sites, "-e", "site=harbour")
        assert result.returncode == 0, result.stdout + result.stderr
        assert live_release(host) < after, f"expected an earlier release than {after}"
        result = play("deploy.yml", sites, "-e", "site=harbour")
    assert result.returncode == 0, result.stdout + result.stderr
    assert not load.lost, f"expected no lost request, got {load.lost[:5]} of {len(load.results)}"
    assert live_release(host) == after, f"expected {after} again, got {live_release(host)}"
