"""A new environment reuses the unchanged packages of the previous environment, and no other files."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from repository import ROOT

PROGRAM = ROOT / "roles/python_app/files/build"
sys.path.insert(0, str(PROGRAM))  # as the host runs it: a folder with a __main__

import reuse  # noqa: E402  the path is set above

SITE = "lib/python3.13/site-packages"


def install(environment: Path, name: str, *files: str) -> None:
    """Write the files of a package, with bytecode that its RECORD does not list, and its metadata."""
    site = environment / SITE
    record = f"{name}-1.dist-info/RECORD"
    for file in (*files, record):
        path = Path(os.path.normpath(site / file))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
        if path.suffix == ".py":
            compiled = path.parent / f"__pycache__/{path.stem}.cpython-313.pyc"
            compiled.parent.mkdir(exist_ok=True)
            compiled.write_text("bytecode")
    (site / record).write_text("".join(f"{file},sha256=x,1\n" for file in (*files, record)))


def contents(options: str = "", identity: str = "python", **packages: str) -> reuse.Contents:
    return reuse.Contents(identity, options, packages)


@pytest.fixture
def environment(tmp_path) -> Path:
    """Return an environment with the packages a, b and c, and a record of them."""
    environment = tmp_path / "environment"
    install(environment, "a", "a/__init__.py", "a/data.txt", "../../../bin/tool", "../../../share/man/a.1")
    install(environment, "b", "b.py")
    install(environment, "c", "c/__init__.py")
    (environment / SITE / "left.pth").write_text("import left")  # a build command wrote it
    (environment / "pyvenv.cfg").write_text("home = /usr/bin")
    (environment / "bin/python").symlink_to("/usr/bin/python3")
    (environment / "lib64").symlink_to("lib")
    contents(a="1", b="1", c="1").write(environment)
    return environment


def files(environment: Path, new_contents: reuse.Contents) -> set[str]:
    """Return the files that are kept for new contents, without the metadata of packages."""
    found = reuse.reusable_packages(environment, new_contents.unchanged(environment)).files
    return {path.removeprefix(f"{SITE}/") for path in found if "dist-info" not in path}


A = {"a/__init__.py", "a/__pycache__/__init__.cpython-313.pyc", "a/data.txt", "bin/tool", "share/man/a.1"}


def test_unchanged_packages_are_kept_with_their_bytecode(environment):
    new_contents = contents(a="1", b="2", d="1")
    found = reuse.reusable_packages(environment, new_contents.unchanged(environment))
    assert files(environment, new_contents) == A, f"expected the files of a, got {found.files}"
    assert found.metadata == [f"{SITE}/a-1.dist-info"], f"expected that of a, got {found.metadata}"
    assert f"{SITE}/a-1.dist-info/RECORD" in found.files, f"expected the metadata of a, got {found.files}"


@pytest.mark.parametrize("changed", [{"options": "--index-url=x"}, {"identity": "python 3.14"}])
def test_other_index_or_interpreter_reuses_nothing(environment, changed):
    found = files(environment, contents(a="1", b="1", c="1", **changed))
    assert found == set(), f"expected nothing, got {found}"


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"other": 1}'])
def test_environment_without_a_valid_record_is_not_reused(environment, text):
    (environment / reuse.FILE).unlink()
    if text is not None:
        (environment / reuse.FILE).write_text(text)
    found = files(environment, contents(a="1"))
    assert found == set(), f"expected nothing, got {found}"


def test_package_sharing_a_file_with_a_changed_one_is_not_reused(environment):
    # uv installs in any order, so only an installation shows which package wrote `tests/__init__.py`.
    install(environment, "b", "b.py", "tests/__init__.py")
    install(environment, "c", "tests/__init__.py", "shared/__init__.py")
    install(environment, "a", "a/__init__.py", "shared/__init__.py")
    found = files(environment, contents(a="1", b="2", c="1"))
    assert found == set(), f"expected none of a, b and c, got {found}"


def test_unchanged_packages_that_share_a_file_are_kept(environment):
    install(environment, "b", "b.py", "tests/__init__.py")
    install(environment, "c", "tests/__init__.py")
    found = files(environment, contents(b="1", c="1"))
    assert {"b.py", "tests/__init__.py"} <= found, f"expected the files of b and c, got {sorted(found)}"


def test_files_outside_the_environment_are_not_kept(environment, tmp_path):
    (tmp_path / "outside").write_text("text")
    install(environment, "b", "b.py", "../../../../outside")
    found = files(environment, contents(b="1"))
    assert found == {"b.py", "__pycache__/b.cpython-313.pyc"}, f"expected only the module of b, got {found}"


def test_package_without_a_record_is_not_reused(environment):
    shutil.rmtree(environment / SITE / "a-1.dist-info")
    found = files(environment, contents(a="1"))
    assert found == set(), f"expected nothing, got {found}"
