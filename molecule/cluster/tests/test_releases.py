"""Releases of sites that several hosts serve: migrated once, batch by batch, given up at the first fault."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import testinfra
import yaml
from conftest import PODMAN, WEB, posts, succeeded, touch, until

from tests.hosts.fixtures.lab import run_playbook

testinfra_hosts = ["ansible://balancer1"]

HEALTHY = 'return "ok"'


@pytest.fixture
def deploy(run) -> Callable[..., subprocess.CompletedProcess]:
    return lambda **keys: run("deploy.yml", "-e", "site=whoami", **keys)


@pytest.fixture
def database(variables) -> Callable[[str], str]:
    """Ask the database elsewhere as its root."""

    def ask(query: str) -> str:
        command = [PODMAN, "exec", f"{variables['lab_prefix']}db", "mysql", "--batch", "--skip-column-names"]
        done = subprocess.run([*command, "--execute", query], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return ask


# --- Putting live ------------------------------------------------------------------------------


def test_a_rolling_deploy_and_a_rollback_lose_nothing(crowd, source, run, live, machine, host):
    before, began = live(), time.time()
    touch(source)
    with crowd() as visits:
        succeeded(run("deploy.yml", "-e", "site=whoami"))
        after = live()
        succeeded(run("rollback.yml", "-e", "site=whoami"))
    assert len(set(after)) == 1 and after[0] not in before, f"expected one new release on both, got {after}"
    assert live() == before, f"expected {before} to be live again, got {live()}"
    assert len(visits.answers) > 400 and not visits.lost, (
        f"expected none of {len(visits.answers)} to be lost, got {visits.lost[:5]}"
    )
    posted, kept = [one.posted for one in visits.answers if one.posted], posts(machine, visits.mark)
    assert sorted(kept) == sorted(posted), f"expected each of {len(posted)} posts once, got {len(kept)}"
    said = host.check_output("sudo journalctl -u decanter-balancer -o cat --since @%s", f"{began:.0f}")
    turns = re.findall(r"whoami: (web\d is (?:out|in))", said)
    assert turns == ["web1 is out", "web1 is in", "web2 is out", "web2 is in"] * 2, said


def test_the_first_host_that_fails_stops_the_deploy(crowd, source, deploy, live, machine):
    before = live()
    assert HEALTHY in (source / "whoami.py").read_text()
    text = (source / "whoami.py").read_text().replace(HEALTHY, 'return "ill", 500')
    (source / "whoami.py").write_text(text)
    with crowd() as visits:
        finished = deploy(health={"path": "/healthz", "timeout": 3})
        over = time.time() + 1.5  # nginx looks again after a second
        time.sleep(3)
    said = finished.stdout + finished.stderr
    assert finished.returncode != 0 and "it was not healthy within 3 s: 500" in said, said
    assert live() == before, f"expected {before} to stay live, got {live()}"
    assert not visits.lost, f"expected none of {len(visits.answers)} to be lost, got {visits.lost[:5]}"
    assert visits.hosts(over) == set(WEB), "expected both hosts to be in again"
    tried = {name: machine(name).run("tail -1 /var/log/decanter/whoami.log").stdout for name in WEB}
    assert " failed " in tried["web1"], f"expected a line of it on the first host, got {tried['web1']}"
    assert "it failed on web1" in tried["web2"], f"expected web2 to give the release up, got {tried['web2']}"
    for name in WEB:
        assert not machine(name).file("/srv/whoami/lock.json").exists, f"expected {name} to be let go"
    touch(source)
    (source / "whoami.py").write_text((source / "whoami.py").read_text().replace('"ill", 500', '"ok"'))
    succeeded(deploy())
    assert len(set(live())) == 1 and live() != before, live()


def test_what_cannot_be_built_is_tried_on_no_host(host, source, deploy, live, machine):
    before, began = live(), time.time()
    (source / "requirements.txt").write_text("flask\nno-such-package-of-anybody==1\n")
    finished = deploy()
    assert finished.returncode != 0 and "no-such-package-of-anybody" in finished.stdout + finished.stderr
    assert live() == before
    said = host.check_output("sudo journalctl -u decanter-balancer -o cat --since @%s", f"{began:.0f}")
    assert said == "", f"expected no host to be taken out, got {said}"
    for name in WEB:
        assert not machine(name).file("/srv/whoami/lock.json").exists, f"expected {name} to be let go"


# --- What is one for all hosts -----------------------------------------------------------------


def test_one_host_migrates_and_runs_what_runs_once(host, machine, live):
    # Before a migration, the host that runs it dumps.
    dumps = [
        machine(name).check_output("find /srv/harbour/releases -name '*.sql.gz'").split() for name in WEB
    ]
    assert dumps[0] and not dumps[1], f"expected web1 alone to migrate, got {dumps}"
    done = {machine(name).check_output("cat /srv/harbour/once.json") for name in WEB}
    assert len(done) == 1 and "load-samples" in done.pop(), (
        f"expected both to know that it was run, got {done}"
    )
    records = [
        json.loads(machine(name).check_output("cat /srv/harbour/releases/%s.json", live("harbour")[0]))
        for name in WEB
    ]
    assert [record["migrated"] for record in records] == [True, True]
    schemas = {
        machine(name).check_output("cat /srv/harbour/releases/%s.schema.json", live("harbour")[0])
        for name in WEB
    }
    assert len(schemas) == 1 and "column listings.title" in schemas.pop()


def test_a_timer_of_one_host_runs_on_one(host, machine):
    def ran() -> dict[str, set[str]]:
        """Where each timer has run."""
        files = {"one": "/srv/harbour/shared/one", "all": "/srv/harbour/shared/all"}
        return {
            timer: {line for name in WEB for line in machine(name).run("cat %s", file).stdout.split()}
            for timer, file in files.items()
        }

    until(lambda: ran()["all"] == set(WEB), 40)
    assert ran() == {"one": {"web1"}, "all": set(WEB)}, ran()


def test_the_database_is_reached_over_tls_alone(database):
    got = database(
        "SELECT DISTINCT connection_type FROM performance_schema.threads WHERE processlist_user = 'harbour'"
    )
    assert got == "SSL/TLS", f"expected Harbour's connections to be encrypted, got {got!r}"
    required = database("SELECT DISTINCT ssl_type FROM mysql.user WHERE user = 'harbour'")
    assert required == "ANY", f"expected the server to insist, got {required!r}"


# --- Visitors of Harbour -----------------------------------------------------------------------


def form(visitor) -> tuple[str, str]:
    """The key of Harbour's form, and which host gave it."""
    page = visitor.get("https://harbour.test/submit")
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert token, f"expected a form with a csrf_token at /submit, got {page.status_code}: {page.text[:300]}"
    return token[1]


