"""The files of a source folder, and the hash of their content."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.action import release


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a developer's folder: an application, caches, secrets and ignored files."""
    source = tmp_path / "source"
    for name in (
        "app.py",
        "static/a.css",
        ".env",
        ".venv/bin/python",
        "__pycache__/app.pyc",
        "ignored.db",
        "sub/x.log",
    ):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (source / ".gitignore").write_text("*.db\n*.log\n")
    return source


def names(folder: Path) -> list[str]:
    return [str(path) for path in release.tracked(folder)]


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@t.test"]
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


def test_gitignore_applies_without_a_repository(folder):
    assert names(folder) == [".gitignore", "app.py", "static/a.css"]


def test_repository_includes_new_and_excludes_deleted_files(folder):
    git(folder, "init")
    git(folder, "add", "app.py", "static")
    git(folder, "add", "-f", ".env")
    git(folder, "commit", "-m", "x")
    (folder / "new.py").write_text("new")
    (folder / "static/a.css").unlink()
    assert names(folder) == [".gitignore", "app.py", "new.py"]
    assert release.origin(folder)["uncommitted"] is True


def test_hash_depends_on_content_and_executable_bit(folder):
    paths = release.tracked(folder)
    before = release.content_hash(folder, paths)
    os.utime(folder / "app.py", (0, 0))
    assert release.content_hash(folder, paths) == before, "expected the same hash for another time"
    (folder / "app.py").write_text("changed")
    changed = release.content_hash(folder, paths)
    assert changed != before, "expected another hash for other content"
    (folder / "app.py").chmod(0o755)
    assert release.content_hash(folder, paths) != changed, "expected another hash for an executable file"


def test_symlink_out_of_the_folder_is_rejected(folder):
    (folder / "out").symlink_to("/etc/passwd")
    with pytest.raises(release.SourceError, match="symlink to /etc/passwd"):
        release.content_hash(folder, release.tracked(folder))


def test_folder_is_used_in_place_and_recorded(folder):
    with release.files_of({"path": str(folder)}, "") as (source, paths, record):
        assert (source, paths) == (folder, release.tracked(folder))
    assert record == {"source": str(folder), "commit": "", "uncommitted": False}, record
    assert folder.exists(), "expected the folder to remain"


def test_submodule_is_rejected(folder):
    git(folder, "init")
    git(folder, "init", "inner")
    git(folder / "inner", "commit", "--allow-empty", "-m", "x")
    git(folder, "add", "inner")
    with pytest.raises(release.SourceError, match="inner: found neither a file nor a symlink"):
        release.content_hash(folder, release.tracked(folder))
