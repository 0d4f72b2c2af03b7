"""Configuration files of a site that are not in its repository, written into each release."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path, PurePosixPath
from typing import Any

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class FilesError(Exception):
    """A file cannot be written; the message names its path."""


def digests(files: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return a hash of each file, by which a release with other files is another release."""
    return {path: hashlib.sha256(file["text"].encode()).hexdigest() for path, file in sorted(files.items())}


def write_files(tree: Path, files: dict[str, dict[str, Any]], group: int) -> None:
    """Write files below a tree, readable by root and the group alone. Raise FilesError."""
    for path, file in files.items():
        *parents, name = PurePosixPath(path).parts
        folder = os.open(tree, FOLDER)
        try:
            for parent in parents:
                folder = enter(folder, parent)
            write(folder, name, file["text"], group)
        except OSError as error:
            found = f"{error.filename or path}: {error.strerror}"
            raise FilesError(
                f"files: {path} cannot be written ({found})\nRemedy: choose another path."
            ) from error
        finally:
            os.close(folder)


def enter(folder: int, name: str) -> int:
    """Open a folder, which is created if missing and must not be a symlink; close the one above it."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=folder)
    below = os.open(name, FOLDER, dir_fd=folder)
    os.close(folder)
    return below


def write(folder: int, name: str, text: str, group: int) -> None:
    """Replace a file of the source, or a symlink, by a new file."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, 0o600, dir_fd=folder), "w") as file:
        file.write(text)
        os.fchown(file.fileno(), 0, group)
        os.fchmod(file.fileno(), 0o640)
