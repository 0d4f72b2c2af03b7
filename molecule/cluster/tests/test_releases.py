"""Releases on several hosts: one migration, activation batch by batch, and a stop at the first failure."""

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
from conftest import PODMAN, WEB, add_comment, assert_succeeded, stored_posts, wait_until

from tests.hosts.fixtures.lab import run_playbook

testinfra_hosts = ["ansible://balancer1"]

HEALTHY = 'return "ok"'


@pytest.fixture
def deploy(run) -> Callable[..., subprocess.CompletedProcess]:
    return lambda **keys: run("deploy.yml", "-e", "site=whoami", **keys)


@pytest.fixture
def database(variables) -> Callable[[str], str]:
    """Run a query as root on the remote database server. Return the output."""

    def execute(query: str) -> str:
        command = [PODMAN, "exec", f"{variables['lab_prefix']}db", "mysql", "--batch", "--skip-column-names"]
        process = subprocess.run([*command, "--execute", query], capture_output=True, text=True)
        assert process.returncode == 0, process.stderr
        return process.stdout.strip()

    return execute


def balancer_events(host: testinfra.host.Host, since: float) -> list[str]:
    """Return when a host left or entered the balancer for whoami, from HAProxy's log."""
    log = host.check_output("sudo journalctl -u haproxy -o cat --since @%s", f"{since:.0f}")
    events = {"going DOWN for maintenance": "out", "UP (leaving forced drain)": "in"}
    pattern = rf"Server whoami/(web\d) is ({'|'.join(map(re.escape, events))})"
    return [f"{name} {events[event]}" for name, event in re.findall(pattern, log)]


# --- Activation --------------------------------------------------------------------------------


def test_deploy_and_rollback_lose_no_request(generate_load, source, run, live, get_host, host):
    before, start = live(), time.time()
    add_comment(source)
    with generate_load() as load:
        assert_succeeded(run("deploy.yml", "-e", "site=whoami"))
        after = live()
        assert_succeeded(run("rollback.yml", "-e", "site=whoami"))
    assert len(set(after)) == 1 and after[0] not in before, f"expected one new release on both, got {after}"
    assert live() == before, f"expected {before} to be live again, got {live()}"
    assert len(load.results) > 400 and not load.lost, (
        f"expected no lost request of {len(load.results)}, got {load.lost[:5]}"
    )
    sent, stored = [one.posted for one in load.results if one.posted], stored_posts(get_host, load.mark)
    assert sorted(stored) == sorted(sent), f"expected each of {len(sent)} posts once, got {len(stored)}"
    assert balancer_events(host, start) == ["web1 out", "web1 in", "web2 out", "web2 in"] * 2


def test_deploy_stops_at_first_unhealthy_host(generate_load, source, deploy, live, get_host):
    before = live()
    assert HEALTHY in (source / "whoami.py").read_text()
    text = (source / "whoami.py").read_text().replace(HEALTHY, 'return "unhealthy", 500')
    (source / "whoami.py").write_text(text)
    with generate_load() as load:
        process = deploy(health={"path": "/healthz", "timeout": 3})
        end = time.time() + 1.5  # nginx repeats its check of the sockets after a second
        time.sleep(3)
    output = process.stdout + process.stderr
    assert process.returncode != 0 and "it was not healthy within 3 s: 500" in output, output
    assert live() == before, f"expected {before} to stay live, got {live()}"
    assert not load.lost, f"expected no lost request of {len(load.results)}, got {load.lost[:5]}"
    assert load.hosts(end) == set(WEB), "expected responses of both hosts"
    logs = {name: get_host(name).run("tail -1 /var/log/decanter/whoami.log").stdout for name in WEB}
    assert " failed " in logs["web1"], f"expected the failure in the log of web1, got {logs['web1']}"
    assert "it failed on web1" in logs["web2"], f"expected a withdrawn release on web2, got {logs['web2']}"
    for name in WEB:
        assert not get_host(name).file("/srv/whoami/lock.json").exists, f"expected no lock on {name}"
    add_comment(source)
    (source / "whoami.py").write_text((source / "whoami.py").read_text().replace('"unhealthy", 500', '"ok"'))
    assert_succeeded(deploy())
    assert len(set(live())) == 1 and live() != before, live()


def test_release_that_cannot_be_built_is_activated_nowhere(host, source, deploy, live, get_host):
    before, start = live(), time.time()
    (source / "requirements.txt").write_text("flask\nno-such-package-of-anybody==1\n")
    process = deploy()
    assert process.returncode != 0 and "no-such-package-of-anybody" in process.stdout + process.stderr
    assert live() == before
    events = balancer_events(host, start)
    assert events == [], f"expected no host to leave the balancer, got {events}"
    for name in WEB:
        assert not get_host(name).file("/srv/whoami/lock.json").exists, f"expected no lock on {name}"


# --- Tasks that run once for all hosts ---------------------------------------------------------


def test_one_host_runs_migrations_and_setup(host, get_host, live):
    # Before a pending migration, the host writes a dump.
    dumps = [
        get_host(name).check_output("find /srv/harbour/releases -name '*.sql.gz'").split() for name in WEB
    ]
    assert dumps[0] and not dumps[1], f"expected a migration on web1 only, got {dumps}"
    setup = {get_host(name).check_output("cat /srv/harbour/once.json") for name in WEB}
    assert len(setup) == 1 and "load-samples" in setup.pop(), (
        f"expected the same record of setup commands on both hosts, got {setup}"
    )
    records = [
        json.loads(get_host(name).check_output("cat /srv/harbour/releases/%s.json", live("harbour")[0]))
        for name in WEB
    ]
    assert [record["migrated"] for record in records] == [True, True]
    schemas = {
        get_host(name).check_output("cat /srv/harbour/releases/%s.schema.json", live("harbour")[0])
        for name in WEB
    }
    assert len(schemas) == 1 and "column listings.title" in schemas.pop()


