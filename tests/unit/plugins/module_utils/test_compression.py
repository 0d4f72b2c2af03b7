"""Static files that are compressed when a release is made, and published with it."""

from __future__ import annotations

import gzip
import os
import shutil
from types import SimpleNamespace

import pytest
from ansible_collections.decanter.stack.plugins.module_utils import compression, static_files

TEXT = b".rule { margin: 0 auto }\n" * 100
STATIC = [{"url": "/static/", "path": "static"}]


@pytest.fixture(autouse=True)
def any_owner(monkeypatch):
    monkeypatch.setattr(compression.os, "chown", lambda *_, **__: None)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "static"
    made.mkdir()
    return made


def compress(folder):
    compression.compress(static_files.plain_files(folder), os.getgid())
    return sorted(path.name for path in folder.iterdir())


def test_what_gains_by_it_has_a_version_as_old_as_itself(folder, monkeypatch):
    monkeypatch.setattr(compression.shutil, "which", lambda _: None)
    for name, content in {
        "a.css": TEXT,
        "a.png": TEXT,
        "b.js": TEXT[:500],
        "c.svg": os.urandom(2000),
    }.items():
        (folder / name).write_bytes(content)
    os.utime(folder / "a.css", (1e9, 1e9))
    assert compress(folder) == ["a.css", "a.css.gz", "a.png", "b.js", "c.svg"]
    assert gzip.decompress((folder / "a.css.gz").read_bytes()) == TEXT
    assert (folder / "a.css.gz").stat().st_mtime == 1e9, "expected the age of what it stands for"


@pytest.mark.skipif(not shutil.which("brotli"), reason="brotli is not installed here")
def test_brotli_is_used_where_it_is_there(folder):
    (folder / "a.css").write_bytes(TEXT)
    assert compress(folder) == ["a.css", "a.css.br", "a.css.gz"]


def test_what_a_build_has_compressed_stays_and_no_link_is_followed(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(compression.shutil, "which", lambda _: None)
    for name in ("a.css", "b.css"):
        (folder / name).write_bytes(TEXT)
    (folder / "a.css.gz").write_bytes(b"its own")
    (folder / "b.css.gz").symlink_to(tmp_path / "elsewhere")
    compress(folder)
    assert (folder / "a.css.gz").read_bytes() == b"its own"
    assert not (tmp_path / "elsewhere").exists(), "expected nothing to be written through a link"


def test_no_file_is_served_in_the_compressed_version_of_another_release(tmp_path):
    site = SimpleNamespace(assets=tmp_path / "assets", release=lambda name: tmp_path / name)
    files = {"1": {"a.css": b"one", "a.css.gz": b"packed one"}, "2": {"a.css": b"second"}}
    for name, content in files.items():
        (tmp_path / name / "static").mkdir(parents=True)
        for file, text in content.items():
            (tmp_path / name / "static" / file).write_bytes(text)
    for name in ("1", "2", "1"):
        assert static_files.publish(site, name, STATIC, check=True), (
            f"expected a check to see what {name} lacks"
        )
        assert static_files.publish(site, name, STATIC, check=False)
        assert not static_files.publish(site, name, STATIC, check=True), (
            "expected the second time to change nothing"
        )
        folder = tmp_path / "assets/static"
        got = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert got == files[name], f"expected the files of release {name} alone, got {got}"
