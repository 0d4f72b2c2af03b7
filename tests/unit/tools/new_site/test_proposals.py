"""The entry that new-site proposes."""

from __future__ import annotations

import pytest
import yaml
from new_site_command import command, entries, sites_file


def make_entry(monkeypatch: pytest.MonkeyPatch, source, keys: dict, **answers) -> dict:
    """Return the proposed entry, with additional keys in the schema."""
    monkeypatch.setattr(entries, "KEYS", entries.KEYS | keys)
    options = {"server_names": ["a.test"], "source": {"path": "x"}, "wsgi": "a:b", **answers}
    return entries.make_entry("shop", options, source, None)


def without(*keys: str) -> dict:
    return {key: value for key, value in entries.KEYS.items() if key not in keys}


def test_only_keys_of_the_schema_are_proposed(monkeypatch):
    source = command.Source(
        uses={"redis", "mysqlclient"},
        uploads=["uploads"],
        requirements="requirements/prod.txt",
        worker_class="gevent",
        env={"DB_HOST": True, "DB_NAME": True, "DB_PASSWORD": True, "API_TOKEN": True, "REDIS_URL": True},
    )
    keys = "services", "uploads", "requirements", "secret_delivery", "gunicorn"
    monkeypatch.setattr(entries, "KEYS", without(*keys) | {"database": {"properties": {}}})
    found = make_entry(monkeypatch, source, {}, database=True)
    password = "{{ vault_sites.shop.database_password }}"
    assert found["database"] == {"engine": "mysql", "auth": "password", "password": password}, f"got {found}"
    assert not found.keys() & set(keys), f"expected none of {keys}, got {found}"

    schema = {
        "services": {"items": {"enum": ["redis", "memcached"]}},
        "uploads": {},
        "requirements": {},
        "secret_delivery": {"enum": ["credentials", "environment"]},
        "gunicorn": {"properties": {"worker_class": {"enum": ["gthread", "gevent"]}}},
        "database": {"properties": {"variables": {}, "scheme": {}}},
    }
    found = make_entry(monkeypatch, source, schema, database=True)
    assert found["services"] == ["redis"], f"got {found}"
    assert found["uploads"] == ["uploads"], f"got {found}"
    assert found["requirements"] == "requirements/prod.txt", f"got {found}"
    assert found["secret_delivery"] == "environment", f"got {found}"
    assert found["gunicorn"] == {"worker_class": "gevent"}, f"got {found}"
    expected = {"DB_HOST": "host", "DB_NAME": "name", "DB_PASSWORD": "password"}
    assert found["database"]["variables"] == expected, f"got {found}"
    assert found["database"]["scheme"] == "mysql+mysqldb", f"got {found}"
    assert "default-libmysqlclient-dev" in found["packages"], f"got {found}"
    assert "env" not in found, f"expected no variable that Decanter sets, got {found['env']}"


APPLICATION = {"SECRET_KEY": False, "STRIPE_TOKEN": True, "MAIL_SERVER": True, "TOWN": False, "lower": True}
IGNORED = dict.fromkeys(("FLASK_DEBUG", "HOME", "PORT", "REDIS_URL", "TEST_DATABASE_URL"), True)
DATABASE = {"DATABASE_URL": False, "DB_USER": True}


@pytest.mark.parametrize(
    ("database", "uses", "secrets", "needed", "optional"),
    [
        (True, set(), ["SECRET_KEY", "STRIPE_TOKEN"], ["MAIL_SERVER"], ["TOWN"]),
        (False, set(), ["SECRET_KEY", "STRIPE_TOKEN"], ["DB_USER", "MAIL_SERVER"], ["DATABASE_URL", "TOWN"]),
        (
            False,
            {"psycopg"},
            ["DATABASE_URL", "SECRET_KEY", "STRIPE_TOKEN"],
            ["DB_USER", "MAIL_SERVER"],
            ["TOWN"],
        ),
    ],
    ids=["a database", "no database", "another server"],
)
def test_variables_are_secrets_settings_or_optional(database, uses, secrets, needed, optional):
    found = entries.variables(command.Source(env=APPLICATION | IGNORED | DATABASE, uses=uses), database)
    expected = (secrets, needed, optional)
    assert found == expected, f"expected {expected}, got {found}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a:b()", "a:b()"),
        ("yes", '"yes"'),
        ("{{ x }}", '"{{ x }}"'),
        (["a.b", "1"], '[a.b, "1"]'),
        ([{"url": "/static/", "path": "a"}], "[{url: /static/, path: a}]"),
        ({"git": "https://x.test/a.git"}, '{git: "https://x.test/a.git"}'),
        ("flask db upgrade # x", '"flask db upgrade # x"'),
    ],
)
def test_value_is_written_in_the_style_of_the_inventories(value, text):
    found = sites_file.flow(value)
    assert yaml.safe_load(found) == value, f"{found}: expected YAML of {value!r}"
    assert found.replace('"', "") == text.replace('"', ""), f"expected {text}, got {found}"


@pytest.mark.parametrize(
    ("uses", "worker_class", "gunicorn", "nginx"),
    [
        ({"flask"}, "", None, None),
        ({"flask", "flask-sock"}, "", None, {"websockets": True}),
        ({"flask-socketio"}, "", {"workers": 1}, {"websockets": ["/socket.io/"]}),
        (
            {"flask-socketio", "gevent"},
            "",
            {"workers": 1, "worker_class": "gevent"},
            {"websockets": ["/socket.io/"]},
        ),
        (
            {"flask-socketio", "gevent"},
            "gthread",
            {"workers": 1, "worker_class": "gthread"},
            {"websockets": ["/socket.io/"]},
        ),
        ({"quart"}, "asgi", {"worker_class": "asgi"}, None),
    ],
    ids=lambda value: " ".join(sorted(value)) if isinstance(value, set) else None,
)
def test_websocket_library_gets_workers_and_paths(uses, worker_class, gunicorn, nginx, monkeypatch):
    source = command.Source(uses=uses, worker_class=worker_class)
    entry = make_entry(monkeypatch, source, {})
    found = (entry.get("gunicorn"), entry.get("nginx"))
    assert found == (gunicorn, nginx), f"expected {(gunicorn, nginx)}, got {found}"
