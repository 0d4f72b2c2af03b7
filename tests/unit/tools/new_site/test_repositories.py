"""A source of new-site that is a git repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from new_site_command import APP, files, location
from new_site_inventory import BEFORE, added, run


def git(folder: Path, *arguments: str) -> None:
    author = ["-c", "user.name=a", "-c", "user.email=a@b.test", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", folder, *author, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(shop: Path, tmp_path: Path) -> str:
    """Return a repository with the branch trunk, the application in web/, and an earlier tag v1."""
    git(shop, "init", "--initial-branch=trunk")
    git(shop, "add", ".")
    git(shop, "commit", "-m", "one")
    git(shop, "tag", "v1")
    files(shop, {"web/main.py": APP})
    (shop / "app.py").unlink()
    git(shop, "add", "-A")
    git(shop, "commit", "-m", "two")
    return f"file://{shop}"


def test_application_in_a_folder_of_a_repository_gets_subdir(inventory, repository, shop, capsys):
    files(shop, {"web/requirements.txt": "flask\n"})
    git(shop, "add", ".")
    git(shop, "commit", "-m", "three")
    assert run("--source", repository, "--server-names", "a.test") == 0, capsys.readouterr().err
    entry = added(inventory)
    expected = {"git": repository, "version": "trunk", "subdir": "web"}
    assert entry["source"] == expected, f"expected {expected}, got {entry['source']}"
    assert entry["wsgi"] == "main:app", f"expected main:app, got {entry['wsgi']}"


@pytest.mark.parametrize(
    ("arguments", "source", "wsgi"),
    [
        ([], {"version": "trunk"}, "web.main:app"),
        (["--subdir", "web"], {"version": "trunk", "subdir": "web"}, "main:app"),
        (["--version", "v1"], {"version": "v1"}, "app:app"),
    ],
)
def test_repository_gives_version_and_application(inventory, repository, capsys, arguments, source, wsgi):
    names = ["--server-names", "a.test", "--name", "web"]
    assert run("--source", repository, *names, *arguments) == 0, capsys.readouterr().err
    entry = added(inventory)
    assert entry["source"] == {"git": repository} | source, f"got {entry['source']}"
    assert entry["wsgi"] == wsgi, f"expected {wsgi}, got {entry['wsgi']}"


@pytest.mark.parametrize(
    "arguments", [["--version", "v9"], ["--version=--upload-pack=x"], ["--subdir", "nowhere"]]
)
def test_missing_version_or_folder_is_reported(inventory, repository, capsys, arguments):
    status = run("--source", repository, "--server-names", "a.test", *arguments)
    err = capsys.readouterr().err
    assert status == 1 and ("git failed: fatal" in err or "found no folder" in err), f"got {status}: {err}"
    assert inventory.read_text() == BEFORE, "expected an unchanged file"


def test_clone_is_removed(inventory, repository, tmp_path, monkeypatch):
    clones = tmp_path / "clones"
    clones.mkdir()
    monkeypatch.setattr(location.tempfile, "tempdir", str(clones))
    run("--source", repository, "--server-names", "a.test", "--version", "v1")
    assert list(clones.iterdir()) == [], f"expected an empty folder, got {list(clones.iterdir())}"
