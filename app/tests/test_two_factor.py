"""Codes of an app for the login (TOTP), and recovery codes."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pytest
from conftest import dispose
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from moderators import PASSWORD, csrf_token, log_in
from sqlalchemy import select

from harbour import create_app
from harbour.admin import totp
from harbour.extensions import db
from harbour.models import Moderator, RecoveryCode

ON, OFF, PAGE = "/admin/two-factor/on", "/admin/two-factor/off", "/admin/two-factor"
MOMENT = 1_900_000_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that sets the time of codes, in seconds after the start of the test."""

    def set_time(seconds: float) -> None:
        monkeypatch.setattr(totp, "time", type("Clock", (), {"time": staticmethod(lambda: MOMENT + seconds)}))

    set_time(0)
    return set_time


def field(page: str, name: str) -> str:
    return re.search(rf'name="{name}"[^>]* value="(.*?)"', page)[1]


def code_at(key: str, seconds: float) -> str:
    return totp._totp(base64.b32decode(key)).generate(MOMENT + seconds).decode()


def enrol(client: FlaskClient, password: str = PASSWORD, seconds: float = 0):
    """Turn codes on. Return the key and the response."""
    page = client.get(PAGE).text
    key = re.search(r'class="key">([A-Z2-7]{32})<', page)[1]
    data = {
        "csrf_token": csrf_token(page),
        "sealed": field(page, "sealed"),
        "password": password,
        "code": code_at(key, seconds),
    }
    return key, client.post(ON, data=data)


def log_out(client: FlaskClient) -> None:
    client.delete_cookie("__Host-session")


def test_totp_matches_rfc_6238() -> None:
    secret = b"12345678901234567890"
    for moment, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        got = totp._totp(secret).generate(moment).decode()
        assert got == code, f"time {moment}: expected {code}, got {got}"


def test_enrolment_shows_qr_code_and_recovery_codes_once(
    app: Flask, moderator_client: FlaskClient, clock: Callable[[float], None]
) -> None:
    assert clock
    response = moderator_client.get(PAGE)
    assert response.headers["Cache-Control"] == "private, no-store"
    assert "style-src 'self'" in response.headers["Content-Security-Policy"]
    svg = re.search(r"<svg.*?</svg>", response.text, re.S)[0]
    assert "style=" not in svg, "expected no inline style, which the policy forbids"
    assert "<script" not in response.text
    key, response = enrol(moderator_client)
    codes = re.findall(r"<code>([A-Z2-7-]{19})</code>", response.text)
    assert (response.status_code, len(codes)) == (200, totp.RECOVERY_CODES), response.text
    page = moderator_client.get(PAGE).text
    assert "8 recovery codes left" in page
    for secret in (key, *codes):
        assert secret not in page, "expected no secret after the enrolment"
    with app.app_context():
        account = db.session.scalar(select(Moderator))
        hashes = db.session.scalars(select(RecoveryCode.code_hash)).all()
        assert key not in account.totp_secret
        assert totp.unseal(account, account.totp_secret) is not None
        assert not {code.replace("-", "") for code in codes} & set(hashes)
        assert {len(one) for one in hashes} == {64}


