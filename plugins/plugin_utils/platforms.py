"""Read the differences between the supported distribution releases from vars/platform."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.common.yaml import yaml_load

FOLDER = Path(__file__).parents[2] / "vars/platform"


@functools.cache
def platforms() -> Mapping[str, Mapping[str, Any]]:
    """Return the content of each file by its name without the suffix, such as Debian-12."""
    return {path.stem: yaml_load(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yml"))}


def platform_of(distribution: str, major_version: str) -> Mapping[str, Any]:
    """Return the platform of a distribution release. Raise ValueError if it has no file."""
    name = f"{distribution}-{major_version}"
    if name not in platforms():
        expected = ", ".join(platforms())
        raise ValueError(f"found the distribution {name}, expected one of vars/platform: {expected}")
    return platforms()[name]


def oldest_python() -> str:
    """Return the oldest version of Python among the platforms."""
    versions = [platform["python"] for platform in platforms().values()]
    return min(versions, key=version_numbers)


def version_numbers(version: str) -> tuple[int, ...]:
    """Return a version such as 3.10 as numbers, which compare as versions do."""
    return tuple(int(part) for part in version.split("."))
