"""Limits of logins: strangers are slowed down, moderators are not locked out."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from argon2 import extract_parameters
from flask import Flask
from flask.testing import FlaskClient
from moderators import log_in
from sqlalchemy import event, func, select, update

from harbour.admin import attempts, login
from harbour.extensions import db
from harbour.models import LoginAttempts, now

STRANGER = "203.0.113.9"


def fail(app: Flask, number: int, address: str = STRANGER, name: str = "ada") -> list[int]:
    client = app.test_client()
    return [log_in(client, name, "wrong", address=address).status_code for _ in range(number)]


def test_stranger_cannot_lock_moderator_out(app: Flask, client: FlaskClient, moderator: str) -> None:
    assert fail(app, 40) == [422] * 40
    assert log_in(app.test_client(), moderator, address=STRANGER).status_code == 422
    got = log_in(client, moderator, address="198.51.100.7").status_code
    assert got == 303, f"expected a login from another address to succeed, got {got}"


def test_known_device_can_always_log_in(app: Flask, client: FlaskClient, moderator: str) -> None:
    """The stranger has the same address, which happens behind one router."""
    assert log_in(client, moderator, address=STRANGER).status_code == 303
    client.delete_cookie("__Host-session")
    fail(app, 40)
    for _ in range(3):
        got = log_in(client, moderator, address=STRANGER).status_code
        assert got == 303, f"expected a known device to log in, got {got}"
        client.delete_cookie("__Host-session")


def test_device_cookie_is_exempt_from_rate_limit(fresh_app) -> None:
    app = fresh_app()
    with app.app_context():
        db.create_all()
    result = app.test_cli_runner().invoke(args=["moderators", "add", "ada", "--password", "a" * 12])
    assert result.exit_code == 0, result.output
    client = app.test_client()
    assert log_in(client, "ada", "a" * 12).status_code == 303
    client.delete_cookie("__Host-session")
    assert 429 in fail(app, 21, "127.0.0.1")
    assert log_in(client, "ada", "a" * 12).status_code == 303


def test_device_cookie_is_private_and_bound_to_account(client: FlaskClient, moderator: str) -> None:
    header = next(
        value for value in log_in(client, moderator).headers.getlist("Set-Cookie") if "device" in value
    )
    assert header.startswith("__Secure-device="), header
    for part in ("Secure", "HttpOnly", "Path=/admin/", "SameSite=Strict"):
        assert part in header, f"expected {part} in {header}"
    assert fail(client.application, 6, name="eve") == [422] * 6


def test_device_has_a_limit_of_its_own(client: FlaskClient, moderator: str) -> None:
    log_in(client, moderator)
    client.delete_cookie("__Host-session")
    for _ in range(attempts.FREE["device"]):
        log_in(client, moderator, "wrong")
    assert log_in(client, moderator).status_code == 422


@pytest.mark.parametrize("value", ["", "x", "WzEsICJhIl0.x.y"])
def test_forged_device_cookie_is_ignored(app: Flask, moderator: str, value: str) -> None:
    client = app.test_client()
    client.set_cookie("__Secure-device", value, path="/admin/", secure=True)
    for _ in range(6):
        log_in(client, moderator, "wrong", address=STRANGER)
    assert log_in(client, moderator, address=STRANGER).status_code == 422


@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_pause_doubles_and_ends(app: Flask, moderator: str, name: str) -> None:
    assert moderator
    with app.app_context():
        key = attempts.Key("account", name, STRANGER)
        pauses = [attempts.pause("account", number).total_seconds() for number in range(3, 16)]
        assert pauses == [0, 0, 30, 60, 120, 240, 480, 960, 1920, *[3600] * 4]
        allowed = [attempts.reserve(key) for _ in range(8)]
        assert allowed == [True] * 5 + [False] * 3
        db.session.execute(update(LoginAttempts).values(next_at=now() - timedelta(seconds=1)))
        db.session.commit()
        assert [attempts.reserve(key) for _ in range(2)] == [True, False]
        row = db.session.execute(select(LoginAttempts.failures, LoginAttempts.next_at)).one()
        assert row.failures == 6
        assert 55 <= (row.next_at - now()).total_seconds() <= 60


def test_successful_login_resets_counters(app: Flask, client: FlaskClient, moderator: str) -> None:
    fail(app, 3, "127.0.0.1")
    assert log_in(client, moderator).status_code == 303
    with app.app_context():
        assert db.session.scalar(select(func.count(LoginAttempts.key))) == 0


def test_old_counters_are_deleted(app: Flask) -> None:
    with app.app_context():
        for number in range(3):
            attempts.reserve(attempts.Key("address", str(number)))
        old = now() - attempts.LIFETIME - timedelta(seconds=1)
        db.session.execute(update(LoginAttempts).values(next_at=old))
        db.session.commit()
        attempts.reserve(attempts.Key("address", "new"))
        assert db.session.scalar(select(func.count(LoginAttempts.key))) == 1


def test_parallel_attempts_do_not_exceed_limit(app: Flask) -> None:
    def reserve(_: int) -> bool:
        with app.app_context():
            return attempts.reserve(attempts.Key("account", "ada", STRANGER))

    with ThreadPoolExecutor(4) as pool:
        allowed = sum(pool.map(reserve, range(24)))
    assert 1 <= allowed <= attempts.FREE["account"], f"expected at most 5 attempts, got {allowed}"


# --- Response time -----------------------------------------------------------------------------


def test_unknown_name_costs_the_same_hash(
    app: Flask, moderator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    verify = login.HASHER.verify

    class Hasher:
        def verify(self, hashed: str, password: str) -> bool:
            calls.append(extract_parameters(hashed))
            return verify(hashed, password)

    monkeypatch.setattr(login, "HASHER", Hasher())
    statements: list[str] = []

    def record(*args: object) -> None:
        statements.append(" ".join(str(args[2]).split())[:60])

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", record)
    seen = {}
    try:
        for number, name in enumerate((moderator, "nobody")):
            calls.clear()
            fail(app, 1, f"203.0.113.{number}", name)
            statements.clear()
            fail(app, 1, f"203.0.113.{number}", name)
            seen[name] = [*calls], [*statements]
    finally:
        with app.app_context():
            event.remove(db.engine, "before_cursor_execute", record)
    assert seen[moderator] == seen["nobody"], f"expected equal hashes and queries, got {seen}"
    assert seen["nobody"][0] == [extract_parameters(login.UNKNOWN_HASH)] * 2
    assert extract_parameters(login.UNKNOWN_HASH) == extract_parameters(
        login.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash("x")
    )


def test_response_time_does_not_reveal_names(app: Flask, moderator: str) -> None:
    """Compares the fastest of interleaved requests, because a busy machine only slows requests down."""
    fastest = {moderator: 9.0, "nobody": 9.0}
    client = app.test_client()
    for number in range(15):
        for name in fastest:
            address = f"203.0.{number}.{1 + (name == moderator)}"
            client.get("/admin/login")
            begin = time.process_time()
            log_in(client, name, "wrong", address=address)
            fastest[name] = min(fastest[name], time.process_time() - begin)
    ratio = fastest[moderator] / fastest["nobody"]
    assert 0.7 < ratio < 1.4, f"expected equal times of both names, got {fastest}"
