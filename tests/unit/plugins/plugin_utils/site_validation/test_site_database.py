"""The database of a site."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from sites_examples import SECRET, changed, full, minimal
from sites_tables import accepted, rejected, rows

VALID = [
    ("database", {"engine": "mysql"}),
    *(
        ("database", {"engine": "mysql", "scheme": f"mysql{driver}"})
        for driver in ("", "+mysqldb", "+asyncmy")
    ),
    (
        "database",
        {"engine": "mysql", "variables": {"A": "url", "B": "host", "C": "socket", "D": "user", "E": "name"}},
    ),
]
test_valid_value_is_accepted = accepted(VALID)

INVALID = [
    *rows("database.engine", "one of: mysql", ({}, "nothing"), at="database"),
    *rows("database", "a dictionary such as {engine: mysql}", (f"mysql://{SECRET}", "a string")),
    *rows("database.engine", "one of: mysql", {"engine": "oracle"}, at="database"),
    *rows("database.auth", "one of: socket, password", {"engine": "mysql", "auth": "x"}, at="database"),
    *rows(
        "database.password",
        "a string of at least 12 characters",
        ({"engine": "mysql", "auth": "password"}, "nothing"),
        at="database",
    ),
    *rows(
        "database.password",
        "no password where auth is socket",
        ({"engine": "mysql", "password": SECRET}, "a string"),
        at="database",
    ),
    *rows(
        "database.password",
        "a string of at least 12 characters",
        ({"engine": "mysql", "auth": "password", "password": SECRET[:11]}, "a string"),
        ({"engine": "mysql", "auth": "password", "password": 12345678901234}, "a number"),
        at="database",
    ),
    *rows(
        "database.name",
        "1 to 64 lower-case letters, digits and underscores, a letter first",
        {"engine": "mysql", "name": "a-b"},
        at="database",
    ),
    *rows(
        "database.name",
        "a name that is not one of the server's own databases",
        {"engine": "mysql", "name": "mysql"},
        at="database",
    ),
]
test_invalid_value_is_rejected = rejected(INVALID)


@pytest.mark.parametrize("place", ["env", "secrets"])
def test_database_variable_in_env_or_secrets_is_rejected(place: str, root: str) -> None:
    database = {"engine": "mysql", "variables": {"DB_NAME": "name"}}
    sites = changed(changed(minimal(), f"{place}.DB_NAME", SECRET), "database", database)
    assert sites_check.site_errors(sites, root) == [
        f"sites.harbour.database.variables.DB_NAME: found a name that is in {place} as well, "
        "expected it in one of the two"
    ]
    # A variable of the site replaces the default one.
    sites = changed(changed(minimal(), f"{place}.DATABASE_URL", SECRET), "database", {"engine": "mysql"})
    assert sites_check.site_errors(sites, root) == []


def with_password(**more: Any) -> dict[str, Any]:
    return {"engine": "mysql", "auth": "password", "password": SECRET, **more}


@pytest.mark.parametrize(
    ("database", "piece", "host", "expected"),
    [
        ({"engine": "mysql"}, "password", "", "one of: host, name, socket, url, user where auth is socket"),
        ({"engine": "mysql"}, "port", "", "one of: host, name, socket, url, user where auth is socket"),
        (
            with_password(),
            "socket",
            "",
            "one of: host, name, password, port, url, user where auth is password",
        ),
        (
            *(with_password(), "ca", ""),
            "one of: host, name, password, port, url, user where the database is on the site's own host",
        ),
        (
            *(with_password(), "socket", "db.test"),
            "one of: ca, host, name, password, port, url, user where auth is password",
        ),
    ],
)
def test_database_variable_without_a_value_is_rejected(database, piece, host, expected, root) -> None:
    sites = changed(minimal(), "database", database | {"variables": {"A": piece}})
    assert sites_check.site_errors(sites, root, host) == [
        f'sites.harbour.database.variables.A: found "{piece}", expected {expected}'
    ]


def test_remote_database_requires_a_password_and_verified_tls(root: str) -> None:
    assert sites_check.site_errors(changed(minimal(), "database", {"engine": "mysql"}), root, "db.test") == [
        'sites.harbour.database.auth: found "socket", expected password, because the database is on db.test'
    ]
    assert sites_check.site_errors(minimal(), root, "db.test") == [], "expected no error without a database"
    database = with_password(scheme="mysql+asyncmy", variables={"A": "ca", "B": "host"})
    assert sites_check.site_errors(changed(minimal(), "database", database), root, "db.test") == []
    sites = changed(minimal(), "database", database | {"variables": {"A": "url"}})
    assert sites_check.site_errors(sites, root, "db.test") == [
        'sites.harbour.database.scheme: found "mysql+asyncmy", expected one of: mysql, mysql+mysqlconnector, '
        "mysql+mysqldb, mysql+pymysql where the database is elsewhere, or no url in variables"
    ]
    assert sites_check.site_errors(sites, root) == [], "expected no error on the site's own host"


def test_database_password_without_outbound_is_rejected(root: str) -> None:
    sites = changed(changed(minimal(), "database", with_password()), "outbound", False)
    assert sites_check.site_errors(sites, root) == [
        "sites.harbour.outbound: found false, expected true, because database.auth password requires TCP"
    ]


def test_database_password_in_ssm_is_rejected(root: str) -> None:
    database = {"engine": "mysql", "auth": "password", "password": "ssm:/staging/harbour/password"}
    assert sites_check.site_errors(changed(minimal(), "database", database), root) == [
        "sites.harbour.database.password: found a string, expected the password itself, from Ansible Vault, "
        "because Decanter creates the database's user with it"
    ]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_database_name_of_another_site_is_rejected(state: str, root: str) -> None:
    """The database of an absent site exists until it is purged."""
    sites = full()
    sites["harbour"]["state"] = state
    sites["town-hall"]["database"] = {"engine": "mysql", "name": "harbour_1"}
    assert sites_check.site_errors(sites, root) == [
        'sites.town-hall.database.name: found "harbour_1", expected a name that '
        "sites.harbour.database.name does not have"
    ]


def test_default_database_name_of_another_site_is_rejected(root: str) -> None:
    sites = full()
    sites["harbour"]["database"]["name"] = "town_hall"
    sites["town-hall"]["database"] = {"engine": "mysql"}
    assert sites_check.site_errors(sites, root) == [
        'sites.town-hall.database.name: found "town_hall", expected a name that '
        "sites.harbour.database.name does not have"
    ]
