"""Check the new content of a folder next to the current one, and exchange the two.

A run that ends at any point leaves a folder that the program accepts, because one rename exchanges all files.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

from ansible_collections.decanter.stack.plugins.module_utils.shared.files import exchange

# Only this command and its children see the copy at the path of the folder.
MOUNT = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'


def copy_path(folder: Path) -> Path:
    """Return the path of the copy, which has to be on the same file system."""
    return folder.with_name(f".{folder.name}.new")


def previous_path(folder: Path) -> Path:
    """Return the path of the content that the program ran with, until it runs with the new one."""
    return folder.with_name(f".{folder.name}.previous")


def stage(folder: Path) -> Path:
    """Copy a folder with its owners, modes and symlinks. Return the path of the copy."""
    discard(folder)
    _run("cp", "--archive", "--no-target-directory", "--", str(folder), str(copy_path(folder)))
    return copy_path(folder)


def discard(folder: Path) -> None:
    """Remove the copy, also that of a killed run."""
    shutil.rmtree(copy_path(folder), ignore_errors=True)


def fault(folder: Path, command: str) -> str:
    """Return the output of a command that rejects the copy, or an empty string."""
    mount = ["unshare", "--mount", "sh", "-c", MOUNT, "sh", str(copy_path(folder)), str(folder)]
    process = subprocess.run(
        [*mount, *shlex.split(command)], capture_output=True, text=True, errors="replace"
    )
    if process.returncode == 0:
        return ""
    return (process.stderr or process.stdout).strip() or f"{command} ended with {process.returncode}"


def install(folder: Path) -> bool:
    """Exchange the folder and its copy. Return False if the file system cannot exchange folders."""
    new, previous = copy_path(folder), previous_path(folder)
    # Otherwise files of the copy may be empty after a power failure.
    _run("sync", "--file-system", str(new))
    if not exchange(new, folder):
        return False
    if not previous.exists():
        new.rename(previous)
    return True


def confirm(folder: Path) -> None:
    """Remove the previous content, because the program runs with the new one."""
    shutil.rmtree(previous_path(folder), ignore_errors=True)


def restore(folder: Path) -> bool:
    """Put the previous content into place. Return whether there was one."""
    previous = previous_path(folder)
    if not previous.exists() or not exchange(previous, folder):
        return False
    confirm(folder)
    return True


def _run(*command: str) -> None:
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode != 0:
        raise OSError(process.stderr.strip())
