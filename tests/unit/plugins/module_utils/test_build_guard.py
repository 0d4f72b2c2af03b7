"""Limits of a running build."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.decanter.stack.plugins.module_utils import build
from ansible_collections.decanter.stack.plugins.module_utils import build_guard as guard


def running(seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(["sleep", str(seconds)], text=True)


def test_watch_ends_with_the_build(one):
    with running(0.1) as process:
        assert one.watch(process) == ""


@pytest.mark.parametrize("where", ["tree", "cache", "many"])
def test_watch_reports_a_build_beyond_its_limit(one, monkeypatch, where):
    one.limit = 1 << 20
    if where == "many":
        monkeypatch.setattr(guard, "MOST_ENTRIES", 50)
        for number in range(60):
            (one.folder / f"results/{number}").touch()
    else:
        folder = one.cache if where == "cache" else one.folder
        (folder / "large").write_bytes(bytes(3 << 20))
    with running(30) as process:
        found = one.watch(process)
        process.kill()
    assert found == "disk", f"expected disk, got {found!r}"


def test_watch_counts_no_hole_of_a_sparse_file(one):
    with open(one.folder / "results/sparse", "wb") as file:
        file.truncate(1 << 30)
    with running(1.2) as process:
        assert one.watch(process) == ""


def test_watch_rejects_a_build_on_a_full_file_system(one, monkeypatch):
    full = SimpleNamespace(f_bavail=1, f_blocks=100, f_favail=0, f_files=0)
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with running(30) as process:
        with pytest.raises(build.BuildError, match="nearly full"):
            one.watch(process)
        process.kill()


@pytest.mark.parametrize(
    ("bavail", "favail", "files", "expected"),
    [(50, 50, 100, False), (1, 50, 100, True), (50, 1, 100, True), (50, 0, 0, False)],
)
def test_nearly_full_counts_space_and_inodes(monkeypatch, bavail, favail, files, expected):
    found = SimpleNamespace(f_bavail=bavail, f_blocks=100, f_favail=favail, f_files=files)
    monkeypatch.setattr(os, "statvfs", lambda path: found)
    assert guard.is_nearly_full(Path("/")) is expected


@pytest.mark.parametrize("attack", ["large", "deep"])
def test_cache_beyond_its_limit_is_emptied(one, attack):
    one.limit = 1 << 20
    if attack == "large":
        (one.cache / "large").write_bytes(bytes(2 << 20))
    else:
        here = one.cache
        for _ in range(150):
            here = here / "d"
            here.mkdir()
    guard.bound(one.cache, one.limit)
    assert not one.cache.exists(), "expected an empty cache"


def test_cache_within_its_limit_is_kept(one):
    (one.cache / "wheel").write_text("text")
    guard.bound(one.cache, one.limit)
    assert (one.cache / "wheel").exists()
