"""Rules of a site's source and its requirements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from os.path import isdir, isfile  # unlike the methods of Path, these never raise
from pathlib import Path, PurePosixPath
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.pem import is_pem
from ansible_collections.decanter.stack.plugins.plugin_utils.project import expand_home
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import (
    Steps,
    error_line,
    shown,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import (
    URL_CREDENTIALS,
    part,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.wsgi import factory_lines

# Files of other tools, and the command that exports a file for uv.
OTHER_TOOLS = {
    "Pipfile": "the Pipfile.lock that `pipenv lock` writes",
    "pdm.lock": "the pylock.toml that `pdm export --format pylock --output pylock.toml` writes",
    **dict.fromkeys(
        ("environment.yml", "environment.yaml", "conda-lock.yml"),
        "the requirements.txt that `pip freeze` writes in the conda environment",
    ),
    "pixi.lock": "a requirements.txt with the packages that `pixi list --explicit` shows",
    "package.json": "that of the Python application; `build: [npm ci]` installs packages of npm",
}
# Variables of a build that uv, the dynamic linker, Python or the shell read.
RESERVED_IN_BUILDS = (
    r"(UV_|LD_|PYTHON|PIP_|GIT_).*|PATH|HOME|ENV|IFS|SHELL|USER|TMPDIR|VIRTUAL_ENV|NO_COLOR|LC_ALL"
)


def source_errors(site_id: Any, site: Any, root: Path) -> Iterator[str]:
    source = site.get("source") if isinstance(site, dict) else None
    if isinstance(source, dict):
        yield from origin_lines((site_id, "source"), source, root)
    path = expand_home(part(site, "source", "path", kind=str))
    if path and not isdir(root / path):
        yield error_line((site_id, "source", "path"), site["source"]["path"])
    folder = root / path if path else None
    if folder:
        yield from factory_lines((site_id, "wsgi"), part(site, "wsgi", kind=str), folder)
    yield from requirements_lines((site_id, "requirements"), part(site, "requirements", kind=str), folder)
    yield from install_lines((site_id, "install"), part(site, "install", kind=list))
    yield from index_lines((site_id, "indexes"), part(site, "indexes", kind=list))
    yield from build_secret_lines((site_id, "build_secrets"), part(site, "build_secrets"))


def origin_lines(steps: Steps, source: dict[Any, Any], root: Path) -> Iterator[str]:
    if "path" in source and "git" in source:
        yield error_line((*steps, "git"), found="git and path", expected="one of the two")
    elif "path" not in source and "git" not in source:
        yield error_line((*steps, "path"))
    if URL_CREDENTIALS.match(part(source, "git", kind=str)):
        expected = (
            "an address without them; put a deploy key into source.key, or the login into git's credentials"
        )
        yield error_line((*steps, "git"), found="an address with credentials", expected=expected)
    for key in ("version", "subdir", "key"):
        if key in source and "path" in source:
            yield error_line((*steps, key), found=f"{key} with path", expected=f"no {key} with path")
    key = part(source, "key", kind=str)
    if key and "path" not in source and not (is_pem(key) or isfile(root / expand_home(key))):
        yield error_line((*steps, "key"), found="a path that does not exist")


def requirements_lines(steps: Steps, requirements: str, folder: Path | None) -> Iterator[str]:
    if export := OTHER_TOOLS.get(PurePosixPath(requirements).name):
        yield error_line(steps, requirements, expected=f"a file that uv reads: {export}")
    if requirements and folder and isdir(folder) and not isfile(folder / requirements):
        yield error_line(steps, requirements)


def install_lines(steps: Steps, install: list[Any]) -> Iterator[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    for index, item in enumerate(install):
        if not isinstance(item, str) or item.startswith((".", "group:")):
            continue
        try:
            requirement = Requirement(item)
        except InvalidRequirement as error:
            yield error_line((*steps, index), item, expected=f"a requirement ({str(error).splitlines()[0]})")
            continue
        if re.match(r"[a-z+]+://[^/]*@", requirement.url or ""):
            expected = "an address without credentials; `build_secrets` fills ${NAME} in a requirements file"
            yield error_line((*steps, index), found="an address with credentials", expected=expected)


def index_lines(steps: Steps, indexes: list[Any]) -> Iterator[str]:
    names = [part(index, "name", kind=str) for index in indexes]
    for number, name in enumerate(names):
        if name and name in names[:number]:
            yield error_line(
                (*steps, number, "name"), name, expected="a name that no other index of the site has"
            )
    defaults = [number for number, index in enumerate(indexes) if part(index, "default", kind=bool)]
    for number in defaults[1:]:
        yield error_line((*steps, number, "default"), True, expected="at most one default index")


def build_secret_lines(steps: Steps, secrets: dict[Any, Any]) -> Iterator[str]:
    for name in secrets:
        if isinstance(name, str) and re.fullmatch(RESERVED_IN_BUILDS, name):
            expected = "another name, because the build uses this variable"
            yield error_line((*steps, name), found=f"the name {shown(name)}", expected=expected)
