"""The command that migrates the application's database."""

from __future__ import annotations

import configparser
import contextlib
import os
import re
from pathlib import Path, PurePosixPath

import tomllib

from tools.new_site.files import is_searched, text_of

SAFE = re.compile(r"[\w./-]+")


def migration(folder: Path, uses: set[str]) -> str:
    """Return the command for the migrations of a source, or ""."""
    # Flask-Migrate keeps its alembic.ini in the folder of the migrations.
    if has_alembic(folder) and "flask-migrate" not in uses:
        return "alembic upgrade head"
    if (folder / "migrations/env.py").exists():
        return "flask db upgrade"
    for path in environments(folder):
        ini = next(
            (
                other
                for other in (path / "alembic.ini", path.parent / "alembic.ini")
                if (folder / other).exists()
            ),
            None,
        )
        if ini == path / "alembic.ini" or (ini is None and path.name == "migrations"):
            return f"flask db upgrade -d {path}"
        if ini:
            return alembic_command(folder, ini, path)
    return ""


def has_alembic(folder: Path) -> bool:
    if (folder / "alembic.ini").exists():
        return True
    try:
        return "alembic" in tomllib.loads(text_of(folder / "pyproject.toml")).get("tool", {})
    except (tomllib.TOMLDecodeError, AttributeError):
        return False


def environments(folder: Path) -> list[PurePosixPath]:
    """Return the relative folders with an env.py of Alembic, those with few parts first."""
    found = []
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if is_searched(name))
        path = PurePosixPath(Path(top).relative_to(folder).as_posix())
        if "env.py" in files and path.parts and SAFE.fullmatch(str(path)):
            found.append(path)
    return sorted(found, key=lambda path: (len(path.parts), path))


def alembic_command(folder: Path, ini: PurePosixPath, environment: PurePosixPath) -> str:
    """Return the command for an alembic.ini in a folder. A relative script_location starts at the shell's."""
    parser = configparser.RawConfigParser(strict=False)
    with contextlib.suppress(configparser.Error):
        parser.read_string(text_of(folder / ini))
    location = parser.get("alembic", "script_location", fallback="")
    if "%(here)s" in location or PurePosixPath(location) == environment:
        return f"alembic -c {ini} upgrade head"
    return f"cd {ini.parent} && alembic upgrade head"
