"""The module release: the release of a source, and the files added to a built tree."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.module_utils import build, build_inputs, static_files
from ansible_collections.decanter.stack.plugins.module_utils import site as module_site
from ansible_collections.decanter.stack.plugins.modules import release
from resolved_site import resolved

CONTENT = "0123456789ab"


class Site(module_site.Site):
    """A site below a temporary folder, with the user of the tests."""

    def __init__(self, root: Path) -> None:
        super().__init__("plain")
        for name in ("releases", "venvs", "assets"):
            setattr(self, name, root / name)
        self.root, self.run, self.live_socket = root, root / "run", root / "run/live.sock"
        for folder in (self.releases, self.venvs, self.run, root / "shared"):
            folder.mkdir()


@pytest.fixture
def site(tmp_path, monkeypatch) -> Site:
    user = pwd.getpwuid(os.getuid())
    monkeypatch.setattr(release.pwd, "getpwnam", lambda name: user)

    def run_as(site: Site, folder: Path, *command: str) -> Any:
        return subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    monkeypatch.setattr(release, "run_as", run_as)
    return Site(tmp_path)


@pytest.fixture
def tree(site) -> Path:
    folder = site.releases / ".new-1"
    (folder / "static/uploads").mkdir(parents=True)
    (folder / "static/uploads/first.txt").write_text("first")
    return folder


# --- Uploads -----------------------------------------------------------------------------------


def test_uploads_are_copied_from_the_source_once(site, tree):
    release.keep_uploads(site, tree, "static/uploads")
    kept = site.root / "shared/static/uploads"
    assert (tree / "static/uploads").readlink() == kept
    assert (kept / "first.txt").read_text() == "first"
    (kept / "first.txt").write_text("changed")
    again = site.releases / ".new-2"
    (again / "static/uploads").mkdir(parents=True)
    (again / "static/uploads/first.txt").write_text("first")
    (again / "static/uploads/second.txt").write_text("second")
    release.keep_uploads(site, again, "static/uploads")
    assert [path.name for path in kept.iterdir()] == ["first.txt"], "expected no second copy"
    assert (again / "static/uploads/first.txt").read_text() == "changed"


def test_uploads_without_folder_in_the_source_are_created(site, tree):
    release.keep_uploads(site, tree, "a/b/instance")
    (tree / "a/b/instance/notes.db").write_text("x")
    assert (site.root / "shared/a/b/instance/notes.db").read_text() == "x"


def test_interrupted_copy_of_uploads_starts_again(site, tree):
    (site.root / "shared/static/.uploads.new").mkdir(parents=True)
    (site.root / "shared/static/.uploads.new/half").touch()
    release.keep_uploads(site, tree, "static/uploads")
    assert [path.name for path in (site.root / "shared/static").iterdir()] == ["uploads"]
    assert [path.name for path in (site.root / "shared/static/uploads").iterdir()] == ["first.txt"]


def test_uploads_outside_the_release_are_rejected(site, tree):
    (tree / "file").touch()
    (tree / "out").symlink_to(site.root)
    for folder in ("file", "out/uploads"):
        with pytest.raises(release.BuildError, match=f"^uploads: found a file or a link at {folder}"):
            release.keep_uploads(site, tree, folder)


def test_uploads_with_code_are_rejected(site, tree):
    (tree / "static/uploads/views.py").write_text("import flask\n")
    with pytest.raises(release.BuildError, match=r"^uploads: found static/uploads/views\.py, which is code"):
        release.keep_uploads(site, tree, "static/uploads")
    assert not (site.root / "shared/static").exists(), "expected no copy of the code"


def test_uploads_are_not_published(site, tree):
    (tree / "static/app.css").touch()
    release.keep_uploads(site, tree, "static/uploads")
    tree.rename(site.release("1"))
    static_files.publish(site, "1", [{"url": "/static/", "path": "static"}], check=False)
    assert [path.name for path in site.assets.rglob("*")] == ["static", "app.css"]


# --- Find a release ----------------------------------------------------------------------------


def wanted(**site: Any) -> Any:
    return build_inputs.Wanted(sys.executable, "gunicorn==27", resolved(**site), [], {})


def create_release(
    site: Site, number: int, given: Any = None, recipe: dict[str, Any] | None = None, **more: Any
) -> str:
    identifier = f"20260101T00000{number}Z-{CONTENT}"
    site.release(identifier).mkdir()
    environment = site.venvs / identifier
    environment.mkdir()
    build.marker(environment).write_text("{}")
    (site.release(identifier) / ".venv").symlink_to(environment)
    record = {"id": identifier, "state": "good", "inputs": (given or wanted()).inputs, "recipe": recipe or {}}
    site.write_record(identifier, record | more)
    return identifier


@pytest.fixture(autouse=True)
def interpreter(monkeypatch):
    monkeypatch.setattr(build_inputs.interpreter, "about", lambda _: ["/usr", "cpython-313", "3.13.5"])


def find(site: Site, recipe: dict[str, Any] | None = None, **given: Any) -> str:
    return release.find(site, CONTENT, wanted(**given), recipe or {})


def test_find_compares_recipes(site):
    plain = create_release(site, 1)
    recipe = release.recipe({"build": ["flask digest"]}, {"a.cfg": {"text": "x"}})
    built = create_release(site, 2, recipe=recipe)
    assert find(site) == plain, "expected the release without a recipe"
    assert find(site, recipe) == built
    for other in ({"build": ["flask other"]}, {"uploads": ["instance"]}, {}):
        different = release.recipe(other, {"a.cfg": {"text": "y"}})
        assert find(site, different) == "", f"expected no release for {other} and another text of the file"


@pytest.mark.parametrize(
    "given",
    [
        {"requirements": "requirements.txt"},
        {"install": ["pymysql"]},
        {"packages": ["libpq-dev"]},
        {"indexes": [{"name": "acme", "url": "https://pypi.acme.test/simple"}]},
        {"gunicorn": {"worker_class": "gevent"}},
        {"database": {"engine": "mysql"}},
    ],
)
def test_find_other_inputs_returns_nothing(site, given):
    one = create_release(site, 1)
    assert find(site) == one, "expected the release of equal inputs"
    assert find(site, **given) == "", f"expected no release for {given}"


def test_find_without_complete_environment_returns_nothing(site):
    one = create_release(site, 1)
    build.marker(site.venvs / one).unlink()
    assert find(site) == "", "expected a build, because the environment has no marker"


def test_find_release_of_an_older_version_returns_nothing(site):
    one = create_release(site, 1)
    record = site.record(one)
    del record["inputs"]
    site.write_record(one, record)
    assert find(site) == "", "expected a release without recorded inputs to be built again"
