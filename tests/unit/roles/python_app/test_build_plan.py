"""The plan of each kind of requirements file, installed by the real uv."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import platform
import runpy
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest
from python_wheels import project, wheel
from repository import ROOT
from uv_program import find_uv

VERSION = platform.python_version()
PROGRAM = ROOT / "roles/python_app/files/build"
sys.path.insert(0, str(PROGRAM))  # as the host runs it: a folder with a __main__

import application  # noqa: E402  the path is set above
import plan as plans  # noqa: E402
import requirement_lines  # noqa: E402
from reuse import NO_PACKAGES, Contents, reusable_packages  # noqa: E402
from uv import CommandError, Uv  # noqa: E402


@pytest.fixture(scope="session")
def shelf(tmp_path_factory) -> Path:
    """A folder with all packages that exist for these tests."""
    folder = tmp_path_factory.mktemp("shelf")
    wheel(folder, "flask", "3.0", "click")
    wheel(folder, "flask", "2.0", "click<8")
    for version in ("7.0", "8.0"):
        wheel(folder, "click", version)
    for name in ("pymysql", "redis", "gunicorn", "gevent", "pytest"):
        wheel(folder, name)
    return folder


@pytest.fixture
def uv(tmp_path, shelf, monkeypatch) -> Uv:
    for name, value in {
        "UV_FIND_LINKS": str(shelf),
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_LINK_MODE": "copy",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_PROJECT_ENVIRONMENT": str(tmp_path / "environment"),
    }.items():
        monkeypatch.setenv(name, value)
    tree = tmp_path / "tree"
    tree.mkdir()
    return Uv(tree, tmp_path / "environment", sys.executable, VERSION, True, find_uv())


def write(uv: Uv, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = uv.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def planned(uv: Uv, files: dict[str, Any], install: list[str] | None = None, named: str = "") -> plans.Plan:
    write(uv, files)
    resolved = uv.tree.parent / "resolved.txt"
    resolved.touch()
    return plans.make_plan(uv, application.requirement_file(uv.tree, named), install or [], resolved)


def installed(uv: Uv, plan: plans.Plan) -> dict[str, str]:
    """Install a plan, and return the name and version of each package."""
    uv.run("venv", "--quiet", "--no-project", "--python", uv.python, "--allow-existing", str(uv.environment))
    for arguments in plan.install:
        uv.run(*arguments)
    listing = [uv.program, "pip", "list", "--quiet", "--format=json", f"--python={uv.environment}/bin/python"]
    found = json.loads(subprocess.run(listing, capture_output=True, text=True, check=True).stdout)
    return {one["name"]: one["version"] for one in found}


def built(uv: Uv, environment: Path, requirements: str, shelf: Path, previous: Path | None = None) -> Path:
    """Build an environment as the build program does, with gunicorn and what is kept, and return it."""
    uv.environment = environment
    plan = planned(uv, {"requirements.txt": requirements})
    digest = hashlib.sha256(next(shelf.glob("gunicorn-*")).read_bytes()).hexdigest()
    job = {"python": uv.python, "server": f"gunicorn==1.0 --hash=sha256:{digest}"}
    program = runpy.run_path(str(PROGRAM / "__main__.py"))
    contents = Contents("", plan.options, plan.packages | program["missing_server"](plan, job))
    reused = reusable_packages(previous, contents.unchanged(previous)) if previous else NO_PACKAGES
    program["build_environment"](uv, plan, job, reused)
    contents.write(environment)
    for path in reused.files:
        (environment / path).parent.mkdir(parents=True, exist_ok=True)
        os.link(previous / path, environment / path)
    return environment


def refused(uv: Uv, files: dict[str, Any], install: list[str] | None = None, named: str = "") -> str:
    with pytest.raises(application.ApplicationError) as refusal:
        planned(uv, files, install, named)
    return str(refusal.value)


def shop(dependencies: str = '["flask"]', more: str = "") -> str:
    """A pyproject.toml of an application that is no package."""
    return f'[project]\nname = "shop"\nversion = "1.0"\ndependencies = {dependencies}\n{more}'


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("Flask_Login==2.0 \\\n    --hash=sha256:abc", "flask-login"),
        ("flask[async] @ https://files.test/flask-3.0-py3-none-any.whl", "flask"),
        ("./vendor/my_lib-1.0-py3-none-any.whl\n    # abc", "my-lib"),
        ("./vendor/my-lib-1.0.tar.gz", "my-lib"),
        ("./vendor/my_lib-1.0-py3-none-any.whl ; python_version < '4'", "my-lib"),
        ("backports ; python_version < '3.11'", "backports"),
        ("backports ; python_version >= '3.11'", ""),
        ("backports ; python_full_version >= '3.10.5'", ""),
        ("--index-url https://index.test/simple", ""),
        ("# a comment", ""),
        ("", ""),
    ],
)
def test_name_of_a_requirement_that_applies_to_the_python_of_the_site(requirement, expected):
    found = requirement_lines.name_in(
        requirement, {"python_version": "3.10", "python_full_version": "3.10.4"}
    )
    assert found == expected, f"expected {expected!r}, got {found!r}"


def test_comments_do_not_change_the_environment(uv, shelf):
    digest = hashlib.sha256(next(shelf.glob("redis-*")).read_bytes()).hexdigest()
    texts = [
        f"# {comment}\nredis==1.0 \\\n    --hash=sha256:{digest}\n    # via {comment}\n" for comment in "ab"
    ]
    one, other = (planned(uv, {"requirements.txt": text}) for text in texts)
    assert one.text == other.text, f"expected equal environments, got {one.text!r} and {other.text!r}"
    assert "#" not in one.options, f"expected no comment, got {one.options!r}"


def test_environment_with_reused_packages_equals_a_new_one(uv, shelf, tmp_path):
    earlier, second, new = (tmp_path / name for name in ("earlier", "second", "new"))
    built(uv, earlier, "flask==2.0\npymysql\nredis\n", shelf)
    for folder, previous in ((second, earlier), (new, None)):
        built(uv, folder, "flask==3.0\nredis\n", shelf, previous)
    found, expected = ({str(path.relative_to(one)) for path in one.rglob("*")} for one in (second, new))
    assert found == expected, f"expected the files of a new environment, got others: {found ^ expected}"
    linked = {path.parent.name for path in second.rglob("*.py") if path.stat().st_nlink > 1}
    assert linked == {"click", "redis", "gunicorn"}, (
        f"expected the unchanged packages to be linked, got {linked}"
    )
    modules = {path.relative_to(new) for path in new.rglob("*.py")}
    differing = [str(path) for path in modules if (second / path).read_text() != (new / path).read_text()]
    assert not differing, f"expected the modules of a new environment, got others: {differing}"


# --- requirements.txt --------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_requirements_in_any_encoding_are_installed(uv, encoding):
    plan = planned(uv, {"requirements.txt": "flask==2.0\r\n".encode(encoding)})
    got = installed(uv, plan)
    assert got == {"flask": "2.0", "click": "7.0"}, f"expected flask 2.0 with its click, got {got}"


def test_included_and_constraint_files_count(uv):
    files = {
        "req/prod.txt": "-r base.txt\n-c ../pins.txt\n",
        "req/base.txt": "flask\n",
        "pins.txt": "flask<3\n",
    }
    got = installed(uv, planned(uv, files, named="req/prod.txt"))
    assert got == {"flask": "2.0", "click": "7.0"}, got


def test_phantom_package_of_debian_is_ignored(uv):
    got = installed(uv, planned(uv, {"requirements.txt": "flask\npkg-resources==0.0.0\n"}))
    assert got == {"flask": "3.0", "click": "8.0"}, got


def test_resolved_versions_stay_until_requirements_exclude_them(uv):
    first = planned(uv, {"requirements.txt": "flask<3\n"})
    again = planned(uv, {"requirements.txt": "flask\n"})
    assert "flask==2.0" in first.text and "flask==2.0" in again.text, (
        f"expected 2.0 to stay, got {again.text}"
    )
    moved = planned(uv, {"requirements.txt": "flask>=3\n"})
    assert "flask==3.0" in moved.text, f"expected 3.0, got {moved.text}"


def digest(shelf: Path, stem: str) -> str:
    return hashlib.sha256((shelf / f"{stem}-py3-none-any.whl").read_bytes()).hexdigest()


def test_hashed_requirements_install_exactly_their_files(uv, shelf):
    good = f"click==8.0 --hash=sha256:{digest(shelf, 'click-8.0')}\n"
    got = installed(uv, planned(uv, {"requirements.txt": good}))
    assert got == {"click": "8.0"}, got


@pytest.mark.parametrize(
    "text",
    [
        "click==8.0 --hash=sha256:" + "0" * 64,
        # flask needs a click, which is not locked.
        "flask==3.0 --hash=sha256:{flask}",
    ],
)
def test_hashed_requirements_reject_other_files(uv, shelf, text, capfd):
    text = text.format(flask=digest(shelf, "flask-3.0"))
    plan = planned(uv, {"requirements.txt": f"{text}\n"})
    with pytest.raises(CommandError):
        installed(uv, plan)
    said = capfd.readouterr().err.lower()
    assert "hash" in said, f"expected uv to name the hash, got {said}"


class Index(http.server.SimpleHTTPRequestHandler):
    """An index of packages, and the paths that were asked for."""

    asked: ClassVar[list[str]] = []

    def log_message(self, *arguments: object) -> None:
        self.asked.append(self.path)


def test_known_requirements_with_hashes_do_not_need_the_index(uv, shelf, tmp_path, monkeypatch):
    for package in ("click", "flask"):
        (tmp_path / "simple" / package).mkdir(parents=True)
        for file in shelf.glob(f"{package}-*"):
            (tmp_path / "simple" / package / file.name).hardlink_to(file)
    monkeypatch.delenv("UV_OFFLINE")
    monkeypatch.delenv("UV_FIND_LINKS")
    uv.options = []
    locked = f"click==8.0 --hash=sha256:{digest(shelf, 'click-8.0')}\n"
    handler = functools.partial(Index, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_port}/simple")
        first = planned(uv, {"requirements.txt": locked})
        assert "/simple/click/" in Index.asked, f"expected a request for click, got {Index.asked}"
        Index.asked.clear()
        second = planned(uv, {"requirements.txt": locked})
        assert (second.text, Index.asked) == (first.text, [])
        planned(uv, {"requirements.txt": f"{locked}flask\n"})
        assert "/simple/flask/" in Index.asked, f"expected the newest flask from the index, got {Index.asked}"
        server.shutdown()


@pytest.mark.parametrize(
    ("line", "fixed"),
    [
        ("--index-url https://example.com/simple", True),
        ("-r others.txt", True),
        ("-e .", True),
        ("./library", True),
        ("flask", False),
        ("flask @ git+https://example.com/flask", False),
        ("git+https://example.com/flask", False),
        ("-e git+https://example.com/flask", False),
        ("--editable git+https://example.com/flask", False),
        ("https://example.com/flask.zip", False),
    ],
)
def test_requirements_that_an_index_or_repository_cannot_change(line, fixed):
    text = f"{line}  # a comment\nclick==8.0 \\\n    --hash=sha256:{'0' * 64}\n"
    assert requirement_lines.is_fixed(text) is fixed, line


def test_hashed_requirements_with_additions_keep_their_versions(uv, shelf):
    text = f"click==7.0 --hash=sha256:{digest(shelf, 'click-7.0')}\n"
    got = installed(uv, planned(uv, {"requirements.txt": text}, ["pymysql", "flask"]))
    assert got == {"click": "7.0", "pymysql": "1.0", "flask": "2.0"} or got["click"] == "7.0", got


def test_wheels_of_the_repository_are_found(uv):
    files = {"requirements.txt": "--no-index\n--find-links ./wheels\nown\n"}
    write(uv, files)
    (uv.tree / "wheels").mkdir()
    wheel(uv.tree / "wheels", "own")
    plan = planned(uv, files)
    got = installed(uv, plan)
    assert got == {"own": "1.0"}, got
    assert str(uv.tree) not in plan.text, f"expected the same environment in each release, got {plan.text}"
    again = planned(uv, files)
    assert again.text == plan.text, f"expected {plan.text!r} in the next release, got {again.text!r}"


def test_file_that_an_index_replaced_is_resolved_again(uv, shelf):
    """Requirements without hashes do not keep the hash of an earlier build."""
    wheel(shelf, "replaced")
    first = planned(uv, {"requirements.txt": "replaced\n"}).text
    wheel(shelf, "replaced", "1.0", "click")
    second = planned(uv, {"requirements.txt": "replaced\n"}).text
    assert "click" in second and digest(shelf, "replaced-1.0") in second, (
        f"expected the new file instead of {first!r}, got {second!r}"
    )


def test_another_wheel_of_one_name_is_another_environment(uv):
    files = {"requirements.txt": "./wheels/own-1.0-py3-none-any.whl\n"}
    (uv.tree / "wheels").mkdir()
    wheel(uv.tree / "wheels", "own")
    one = planned(uv, files)
    (uv.tree / "wheels/own-1.0-py3-none-any.whl").unlink()
    wheel(uv.tree / "wheels", "own", "1.0", "click")
    assert planned(uv, files).text != one.text, (
        "expected the content of a wheel to be part of the environment"
    )


# --- The application itself --------------------------------------------------------------------


@pytest.mark.parametrize(
    "line", ["-e .", ".", "-e file:.", '. ; python_version > "3"', "-e .[all]", "file:."]
)
def test_the_project_belongs_to_the_release(uv, line):
    extras = '[project.optional-dependencies]\nall = ["shop[mysql]"]\nmysql = ["pymysql"]\n'
    project(uv.tree, "shop", more=f'dependencies = ["flask"]\n{extras}')
    plan = planned(uv, {"requirements.txt": f"{line}\nredis\n"})
    expected = {"flask", "click", "redis"} | ({"pymysql"} if "all" in line else set())
    got = set(installed(uv, plan))
    assert got == expected, f"{line}: expected {sorted(expected)} in the environment, got {sorted(got)}"
    assert plan.local == [uv.tree], f"{line}: expected the project with the release, got {plan.local}"


def test_local_library_belongs_to_the_release(uv):
    project(uv.tree / "libs/own", "own", more='dependencies = ["redis"]\n')
    plan = planned(uv, {"requirements.txt": "flask\n./libs/own\n"})
    assert (set(installed(uv, plan)), plan.local) == ({"flask", "click", "redis"}, [uv.tree / "libs/own"])


def test_local_path_outside_is_rejected(uv, tmp_path):
    project(tmp_path / "other", "other")
    assert "expected a path inside" in refused(uv, {"requirements.txt": "../other\nflask\n"})


# --- install -----------------------------------------------------------------------------------

DATABASE = '[project.optional-dependencies]\ndatabase = ["pymysql"]\n[dependency-groups]\nprod = ["redis"]\n'


def test_install_adds_requirements_extras_and_groups(uv):
    plan = planned(uv, {"pyproject.toml": shop(more=DATABASE)}, ["gevent", ".[database]", "group:prod"])
    got = set(installed(uv, plan))
    assert got == {"flask", "click", "pymysql", "redis", "gevent"}, got


def test_install_is_resolved_with_the_requirements(uv):
    plan = planned(uv, {"requirements.txt": "flask\n"}, ["click<8"])
    got = installed(uv, plan)
    assert got == {"flask": "3.0", "click": "7.0"}, f"expected one solution for both, got {got}"


# --- pyproject.toml and lock files -------------------------------------------------------------


def test_markers_of_pytest_are_ignored(uv):
    more = '[tool.pytest.ini_options]\nmarkers = ["slow: takes long"]\n'
    write(uv, {"pyproject.toml": shop(more=more)})
    uv.run("lock", "--quiet", f"--python={uv.python}")
    assert set(installed(uv, planned(uv, {}))) == {"flask", "click"}


def test_uv_lock_installs_main_and_selected_groups(uv):
    more = f'{DATABASE}dev = ["pytest"]\n'
    write(uv, {"pyproject.toml": shop(more=more)})
    uv.run("lock", "--quiet", f"--python={uv.python}")
    assert set(installed(uv, planned(uv, {}))) == {"flask", "click"}, "expected neither extras nor groups"
    plan = planned(uv, {}, [".[database]", "group:prod", "gevent"])
    assert set(installed(uv, plan)) >= {"flask", "click", "pymysql", "redis", "gevent"}, plan.names


def test_uv_workspace_members_belong_to_the_release(uv):
    project(uv.tree / "packages/own", "own", more='dependencies = ["redis"]\n')
    more = '[tool.uv.sources]\nown = {workspace = true}\n[tool.uv.workspace]\nmembers = ["packages/*"]\n'
    write(uv, {"pyproject.toml": shop('["flask", "own"]', more)})
    uv.run("lock", "--quiet", f"--python={uv.python}")
    plan = planned(uv, {})
    assert plan.local == [uv.tree / "packages/own"], plan.local
    assert set(installed(uv, plan)) == {"flask", "click", "redis"}, plan.names


def test_pylock_installs_default_groups_and_leaves_the_project(uv, shelf):
    def package(name: str, marker: str = "") -> str:
        path = next(shelf.glob(f"{name}-*.whl"))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        condition = f"marker = '{marker}'\n" if marker else ""
        files = f'wheels = [{{name = "{path.name}", path = "{path}", hashes = {{sha256 = "{digest}"}}}}]'
        return f'[[packages]]\nname = "{name}"\nversion = "{path.name.split("-")[1]}"\n{condition}{files}\n'

    text = 'lock-version = "1.0"\ncreated-by = "pdm"\n'
    text += 'dependency-groups = ["default", "dev"]\ndefault-groups = ["default"]\n'
    text += package("redis", '"default" in dependency_groups') + package(
        "pytest", '"dev" in dependency_groups'
    )
    text += '[[packages]]\nname = "shop"\ndirectory = {path = "."}\n'
    plan = planned(uv, {"pylock.toml": text})
    assert set(installed(uv, plan)) == {"redis"}, plan
    assert plan.local == [uv.tree], plan.local


@pytest.mark.parametrize(
    ("files", "install"),
    [
        ({"requirements.txt": "# nothing yet\n"}, []),
        ({"Pipfile.lock": '{"_meta": {}, "default": {}, "develop": {"pytest": {"version": "==1.0"}}}'}, []),
        ({"pyproject.toml": shop("[]")}, []),
    ],
)  # fmt: skip
def test_empty_plan_is_rejected(uv, files, install):
    message = refused(uv, files, install)
    assert "found" in message and "expected" in message, message


def test_missing_file_is_rejected_with_the_list(uv):
    assert "found none of requirements.txt, uv.lock" in refused(uv, {"app.py": ""})


@pytest.mark.parametrize(
    ("wanted", "version", "fits"),
    [(">=3.11,<3.12", "3.13.5", False), (">=3.11", "3.13.5", True), ("~=3.12", "3.11.2", False)],
)
def test_requires_python_is_checked_beside_requirements(uv, wanted, version, fits):
    more = f'requires-python = "{wanted}"\n'
    write(uv, {"pyproject.toml": shop(more=more), "requirements.txt": "flask\n"})
    if fits:
        application.check_python_version(uv.tree, version)
        return
    with pytest.raises(application.ApplicationError, match=rf"requires-python {wanted}.*{version}"):
        application.check_python_version(uv.tree, version)
