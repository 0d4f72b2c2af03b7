"""Projects and lock files as requirements."""

from __future__ import annotations

import hashlib

import pytest
from build_plans import installed, planned, refused, shop, write
from python_wheels import project


@pytest.mark.parametrize(
    "line", ["-e .", ".", "-e file:.", '. ; python_version > "3"', "-e .[all]", "file:."]
)
def test_project_belongs_to_the_release(uv, line):
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


def test_pylock_installs_default_groups_without_the_project(uv, package_folder):
    def package(name: str, marker: str = "") -> str:
        path = next(package_folder.glob(f"{name}-*.whl"))
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
