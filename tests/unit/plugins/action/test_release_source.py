"""What of a folder travels to a host, and what makes two releases the same."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.action import release


@pytest.fixture
def folder(tmp_path) -> Path:
    """An application with everything around it that a developer's folder has."""
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


def test_outside_of_git_its_ignore_file_holds(folder):
    assert names(folder) == [".gitignore", "app.py", "static/a.css"]


def test_in_git_what_is_new_travels_and_what_is_removed_does_not(folder):
    git(folder, "init")
    git(folder, "add", "app.py", "static")
    git(folder, "add", "-f", ".env")
    git(folder, "commit", "-m", "x")
    (folder / "new.py").write_text("new")
    (folder / "static/a.css").unlink()
    assert names(folder) == [".gitignore", "app.py", "new.py"]
    assert release.origin(folder)["uncommitted"] is True


def test_the_content_alone_makes_the_hash(folder):
    paths = release.tracked(folder)
    before = release.content_hash(folder, paths)
    os.utime(folder / "app.py", (0, 0))
    assert release.content_hash(folder, paths) == before, "expected the time of a file not to count"
    (folder / "app.py").write_text("changed")
    changed = release.content_hash(folder, paths)
    assert changed != before, "expected a change of content to count"
    (folder / "app.py").chmod(0o755)
    assert release.content_hash(folder, paths) != changed, "expected what may be run to count"


def test_a_symlink_that_leads_out_is_refused(folder):
    (folder / "out").symlink_to("/etc/passwd")
    with pytest.raises(release.SourceError, match="symlink to /etc/passwd"):
        release.content_hash(folder, release.tracked(folder))


def test_a_folder_says_where_it_came_from(folder):
    with release.files_of({"path": str(folder)}, "") as (where, paths, record):
        assert (where, paths) == (folder, release.tracked(folder))
    assert record == {"source": str(folder), "commit": "", "uncommitted": False}, record
    assert folder.exists(), "expected the folder to be left as it is"


def test_a_submodule_is_refused(folder):
    git(folder, "init")
    git(folder, "init", "inner")
    git(folder / "inner", "commit", "--allow-empty", "-m", "x")
    git(folder, "add", "inner")
    with pytest.raises(release.SourceError, match="inner: found neither a file nor a symlink"):
        release.content_hash(folder, release.tracked(folder))
