"""Bounds on what root reads of a build, and on what a build may write while it runs."""

from __future__ import annotations

import os
import stat
import tarfile
from pathlib import Path

from ansible_collections.decanter.stack.plugins.module_utils.interpreter import BuildError
from ansible_collections.decanter.stack.plugins.module_utils.takeover import (
    MOST_ENTRIES,
    TakeoverError,
    remove,
    shown,
    size_of,
)

# The part of a file system that builds leave to sites. Deleted files that are still open have no size in a
# folder.
RESERVE = 0.02
LARGEST_RESULT = 4 * 1024 * 1024
# Paths of all files of a large environment.
LARGEST_LIST = 32 * 1024 * 1024


def extract(tar: tarfile.TarFile, folder: Path) -> None:
    """Unpack the controller's archive: files, folders and symlinks below the folder, and nothing else."""
    links: set[Path] = set()
    for member in tar:
        path = Path(member.name)
        known = member.isreg() or member.isdir() or member.issym()
        if path.is_absolute() or ".." in path.parts or not known:
            found = shown(member.name)
            raise BuildError(f"the source was rejected: found {found}, expected files, folders and symlinks")
        # tarfile follows symlinks that it has unpacked, also for a file of the same name.
        if links & {path, *path.parents}:
            found = shown(member.name)
            raise BuildError(f"the source was rejected: found {found} behind a symlink, expected a folder")
        if member.issym():
            links.add(path)
        tar.extract(member, folder, set_attrs=not member.issym())


def read_result(path: Path, limit: int) -> str:
    """Return the text of a file that the builder wrote; empty if it is missing or not a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        text = b""
        while len(text) < limit and (block := os.read(descriptor, limit - len(text))):
            text += block
        return text.decode(errors="replace")
    finally:
        os.close(descriptor)


def processes_of(user: int) -> list[str]:
    """Return the numbers of a user's processes."""
    found = []
    for entry in os.scandir("/proc"):
        try:
            if entry.name.isdecimal() and entry.stat().st_uid == user:
                found.append(entry.name)
        except FileNotFoundError:  # it has ended
            continue
    return found


def is_nearly_full(path: Path) -> bool:
    """Return whether a file system has less space or fewer inodes left than builds leave to sites."""
    found = os.statvfs(path)
    # Some file systems have no fixed number of inodes.
    return found.f_bavail < RESERVE * found.f_blocks or found.f_favail < RESERVE * found.f_files


def is_over(folder: Path, cache: Path, limit: int) -> bool:
    """Return whether a build has written more than its limit. Raise TakeoverError if it nests too deep."""
    (size, count), (cached, more) = size_of(folder), size_of(cache)
    # The cache may have as much from earlier builds; see `bound`.
    return max(size, cached - limit) > limit or max(count, more) > MOST_ENTRIES


def bound(cache: Path, limit: int) -> None:
    """Remove a cache that has outgrown a limit, or that nests too deep."""
    try:
        size, count = size_of(cache)
        over = size > limit or count > MOST_ENTRIES
    except TakeoverError:
        over = True
    if over:
        remove(cache)
