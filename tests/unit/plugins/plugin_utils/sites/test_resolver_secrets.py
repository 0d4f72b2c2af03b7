"""Databases, secrets and sources of sites, which the resolved site does not contain."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites as filters
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.database import PIECES
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import with_defaults
from ansible_collections.decanter.stack.plugins.plugin_utils.sites import database as databases
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.environment import (
    application_secrets,
    environment_file,
)
from resolved_site import entry, resolved

# A server on the host of the sites, and a remote server.
LOCAL = {"host": "", "port": 3306, "ca": "/etc/ssl/ca.pem"}
REMOTE = LOCAL | {"host": "db.test"}
PASSWORD = {"engine": "mysql", "auth": "password", "password": "p@ss/word:long"}


def secrets(server=LOCAL, **changes):
    site = with_defaults(entry(**changes))["plain"]
    return application_secrets(site, "plain", databases.Server(**server))


def variables(server=LOCAL, **changes):
    return resolved(host={"database": server}, **changes)["environment"]["variables"]


# --- Sources --------------------------------------------------------------------------------------


def source(**keys):
    return filters.site_sources(entry(source=keys), "/project")["plain"]


def test_relative_source_starts_at_the_project():
    assert source(path="../plain") == {"path": "/project/../plain"}
    assert source(path="/srv/code") == {"path": "/srv/code"}


def test_path_with_tilde_starts_at_the_home_of_the_operator(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert source(path="~/plain")["path"] == f"{tmp_path}/plain"
    assert source(git="a", key="~/.ssh/deploy")["key"] == f"{tmp_path}/.ssh/deploy"
    assert source(path="~plain")["path"] == "/project/~plain", "expected a folder of this name"


def test_repository_is_released_from_main_by_default():
    git = "git@host.test:a/b.git"
    assert source(git=git) == {"git": git, "version": "main"}
    given = {"git": git, "version": "v1.4", "subdir": "web"}
    assert source(**given) == given


def test_source_key_is_text_or_a_file_of_the_project():
    git, text = "git@host.test:a/b.git", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"
    assert source(git=git, key="../deploy")["key"] == "/project/../deploy"
    assert source(git=git, key="/root/deploy")["key"] == "/root/deploy"
    assert source(git=git, key=text)["key"] == text


def test_sources_of_a_host_replace_those_of_the_inventory():
    sites = entry()
    assert filters.with_sources(sites, {"plain": {"path": "/var/lib/plain"}})["plain"]["source"] == {
        "path": "/var/lib/plain"
    }
    assert filters.with_sources(sites, {})["plain"]["source"] == {"path": "."}


# --- Databases ------------------------------------------------------------------------------------


def test_socket_login_is_a_variable_and_a_password_a_secret():
    url = "mysql+pymysql://plain@localhost/plain?unix_socket=/run/mysqld/mysqld.sock&charset=utf8mb4"
    assert variables(database={"engine": "mysql"}) == {"DATABASE_URL": url}
    assert secrets(database={"engine": "mysql"})["credentials"] == {}
    url = "mysql+pymysql://plain:p%40ss%2Fword%3Along@127.0.0.1:3306/plain?charset=utf8mb4"
    assert variables(database=PASSWORD) == {}
    assert secrets(database=PASSWORD)["credentials"] == {"DATABASE_URL": url}


@pytest.mark.parametrize(
    ("scheme", "tls"),
    [
        ("mysql+pymysql", ""),
        ("mysql+mysqldb", "&ssl_mode=VERIFY_IDENTITY"),
        ("mysql", "&ssl_mode=VERIFY_IDENTITY"),
        ("mysql+mysqlconnector", "&use_pure=true&ssl_verify_cert=true&ssl_verify_identity=true"),
    ],
)
def test_database_elsewhere_is_verified(scheme, tls):
    got = secrets(REMOTE, database=PASSWORD | {"scheme": scheme})
    assert got["credentials"]["DATABASE_URL"] == (
        f"{scheme}://plain:p%40ss%2Fword%3Along@db.test:3306/plain?ssl_ca=/etc/ssl/ca.pem{tls}&charset=utf8mb4"
    )
    assert got["database_options"].splitlines()[1:] == [
        "[client]",
        'host="db.test"',
        'port="3306"',
        'user="plain"',
        'password="p@ss/word:long"',
        'ssl-ca="/etc/ssl/ca.pem"',
    ]
    assert secrets(database=PASSWORD)["database_options"] == "", "expected root to use the local socket"


def test_driver_is_required_if_a_variable_has_the_url():
    expected = {"scheme": "mysql+pymysql", "any_of": ["pymysql"]}
    assert resolved(database={"engine": "mysql"})["database"]["driver"] == expected
    by_parts = {"engine": "mysql", "variables": {"DB_SOCKET": "socket"}}
    assert resolved(database=by_parts)["database"]["driver"] == {}


@pytest.mark.parametrize(
    ("database", "server"), [({"engine": "mysql"}, LOCAL), (PASSWORD, LOCAL), (PASSWORD, REMOTE)]
)
def test_connection_has_the_accepted_parts(database, server):
    expected = PIECES[database.get("auth", "socket")] | ({"ca"} if server["host"] else set())
    complete = with_defaults(entry(database=database))["plain"]["database"]
    assert set(databases.connection("plain", complete, databases.Server(**server))) == expected


@pytest.mark.parametrize(
    ("delivery", "kind"), [("credentials", "credentials"), ("environment", "secret_variables")]
)
def test_parts_of_a_connection_have_the_names_of_the_inventory(delivery, kind):
    names = {"DB_HOST": "host", "DB_PORT": "port", "DB_USER": "user", "DB_PASS": "password", "DB": "name"}
    site = {
        "database": PASSWORD | {"variables": names},
        "secrets": {"A": "x"},
        "secret_delivery": delivery,
    }
    assert variables(**site) == {
        **{"DB_HOST": "127.0.0.1", "DB_PORT": "3306", "DB_USER": "plain", "DB": "plain"}
    }
    got = secrets(**site)
    assert got[kind] == {"A": "x", "DB_PASS": "p@ss/word:long"}
    assert not got["credentials"] or not got["secret_variables"], got


def test_variable_of_the_site_replaces_that_of_the_database():
    site = {"database": PASSWORD, "env": {"DATABASE_URL": "x"}}
    assert (variables(**site), secrets(**site)["credentials"]) == ({"DATABASE_URL": "x"}, {})
    site = {"database": {"engine": "mysql"}, "secrets": {"DATABASE_URL": "x"}}
    assert (variables(**site), secrets(**site)["credentials"]) == ({}, {"DATABASE_URL": "x"})


def test_database_account_elsewhere_is_valid_from_any_host():
    accounts = [filters.database_users(entry(database=PASSWORD), server)[0] for server in (LOCAL, REMOTE)]
    assert [account.get("host") for account in accounts] == [None, "%"]


def test_site_without_a_database_has_no_account():
    assert filters.site_databases([resolved()]) == filters.database_users(entry(), REMOTE) == []
    assert resolved()["database"] is None


# --- Secrets --------------------------------------------------------------------------------------


def credential_files(server=LOCAL, **changes):
    return {Path(file["path"]).name: file for file in filters.site_credential_files(entry(**changes), server)}


def test_removed_secret_is_removed_from_the_host():
    files = credential_files()
    for name in ("secrets.env", "database.cnf", "fetched.json"):
        assert files[name]["state"] == "absent", files
    assert files["credentials"]["exclusive"], files
    assert files["plain"] == {"path": "/run/decanter-credentials/plain", "state": "absent"}


def test_secret_files_are_readable_by_root_only():
    as_files = credential_files(REMOTE, secrets={"B": "b", "C": "ssm:/c"}, database=PASSWORD)
    as_variables = credential_files(secrets={"A": "a\nb"}, secret_delivery="environment")
    written = [file for files in (as_files, as_variables) for file in files.values() if "content" in file]
    names = sorted(Path(file["path"]).name for file in written)
    assert names == ["B", "DATABASE_URL", "database.cnf", "fetched.json", "secrets.env"], names
    assert {file["mode"] for file in written} == {"0600"}, written
    assert as_variables["secrets.env"]["content"].endswith('A="a\nb"\n'), as_variables
    assert json.loads(as_files["fetched.json"]["content"]) == {"as": "credentials", "values": {"C": "ssm:/c"}}


def test_client_options_escape_the_password():
    files = credential_files(REMOTE, database=PASSWORD | {"password": 'p"\\#long enough'})
    assert r'password="p\"\\#long enough"' in files["database.cnf"]["content"].splitlines(), files


ODD = """quotes " ' and ` \\ \\n $HOME ${A} $(id) % %i #  ;
the next line
"""


@pytest.mark.parametrize("value", [ODD, "\\", '"', "$", " ", "ü", "a\\\nb", "\n"])
def test_environment_file_keeps_values(value):
    text = environment_file({"A": value, "B": "b"})
    # In double quotes a shell reads what systemd does.
    script = f'{text}\nprintf "%s|%s|" "$A" "$B"'
    got = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert got == f"{value}|b|", got


def test_basic_auth_passwords_are_returned_separately():
    sites = entry(nginx={"basic_auth": {"ada": "correct horse"}})
    assert filters.site_passwords(sites) == {"plain": {"ada": "correct horse"}}
    assert filters.site_passwords(entry()) == {}
