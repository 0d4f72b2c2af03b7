"""The dictionary of sites: its ids, unknown and renamed keys, and the order of errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.yaml_traps import BOOLEAN
from jinja2 import StrictUndefined, Undefined
from sites_examples import KEYS, SECRET, SITES, changed, full, minimal
from sites_tables import rejected, rows

INVALID = [
    *rows("serv_names", f"one of: {KEYS} (did you mean server_names?)", ([], "an unknown key")),
    *rows("qqq", f"one of: {KEYS}", (SECRET, "an unknown key")),
]
test_invalid_value_is_rejected = rejected(INVALID)


@pytest.mark.parametrize("example", [minimal, full])
def test_valid_sites_give_no_errors(example: Callable[[], Any], root: str) -> None:
    assert sites_check.site_errors(example(), root) == []


RENAMED = [
    ("nginx.body_size", "10m", "client_max_body_size"),
    ("once", ["flask seed"], "setup"),
    ("migrated", "flask is-migrated", "migration_check"),
    ("secrets_as", "environment", "secret_delivery"),
]


@pytest.mark.parametrize(("key", "value", "new"), RENAMED)
def test_renamed_key_of_a_site_is_rejected_with_its_new_name(
    key: str, value: Any, new: str, root: str
) -> None:
    assert sites_check.site_errors(changed(minimal(), key, value), root) == [
        f"sites.harbour.{key}: found a key that was renamed, expected {new}"
    ]


SITE_ID = "a site id: 1 to 16 lower-case letters, digits and hyphens, a letter first and no hyphen last"
TAKEN_ID = "a site id that the system does not use as a name"


@pytest.mark.parametrize(
    ("site_id", "line"),
    [
        ("Harbour", f'.Harbour: found the name "Harbour", expected {SITE_ID}'),
        ("harbour-", f'.harbour-: found the name "harbour-", expected {SITE_ID}'),
        ("1a", f'["1a"]: found the name "1a", expected {SITE_ID}'),
        ("a" * 17, f'.{"a" * 17}: found the name "{"a" * 17}", expected {SITE_ID}'),
        ("a\n", f'["a\\n"]: found the name "a\\n", expected {SITE_ID}'),
        ("a.b", f'["a.b"]: found the name "a.b", expected {SITE_ID}'),
        ("", f'[""]: found the name "", expected {SITE_ID}'),
        (True, f"[true]: found the name true, expected {SITE_ID}; {BOOLEAN}"),
        ("root", f'.root: found the name "root", expected {TAKEN_ID}'),
        (
            "systemd-resolve",
            f'.systemd-resolve: found the name "systemd-resolve", expected {TAKEN_ID}',
        ),
        ("changeme", ".changeme: found a placeholder, expected a name of your own"),
    ],
)
def test_invalid_site_id_is_rejected(site_id: Any, line: str, root: str) -> None:
    assert sites_check.site_errors({site_id: minimal()["harbour"]}, root) == [f"sites{line}"]


@pytest.mark.parametrize("site_id", ["a", "a" * 16, "town-hall", "x1", "system"])
def test_valid_site_id_is_accepted(site_id: str, root: str) -> None:
    assert sites_check.site_errors({site_id: minimal()["harbour"]}, root) == []


TAKEN = (
    "daemon nginx www-data mysql mariadb ssh sshd admin ubuntu debian redis memcache certbot "
    "systemd systemd-network backup mail nobody decanter postgres"
)


@pytest.mark.parametrize("site_id", TAKEN.split())
def test_site_id_of_a_system_user_is_rejected(site_id: str, root: str) -> None:
    assert sites_check.site_errors({site_id: minimal()["harbour"]}, root) == [
        f'sites.{site_id}: found the name "{site_id}", expected {TAKEN_ID}'
    ]


@pytest.mark.parametrize("table", ["passwd", "group"])
def test_site_id_in_base_passwd_is_rejected(table: str, root: str) -> None:
    master = Path(f"/usr/share/base-passwd/{table}.master")
    if not master.exists():
        pytest.skip("this machine has no base-passwd")
    names = [line.split(":")[0] for line in master.read_text("utf-8").splitlines()]
    site = minimal()["harbour"]
    assert [name for name in names if not sites_check.site_errors({name: site}, root)] == []


@pytest.mark.parametrize(
    ("sites", "found"),
    [
        (None, "nothing"),
        ({}, "an empty dictionary"),
        ([], "an empty list"),
        ([minimal()], "a list"),
        (7, "a number"),
        (True, "a boolean"),
        (SECRET, "a string"),
        (b"x", "a value of another type"),
        (object(), "a value of another type"),
        (Undefined(name="sites"), "an undefined variable"),
        (StrictUndefined(name="sites"), "an undefined variable"),
    ],
)
def test_sites_of_another_type_are_rejected(sites: Any, found: str, root: str) -> None:
    lines = sites_check.site_errors(sites, root)
    assert lines == [f"sites: found {found}, expected {SITES}"]


def test_more_than_fifty_sites_are_rejected(root: str) -> None:
    def many(count: int) -> Any:
        site = minimal()["harbour"]
        return {f"s{n}": {**site, "server_names": [f"s{n}.test"]} for n in range(count)}

    assert sites_check.site_errors(many(50), root) == []
    assert sites_check.site_errors(many(51), root) == [f"sites: found 51 entries, expected {SITES}"]


def test_all_errors_are_reported_in_order(root: str) -> None:
    sites = full()
    harbour = sites["harbour"]
    del harbour["wsgi"]
    harbour["source"]["path"] = "nowhere"
    harbour["server_names"][1] = "b_c.test"
    harbour["gunicorn"] = {"workers": 0, "thread": 1}
    harbour["database"]["auth"] = "socket"
    sites["root"] = None
    lines = sites_check.site_errors(sites, root)
    assert [line.split(": found ")[0] for line in lines] == [
        "sites.harbour.database.password",
        "sites.harbour.database.variables.DB_PASSWORD",
        "sites.harbour.gunicorn.thread",
        "sites.harbour.gunicorn.workers",
        "sites.harbour.server_names[1]",
        "sites.harbour.source.path",
        "sites.harbour.wsgi",
        "sites.root",
        "sites.root",
    ]
