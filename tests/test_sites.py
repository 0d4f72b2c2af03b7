"""What each role gets of `sites`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import sites as filters
import yaml

ROOT = Path(__file__).parents[1]
PLAIN = {"server_names": ["plain.test"], "source": {"path": "../plain"}, "wsgi": "myproject:app"}


def with_defaults(sites):
    spec = importlib.util.spec_from_file_location("sites_check", ROOT / "plugins/filter/sites_check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FilterModule().filters()["with_defaults"](sites)


def site(**changes):
    return with_defaults({"plain": {**PLAIN, **changes}})


def test_a_relative_source_is_where_the_playbooks_are():
    assert filters.python_app_sites(site(), "/repo/playbooks")[0]["source"] == "/repo/playbooks/../plain"
    absolute = site(source={"path": "/srv/code"})
    assert filters.python_app_sites(absolute, "/repo/playbooks")[0]["source"] == "/srv/code"


def test_a_socket_login_is_no_secret_and_a_password_is():
    url = "mysql+pymysql://plain{}@localhost/plain?unix_socket=/run/mysqld/mysqld.sock&charset=utf8mb4"
    app = filters.python_app_sites(site(database={"engine": "mysql"}), "/")[0]
    assert app["env"]["DATABASE_URL"] == url.format("")
    database = {"engine": "mysql", "auth": "password", "password": "p@ss/word:long"}
    app = filters.python_app_sites(site(database=database), "/")[0]
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


@pytest.mark.parametrize("role", ["python_app", "gunicorn", "nginx", "certbot"])
def test_roles_are_given_what_their_specs_know(role):
    """A key that a role does not know would stop every converge."""
    specs = yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"][f"{role}_sites"]["options"]
    whole = site(
        database={"engine": "mysql"},
        migrate="flask db upgrade",
        static=[{"url": "/static/", "path": "static"}],
        gunicorn={"workers": 2, "threads": 2},
        tls={"mode": "ca"},
    )
    function = getattr(filters, f"{role}_sites")
    given = function(whole, "/") if role in ("python_app", "certbot") else function(whole)
    unknown = set(given[0]) - set(options)
    assert not unknown, f"{role}_sites: expected keys of its specs, got also {sorted(unknown)}"
    missing = {name for name, option in options.items() if option.get("required")} - set(given[0])
    assert not missing, f"{role}_sites: expected {sorted(missing)}, got {sorted(given[0])}"
