"""Static files, which are compressed in a build and published with the release."""

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
    static = tmp_path / "static"
    static.mkdir()
    return static


def compress(folder):
    compression.compress(static_files.plain_files(folder), os.getgid())
    return sorted(path.name for path in folder.iterdir())


def test_compressible_file_is_compressed_with_its_time(folder, monkeypatch):
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
    assert (folder / "a.css.gz").stat().st_mtime == 1e9, "expected the time of the original file"


@pytest.mark.skipif(not shutil.which("brotli"), reason="brotli is not installed here")
def test_brotli_is_used_if_installed(folder):
    (folder / "a.css").write_bytes(TEXT)
    assert compress(folder) == ["a.css", "a.css.br", "a.css.gz"]


def test_existing_compressed_file_is_kept(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(compression.shutil, "which", lambda _: None)
    for name in ("a.css", "b.css"):
        (folder / name).write_bytes(TEXT)
    (folder / "a.css.gz").write_bytes(b"of the build")
    (folder / "b.css.gz").symlink_to(tmp_path / "elsewhere")
    compress(folder)
    assert (folder / "a.css.gz").read_bytes() == b"of the build"
    assert not (tmp_path / "elsewhere").exists(), "expected nothing to be written through a link"


def test_publish_removes_compressed_files_of_other_releases(tmp_path):
    site = SimpleNamespace(assets=tmp_path / "assets", release=lambda name: tmp_path / name)
    files = {"1": {"a.css": b"one", "a.css.gz": b"packed one"}, "2": {"a.css": b"second"}}
    for name, content in files.items():
        (tmp_path / name / "static").mkdir(parents=True)
        for file, text in content.items():
            (tmp_path / name / "static" / file).write_bytes(text)
    for name in ("1", "2", "1"):
        assert static_files.publish(site, name, STATIC, check=True), (
            f"expected a change in check mode for release {name}"
        )
        assert static_files.publish(site, name, STATIC, check=False)
        assert not static_files.publish(site, name, STATIC, check=True), "expected no second change"
        folder = tmp_path / "assets/static"
        got = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert got == files[name], f"expected only the files of release {name}, got {got}"
