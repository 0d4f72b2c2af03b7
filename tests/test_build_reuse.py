"""A new environment has the packages of the previous one that are unchanged, and nothing else of it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "roles/python_app/files/build"
sys.path.insert(0, str(PROGRAM))  # as the host runs it: a folder with a __main__

import bytecode  # noqa: E402  the path is set above
import reuse  # noqa: E402

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
    """Return an environment with the packages a, b and c, whose contents are recorded."""
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


def files(environment: Path) -> set[str]:
    """Return the files below an environment, without the metadata of packages."""
    found = {str(path.relative_to(environment)) for path in environment.rglob("*") if not path.is_dir()}
    return {path.removeprefix(f"{SITE}/") for path in found if "dist-info" not in path}


A = {"a/__init__.py", "a/__pycache__/__init__.cpython-313.pyc", "a/data.txt", "bin/tool", "share/man/a.1"}


def test_unchanged_packages_are_kept_with_their_bytecode_and_nothing_else(environment):
    contents(a="1", b="2", d="1").reduce(environment)
    assert files(environment) == A, f"expected the files of a, got {sorted(files(environment))}"
    left = {path.name for path in (environment / SITE).iterdir()}
    assert left == {"a", "a-1.dist-info"}, f"expected no empty folder and no other metadata, got {left}"
    assert not (environment / "lib64").is_symlink(), "expected uv to make the symlink again"


@pytest.mark.parametrize("changed", [{"options": "--index-url=x"}, {"identity": "python 3.14"}])
def test_nothing_is_kept_of_another_index_or_interpreter(environment, changed):
    wanted = contents(a="1", b="1", c="1", **changed)
    assert wanted.overlap(environment) == set(), f"expected nothing, got {wanted.overlap(environment)}"
    wanted.reduce(environment)
    assert files(environment) == set(), f"expected an empty folder, got {files(environment)}"


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"other": 1}'])
def test_environment_without_a_valid_record_is_not_reused(environment, text):
    (environment / reuse.FILE).unlink()
    if text is not None:
        (environment / reuse.FILE).write_text(text)
    found = contents(a="1").overlap(environment)
    assert found == set(), f"expected nothing, got {found}"


def test_packages_that_share_a_file_with_one_that_changes_are_installed_again(environment):
    # uv installs in any order: whose `tests/__init__.py` it is can only be known by installing it.
    install(environment, "b", "b.py", "tests/__init__.py")
    install(environment, "c", "tests/__init__.py", "shared/__init__.py")
    install(environment, "a", "a/__init__.py", "shared/__init__.py")
    contents(a="1", b="1", c="1").write(environment)
    contents(a="1", b="2", c="1").reduce(environment)
    assert files(environment) == set(), f"expected none of a, b and c, got {files(environment)}"


def test_packages_that_share_a_file_and_are_all_unchanged_are_kept(environment):
    install(environment, "b", "b.py", "tests/__init__.py")
    install(environment, "c", "tests/__init__.py")
    contents(b="1", c="1").reduce(environment)
    found = files(environment)
    assert {"b.py", "tests/__init__.py"} <= found, f"expected the files of b and c, got {sorted(found)}"


def test_record_that_names_files_elsewhere_removes_nothing_there(environment, tmp_path):
    (tmp_path / "outside").write_text("text")
    install(environment, "b", "b.py", "../../../../outside")
    contents(a="1").reduce(environment)
    assert (tmp_path / "outside").exists(), "expected only the folder of the environment to change"


def test_package_without_a_record_is_not_reused(environment):
    shutil.rmtree(environment / SITE / "a-1.dist-info")
    contents(a="1").reduce(environment)
    assert files(environment) == set(), f"expected nothing, got {files(environment)}"


def test_empty_folder_stays(tmp_path):
    contents(a="1").reduce(tmp_path)
    assert tmp_path.is_dir()


def test_bytecode_of_a_replaced_module_is_compiled_again(tmp_path):
    earlier, new = tmp_path / "earlier", tmp_path / "new"
    earlier.mkdir()
    for name in ("kept.py", "replaced.py"):
        (earlier / name).write_text("value = 1\n")
        bytecode.compile_one(earlier / name, earlier)
    shutil.copytree(earlier, new, copy_function=os.link)
    (new / "replaced.py").unlink()
    (new / "replaced.py").write_text("value = 2\n")
    for name in ("kept.py", "replaced.py"):
        bytecode.compile_one(new / name, new)
    own = {path.name.partition(".")[0]: path.stat().st_nlink for path in (new / "__pycache__").iterdir()}
    assert own == {"kept": 2, "replaced": 1}, f"expected new bytecode of the replaced module alone, got {own}"
