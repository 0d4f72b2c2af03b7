"""Read an application's own declarations: its requirements, its Python, whether it is a package."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# The first existing file is used. A requirements.txt next to a lock file is an export for installations.
FILES = (
    *("requirements.txt", "uv.lock", "poetry.lock", "Pipfile.lock", "pylock.toml", "pyproject.toml"),
    *("setup.py", "setup.cfg"),
)
INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirements?|--constraints?)[\s=]*(\S+)", re.M)
Table = dict[str, Any]


class ApplicationError(Exception):
    """The application's files do not permit a build. The message contains the file and the remedy."""


def requirement_file(tree: Path, named: str) -> str:
    """Return the path in the tree of the file that declares the requirements.

    Raise ApplicationError if the file does not exist or is outside of the tree. The controller rejects files
    of other tools, such as Pipfile (plugins/plugin_utils/site_validation/source.py).
    """
    name = named or next((name for name in FILES if (tree / name).is_file()), "")
    if not name:
        raise ApplicationError(
            f"requirements: found none of {', '.join(FILES)}, expected one of them at the top. "
            "Add one, or name its path in the site's `requirements`."
        )
    path = tree / name
    if not path.is_file() or not path.resolve().is_relative_to(tree.resolve()):
        raise ApplicationError(f"requirements: found {name}, expected a file inside the application.")
    return name


def kind_of(name: str) -> str:
    """Return the kind of a requirements file by its name: the tool that writes it, or `requirements`."""
    base = Path(name).name
    if base in ("uv.lock", "poetry.lock", "Pipfile.lock"):
        return base.split(".")[0].lower()
    if re.fullmatch(r"pylock(\.[^.]+)?\.toml", base):
        return "pylock"
    return "project" if base in ("pyproject.toml", "setup.py", "setup.cfg") else "requirements"


def texts_of(tree: Path, name: str) -> str:
    """Return the text of a requirements file and of the files that it includes, as far as they exist."""
    found: dict[Path, str] = {}
    waiting = [tree / name]
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found[path] = text_of(path.read_bytes())
        waiting += [path.parent / target.strip("\"'") for target in INCLUDE.findall(found[path])]
    return "\n".join(found.values())


def text_of(content: bytes) -> str:
    """Decode a text; PowerShell's `>` writes UTF-16."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    return content.decode(errors="replace")


def toml(path: Path) -> Table:
    """Return the content of a TOML file, or {} if it is missing. Raise ApplicationError if it is invalid."""
    try:
        return tomllib.loads(text_of(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise ApplicationError(f"{path.name}: invalid TOML: {error}. Correct it, or lock again.") from error


def json_of(path: Path) -> Table:
    """Return the content of a JSON file. Raise ApplicationError if it is invalid."""
    try:
        return json.loads(text_of(path.read_bytes()))
    except json.JSONDecodeError as error:
        raise ApplicationError(f"{path.name}: invalid JSON: {error}. Lock again.") from error


def is_package(folder: Path) -> bool:
    """Return whether a folder's pyproject.toml describes a package, by the rule that uv has for projects."""
    project = toml(folder / "pyproject.toml")
    tool = project.get("tool", {})
    if tool.get("poetry", {}).get("package-mode") is False:
        return False
    return bool(tool.get("uv", {}).get("package", "build-system" in project))


def check_python_version(tree: Path, version: str) -> None:
    """Raise ApplicationError if the project's requires-python excludes a version of Python."""
    wanted = toml(tree / "pyproject.toml").get("project", {}).get("requires-python")
    if not wanted:
        return
    try:
        fits = SpecifierSet(wanted).contains(version, prereleases=True)
    except InvalidSpecifier as error:
        raise ApplicationError(
            f"pyproject.toml: found requires-python {wanted!r}, expected versions."
        ) from error
    if not fits:
        raise ApplicationError(
            f"pyproject.toml: found requires-python {wanted}, and the site has Python {version}. "
            'Name another version in the site\'s `python`, such as "3.12".'
        )
