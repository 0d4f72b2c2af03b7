"""Pack a site's source on the controller, and make a release of it on the host."""

from __future__ import annotations

import getpass
import hashlib
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# What git may track all the same, and no host needs: secrets of a developer's own, and caches.
NEVER = {".git", ".env", ".venv", "venv", "__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache"}


class SourceError(Exception):
    """The source cannot be packed; the message says why."""


def git(folder: Path, *arguments: str) -> str:
    """What git says, an empty string where it has nothing to say of this folder."""
    process = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True)
    return process.stdout if process.returncode == 0 else ""


def tracked(folder: Path) -> list[Path]:
    """The files that git would track in a folder, relative to it, whether or not it is in a checkout."""
    if not git(folder, "rev-parse", "--git-dir"):
        # An empty repository beside it applies the folder's .gitignore all the same.
        with tempfile.TemporaryDirectory() as repository:
            git(Path(repository), "init", "--quiet", "--bare", ".")
            listing = git(
                folder,
                f"--git-dir={repository}",
                "--work-tree=.",
                "ls-files",
                "-z",
                "--others",
                "--exclude-standard",
            )
    else:
        listing = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    paths = {Path(name) for name in listing.split("\0") if name}
    return sorted(p for p in paths if not NEVER & set(p.parts) and os.path.lexists(folder / p))


def content_hash(folder: Path, paths: list[Path]) -> str:
    """The content alone: names, contents, what may be run. Not the time, and not the owner."""
    digest = hashlib.sha256()
    root = folder.resolve()
    for path in paths:
        file = folder / path
        if file.is_symlink():
            if not file.resolve().is_relative_to(root):
                raise SourceError(
                    f"{file}: found a symlink to {os.readlink(file)}, expected one that stays inside"
                )
            kind, content = b"link", os.readlink(file).encode()
        elif file.is_file():
            kind, content = (b"run" if os.access(file, os.X_OK) else b"file"), file.read_bytes()
        else:
            raise SourceError(f"{file}: found neither a file nor a symlink (a submodule is not packed)")
        for part in (kind, str(path).encode(), content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:12]


def origin(folder: Path) -> dict[str, object]:
    """Where a release came from, for its record."""
    return {
        "source": str(folder),
        "commit": git(folder, "rev-parse", "HEAD").strip(),
        "uncommitted": bool(git(folder, "status", "--porcelain", "--", ".")),
        "by": getpass.getuser(),
    }


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        folder = Path(arguments.pop("source"))
        try:
            paths = tracked(folder)
            if not paths:
                raise SourceError(f"{folder}: found no file that git would track")
            content = content_hash(folder, paths)
        except SourceError as error:
            raise AnsibleActionFail(str(error)) from error

        arguments |= {"content": content, "record": origin(folder)}
        result = self._execute_module("release", module_args=arguments, task_vars=task_vars)
        if not result.get("needs_archive") or self._task.check_mode:
            return result

        with tempfile.NamedTemporaryFile(suffix=".tar.gz") as archive:
            with tarfile.open(archive.name, "w:gz", compresslevel=6) as tar:
                for path in paths:
                    tar.add(folder / path, arcname=str(path), recursive=False)
            self._make_tmp_path()
            remote = self._connection._shell.join_path(self._connection._shell.tmpdir, "source.tar.gz")
            self._transfer_file(archive.name, remote)
            result = self._execute_module(
                "release", module_args=arguments | {"archive": remote}, task_vars=task_vars
            )
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result
