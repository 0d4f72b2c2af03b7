"""A classical application: requirements.txt, a worker and Redis, a database by password, gevent, uploads."""

from __future__ import annotations

import re
import secrets

import pytest
from conftest import state_of, until

SITE = "https://orders.test"


def order(visitor) -> tuple[int, bytes, str]:
    """Order a cake with a picture; the order's number, the picture, and where it is."""
    picture = b"\x89PNG " + secrets.token_bytes(30)
    answer = visitor.post(f"{SITE}/", {"cake": "Linzertorte"}, files={"picture": ("cake.png", picture)})
    assert answer.status_code == 302, (
        f"expected the order to be taken, got {answer.status_code}: {answer.text}"
    )
    number, url = re.findall(r'data-order="(\d+)".*?src="([^"]+)"', visitor.get(f"{SITE}/").text, re.S)[-1]
    return int(number), picture, url


def redis(host, command: str, user: str = "root"):
    with host.sudo(user):
        return host.run(f"redis-cli -s /run/redis-orders/redis.sock {command}")


def test_an_order_goes_through_all_of_it(host, visitor, sql):
    number, picture, url = order(visitor)
    state = until(lambda: state_of(visitor.get(f"{SITE}/").text, number) == "baked")
    assert state, f"expected the worker to bake order {number}, got {visitor.get(f'{SITE}/').text}"
    row = sql("orders", f"SELECT cake, state FROM `order` WHERE id = {number}")
    assert row == "Linzertorte\tbaked", f"expected the order in the database, got {row}"
    finished = redis(host, "zcard rq:finished:default").stdout
    assert int(finished) >= 1, f"expected the job among those that Redis knows as finished, got {finished}"
    answer = visitor.get(f"{SITE}{url}")
    assert (answer.status_code, answer.content) == (200, picture), f"expected the picture, got {answer}"


def test_a_release_keeps_orders_uploads_and_what_ran_once(visitor, repository, deploy, live, sql):
    number, picture, url = order(visitor)
    before = live("orders")
    mark = secrets.token_hex(8)
    repository("orders").commit("static/style.css", lambda text: f"{text}/* {mark} */\n")
    finished = deploy("orders")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert live("orders") != before, f"expected another release than {before}"
    page = visitor.get(f"{SITE}/")
    assert page.headers["X-Release"] == live("orders"), page.headers
    assert f'data-order="{number}"' in page.text, f"expected order {number}, got {page.text}"
    assert mark in visitor.get(f"{SITE}/static/style.css").text, "expected the style of the new commit"
    answer = visitor.get(f"{SITE}{url}")
    assert (answer.status_code, answer.content) == (200, picture), f"expected the picture, got {answer}"
    cakes = sql("orders", "SELECT GROUP_CONCAT(name ORDER BY name) FROM cake")
    assert cakes == "Linzertorte,Sachertorte", f"expected each cake once, got {cakes}"


def test_the_worker_runs_the_release_that_is_live(host, live):
    running = host.check_output("systemctl list-units --plain --no-legend --state=running 'orders.worker@*'")
    names = [line.split()[0] for line in running.splitlines()]
    assert names == [f"orders.worker@{live('orders')}.service"], names


def test_gunicorn_serves_it_by_gevent(host, unit):
    with host.sudo():
        log = host.check_output("journalctl --unit=%s --output=cat --no-pager", unit("orders"))
    assert "Using worker: gevent" in log, f"expected workers of gevent, got {log}"


def test_secrets_are_its_own(host, visitor, unit):
    order(visitor)  # or nothing might have been logged yet
    with host.sudo():
        environment = host.check_output("cat /etc/decanter/orders/secrets.env")
        pid = host.check_output("systemctl show --property=MainPID --value %s", unit("orders"))
        known = dict(
            each.split("=", 1) for each in host.check_output("cat /proc/%s/environ", pid).split("\0") if each
        )
        mode = host.file("/etc/decanter/orders/secrets.env").mode
    password, key = known["DB_PASSWORD"], known["SECRET_KEY"]
    assert mode == 0o600 and key in environment, (
        f"expected its secrets in a file of root's, got mode {mode:o}"
    )
    assert password.endswith(" $%\"\\'#@/:&"), "expected the password as it was given"
    # The part of it that is the same however it is quoted; in brackets, so that no search finds itself.
    words = [f"[{word[0]}]{word[1:]}" for word in (password.split()[0], key)]
    places = "/etc /run /srv /var/log /proc/[0-9]*/cmdline"
    for user in ("nobody", "gallery"):
        with host.sudo(user):
            for word in words:
                found = host.run(f"grep --recursive --files-with-matches --no-messages {word} {places}")
                assert not found.stdout, f"expected {user} to find no secret, got it in {found.stdout}"
    with host.sudo():
        for word in words:
            for command in ("journalctl --no-pager", "systemctl show --all 'orders*'", "ps -e -o args"):
                found = host.run(f"{command} | grep {word}").stdout
                assert not found, f"expected no secret in `{command}`, got {found}"


def test_nobody_else_opens_its_redis(host):
    assert redis(host, "ping", user="orders").stdout.strip() == "PONG", "expected the site to reach its Redis"
    for user in ("gallery", "www-data", "nobody"):
        refused = redis(host, "ping", user=user)
        assert "Permission denied" in refused.stdout + refused.stderr, (
            f"{user}: expected a refusal, got {refused}"
        )
    with host.sudo("gallery"):
        assert host.run("ls /var/lib/redis-orders").rc != 0, "expected Redis' data to be the site's own"
    with host.sudo():
        listening = host.check_output("ss --tcp --udp --listening --numeric --processes")
    assert "redis" not in listening and "memcached" not in listening, (
        f"expected sockets alone, got {listening}"
    )


# What an author may do to requirements.txt, and what the run must say of it.
BROKEN = {
    "a version that nobody has": ("redis==5.0.8", "redis==5.0.999", ["redis==5.0.999"]),
    "one that this Python cannot build": (
        "PyMySQL==1.0.3",
        "mysqlclient==2.1.0",
        ["mysqlclient==2.1.0", "3.13"],
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_pin_is_named(kind, visitor, repository, deploy, live):
    old, new, expected = BROKEN[kind]
    before = live("orders")
    repository("orders").commit("requirements.txt", lambda text: text.replace(old, new))
    try:
        finished = deploy("orders")
    finally:
        repository("orders").undo()
    said = finished.stdout + finished.stderr
    assert finished.returncode != 0, f"expected the release to fail, got {said}"
    missing = [word for word in expected if word not in said]
    assert not missing, f"expected {missing} to be named, got {said}"
    assert live("orders") == before, f"expected {before} to stay live, got {live('orders')}"
    assert visitor.get(f"{SITE}/healthz").text == "2 cakes"
