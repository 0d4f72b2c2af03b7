"""Lock files as Poetry and Pipenv write them, and the converter that reads them."""

from __future__ import annotations

import importlib
import sys

import pytest
import tomllib
from packaging.requirements import Requirement
from repository import ROOT

BUILD = ROOT / "roles/python_app/files/build"
if str(BUILD) not in sys.path:
    # The modules of this folder import each other.
    sys.path.insert(0, str(BUILD))
converter = importlib.import_module("lock_converter")

WINDOWS = {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"}
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
PROJECT = """
[tool.poetry]
name = "shop"
[tool.poetry.dependencies]
python = "^3.8"
Click = "^8.0"
pyjwt = {version = "*", extras = ["crypto"]}
pywin32 = {version = ">=300", platform = "win32"}
"backports.zoneinfo" = {version = "*", python = "<3.9"}
redis = {version = "^4", optional = true}
[tool.poetry.extras]
cache = ["redis"]
[tool.poetry.group.prod.dependencies]
gunicorn = {version = "*", markers = "sys_platform != 'win32'"}
[tool.poetry.group.test.dependencies]
pytest = "^8"
"""
CLICK = """[package.dependencies]
colorama = {version = "*", markers = "platform_system == \\"Windows\\""}
importlib-metadata = {version = "*", markers = "python_version < \\"3.8\\""}
"""
JWT = """[package.dependencies]
cryptography = {version = ">=3.4.0", optional = true, markers = "extra == \\"crypto\\""}
sphinx = {version = "*", optional = true}
typing-extensions = {version = "*", markers = "python_version <= \\"3.9\\""}
[package.extras]
crypto = ["cryptography (>=3.4.0)"]
dev = ["pytest"]
"""
SOURCE = '[package.source]\ntype = "{}"\nurl = "{}"\n'


def package(name: str, version: str, rest: str = "", top: str = "", python: str = "*") -> str:
    return (
        f'[[package]]\nname = "{name}"\nversion = "{version}"\ndescription = ""\noptional = false\n'
        f'python-versions = "{python}"\n{top}\n'
        f'files = [{{file = "{name}.whl", hash = "sha256:{name}{version}"}}]\n{rest}\n'
    )


def lock(*packages: str, version: str = "2.0") -> str:
    return "".join(packages) + f'[metadata]\nlock-version = "{version}"\n'


LOCK = lock(
    package("backports.zoneinfo", "0.2.1"),
    package("click", "8.1.7", CLICK),
    package("colorama", "0.4.6"),
    package("cryptography", "42.0.0"),
    package("gunicorn", "21.2.0", '[package.dependencies]\npackaging = "*"'),
    package("importlib-metadata", "6.7.0"),
    package("packaging", "24.0"),
    package("pyjwt", "2.8.0", JWT),
    package("pytest", "8.0.0", '[package.dependencies]\ncolorama = "*"\npackaging = "*"'),
    package("pywin32", "306"),
    package("redis", "4.6.0"),
    package("sphinx", "7.0"),
    package("typing-extensions", "4.9.0"),
)


def poetry(text: str, project: str = PROJECT, extras=(), groups=()):
    return converter.poetry_requirements(tomllib.loads(text), tomllib.loads(project), extras, groups)


def names(lines: list[str], python: str = "3.11", system: dict = LINUX) -> set[str]:
    """Return the packages of the lines that a target installs."""
    target = {"python_version": python, "python_full_version": f"{python}.4", **system}
    needed = [Requirement(line.split(" --hash=")[0]) for line in lines]
    return {r.name + str(r.specifier) for r in needed if r.marker is None or r.marker.evaluate(target)}


def assert_same(actual, expected) -> None:
    assert actual == expected, f"found {actual}, expected {expected}"


def refused(run, *arguments, **options) -> str:
    with pytest.raises(converter.LockError) as raised:
        run(*arguments, **options)
    return str(raised.value)


def assert_in(part: str, message: str) -> None:
    assert part in message, f"found {message!r}, expected {part!r} in it"