@pytest.fixture
def offered(database) -> Iterator[str]:
    title = f"Cottage {secrets.token_hex(6)}"
    yield title
    database(f"DELETE FROM harbour.listings WHERE title = '{title}'")


def test_a_session_survives_the_host_that_began_it(visitor, podman, machine, database, offered, inside):
    token = form(visitor)
    log = "tail -1 /var/log/nginx/access.log"
    asked = [name for name in WEB if '"path": "/submit"' in machine(name).run(log).stdout]
    assert len(asked) == 1, f"expected one host to have answered, got {asked}"
    podman("kill", asked[0])
    fields = {
        **{"csrf_token": token, "title": offered, "kind": "cottage", "price": "245000", "bedrooms": "2"},
        **{"bathrooms": "1", "area_m2": "84", "street": "12 Quay Road", "neighbourhood": "The Battery"},
        "description": "Two rooms over the water, a stove, a wharf of its own and a view of every ship.",
        **{"contact_name": "Una Power", "contact_email": "una@power.test"},
    }
    answer = visitor.post(
        "https://harbour.test/submit", fields, headers={"Referer": "https://harbour.test/submit"}
    )
    assert answer.status_code == 303, f"expected the other host to know the session, got {answer.status_code}"
    stored = database(f"SELECT status FROM harbour.listings WHERE title = '{offered}'")
    assert stored == "pending", f"expected it once in the database, got {stored!r}"
    podman("start", asked[0])
    until(lambda: inside() == set(WEB), 60)


# --- A host more -------------------------------------------------------------------------------


def test_a_host_is_added_by_one_line(inventory, tmp_path, variables, machine, visitor, host, live, database):
    """Of the inventory; and one converge."""
    sites = database("SELECT COUNT(*) FROM harbour.listings")
    larger = tmp_path / "inventory"
    shutil.copytree(inventory, larger)
    hosts = yaml.safe_load((larger / "hosts.yml").read_text())
    added = dict(hosts["all"]["hosts"]["web2"])
    added["ansible_host"] = added["ansible_host"].rpartition(".")[0] + ".14"
    added["lab_container"] = f"{variables['lab_prefix']}web3"
    hosts["all"]["hosts"]["web3"] = added
    hosts["all"]["children"]["web"]["hosts"]["web3"] = None
    (larger / "hosts.yml").write_text(yaml.safe_dump(hosts, sort_keys=False))
    finished = run_playbook("site.yml", str(larger))
    succeeded(finished)
    until(lambda: "web3" in {visitor.get("https://whoami.test/").json()["host"] for _ in range(6)})
    third = testinfra.get_host(f"ansible://web3?ansible_inventory={larger}&sudo=True")
    for site in ("harbour", "whoami"):
        got = Path(third.check_output("readlink /srv/%s/current", site)).name
        assert got == live(site)[0], f"expected the others' release {live(site)[0]}, got {got}"
    assert third.check_output("find /srv/harbour/releases -name '*.sql.gz'") == "", "expected no migration"
    assert database("SELECT COUNT(*) FROM harbour.listings") == sites, "expected nothing to be run once more"
    again = run_playbook("site.yml", str(larger))
    succeeded(again)
    assert set(re.findall(r"changed=(\d+)", again.stdout)) == {"0"}, again.stdout
    # And taken away again.
    succeeded(run_playbook("site.yml", inventory, "--limit", "balancer1", "--tags", "balancer,nginx"))
    assert {visitor.get("https://whoami.test/").json()["host"] for _ in range(6)} == set(WEB)
