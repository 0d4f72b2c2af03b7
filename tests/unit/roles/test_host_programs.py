"""Programs that roles install on hosts, and the package `shared` that they import there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from repository import ROOT

SHARED = ROOT / "plugins/module_utils/shared"
FOLDER = "/usr/local/lib/decanter"
IMPORTS = re.compile(r"^from (?:shared\.(\w+) import|shared import (\w+)$|\.(\w+) import)", re.M)


def imported(program: Path) -> set[str]:
    """Return the shared files that a program (a file or a folder) or one of these files imports."""
    paths = program.glob("*.py") if program.is_dir() else [program]
    direct = {"".join(names) for path in paths for names in IMPORTS.findall(path.read_text())}
    return direct.union(*(imported(SHARED / f"{name}.py") for name in direct))


FILES = [path for path in ROOT.glob("roles/*/files/*") if path.suffix == ".py" or path.is_dir()]
PROGRAMS = [path for path in sorted(FILES) if imported(path)]


def installed(node: Any) -> Iterator[str]:
    """Yield the shared files that tasks, or their variables, install on hosts."""
    if isinstance(node, dict) and node.get("path") == f"{FOLDER}/shared":
        yield from node["shared"]
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from installed(each)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_role_installs_the_shared_files_that_its_program_imports(program: Path) -> None:
    role = program.parents[1]
    paths = (*role.glob("tasks/*.yml"), *role.glob("vars/*.yml"))
    files = {name for path in paths for name in installed(yaml.safe_load(path.read_text()))}
    assert files == imported(program)


def test_folders_that_roles_copy_have_files() -> None:
    copied = {
        path.parents[1] / "files" / folder
        for path in ROOT.glob("roles/*/tasks/*.yml")
        for folder in re.findall(r"\bfolder: (\w+)\}", path.read_text())
    }
    assert ROOT / "roles/python_app/files/build" in copied
    empty = [str(folder) for folder in copied if not any(folder.glob("*.py"))]
    assert not empty, empty


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_program_imports_shared_files_from_its_own_folder(program: Path, tmp_path: Path) -> None:
    if program.stem == "credentials":
        pytest.importorskip("botocore", reason="requirements-aws.txt is not installed")
    shutil.copytree(SHARED, tmp_path / "shared")
    folder, modules = tmp_path, [program.stem]
    if program.is_dir():
        folder, modules = tmp_path / program.name, [path.stem for path in program.glob("[!_]*.py")]
        shutil.copytree(program, folder)
        (folder / "shared").symlink_to("../shared")
    else:
        shutil.copy(program, folder)
    start = folder / "start.py"
    start.write_text("".join(f"import {module}\n" for module in modules))
    done = subprocess.run([sys.executable, "-Es", start], cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_program_is_not_started_without_its_folder(program: Path) -> None:
    """Python's option -I leaves the folder of a program out of sys.path."""
    started = re.compile(rf"-I\b[^\n]*{FOLDER}/{program.name}")
    folders = ("roles", "plugins", "bin")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    found = [str(path) for path in files if started.search(path.read_text(errors="replace"))]
    assert not found, found


def test_shared_files_import_neither_ansible_nor_the_collection() -> None:
    found = [
        str(path)
        for path in SHARED.glob("*.py")
        if re.search(r"^\s*(from|import) ansible", path.read_text(), re.M)
    ]
    assert not found, found
