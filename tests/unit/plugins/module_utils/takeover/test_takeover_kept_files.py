"""Files of an earlier environment that a new environment keeps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.module_utils import takeover
from takeover_trees import BUILDER, GROUP, LIMIT, rights

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@pytest.fixture
def earlier(tmp_path) -> Path:
    """Return an earlier environment, which root owns."""
    earlier = tmp_path / "earlier"
    (earlier / "below/deep").mkdir(parents=True)
    (earlier / "empty").mkdir()
    for name in ("kept", "replaced", "removed", "below/deep/kept"):
        (earlier / name).write_text("text")
        (earlier / name).chmod(0o644)
    (earlier / "link").symlink_to("kept")
    return earlier


def test_kept_files_of_an_earlier_environment_become_hard_links(source, target, earlier):
    (source / "below").mkdir()
    for name in ("replaced", "new", "below/new"):
        (source / name).write_text("TEXT")
    takeover.give(source, BUILDER, BUILDER)
    kept = ["kept", "replaced", "below/deep/kept", "link"]
    takeover.Takeover(GROUP, LIMIT).take(source, target, earlier, kept)
    inodes = {path.lstat().st_ino for path in earlier.rglob("*") if not path.is_dir()}
    found = {str(path.relative_to(target)): path.lstat().st_ino in inodes for path in target.rglob("*")}
    expected = dict.fromkeys(("kept", "below/deep/kept", "link"), True)
    expected |= dict.fromkeys(("below", "below/deep", "below/new", "new", "replaced"), False)
    assert found == expected, f"expected these files, linked or not: {expected}, got {found}"
    assert (target / "replaced").read_text() == "TEXT", "expected the file of the build"
    assert (earlier / "replaced").read_text() == "text", "expected the earlier environment unchanged"
    assert rights(target / "below/deep") == (0, GROUP, 0o755), f"got {rights(target / 'below/deep')}"


@pytest.mark.parametrize(
    "path",
    ["missing", "/etc/hostname", "../outside", "below/../kept", "./kept", "kept/", "behind/inside", ""],
)
def test_kept_file_missing_in_the_earlier_environment_is_rejected(source, target, earlier, outside, path):
    (outside.parent / "inside").write_text("secret")
    (earlier / "behind").symlink_to(outside.parent)
    with pytest.raises(takeover.TakeoverError, match="among the files to keep") as error:
        takeover.Takeover(GROUP, LIMIT).take(source, target, earlier, ["kept", path])
    assert str(error.value).isprintable(), f"expected one printable line, got {str(error.value)!r}"
    linked = [path for path in (outside, outside.parent / "inside") if path.stat().st_nlink > 1]
    assert not linked, f"expected no hard link to a file outside of the earlier environment, got {linked}"


def test_kept_folder_is_rejected(source, target, earlier):
    with pytest.raises(OSError):
        takeover.Takeover(GROUP, LIMIT).take(source, target, earlier, ["below"])


@pytest.mark.parametrize("kind", ["file", "symlink", "folder for a file", "folder for a symlink"])
def test_build_that_conflicts_with_kept_files_is_rejected(source, target, earlier, outside, kind):
    if kind == "file":
        (source / "below").write_text("text")
    elif kind == "symlink":
        (source / "below").symlink_to(outside.parent)
    else:
        (earlier / "link").unlink()
        (earlier / "link").symlink_to(outside.parent)
        folder = source / ("kept" if kind.endswith("file") else "link")
        folder.mkdir()
        (folder / "planted").write_text("text")
    with pytest.raises(takeover.TakeoverError, match=r"expected a (file|folder) as before"):
        takeover.Takeover(GROUP, LIMIT).take(source, target, earlier, ["kept", "link", "below/deep/kept"])
    assert not (outside.parent / "planted").exists(), "expected nothing behind the symlink"


def test_kept_files_count_towards_the_limits(source, target, earlier, monkeypatch):
    with pytest.raises(takeover.TakeoverError, match="more than 0 MiB"):
        takeover.Takeover(GROUP, 3).take(source, target, earlier, ["kept"])
    takeover.remove(target)
    monkeypatch.setattr(takeover, "MOST_ENTRIES", 1)
    with pytest.raises(takeover.TakeoverError, match="more than 1 files"):
        takeover.Takeover(GROUP, LIMIT).take(source, target, earlier, ["kept", "replaced"])
