"""What each role gets of `sites`."""

from __future__ import annotations

from pathlib import Path

import pytest
import sites as filters
import yaml
from ansible.errors import AnsibleFilterError
from sites_check import with_defaults

ROOT = Path(__file__).parents[1]
PLAIN = {"server_names": ["plain.test"], "source": {"path": "../plain"}, "wsgi": "myproject:app"}


def site(**changes):
    return with_defaults({"plain": {**PLAIN, **changes}})


def source(**source):
    return filters.release_sources(site(source=source), "/repo/playbooks")["plain"]


def test_a_relative_source_is_where_the_playbooks_are():
    assert source(path="../plain") == {"path": "/repo/playbooks/../plain"}
    assert source(path="/srv/code") == {"path": "/srv/code"}


def test_a_path_may_begin_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert source(path="~/plain")["path"] == f"{tmp_path}/plain"
    assert source(git="a", key="~/.ssh/deploy")["key"] == f"{tmp_path}/.ssh/deploy"
    assert source(path="~plain")["path"] == "/repo/playbooks/~plain", "expected a folder of this name"


def test_a_repository_is_released_from_main_where_nothing_is_said():
    git = "git@host.test:a/b.git"
    assert source(git=git) == {"git": git, "version": "main"}
    given = {"git": git, "version": "v1.4", "subdir": "web"}
    assert source(**given) == given


def test_a_key_is_text_or_a_file_where_the_playbooks_are():
    git, text = "git@host.test:a/b.git", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"
    assert source(git=git, key="../deploy")["key"] == "/repo/playbooks/../deploy"
    assert source(git=git, key="/root/deploy")["key"] == "/root/deploy"
    assert source(git=git, key=text)["key"] == text


def test_a_site_that_is_not_there_is_refused_by_its_name():
    sites = with_defaults({name: {**PLAIN, "server_names": [f"{name}.test"]} for name in ("one", "two")})
    assert [one["name"] for one in filters.release_sites(sites)] == ["one", "two"]
    assert [one["name"] for one in filters.release_sites(sites, "two")] == ["two"]
    with pytest.raises(AnsibleFilterError, match="SITE: found three, expected one of: one, two"):
        filters.release_sites(sites, "three")


def test_one_site_is_meant_where_there_is_only_one():
    assert filters.release_site(site(), "")["name"] == "plain"
    sites = with_defaults({name: {**PLAIN, "server_names": [f"{name}.test"]} for name in ("one", "two")})
    assert filters.release_site(sites, "two")["name"] == "two"
    with pytest.raises(AnsibleFilterError, match="SITE: found nothing, expected one of: one, two"):
        filters.release_site(sites, "")


def test_an_absent_site_is_not_released():
    sites = with_defaults({"gone": {**PLAIN, "state": "absent"}})
    assert filters.release_sites(sites) == [] and filters.release_sources(sites, "/") == {}


def test_a_python_is_a_path_or_looked_for():
    paths = ["/usr/bin/python3.12", "/usr/local/bin/python3.12", "/opt/python*/bin/python3.12"]
    given = site(python="3.12")
    assert filters.release_sites(given)[0]["python"] == paths
    app = filters.python_app_sites(given)[0]
    assert app["python"] == {"package": "python3.12-venv", "instead": paths[1:]}
    (base,) = filters.base_pythons(given)
    assert (base["paths"], base["package"]) == (paths, "python3.12-venv")
    assert base["refusal"].startswith(
        "sites.plain.python: found no Python with its venv module at /usr/bin/python"
    )
    given = site(python="/opt/own/bin/python")
    assert filters.release_sites(given)[0]["python"] == ["/opt/own/bin/python"]
    assert "python" not in filters.python_app_sites(given)[0], "expected no package for a path"
    assert filters.base_pythons(given)[0]["package"] == ""
    assert filters.base_pythons(site()) == [] and filters.release_sites(site())[0]["python"] == []


COMPANIONS = {
    "processes": {"worker": "python -m worker"},
    "timers": {"digest": {"command": "flask digest", "calendar": "daily"}},
}


def test_processes_and_timers_are_units_of_their_site():
    whole = site(**COMPANIONS)
    units = filters.companion_units(filters.python_app_sites(whole), "processes", "timers")
    got = [(unit["name"], unit["command"], unit.get("calendar"), unit["of"]["name"]) for unit in units]
    assert got == [
        ("plain.worker", "python -m worker", None, "plain"),
        ("plain.digest", "flask digest", "daily", "plain"),
    ]
    released = filters.release_sites(whole)[0]
    assert (released["processes"], released["timers"]) == (["worker"], ["digest"]), released


def test_a_socket_login_is_no_secret_and_a_password_is():
    url = "mysql+pymysql://plain{}@localhost/plain?unix_socket=/run/mysqld/mysqld.sock&charset=utf8mb4"
    app = filters.python_app_sites(site(database={"engine": "mysql"}))[0]
    assert app["env"]["DATABASE_URL"] == url.format("")
    database = {"engine": "mysql", "auth": "password", "password": "p@ss/word:long"}
    app = filters.python_app_sites(site(database=database))[0]
    assert app["credentials"]["DATABASE_URL"] == url.format(":p%40ss%2Fword%3Along")
    assert "DATABASE_URL" not in app["env"]


def test_a_site_without_a_database_gets_none():
    assert filters.mysql_databases(site()) == filters.mysql_users(site()) == []


@pytest.mark.parametrize(
    ("name", "expected"), [("10.0.0.1", "IP:10.0.0.1"), ("::1", "IP:::1"), ("a.test", "DNS:a.test")]
)
def test_alternative_names(name, expected):
    assert filters.subject_alternative_names([name]) == [expected]


def test_urls_name_a_port_only_where_it_is_not_443():
    assert filters.site_urls(site(), 443)[0]["url"] == "https://plain.test/"
    assert filters.site_urls(site(server_names=["::1"]), 8443)[0]["url"] == "https://[::1]:8443/"


@pytest.mark.parametrize("role", ["python_app", "gunicorn", "release", "nginx", "certbot"])
def test_roles_are_given_what_their_specs_know(role):
    """A key that a role does not know would stop every converge."""
    specs = yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"][f"{role}_sites"]["options"]
    whole = site(
        database={"engine": "mysql"},
        migrate="flask db upgrade",
        migrated="true",
        once=["flask seed"],
        requirements="requirements.txt",
        python="3.12",
        build=["flask digest"],
        uploads=["instance"],
        **COMPANIONS,
        static=[{"url": "/static/", "path": "static"}],
        gunicorn={"workers": 2, "threads": 2},
        tls={"mode": "ca"},
    )
    function = getattr(filters, f"{role}_sites")
    given = function(whole, "/") if role == "certbot" else function(whole)
    unknown = set(given[0]) - set(options)
    assert not unknown, f"{role}_sites: expected keys of its specs, got also {sorted(unknown)}"
    missing = {name for name, option in options.items() if option.get("required")} - set(given[0])
    assert not missing, f"{role}_sites: expected {sorted(missing)}, got {sorted(given[0])}"