def test_enrolment_requires_password_code_and_fresh_secret(
    app: Flask, moderator_client: FlaskClient, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert enrol(moderator_client, password="wrong")[1].status_code == 422  # noqa: S106
    assert enrol(moderator_client, seconds=300)[1].status_code == 422
    monkeypatch.setattr(totp, "ENROLMENT", totp.timedelta(seconds=-5))
    assert enrol(moderator_client)[1].status_code == 422
    with app.app_context():
        assert db.session.scalar(select(Moderator.totp_secret)) is None
    assert clock


def test_enrolment_ends_other_sessions(
    app: Flask, moderator_client: FlaskClient, clock: Callable[[float], None]
) -> None:
    other = app.test_client()
    log_in(other)
    enrol(moderator_client)
    assert moderator_client.get("/admin/").status_code == 200
    assert other.get("/admin/").status_code == 303
    assert clock


def test_login_requires_a_code_that_was_not_used(
    app: Flask, moderator_client: FlaskClient, clock: Callable[[float], None]
) -> None:
    key, _ = enrol(moderator_client)
    for code in ("", "000000", code_at(key, 0), code_at(key, 90), code_at(key, -90), "x" * 16):
        assert log_in(app.test_client(), code=code, address="198.51.100.1").status_code == 422, code
        with app.app_context():
            db.session.execute(db.metadata.tables["login_attempts"].delete())
            db.session.commit()
    clock(60)
    assert log_in(app.test_client(), password="wrong", code=code_at(key, 60)).status_code == 422  # noqa: S106
    assert log_in(app.test_client(), code=code_at(key, 60)).status_code == 303
    # Another worker or host sees that the code was used.
    other = create_app({**app.config, "DATABASE_URL": app.config["SQLALCHEMY_DATABASE_URI"]})
    assert log_in(other.test_client(), code=code_at(key, 60)).status_code == 422
    assert log_in(other.test_client(), code=code_at(key, 30)).status_code == 422, "expected no older code"
    assert (
        log_in(other.test_client(), code=f" {code_at(key, 90)[:3]} {code_at(key, 90)[3:]}").status_code == 303
    )
    dispose(other)


def test_recovery_code_is_accepted_once(
    app: Flask, moderator_client: FlaskClient, clock: Callable[[float], None]
) -> None:
    _, response = enrol(moderator_client)
    codes = re.findall(r"<code>([A-Z2-7-]{19})</code>", response.text)
    assert log_in(app.test_client(), code=codes[0].lower().replace("-", " ")).status_code == 303
    assert log_in(app.test_client(), code=codes[0]).status_code == 422
    assert log_in(app.test_client(), code=codes[1]).status_code == 303
    assert clock


def test_codes_are_turned_off_with_password_and_code(
    app: Flask, moderator_client: FlaskClient, clock: Callable[[float], None]
) -> None:
    key, _ = enrol(moderator_client)
    clock(60)
    for password, code, expected in (("wrong", 60, 422), (PASSWORD, 300, 422), (PASSWORD, 60, 303)):
        page = moderator_client.get(PAGE).text
        data = {"csrf_token": csrf_token(page), "password": password, "code": code_at(key, code)}
        got = moderator_client.post(OFF, data=data).status_code
        assert got == expected, f"{password}, {code}: expected {expected}, got {got}"
    assert log_in(app.test_client()).status_code == 303
    with app.app_context():
        assert db.session.scalars(select(RecoveryCode)).all() == []


def test_secret_of_another_account_or_key_is_rejected(app: Flask, moderator: str) -> None:
    assert moderator
    with app.test_request_context():
        account = db.session.scalar(select(Moderator))
        sealed = totp.seal(account, b"s" * 20)
        assert totp.unseal(account, sealed) == b"s" * 20
        assert totp.unseal(Moderator(id=account.id + 1), sealed) is None
        assert totp.unseal(account, "x") is None
        account.totp_secret = "unreadable after a change of SECRET_KEY"  # noqa: S105
        db.session.commit()
    assert log_in(app.test_client(), code="123456").status_code == 422


def test_operator_resets_codes(
    runner: FlaskCliRunner, app: Flask, moderator_client: FlaskClient, clock: Callable[[float], None]
) -> None:
    enrol(moderator_client)
    assert "ada  (with codes)" in runner.invoke(args=["moderators", "list"]).output
    result = runner.invoke(args=["moderators", "reset-totp", "ada"])
    assert (result.exit_code, result.output) == (0, "ada can log in without a code.\n")
    assert moderator_client.get("/admin/").status_code == 303
    assert log_in(app.test_client()).status_code == 303
    assert "does not exist" in runner.invoke(args=["moderators", "reset-totp", "bob"]).output
    enrol(moderator_client if log_in(moderator_client).status_code == 303 else app.test_client())
    assert runner.invoke(args=["moderators", "remove", "ada"]).exit_code == 0
    assert clock
