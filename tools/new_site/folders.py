"""Folders of a source: static files, and those that the application writes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ansible_collections.decanter.stack.plugins.module_utils.uploads import code_in

from tools.new_site.files import folders_named
from tools.new_site.modules import Module


def static_folders(folder: Path, modules: Iterable[Module], wsgi: str) -> list[dict[str, str]]:
    """Return Flask's static folder. The package of the application comes first."""
    package = wsgi.partition(":")[0].partition(".")[0]
    for module in sorted(modules, key=lambda module: module.name.partition(".")[0] != package):
        if module.static:
            name, url = module.static
            path = Path(os.path.normpath(module.path.parent / name))
            if (folder / path).is_dir() and ".." not in path.parts and not path.is_absolute():
                return [{"url": url, "path": str(path)}]
    return []


def upload_folders(
    folder: Path, modules: list[Module], instance: bool, static: list[dict[str, str]]
) -> tuple[list[str], list[str]]:
    """Return the folders that the application writes, and a line for each that contains code.

    These are folders named uploads, Flask's instance folder, and folders that the code creates.
    """
    found = set(folders_named(folder, "uploads"))
    for module in modules:
        found |= module.writes.folders
        parents = module.path.parents
        for count, path in module.writes.relative:
            if 0 < count <= len(parents):
                found.add((parents[count - 1] / path).as_posix())
    writers = [module for module in modules if module.writes.instance]
    if (instance or writers) and not any(module.writes.other_instance for module in modules):
        found.add(instance_folder(writers or modules))
    lines = []
    for path in sorted(found):
        if (folder / path).exists() and not (folder / path).is_dir():
            found.discard(path)
        elif code := code_in(folder / path):
            found.discard(path)
            lines.append(
                f"{path}/ is not proposed for `uploads`, because it holds code ({code}), which later "
                "releases could not update. Move the code, or have the application write to another folder."
            )
    served = [PurePosixPath(entry["path"]) for entry in static]
    kept = [path for path in found if not any(other.is_relative_to(path) for other in served)]
    outer = [path for path in kept if not any(is_below(path, other) for other in kept)]
    return sorted(outer), lines


def is_below(path: str, other: str) -> bool:
    return path != other and PurePosixPath(path).is_relative_to(other)


def instance_folder(modules: list[Module]) -> str:
    """Return Flask's instance folder, which is in the folder of the top-level package or module."""
    return "src/instance" if any(module.root for module in modules) else "instance"
