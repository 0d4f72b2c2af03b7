"""How a release is made: its interpreter, its build, its uploads, and what is said when it fails."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ours import load, utils

environment, live, module_site = utils("environment"), utils("live"), utils("site")
release = load("modules", "release")
CONTENT = "0123456789ab"


class Site(module_site.Site):
    """A site whose folders are here, and whose user is whoever runs this."""

    def __init__(self, root: Path) -> None:
        super().__init__("plain")
        for name in ("releases", "venvs", "assets"):
            setattr(self, name, root / name)
        self.root, self.run, self.live_socket = root, root / "run", root / "run/live.sock"
        for folder in (self.releases, self.venvs, self.run, root / "shared"):
            folder.mkdir()


@pytest.fixture
def site(tmp_path, monkeypatch) -> Site:
    me = pwd.getpwuid(os.getuid())
    monkeypatch.setattr(release.pwd, "getpwnam", lambda name: me)
    monkeypatch.setattr(release.os, "chown", lambda *_, **__: None)

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


def test_uploads_begin_with_what_the_source_has_and_then_stay(site, tree):
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
    assert [path.name for path in kept.iterdir()] == ["first.txt"], "expected no more to be copied"
    assert (again / "static/uploads/first.txt").read_text() == "changed"


def test_uploads_need_no_folder_in_the_source(site, tree):
    release.keep_uploads(site, tree, "a/b/instance")
    (tree / "a/b/instance/notes.db").write_text("x")
    assert (site.root / "shared/a/b/instance/notes.db").read_text() == "x"


def test_a_copy_that_was_cut_off_is_begun_again(site, tree):
    (site.root / "shared/static/.uploads.new").mkdir(parents=True)
    (site.root / "shared/static/.uploads.new/half").touch()
    release.keep_uploads(site, tree, "static/uploads")
    assert [path.name for path in (site.root / "shared/static").iterdir()] == ["uploads"]
    assert [path.name for path in (site.root / "shared/static/uploads").iterdir()] == ["first.txt"]


def test_uploads_stay_in_their_place(site, tree):
    (tree / "file").touch()
    (tree / "out").symlink_to(site.root)
    for folder in ("file", "out/uploads"):
        with pytest.raises(release.BuildError, match=f"^uploads: found a file or a link at {folder}"):
            release.keep_uploads(site, tree, folder)


def test_uploads_are_not_published(site, tree):
    (tree / "static/app.css").touch()
    release.keep_uploads(site, tree, "static/uploads")
    tree.rename(site.release("1"))
    live.publish(site, "1", [{"url": "/static/", "path": "static"}], check=False)
    assert [path.name for path in site.assets.rglob("*")] == ["static", "app.css"]


# --- The tree ----------------------------------------------------------------------------------


def test_a_tree_is_closed_and_holds_nothing_but_files(tree):
    (tree / "run").touch()
    (tree / "run").chmod(0o4777)
    (tree / "open").touch()
    (tree / "open").chmod(0o666)
    os.mkfifo(tree / "pipe")
    (tree / "link").symlink_to("/etc/passwd")
    before = Path("/etc/passwd").stat().st_mode
    release.settle(tree, os.getgid())
    modes = {
        path.name: f"{path.lstat().st_mode & 0o7777:o}" for path in tree.iterdir() if path.name != "link"
    }
    assert modes == {"run": "750", "open": "640", "static": "750"}
    assert Path("/etc/passwd").stat().st_mode == before, "expected nothing to be done to where a link leads"


# --- Which release -----------------------------------------------------------------------------


def wanted(**site: Any) -> dict[str, Any]:
    given = {"python": sys.executable, "server": "s", "packages": [], "requirements": ""}
    return given | {"recipe": release.recipe(site)}


def made(site: Site, number: int, **more: Any) -> str:
    identifier = f"20260101T00000{number}Z-{CONTENT}"
    tree = site.release(identifier)
    tree.mkdir()
    (tree / "requirements.txt").write_text("flask\n")
    venv = site.venvs / release.environment_hash(tree, **release.needs(wanted()))
    venv.mkdir(exist_ok=True)
    (venv / ".complete").touch()
    (tree / ".venv").symlink_to(venv)
    site.write_record(identifier, {"id": identifier, "state": "good", **more})
    return identifier


def test_another_build_is_another_release(site):
    plain = made(site, 1)
    built = made(site, 2, recipe={"build": ["flask digest"]})
    assert release.find(site, CONTENT, wanted()) == plain, "expected one without a recipe to be as it was"
    assert release.find(site, CONTENT, wanted(build=["flask digest"])) == built
    assert release.find(site, CONTENT, wanted(build=["flask other"])) == ""
    assert release.find(site, CONTENT, wanted(uploads=["instance"])) == ""
    assert release.find(site, CONTENT, wanted(build=[], uploads=[])) == plain


def test_other_requirements_are_another_release(site):
    one = made(site, 1)
    assert release.find(site, CONTENT, wanted() | {"requirements": "requirements.txt"}) == one
    assert release.find(site, CONTENT, wanted() | {"requirements": "gone.txt"}) == ""
    assert release.find(site, CONTENT, wanted() | {"server": "another"}) == ""


# --- The interpreter ---------------------------------------------------------------------------


def test_the_first_interpreter_that_makes_environments_is_taken(tmp_path):
    broken = tmp_path / "python3.99"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    paths = [str(tmp_path / "nowhere"), str(tmp_path / "python*"), sys.executable]
    assert environment.interpreter(paths) == sys.executable
    with pytest.raises(environment.BuildError) as refused:
        environment.interpreter(paths[:2])
    assert str(refused.value).startswith(f"found no Python at {paths[0]}, {paths[1]}, expected one")


def test_an_environment_belongs_to_an_interpreter(tmp_path, monkeypatch):
    (tmp_path / "requirements.txt").write_text("flask\n")

    def digest(*told: str) -> str:
        monkeypatch.setattr(environment, "about", lambda _: list(told))
        return environment.environment_hash(tmp_path, "p", "s", [], "")

    one = digest("/usr", "cpython-311-x86_64-linux-gnu", "3.11.2")
    assert digest("/usr", "cpython-311-x86_64-linux-gnu", "3.11.9") == one, "expected no other for a patch"
    assert digest("/usr", "cpython-312-x86_64-linux-gnu", "3.12.1") != one
    assert digest("/opt/python3.11", "cpython-311-x86_64-linux-gnu", "3.11.2") != one


# --- What pip says -----------------------------------------------------------------------------

COLLECTED = "Collecting flask==3.0.0 (from -r requirements.txt (line 1))\n  Downloading flask.whl (99 kB)\n"
SETUP = (
    "error: subprocess-exited-with-error\n\nGetting requirements to build wheel did not run successfully.\n"
)
LOGS = {
    "no such version": (
        "ERROR: Could not find a version that satisfies the requirement none==1.0 (from versions: 2.0)\n"
        "ERROR: No matching distribution found for none==1.0",
        "none==1.0 is not to be had for Python 3.13.5",
        "a version that exists for Python 3.13",
    ),
    "for other Pythons": (
        "ERROR: Ignored the following versions that require a different python version: 1.26.0 "
        "Requires-Python <3.13,>=3.9\n"
        "ERROR: Could not find a version that satisfies the requirement numpy==1.26.0 (from versions: 2.0)",
        "numpy==1.26.0 is not to be had for Python 3.13.5: other versions of it are for other Pythons",
        'another Python (`python: "3.x"`)',
    ),
    "a program that is missing": (
        "Collecting psycopg2==2.9.9 (from -r requirements.txt (line 2))\n"
        f"      Error: pg_config executable not found.\n{SETUP}",
        "psycopg2==2.9.9 cannot be built for Python 3.13.5, for there is no pg_config",
        "`packages: [build-essential, ",
    ),
    "a header that is missing": (
        "Collecting Old_Thing==1.0 (from -r requirements.txt (line 2))\nCollecting six (from old-thing)\n"
        "  x.c:1:10: fatal error: libfoo/foo.h: No such file or directory\n"
        "  ERROR: Failed building wheel for old-thing\n"
        "ERROR: Could not build wheels for old-thing, which is required to install some projects",
        "Old_Thing==1.0 cannot be built for Python 3.13.5, for there is no libfoo/foo.h",
        "libfoo-dev]`",
    ),
    "a compiler that is missing": (
        "Collecting a==1\n  error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory\n"
        "  ERROR: Failed building wheel for a\nerror: failed-wheel-build-for-install",
        "a==1 cannot be built for Python 3.13.5, for there is no x86_64-linux-gnu-gcc",
        "a newer version of it that has a wheel for Python 3.13",
    ),
    "too old a set-up": (
        "Collecting numpy==1.19.5 (from -r requirements.txt (line 2))\nERROR: Exception:\nTraceback\n"
        "pip._vendor.pyproject_hooks._impl.BackendUnavailable: Cannot import 'setuptools.build_meta'",
        "numpy==1.19.5 cannot be built for Python 3.13.5",
        'an older Python (`python: "3.x"`)',
    ),
    "git": (
        "ERROR: Cannot find command 'git' - do you have 'git' installed and in your PATH?",
        "a requirement is in a git repository, and the host has no git",
        "`packages: [git]`",
    ),
    "another hash": (
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n"
        "    click==8.1.7 from https://files.test/click.whl (from -r requirements.txt (line 1)):\n",
        "click==8.1.7 is not the one that was locked",
        "locking",
    ),
    "no network": (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('x')'\n"
        "ERROR: Could not find a version that satisfies the requirement a (from versions: none)",
        "the host does not reach the package index",
        "what pip says below",
    ),
    "a contradiction": (
        "ERROR: ResolutionImpossible: for help visit",
        "the requirements contradict each other",
        "fewer pins",
    ),
    "anything else": ("ERROR: Something new.\n", "pip failed: Something new.", ""),
}


@pytest.mark.parametrize("case", LOGS)
def test_what_pip_could_not_do_is_said_in_a_line(case):
    log, fault, remedy = LOGS[case]
    said = environment.explained(COLLECTED + log, "3.13.5").splitlines()
    assert said[0] == fault
    assert remedy in said[1], f"expected what helps, got {said[1]}"
    assert said[-1] == log.rstrip().splitlines()[-1], "expected the end of pip's log"


def test_a_log_is_cut_in_both_ways():
    said = environment.end_of("\n".join(["x" * 1000] * 100)).splitlines()
    assert (len(said), len(said[0])) == (environment.LONGEST_LOG, environment.LONGEST_LINE + 1)


# --- Published files ---------------------------------------------------------------------------


def test_files_of_neither_this_release_nor_the_one_before_go(site):
    static = [{"url": "/static/", "path": "static"}]
    for number, colour in ((1, "green"), (2, "blue"), (3, "green")):
        folder = site.release(str(number)) / "static/deep"
        folder.mkdir(parents=True)
        (folder / f"{number}.css").touch()
        (folder.parent / "same.css").touch()
        live.publish(site, str(number), static, check=False)
        module_site.replace_symlink(site.slot(colour), f"releases/{number}")
    (site.assets / "old-url").mkdir()
    (site.assets / "old-url/a.css").touch()
    live.withdraw(site, static)
    got = sorted(str(path.relative_to(site.assets)) for path in site.assets.rglob("*") if path.is_file())
    assert got == ["static/deep/2.css", "static/deep/3.css", "static/same.css"]
    assert not (site.assets / "old-url").exists()


def test_none_but_what_runs_is_kept_where_that_is_wanted(site):
    for number in (1, 2, 3):
        made(site, number, created=str(number))
    module_site.replace_symlink(site.slot("blue"), f"releases/20260101T000003Z-{CONTENT}")
    live.prune(site, 0)
    assert site.identifiers() == [f"20260101T000003Z-{CONTENT}"]


# --- A build -----------------------------------------------------------------------------------


def test_a_build_knows_no_secret_and_keeps_its_own_dollars(site, tree, monkeypatch):
    called: list[list[str]] = []

    def run(arguments: list[str], **_: Any) -> Any:
        called.append(arguments)
        return SimpleNamespace(returncode=3, stdout="one\ntwo\n")

    monkeypatch.setattr(release.subprocess, "run", run)
    with pytest.raises(release.BuildError) as failed:
        release.run_build(site, tree, site.venvs / "e", "echo $HOME ${i}")
    assert str(failed.value) == "`echo $HOME ${i}` of its build failed (3):\none\ntwo"
    (arguments,) = called
    assert arguments[-3:] == ["/bin/sh", "-c", "echo $$HOME $${i}"]
    assert f"--property=ReadWritePaths={tree}" in arguments and "--uid=plain" in arguments
    assert not [argument for argument in arguments if "credential" in argument.lower()]