def test_timer_runs_on_first_host_unless_on_all(host, get_host):
    def timer_hosts() -> dict[str, set[str]]:
        """Return the hosts on which each timer has run."""
        files = {"one": "/srv/harbour/shared/one", "all": "/srv/harbour/shared/all"}
        return {
            timer: {line for name in WEB for line in get_host(name).run("cat %s", file).stdout.split()}
            for timer, file in files.items()
        }

    wait_until(lambda: timer_hosts()["all"] == set(WEB), 40)
    assert timer_hosts() == {"one": {"web1"}, "all": set(WEB)}, timer_hosts()


def test_database_connections_require_tls(database):
    got = database(
        "SELECT DISTINCT connection_type FROM performance_schema.threads WHERE processlist_user = 'harbour'"
    )
    assert got == "SSL/TLS", f"expected TLS for all connections of Harbour, got {got!r}"
    required = database("SELECT DISTINCT ssl_type FROM mysql.user WHERE user = 'harbour'")
    assert required == "ANY", f"expected the user to require TLS, got {required!r}"


# --- Sessions of Harbour -----------------------------------------------------------------------


def get_csrf_token(visitor) -> str:
    """Return the CSRF token of Harbour's form for new listings."""
    page = visitor.get("https://harbour.test/submit")
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert token, f"expected a form with a csrf_token at /submit, got {page.status_code}: {page.text[:300]}"
    return token[1]


@pytest.fixture
def listing_title(database) -> Iterator[str]:
    title = f"Cottage {secrets.token_hex(6)}"
    yield title
    database(f"DELETE FROM harbour.listings WHERE title = '{title}'")


def test_session_survives_loss_of_its_host(
    visitor, podman, get_host, database, listing_title, active_members
):
    token = get_csrf_token(visitor)
    log = "tail -1 /var/log/nginx/access.log"
    hosts = [name for name in WEB if '"path": "/submit"' in get_host(name).run(log).stdout]
    assert len(hosts) == 1, f"expected the request in the log of one host, got {hosts}"
    podman("kill", hosts[0])
    fields = {
        **{"csrf_token": token, "title": listing_title, "kind": "cottage", "price": "245000"},
        **{"bedrooms": "2", "bathrooms": "1", "area_m2": "84", "street": "12 Quay Road"},
        "neighbourhood": "The Battery",
        "description": "Two rooms over the water, a stove, a wharf of its own and a view of every ship.",
        **{"contact_name": "Una Power", "contact_email": "una@power.test"},
    }
    response = visitor.post(
        "https://harbour.test/submit", fields, headers={"Referer": "https://harbour.test/submit"}
    )
    assert response.status_code == 303, f"expected 303 from the other host, got {response.status_code}"
    stored = database(f"SELECT status FROM harbour.listings WHERE title = '{listing_title}'")
    assert stored == "pending", f"expected one pending listing, got {stored!r}"
    podman("start", hosts[0])
    wait_until(lambda: active_members() == set(WEB), 60)


# --- An additional web host --------------------------------------------------------------------


def test_added_host_gets_live_releases(
    inventory, tmp_path, variables, get_host, visitor, host, live, database
):
    listings = database("SELECT COUNT(*) FROM harbour.listings")
    larger = tmp_path / "inventory"
    shutil.copytree(inventory, larger)
    hosts = yaml.safe_load((larger / "hosts.yml").read_text())
    added = dict(hosts["all"]["hosts"]["web2"])
    added["ansible_host"] = added["ansible_host"].rpartition(".")[0] + ".14"
    added["lab_container"] = f"{variables['lab_prefix']}web3"
    hosts["all"]["hosts"]["web3"] = added
    hosts["all"]["children"]["web"]["hosts"]["web3"] = None
    (larger / "hosts.yml").write_text(yaml.safe_dump(hosts, sort_keys=False))
    assert_succeeded(run_playbook("site.yml", str(larger)))
    wait_until(lambda: "web3" in {visitor.get("https://whoami.test/").json()["host"] for _ in range(6)})
    third = testinfra.get_host(f"ansible://web3?ansible_inventory={larger}&sudo=True")
    for site in ("harbour", "whoami"):
        got = Path(third.check_output("readlink /srv/%s/current", site)).name
        assert got == live(site)[0], f"expected the live release {live(site)[0]}, got {got}"
    assert third.check_output("find /srv/harbour/releases -name '*.sql.gz'") == "", "expected no migration"
    assert database("SELECT COUNT(*) FROM harbour.listings") == listings, "expected no second setup"
    repeated = run_playbook("site.yml", str(larger))
    assert_succeeded(repeated)
    assert set(re.findall(r"changed=(\d+)", repeated.stdout)) == {"0"}, repeated.stdout
    # Remove web3 from the balancer.
    assert_succeeded(run_playbook("site.yml", inventory, "--limit", "balancer1", "--tags", "balancer,nginx"))
    assert {visitor.get("https://whoami.test/").json()["host"] for _ in range(6)} == set(WEB)
