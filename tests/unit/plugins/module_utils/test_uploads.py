"""Code in folders of `uploads`."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.module_utils.uploads import code_in


def folder_with(root: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


CODE = {
    "an empty package": ({"__init__.py": b""}, "__init__.py"),
    "a nested module": ({"a.png": b"x", "sub/views.py": b"x = 1\n"}, "sub/views.py"),
    "a template": ({"templates/list.html": b"<ul>{{ x }}</ul>"}, "templates/list.html"),
    "a Jinja template": ({"mail.j2": b"Hello"}, "mail.j2"),
    "a script": ({"app.JS": b"alert(1)"}, "app.JS"),
    "TypeScript": ({"src/app.ts": b"let x = 1"}, "src/app.ts"),
    "styles": ({"site.scss": b"a {}"}, "site.scss"),
    "a component": ({"Form.vue": b"<template/>"}, "Form.vue"),
    "a Svelte component": ({"Form.svelte": b"<p/>"}, "Form.svelte"),
    "a manifest": ({"package.json": b"{}"}, "package.json"),
    "the first in order": ({"b.py": b"", "a.css": b"a {}", "z/a.py": b""}, "a.css"),
}


@pytest.mark.parametrize(("contents", "expected"), CODE.values(), ids=CODE)
def test_code_in_folder_with_code_returns_first_path(tmp_path, contents, expected):
    found = code_in(folder_with(tmp_path, contents))
    assert found == expected, f"expected {expected!r}, got {found!r}"


DATA = {
    "nothing": {},
    "a placeholder": {".gitkeep": b"", ".gitignore": b"*\n"},
    "pictures and documents": {"a.png": b"\x89PNG", "b.svg": b"<svg/>", "c.pdf": b"%PDF", "d.json": b"{}"},
    "an empty index": {"index.html": b""},
    "a video": {"film.ts": b"\x47\x40\x00\x10\x00" * 40},
    "a database": {"shop.sqlite": b"SQLite format 3\0"},
}


@pytest.mark.parametrize("contents", DATA.values(), ids=DATA)
def test_code_in_folder_with_data_returns_nothing(tmp_path, contents):
    found = code_in(folder_with(tmp_path, contents))
    assert found == "", f"expected no code, got {found!r}"


def test_code_in_missing_folder_returns_nothing(tmp_path):
    found = code_in(tmp_path / "missing")
    assert found == "", f"expected no code, got {found!r}"


def test_code_in_dangling_link_returns_nothing(tmp_path):
    (tmp_path / "site.css").symlink_to(tmp_path / "missing.css")
    found = code_in(tmp_path)
    assert found == "", f"expected no code, got {found!r}"


def test_code_in_linked_folder_is_not_followed(tmp_path):
    folder_with(tmp_path / "elsewhere", {"shop.py": b""})
    uploads = folder_with(tmp_path / "uploads", {"a.png": b"x"})
    (uploads / "link").symlink_to(tmp_path / "elsewhere")
    found = code_in(uploads)
    assert found == "", f"expected no code, got {found!r}"
