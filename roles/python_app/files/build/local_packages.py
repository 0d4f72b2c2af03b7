"""Install the packages of the release itself, with their metadata, into the release's own tree."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from application import toml
from uv import Uv

# The folder for metadata, console scripts, and modules without a source folder.
FOLDER = ".package"


def install(uv: Uv, folders: list[Path]) -> None:
    """Build local packages and install them into the tree, never into the environment that releases share.

    Python still imports the application from its source folders, because modules find data files by relative
    paths. Files that a build creates (compiled modules, generated files, a version) are moved there.
    """
    target = uv.tree / FOLDER
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    if not folders:
        return
    # A copy, because backends create folders next to the sources.
    copy = uv.folder / "source"
    shutil.copytree(uv.tree, copy, symlinks=True)
    paths = [copy / folder.relative_to(uv.tree) for folder in folders]
    os.environ.update(version_variables(paths))
    python = str(uv.environment / "bin/python")
    uv.run("pip", "install", "--python", python, "--no-deps", "--target", str(target), *map(str, paths))
    merge(target, uv.tree)
    shutil.rmtree(copy)


def version_variables(paths: list[Path]) -> dict[str, str]:
    """Return a version for backends that read it from git, because a release has no repository."""
    names = [toml(path / "pyproject.toml").get("project", {}).get("name", "") for path in paths]
    known = {
        f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{re.sub('[-_.]+', '_', name).upper()}": "0"
        for name in names
        if name
    }
    return known | {"PDM_BUILD_SCM_VERSION": "0", "PBR_VERSION": "0", "POETRY_DYNAMIC_VERSIONING_BYPASS": "0"}


def merge(installed: Path, tree: Path) -> None:
    """Move each installed file over its source. Files without a source folder are not moved."""
    for top in sorted(installed.iterdir()):
        if top.name == "bin" or top.name.endswith((".dist-info", ".lock")):
            continue
        source = next((base / top.name for base in (tree, tree / "src") if (base / top.name).exists()), None)
        if source and source.is_dir() == top.is_dir():
            move(top, source)


def move(installed: Path, source: Path) -> None:
    if not installed.is_dir():
        os.replace(installed, source)
        return
    source.mkdir(exist_ok=True)
    for entry in list(installed.iterdir()):
        if entry.is_dir() == (source / entry.name).is_dir() or not (source / entry.name).exists():
            move(entry, source / entry.name)
    shutil.rmtree(installed)
