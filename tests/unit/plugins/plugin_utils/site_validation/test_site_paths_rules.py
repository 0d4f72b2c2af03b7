"""The path of a site below another site's name."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from ansible_collections.decanter.stack.plugins.filter.sites import resolve_sites
from sites_examples import minimal
from sites_tables import rejected, rows

PATH = "a path such as /shop, without a / at its end and of at most 255 characters"
OTHER = "another site without path, with the same first server name"
test_path_without_other_site_is_rejected = rejected(rows("path", OTHER, "/shop"))


def sites(**changes: dict[str, Any]) -> dict[str, Any]:
    """Return the site `harbour` and sites below its name."""
    harbour = minimal()["harbour"]
    below = {key: harbour[key] for key in ("source", "wsgi", "server_names")}
    below["server_names"] = below["server_names"][:1]
    others = {name: below | change for name, change in changes.items() if name != "harbour"}
    return {**others, "harbour": harbour | changes.get("harbour", {})}


@pytest.mark.parametrize("path", ["/shop", "/shop/v2", "/~ada", "/a.b-c_d", "/shop-2"])
def test_path_of_another_name_is_accepted(path: str, root: str) -> None:
    got = sites_check.site_errors(sites(shop={"path": path}, other={"path": "/shop-"}), root)
    assert got == [], got


@pytest.mark.parametrize(
    "path", ["", "/", "shop", "/shop/", "//shop", "/a//b", "/../a", "/.a", "/a b", "/%61", "/a?"]
)
def test_invalid_path_is_rejected(path: str, root: str) -> None:
    got = sites_check.site_errors(sites(shop={"path": path}), root)
    assert any(line.startswith("sites.shop.path: ") and line.endswith(PATH) for line in got), got


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"shop": {"path": "/a"}, "other": {"path": "/a"}}, ["sites.other.path", "sites.shop.path, /a"]),
        ({"shop": {"path": "/a"}, "other": {"path": "/a/b"}}, ["sites.other.path", "sites.shop.path, /a"]),
        (
            {"shop": {"path": "/a"}, "harbour": {"static": [{"url": "/a/b/", "path": "src/harbour/static"}]}},
            ["sites.shop.path", "does not contain sites.harbour.static[0].url, /a/b/"],
        ),
        (
            {"shop": {"path": "/a"}, "harbour": {"health": {"path": "/a?full=1"}}},
            ["sites.shop.path", "does not contain sites.harbour.health.path, /a"],
        ),
        ({"shop": {"path": "/a"}, "harbour": {"state": "absent"}}, ["sites.shop.path", OTHER]),
        ({"shop": {"path": "/a", "tls": {"mode": "acme"}}}, ["sites.shop.tls", "no tls where path is set"]),
        (
            {"shop": {"path": "/a", "nginx": {"hsts": {"seconds": 1}}}},
            ["sites.shop.nginx.hsts", "no hsts where path is set"],
        ),
        (
            {"shop": {"path": "/a", "server_names": ["harbour.test", "b.test"]}},
            ["sites.shop.server_names: found 2 names", "only the first name of the other site"],
        ),
    ],
    ids=str,
)
def test_conflict_of_a_path_is_rejected(changes, expected, root: str) -> None:
    got = sites_check.site_errors(sites(**changes), root)
    assert len(got) == 1 and all(words in got[0] for words in expected), f"expected {expected}, got {got}"


def test_path_of_an_absent_site_is_accepted(root: str) -> None:
    got = sites_check.site_errors(sites(shop={"path": "/a"}, other={"path": "/a", "state": "absent"}), root)
    assert got == [], got


def test_resolved_site_below_a_name_uses_its_certificate() -> None:
    changes = {"path": "/a", "health": {"path": "/up"}, "static": [{"url": "/s/", "path": "static"}]}
    names = ["harbour.test", "www.harbour.test"]
    given = sites(shop=changes, harbour={"server_names": names, "tls": {"mode": "ca"}})
    shop, harbour = resolve_sites(given)
    got = (shop["url"], shop["health"], shop["static"][0], shop["tls"], shop["server_names"])
    expected = (
        "https://harbour.test/a/",
        shop["health"] | {"path": "/a/up", "location": "/a/up", "url": "https://harbour.test/a/up"},
        {"url": "/s/", "path": "static", "location": "/a/s/", "directory": "/srv/shop/assets/s"},
        harbour["tls"],
        names,
    )
    assert got == expected, f"expected {expected}, got {got}"
    assert shop["paths"]["certificate"] == harbour["paths"]["certificate"], shop["paths"]
