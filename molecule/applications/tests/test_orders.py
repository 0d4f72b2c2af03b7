"""An application with requirements.txt, a worker, Redis, a database password, gevent and uploads."""

from __future__ import annotations

import re
import secrets

import pytest
from conftest import state_of, wait_for

SITE = "https://orders.test"


def order(visitor) -> tuple[int, bytes, str]:
    """Order a cake with a picture; return the order's number, the picture and its URL."""
    picture = b"\x89PNG " + secrets.token_bytes(30)
    response = visitor.post(f"{SITE}/", {"cake": "Linzertorte"}, files={"picture": ("cake.png", picture)})
    assert response.status_code == 302, (
        f"expected a redirect after the order, got {response.status_code}: {response.text}"
    )
    number, url = re.findall(r'data-order="(\d+)".*?src="([^"]+)"', visitor.get(f"{SITE}/").text, re.S)[-1]
    return int(number), picture, url


def redis(host, command: str, user: str = "root"):
    with host.sudo(user):
        return host.run(f"redis-cli -s /run/redis-orders/redis.sock {command}")


def test_order_reaches_worker_database_and_uploads(host, visitor, sql):
    number, picture, url = order(visitor)
    baked = wait_for(lambda: state_of(visitor.get(f"{SITE}/").text, number) == "baked")
    assert baked, f"expected the worker to bake order {number}, got {visitor.get(f'{SITE}/').text}"
    row = sql("orders", f"SELECT cake, state FROM `order` WHERE id = {number}")
    assert row == "Linzertorte\tbaked", f"expected the order in the database, got {row}"
    jobs = redis(host, "zcard rq:finished:default").stdout
    assert int(jobs) >= 1, f"expected the job in the registry of finished jobs, got {jobs}"
    response = visitor.get(f"{SITE}{url}")
    assert (response.status_code, response.content) == (200, picture), f"expected the picture, got {response}"


def test_release_keeps_orders_uploads_and_setup_data(visitor, repository, deploy, live, sql):
    number, picture, url = order(visitor)
    before = live("orders")
    mark = secrets.token_hex(8)
    repository("orders").commit("static/style.css", lambda text: f"{text}/* {mark} */\n")
    result = deploy("orders")
    assert result.returncode == 0, result.stdout + result.stderr
    assert live("orders") != before, f"expected another release than {before}"
    page = visitor.get(f"{SITE}/")
    assert page.headers["X-Release"] == live("orders"), page.headers
    assert f'data-order="{number}"' in page.text, f"expected order {number}, got {page.text}"
    assert mark in visitor.get(f"{SITE}/static/style.css").text, "expected the style of the new commit"
    response = visitor.get(f"{SITE}{url}")
    assert (response.status_code, response.content) == (200, picture), f"expected the picture, got {response}"
    cakes = sql("orders", "SELECT GROUP_CONCAT(name ORDER BY name) FROM cake")
    assert cakes == "Linzertorte,Sachertorte", f"expected each cake once, got {cakes}"


def test_worker_runs_the_live_release(host, live):
    running = host.check_output("systemctl list-units --plain --no-legend --state=running 'orders.worker@*'")
    names = [line.split()[0] for line in running.splitlines()]
    assert names == [f"orders.worker@{live('orders')}.service"], names


def test_gunicorn_uses_gevent_workers(host, unit):
    with host.sudo():
        log = host.check_output("journalctl --unit=%s --output=cat --no-pager", unit("orders"))
    assert "Using worker: gevent" in log, f"expected gevent workers, got {log}"


def test_secrets_are_readable_by_the_site_only(host, visitor, unit):
    order(visitor)  # writes to the log, which is searched below
    with host.sudo():
        secrets_file = host.check_output("cat /etc/decanter/orders/secrets.env")
        pid = host.check_output("systemctl show --property=MainPID --value %s", unit("orders"))
        environment = dict(
            each.split("=", 1) for each in host.check_output("cat /proc/%s/environ", pid).split("\0") if each
        )
        mode = host.file("/etc/decanter/orders/secrets.env").mode
    password, key = environment["DB_PASSWORD"], environment["SECRET_KEY"]
    assert mode == 0o600 and key in secrets_file, (
        f"expected the secret in a file with mode 600, got mode {mode:o}"
    )
    assert password.endswith(" $%\"\\'#@/:&"), "expected the unchanged password"
    # The part that quotes do not change. With brackets, grep does not match its own command line.
    patterns = [f"[{word[0]}]{word[1:]}" for word in (password.split()[0], key)]
    places = "/etc /run /srv /var/log /proc/[0-9]*/cmdline"
    for user in ("nobody", "gallery"):
        with host.sudo(user):
            for pattern in patterns:
                found = host.run(f"grep --recursive --files-with-matches --no-messages {pattern} {places}")
                assert not found.stdout, f"expected {user} to find no secret, got it in {found.stdout}"
    with host.sudo():
        for pattern in patterns:
            for command in ("journalctl --no-pager", "systemctl show --all 'orders*'", "ps -e -o args"):
                found = host.run(f"{command} | grep {pattern}").stdout
                assert not found, f"expected no secret in `{command}`, got {found}"


def test_redis_is_accessible_to_the_site_only(host):
    assert redis(host, "ping", user="orders").stdout.strip() == "PONG", "expected the site to reach its Redis"
    for user in ("gallery", "www-data", "nobody"):
        result = redis(host, "ping", user=user)
        assert "Permission denied" in result.stdout + result.stderr, (
            f"{user}: expected an error, got {result}"
        )
    with host.sudo("gallery"):
        assert host.run("ls /var/lib/redis-orders").rc != 0, "expected no access to the data of another site"
    with host.sudo():
        listening = host.check_output("ss --tcp --udp --listening --numeric --processes")
    assert "redis" not in listening and "memcached" not in listening, (
        f"expected Unix sockets only, got {listening}"
    )


# Old and new requirement, and words that the error must contain.
BROKEN = {
    "missing version": ("redis==5.0.8", "redis==5.0.999", ["redis==5.0.999"]),
    "version that does not build": (
        "PyMySQL==1.0.3",
        "mysqlclient==2.1.0",
        ["mysqlclient==2.1.0", "3.13"],
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_pin_that_cannot_be_installed_is_reported(kind, visitor, repository, deploy, live):
    old, new, expected = BROKEN[kind]
    before = live("orders")
    repository("orders").commit("requirements.txt", lambda text: text.replace(old, new))
    try:
        result = deploy("orders")
    finally:
        repository("orders").undo()
    output = result.stdout + result.stderr
    assert result.returncode != 0, f"expected the release to fail, got {output}"
    missing = [word for word in expected if word not in output]
    assert not missing, f"expected {missing} in the output, got {output}"
    assert live("orders") == before, f"expected {before} to stay live, got {live('orders')}"
    assert visitor.get(f"{SITE}/healthz").text == "2 cakes"
