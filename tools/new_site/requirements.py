"""Read the requirements of an application: distributions, extras and groups, and the file with them."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomllib

from tools.new_site.files import text_of
from tools.new_site.scopes import last_name

REQUIREMENTS = ("requirements.txt", "pyproject.toml", "uv.lock", "poetry.lock", "Pipfile.lock", "pylock.toml")
OTHER_REQUIREMENTS = ("production", "prod", "base")
FOR_DEVELOPMENT = re.compile(
    r"(?i)(.*[-_.])?(dev|devel|development|tests?|testing|docs?|lint|ci|local)([-_.].*)?"
)
NAME = re.compile(r"^\s*([A-Za-z0-9][\w.-]*)")


@dataclass
class Requirements:
    """Distributions by their normalised names."""

    required: set[str] = field(default_factory=set)
    extras: dict[str, set[str]] = field(default_factory=dict)  # by the item of `install`, such as ".[mysql]"


def normalised(name: str) -> str:
    """Return a distribution's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def names_of(lines: Iterable[Any]) -> set[str]:
    return {normalised(match[1]) for line in lines if (match := NAME.match(str(line)))}


def read_requirements(folder: Path) -> Requirements:
    found = Requirements()
    for path in (*folder.glob("requirements*.txt"), *folder.glob("requirements/*.txt")):
        if not FOR_DEVELOPMENT.fullmatch(path.stem.removeprefix("requirements").strip("-_.") or "all"):
            found.required |= names_of(re.findall(r"^[A-Za-z0-9].*", text_of(path), re.M))
    for name in ("pyproject.toml", "Pipfile"):
        try:
            add_toml(found, tomllib.loads(text_of(folder / name)))
        except (tomllib.TOMLDecodeError, AttributeError, TypeError):  # not TOML, or of another shape
            continue
    add_setup_cfg(found, text_of(folder / "setup.cfg"))
    add_setup_py(found, text_of(folder / "setup.py"))
    return found


def add_toml(found: Requirements, data: dict[str, Any]) -> None:
    project, poetry = data.get("project", {}), data.get("tool", {}).get("poetry", {})
    optional = {
        name
        for name, value in poetry.get("dependencies", {}).items()
        if isinstance(value, dict) and value.get("optional")
    }
    found.required |= names_of([*project.get("dependencies", []), *data.get("packages", {})])
    found.required |= names_of(poetry.get("dependencies", {}).keys() - optional)
    for extras in (project.get("optional-dependencies", {}), poetry.get("extras", {})):
        found.extras |= {f".[{name}]": names_of(lines) for name, lines in extras.items()}
    groups = {name: group.get("dependencies", {}) for name, group in poetry.get("group", {}).items()}
    for name, lines in (data.get("dependency-groups", {}) | groups).items():
        found.extras[f"group:{name}"] = names_of(line for line in lines if isinstance(line, str))


def add_setup_cfg(found: Requirements, text: str) -> None:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    found.required |= names_of(parser.get("options", "install_requires", fallback="").split("\n"))
    if parser.has_section("options.extras_require"):
        for name, lines in parser.items("options.extras_require"):
            found.extras[f".[{name}]"] = names_of((lines or "").split("\n"))


def add_setup_py(found: Requirements, text: str) -> None:
    """Add the constant arguments of setup()."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and last_name(node.func) == "setup":
            words = {word.arg: word.value for word in node.keywords}
            found.required |= names_of(constants(words.get("install_requires")))
            extras = words.get("extras_require")
            if isinstance(extras, ast.Dict):
                for key, value in zip(extras.keys, extras.values, strict=True):
                    found.extras |= {f".[{name}]": names_of(constants(value)) for name in constants(key)}


def constants(node: ast.expr | None) -> Iterator[str]:
    for part in ast.walk(node) if node else ():
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def requirements_file(folder: Path) -> str:
    """Return the file that lists the requirements, or "" if Decanter finds the file itself."""
    if any((folder / name).exists() for name in REQUIREMENTS):
        return ""
    files = [f"requirements/{name}.txt" for name in OTHER_REQUIREMENTS]
    return next((file for file in files if (folder / file).exists()), "")
