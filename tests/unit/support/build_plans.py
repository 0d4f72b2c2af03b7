"""Plans of requirements files, and the environments that the real uv installs from them."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from repository import ROOT

VERSION = platform.python_version()
PROGRAM = ROOT / "roles/python_app/files/build"
sys.path.insert(0, str(PROGRAM))  # as the host runs it: a folder with a __main__

import application  # noqa: E402  the path is set above
import plan as plans  # noqa: E402
from reuse import NO_PACKAGES, Contents, reusable_packages  # noqa: E402
from uv import Uv  # noqa: E402


def write(uv: Uv, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = uv.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def planned(uv: Uv, files: dict[str, Any], install: list[str] | None = None, named: str = "") -> plans.Plan:
    write(uv, files)
    resolved = uv.tree.parent / "resolved.txt"
    resolved.touch()
    return plans.make_plan(uv, application.requirement_file(uv.tree, named), install or [], resolved)


def installed(uv: Uv, plan: plans.Plan) -> dict[str, str]:
    """Install a plan, and return the name and version of each package."""
    uv.run("venv", "--quiet", "--no-project", "--python", uv.python, "--allow-existing", str(uv.environment))
    for arguments in plan.install:
        uv.run(*arguments)
    listing = [uv.program, "pip", "list", "--quiet", "--format=json", f"--python={uv.environment}/bin/python"]
    found = json.loads(subprocess.run(listing, capture_output=True, text=True, check=True).stdout)
    return {one["name"]: one["version"] for one in found}


def built(uv: Uv, environment: Path, requirements: str, shelf: Path, previous: Path | None = None) -> Path:
    """Build an environment as the build program does, with gunicorn and kept files, and return it."""
    uv.environment = environment
    plan = planned(uv, {"requirements.txt": requirements})
    digest = hashlib.sha256(next(shelf.glob("gunicorn-*")).read_bytes()).hexdigest()
    job = {"python": uv.python, "server": f"gunicorn==1.0 --hash=sha256:{digest}"}
    program = runpy.run_path(str(PROGRAM / "__main__.py"))
    contents = Contents("", plan.options, plan.packages | program["missing_server"](plan, job))
    reused = reusable_packages(previous, contents.unchanged(previous)) if previous else NO_PACKAGES
    program["build_environment"](uv, plan, job, reused)
    contents.write(environment)
    for path in reused.files:
        (environment / path).parent.mkdir(parents=True, exist_ok=True)
        os.link(previous / path, environment / path)
    return environment


def refused(uv: Uv, files: dict[str, Any], install: list[str] | None = None, named: str = "") -> str:
    with pytest.raises(application.ApplicationError) as refusal:
        planned(uv, files, install, named)
    return str(refusal.value)


def shop(dependencies: str = '["flask"]', more: str = "") -> str:
    """Return the pyproject.toml of an application that is not a package."""
    return f'[project]\nname = "shop"\nversion = "1.0"\ndependencies = {dependencies}\n{more}'


def digest(shelf: Path, stem: str) -> str:
    return hashlib.sha256((shelf / f"{stem}-py3-none-any.whl").read_bytes()).hexdigest()
