"""The documentation site: links of pages, and pages that the navigation lists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tomllib
from repository import ROOT

from tools import docs_site

BLOB = f"{docs_site.REPOSITORY[1]}/blob/main"
PAGES = {Path("docs/sites.md"), Path("README.md")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](sites.md#tls)", "[a](sites.md#tls)"),
        ("[a](../README.md)", "[a](../README.md)"),
        ("[a](../bin/lock)", f"[a]({BLOB}/bin/lock)"),
        ("[a](../roles/nginx/README.md#variables)", f"[a]({BLOB}/roles/nginx/README.md#variables)"),
        # The build reports these.
        ("[a](missing.md)", "[a](missing.md)"),
        ("[a](https://example.org/x)", "[a](https://example.org/x)"),
        ("[a](#here)", "[a](#here)"),
    ],
)
def test_link_to_another_file_targets_the_repository(text, expected):
    assert docs_site.linked(text, Path("docs"), PAGES) == expected


def test_copied_pages_have_the_paths_of_the_repository(tmp_path):
    docs_site.copy_pages(tmp_path / "pages")
    copied = {path.relative_to(tmp_path / "pages").as_posix() for path in (tmp_path / "pages").rglob("*.md")}
    assert {"README.md", "CHANGELOG.md", "docs/sites.md", "roles/nginx/README.md"} <= copied, copied
    assert not any(path.startswith(("tests/", "molecule/", ".")) for path in copied), copied


def navigation_pages(nav: Any) -> list[str]:
    """Return the pages of a navigation."""
    if isinstance(nav, str):
        return [nav]
    values = nav.values() if isinstance(nav, dict) else nav
    return [page for value in values for page in navigation_pages(value)]


def test_navigation_lists_every_page_once(tmp_path):
    docs_site.copy_pages(tmp_path / "pages")
    copied = {path.relative_to(tmp_path / "pages").as_posix() for path in (tmp_path / "pages").rglob("*.md")}
    pages = navigation_pages(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"])
    assert sorted(pages) == sorted(copied)


def test_repository_is_that_of_the_collection():
    assert re.fullmatch(r"https://[^\s/]+/.+[^/]", docs_site.REPOSITORY[1])
