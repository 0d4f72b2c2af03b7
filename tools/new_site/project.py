"""The folder of the application in a source: the top, or a folder such as backend/."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from tools.new_site.application import Application, Code
from tools.new_site.files import is_searched, text_of
from tools.new_site.ranks import EXCLUDED_FOLDERS
from tools.new_site.requirements import REQUIREMENTS, requirements_file
from tools.new_site.source import Source, read_folder

LIKELY = ("backend", "server", "api", "app", "web", "src")


def read_source(folder: Path) -> Source:
    """Read a source. If its top has no application, also read the folders below it."""
    source, application, code = read_folder(folder)
    if not is_at_home(folder, source, application, code):
        source = in_folder(folder, source, application)
    source.notes += front_ends(folder, source)
    return source


def is_at_home(folder: Path, source: Source, application: Application, code: Code) -> bool:
    """Return whether gunicorn can import the application from the top of the source."""
    if not source.wsgi:
        return False
    start = application.start
    if start and start.folder not in {"", ".", "./", "src"} and child_of(folder, start.folder):
        return False
    if application.module is None:
        return not candidates(folder)
    root = application.module.root
    parts = application.module.path.relative_to(root).parts
    if len(parts) == 1 or (folder / root / parts[0] / "__init__.py").exists():
        return True
    # A folder without __init__.py is a package as well, if its modules are imported by its name.
    names = {module.path.stem for module in code.modules if module.path.parts[0] == parts[0]}
    imports = {
        name
        for module in code.modules
        if module.path.parts[0] == parts[0]
        for name in module.imports | module.optional_imports
    }
    if any(name == parts[0] or name.startswith(f"{parts[0]}.") for name in imports):
        return True
    siblings = {name.partition(".")[0] for name in imports} & names
    return not siblings and not has_requirements(folder / parts[0]) and has_requirements(folder)


def has_requirements(folder: Path) -> bool:
    return bool(requirements_file(folder)) or any(
        (folder / name).exists() for name in (*REQUIREMENTS, "setup.py")
    )


def child_of(folder: Path, name: str) -> str:
    """Return the first part of a relative path if it is a folder of the source."""
    parts = Path(name).parts
    first = parts[0] if parts and not Path(name).is_absolute() else ""
    return first if first not in {"", ".", ".."} and (folder / first).is_dir() else ""


def candidates(folder: Path) -> list[str]:
    names = {path.name for path in folder.iterdir() if path.is_dir() and is_searched(path.name)}
    names -= EXCLUDED_FOLDERS
    return sorted(
        (name for name in names if re.fullmatch(r"[\w.@+-]+", name)),
        key=lambda name: (
            not has_requirements(folder / name),
            LIKELY.index(name) if name in LIKELY else len(LIKELY),
            name,
        ),
    )


def levels(folder: Path) -> Iterator[list[str]]:
    """Yield the folders of a source, then the folders in those."""
    names = candidates(folder)
    yield names
    yield [f"{name}/{child}" for name in names for child in candidates(folder / name)]


def in_folder(folder: Path, top: Source, application: Application) -> Source:
    """Return the application of a folder in the source, or that of the top if no folder has one."""
    start = application.start
    named_folder = child_of(folder, start.folder) if start else ""
    found: dict[str, Source] = {}
    for names in [[named_folder]] if named_folder else levels(folder):
        for name in names if not found else ():
            source, chosen, code = read_folder(folder / name)
            if source.wsgi and (source.wsgi == top.wsgi or is_at_home(folder / name, source, chosen, code)):
                found[name] = source
    if not found:
        return top
    named = [name for name, source in found.items() if start and source.wsgi == top.wsgi]
    name = named[0] if named else next(iter(found))
    source = found.pop(name)
    source.folder = name
    if named_folder and start:
        source.wsgi = top.wsgi if application.module is None else source.wsgi
    # The top's commands are for the same application; the folder's own come first.
    source.migrate = source.migrate or (top.migrate if start and start.before else "")
    source.build = source.build or (top.build if start else [])
    source.processes = source.processes or top.processes
    source.worker_class = source.worker_class or top.worker_class
    source.command_notes = source.command_notes or top.command_notes
    source.notes += [f"The application is in {name}/, which becomes the source."]
    if not source.declared and has_requirements(folder):
        source.notes.append(
            f"The requirements are above {name}/. Move them into {name}/, which is the source."
        )
    if others := [f"{other}/ ({second.wsgi})" for other, second in found.items()]:
        source.notes.append(
            f"There are other applications: {', '.join(others[:5])}. Give such a folder as --source, or as "
            "--subdir of a repository, to add a second site."
        )
    return source


def front_ends(folder: Path, source: Source) -> list[str]:
    """Return a line for each package.json with a build that the entry does not run."""
    lines = []
    for path in (folder / "package.json", *sorted(folder.glob("*/package.json"))):
        if not is_searched(path.parent.name) and path.parent != folder:
            continue
        try:
            scripts = json.loads(text_of(path) or "{}").get("scripts", {})
        except (ValueError, AttributeError):
            continue
        place = path.parent.relative_to(folder)
        if not isinstance(scripts, dict) or "build" not in scripts:
            continue
        change = "" if str(place) in {".", source.folder} else f"cd {place} && "
        name = path.relative_to(folder).as_posix()
        if source.folder and str(place) != source.folder:
            remedy = f"{place}/ is outside the source {source.folder}/. Build and serve it in another way."
        else:
            commands = f"`build: [{change}npm ci && npm run build]` and `packages: [nodejs, npm]`"
            remedy = f"Add {commands}, or commit its output."
        lines.append(f"{name} has a build of a front end, which the entry does not run. {remedy}")
    return lines
