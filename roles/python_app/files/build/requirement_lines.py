"""The lines of requirements: packages, options, hashes, and paths of local packages."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from application import ApplicationError
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

# A path in the forms that uv writes: after -e, with file:, after a name, or alone.
LOCAL = re.compile(
    r"^(?:(?:-e\s+)?(?:[\w.-]+(?:\[[^\]]*\])?\s*@\s*)?(?:file:(?://)?)?(?P<path>[./][^\s;\[]*)"
    r"|-e\s+(?:file:)?(?P<editable>(?![\w+]+:)[^\s;\[]+)|(?P<bare>[\w.-]+/[^\s;\[@]*))(?=$|[\s;\[])"
)
OPTION = re.compile(r"--(?!editable)|-[rcif]\b")


def without_comments(text: str) -> str:
    """Return requirements without their comments."""
    return re.sub(r"(?m)(^|\s)#.*$", "", text)


def is_fixed(text: str) -> bool:
    """Return whether each requirement has hashes, so that no index can change the installation."""
    lines = [line for line in blocks(without_comments(text)) if line]
    return all("--hash" in line or LOCAL.match(line) or OPTION.match(line) for line in lines)


def keep_versions(resolved: Path) -> None:
    """Reduce the result of an earlier build to versions, which uv prefers to newer ones.

    Paths in its options are relative to another file. An index may replace the files of its hashes.
    """
    if resolved.is_file():
        found = re.findall(r"^[A-Za-z0-9][\w.-]*==[^\s;\\]+(?: ; [^\\\n]+)?", resolved.read_text(), re.M)
        resolved.write_text("".join(f"{line}\n" for line in found))


def blocks(text: str) -> list[str]:
    """Split requirements. Indented lines below a requirement are its hashes and comments."""
    return re.split(r"\n(?=\S)", text.strip())


def resolve_path(tree: Path, name: str, path: str) -> Path:
    """Return a path of a requirements file, relative to the tree or to the file.

    Raise ApplicationError if the path is outside of the tree.
    """
    for base in (tree, (tree / name).parent):
        found = Path(os.path.normpath(base / path))
        if found.exists():
            break
    if not found.resolve().is_relative_to(tree.resolve()):
        raise ApplicationError(f"{name}: found {path}, expected a path inside the application.")
    return found


def name_in(requirement: str, markers: dict[str, str]) -> str:
    """Return the normalised name of a requirement, or an empty string for an option.

    Return an empty string also if the marker of the requirement is false.
    """
    text = re.split(r"\s(?:--hash|\\)", requirement.partition("\n")[0].strip(), maxsplit=1)[0]
    try:
        one = Requirement(text)
    except InvalidRequirement:  # an option, or a bare path
        file = text.partition(" ")[0].rpartition("/")[2]
        for parse in (parse_wheel_filename, parse_sdist_filename):
            with suppress(InvalidWheelFilename, InvalidSdistFilename):
                return parse(file)[0]
        return ""
    applies = one.marker is None or one.marker.evaluate(markers)
    return canonicalize_name(one.name) if applies else ""
