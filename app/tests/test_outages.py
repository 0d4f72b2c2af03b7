"""Database outages: every page and the API return 503 until the database is back."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pymysql
import pytest
from conftest import dispose
from fake_mysql import LOST, FakeMySQL
from flask import Flask
from picture_files import picture
from sqlalchemy.exc import DBAPIError
from test_forms import GOOD
from test_queries import PAGES

from harbour import create_app
from harbour.extensions import db
from harbour.outages import RETRY_AFTER, is_outage

# Pages that need the database: those with a query, with values for their placeholders.
QUERIES = [path.replace("ID", "1").replace("NAME", "0" * 32) for path, number in PAGES.items() if number]
PATHS = [path for path in QUERIES if path != "/readyz"]
READ_ONLY = (1290, "The MariaDB server is running with the --read-only option so it cannot execute this")


@pytest.fixture
def server() -> Iterator[FakeMySQL]:
    fake = FakeMySQL()
    yield fake
    fake.stop()


@pytest.fixture
def stub_app(server: FakeMySQL, tmp_path) -> Iterator[Flask]:
    """Return an application that uses the stub as its database."""
    app = create_app(
        {
            "DATABASE_URL": f"mysql+pymysql://harbour@127.0.0.1:{server.port}/harbour",
            "SECRET_KEY": "test",
            "HARBOUR_LIMITS": "off",
            "HARBOUR_PHOTOS": str(tmp_path / "photos"),
            "WTF_CSRF_ENABLED": False,
        }
    )
    yield app
    dispose(app)


def fail_each(code: int, message: str = "fault") -> Callable[[str], tuple[int, str] | None]:
    return lambda statement: (code, message) if " FROM " in " ".join(statement.split()) else None


def stop(server: FakeMySQL) -> None:
    server.stop()


def reject(server: FakeMySQL) -> None:
    server.rejection = (1040, "Too many connections")


def lose_queries(server: FakeMySQL) -> None:
    server.fault = lambda statement: LOST if statement else None


def shut_down(server: FakeMySQL) -> None:
    server.fault = fail_each(1053, "Server shutdown in progress")


def assert_unavailable(response, path: str) -> None:
    got = response.status_code, response.headers.get("Retry-After"), response.headers.get("Cache-Control")
    expected = 503, str(RETRY_AFTER), "private, no-store"
    assert got == expected, f"{path}: expected {expected}, got {got}"
    is_json = path.startswith("/api/") or path.split("?")[0].endswith(".json")
    mimetype = "application/problem+json" if is_json else "text/html"
    assert response.mimetype == mimetype, f"{path}: expected {mimetype}, got {response.mimetype}"
    for secret in ("127.0.0.1", "pymysql", "Traceback", "harbour@"):
        assert secret not in response.text, f"{path}: expected no {secret} in the response"


@pytest.mark.parametrize("cause", [stop, reject, lose_queries, shut_down])
def test_outage_returns_503_on_every_page(stub_app: Flask, server: FakeMySQL, cause) -> None:
    client = stub_app.test_client()
    assert client.get("/").status_code == 200, "expected the stub to serve the front page"
    if cause is reject:
        dispose(stub_app)
    cause(server)
    for path in PATHS:
        assert_unavailable(client.get(path), path)
    assert client.get("/api/v1/listings").json["status"] == 503
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["failed"]) in {(503, "database"), (503, "listings")}, ready.json
    assert ready.headers["Retry-After"] == str(RETRY_AFTER)
    assert client.get("/healthz").status_code == 200
    assert client.get("/resources").status_code == 200, "expected pages without queries to work"


@pytest.mark.parametrize("cause", [stop, reject, lose_queries, shut_down])
def test_application_recovers_without_restart(stub_app: Flask, server: FakeMySQL, cause) -> None:
    client = stub_app.test_client()
    cause(server)
    for _ in range(3):
        assert client.get("/").status_code == 503
    replacement = None
    if cause is stop:
        replacement = FakeMySQL(server.port)
    server.rejection, server.fault = None, lambda _: None
    for path in ("/", "/listings/", "/api/v1/listings", "/readyz"):
        got = client.get(path).status_code
        assert got == 200, f"{path}: expected 200 after the outage, got {got}"
    dispose(stub_app)
    if replacement:
        replacement.stop()


def test_connection_lost_in_pool_is_replaced(stub_app: Flask, server: FakeMySQL) -> None:
    client = stub_app.test_client()
    assert client.get("/").status_code == 200
    server.stop()
    replacement = FakeMySQL(server.port)
    got = client.get("/").status_code
    dispose(stub_app)
    replacement.stop()
    assert got == 200, f"expected the first request after a restart to succeed, got {got}"


def test_pool_timeout_returns_503(stub_app: Flask, server: FakeMySQL) -> None:
    client = stub_app.test_client()
    with stub_app.app_context():
        pool = db.engine.pool
        pool._timeout = 0.05
        held = [db.engine.connect() for _ in range(pool.size() + pool._max_overflow)]
    assert_unavailable(client.get("/"), "/")
    assert client.get("/readyz").status_code == 503
    for connection in held:
        connection.close()
    assert client.get("/").status_code == 200
    assert server.statements


def test_waits_for_the_database_are_short(stub_app: Flask) -> None:
    with stub_app.app_context():
        assert db.engine.pool._timeout <= 5
        _, arguments = db.engine.dialect.create_connect_args(db.engine.url)
    assert stub_app.config["SQLALCHEMY_ENGINE_OPTIONS"]["connect_args"] == {"connect_timeout": 3}
    assert "connect_timeout" not in arguments


def test_other_database_errors_stay_500(stub_app: Flask, server: FakeMySQL) -> None:
    client = stub_app.test_client()
    for code in (1054, 1064, 1142, 1366):  # column, syntax, privilege, value
        server.fault = fail_each(code)
        got = client.get("/api/v1/listings").status_code
        assert got == 500, f"error {code}: expected 500, got {got}"


def lose_commit(statement: str, inserted: list[str]) -> str | None:
    """Close the connection at the COMMIT of an INSERT. The driver also sends COMMIT when it connects."""
    if statement.startswith("INSERT"):
        inserted.append(statement)
    return LOST if inserted and statement == "COMMIT" else None


MESSAGE = {"name": "Ada", "email": "ada@example.com", "text": "Is it dry?", "submission": "0" * 32}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (lambda statement: LOST if statement.startswith("INSERT") else None, "It was not stored."),
        (
            lambda statement: READ_ONLY if statement.startswith("INSERT") else None,
            "It was not stored.",
        ),
        (partial(lose_commit, inserted=[]), "It may have been stored, or not."),
    ],
    ids=["lost before commit", "read-only", "lost in commit"],
)
def test_failed_write_reports_its_outcome(stub_app: Flask, server: FakeMySQL, fault, sentence: str) -> None:
    server.fault = fault
    response = stub_app.test_client().post("/contact", data=MESSAGE)
    assert_unavailable(response, "/contact")
    found = re.findall(r"It was not stored\.|It may have been stored, or not\.", response.text)
    assert found == [sentence], f"expected {sentence!r}, found {found}"


def test_failed_read_does_not_mention_storing(stub_app: Flask, server: FakeMySQL) -> None:
    server.stop()
    page = stub_app.test_client().get("/").text
    assert "stored" not in page, page


def test_stored_message_is_confirmed_despite_later_outage(
    stub_app: Flask, server: FakeMySQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harbour.mail.configured", lambda: True)
    server.fault = lambda statement: LOST if statement.startswith("UPDATE messages") else None
    response = stub_app.test_client().post("/contact", data=MESSAGE)
    assert (response.status_code, response.location) == (303, "/contact/thanks")


def test_photos_are_kept_if_outcome_of_commit_is_unknown(stub_app: Flask, server: FakeMySQL) -> None:
    folder = Path(stub_app.config["HARBOUR_PHOTOS"])

    def send() -> int:
        upload = (io.BytesIO(picture(size=(64, 48))), "a.jpg")
        return stub_app.test_client().post("/submit", data={**GOOD, "photos": [upload]}).status_code

    server.fault = lambda statement: LOST if statement.startswith("INSERT") else None
    assert send() == 503
    assert list(folder.iterdir()) == [], "expected no files, because nothing was stored"
    server.fault = partial(lose_commit, inserted=[])
    assert send() == 503
    got = len(list(folder.iterdir()))
    assert got == 2, f"expected the two files of a listing that may be stored, got {got}"


def test_stored_listing_is_confirmed_despite_later_outage(stub_app: Flask, server: FakeMySQL) -> None:
    commits = []

    def fault(statement: str) -> str | None:
        commits.extend(
            [statement] if statement == "COMMIT" and "INSERT" in " ".join(server.statements) else []
        )
        return LOST if commits and statement != "COMMIT" else None

    server.fault = fault
    response = stub_app.test_client().post("/submit", data=GOOD)
    assert (response.status_code, response.location) == (303, "/submit/thanks")


class SqlStateError(Exception):
    """An error of psycopg."""

    def __init__(self, sqlstate: str | None, message: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        *((pymysql.OperationalError(code, ""), True) for code in (1040, 1053, 1203, 1836, 1927, 2003, 2013)),
        *((pymysql.OperationalError(code, ""), False) for code in (1045, 1054, 1146, 1205, 1213)),
        (pymysql.OperationalError(*READ_ONLY), True),
        (pymysql.OperationalError(1290, "running with the --secure-file-priv option"), False),
        *((SqlStateError(state), True) for state in ("08006", "25006", "53300", "57P01", "57P03")),
        *((SqlStateError(state), False) for state in ("42P01", "23505", "40001", "57014")),
        (SqlStateError(None, "connection failed: Connection refused"), True),
        (Exception("unable to open database file"), True),
        (Exception("attempt to write a readonly database"), True),
        (Exception("no such column: x"), False),
    ],
    ids=repr,
)
def test_is_outage_excludes_other_errors(original: Exception, expected: bool) -> None:
    error = DBAPIError("SELECT 1", {}, original)
    assert is_outage(error) is expected, f"{original!r}: expected {expected}"
