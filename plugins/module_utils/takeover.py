"""Take over what an untrusted build has written: copy it out of a root-only folder into files of root's.

Every file is a new one, so nothing of the builder's remains: no owner, set-user-ID bit, group-write bit,
access list, open descriptor or hard link. Folders are opened one below the other without following symlinks.
Files of an earlier environment that root has linked into the folder of the build belong to root, who links
them again.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

DEEPEST = 100
# More entries than any application has; empty files take no space but inodes.
MOST_ENTRIES = 1_000_000
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
BLOCK = 1 << 20


class TakeoverError(Exception):
    """A result that no honest build has; the message names the path."""


@dataclass
class Takeover:
    """Copies one tree, at most `limit` bytes of it, for root and a group."""

    group: int
    limit: int
    copied: int = 0
    entries: int = 0
    # Of each file with several links: where it was seen, how many links it has, and how many were found.
    links: dict[tuple[int, int], tuple[str, int, int]] = field(default_factory=dict)

    def take(self, source: Path, target: Path, linked: Path | None = None) -> None:
        """Copy `source`, which nothing changes meanwhile, to the new folder `target`. Raise TakeoverError.

        `linked` is the earlier environment whose files `source` may have: see `link`.
        """
        target.mkdir(mode=0o755)
        os.chown(target, 0, self.group)
        folders = (
            *(os.open(source, FOLDER), os.open(target, FOLDER)),
            os.open(linked, FOLDER) if linked else None,
        )
        try:
            self.folder("", *folders)
        finally:
            close(*folders)
        for name, count, found in self.links.values():
            if found != count:
                raise TakeoverError(
                    f"found {shown(name)}, a hard link to a file outside of the build, expected a file"
                )
        sync(target)

    def folder(self, path: str, source: int, target: int, linked: int | None) -> None:
        """Copy what is in an open folder to another; `path` is for messages."""
        if path.count("/") > DEEPEST:
            raise TakeoverError(
                f"found folders nested more than {DEEPEST} deep at {shown(path)}, expected less"
            )
        for name in sorted(os.listdir(source)):
            self.entries += 1
            if self.entries > MOST_ENTRIES:
                raise TakeoverError(f"found more than {MOST_ENTRIES} files and folders, expected less")
            found = os.lstat(name, dir_fd=source)
            where = f"{path}{name}"
            if stat.S_ISDIR(found.st_mode):
                os.mkdir(name, 0o755, dir_fd=target)
                os.chown(name, 0, self.group, dir_fd=target, follow_symlinks=False)
                below = (
                    *(os.open(name, FOLDER, dir_fd=source), os.open(name, FOLDER, dir_fd=target)),
                    open_folder(name, linked),
                )
                try:
                    self.folder(f"{where}/", *below)
                finally:
                    close(*below)
            elif is_linked(found, name, linked):
                self.count(found)
                os.link(name, name, src_dir_fd=linked, dst_dir_fd=target, follow_symlinks=False)
            elif stat.S_ISLNK(found.st_mode):
                os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
                os.chown(name, 0, self.group, dir_fd=target, follow_symlinks=False)
            elif stat.S_ISREG(found.st_mode):
                self.file(where, name, source, target)
            # A socket, a pipe or a device is no part of a release.

    def count(self, found: os.stat_result) -> None:
        self.copied += found.st_size
        if self.copied > self.limit:
            raise TakeoverError(f"found more than {self.limit >> 20} MiB of files, expected less")

    def file(self, where: str, name: str, source: int, target: int) -> None:
        """Copy a file."""
        given = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
        try:
            found = os.fstat(given)
            self.count(found)
            if found.st_nlink > 1:
                key = (found.st_dev, found.st_ino)
                self.links[key] = (where, found.st_nlink, self.links.get(key, ("", 0, 0))[2] + 1)
            mode = 0o755 if found.st_mode & 0o100 else 0o644
            copy = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
            try:
                while block := os.read(given, BLOCK):
                    left = memoryview(block)
                    while left:  # a write is short if the disk is nearly full
                        left = left[os.write(copy, left) :]
                os.fchown(copy, 0, self.group)
                os.fchmod(copy, mode)
                # nginx and browsers know a static file by its time.
                os.utime(copy, ns=(found.st_mtime_ns, found.st_mtime_ns))
            finally:
                close(copy)
        finally:
            close(given)


def open_folder(name: str, parent: int | None) -> int | None:
    """Open a folder below another; None if there is none of this name."""
    if parent is None:
        return None
    try:
        return os.open(name, FOLDER, dir_fd=parent)
    except OSError:
        return None


def is_linked(found: os.stat_result, name: str, folder: int | None) -> bool:
    """Return whether a file is the one that a folder of root's has under this name."""
    if folder is None or found.st_nlink < 2:
        return False
    try:
        there = os.lstat(name, dir_fd=folder)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino)


def close(*descriptors: int | None) -> None:
    for descriptor in descriptors:
        if descriptor is not None:
            os.close(descriptor)


def sync(path: Path) -> None:
    """Write a whole file system to its disk, before a marker or a final name declares a tree complete."""
    import ctypes

    descriptor = os.open(path, FOLDER)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    finally:
        os.close(descriptor)


def shown(path: str) -> str:
    """Return an untrusted path as one printable line for a message."""
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in path)
    return text if len(text) <= 200 else f"{text[:100]}…{text[-100:]}"


def walk(folder: int, depth: int = 0) -> Iterator[tuple[int, str, os.stat_result]]:
    """Yield the folder, the name and the status of everything below an open folder, which may change.

    os.fwalk recurses without a limit, and stops without an error where descriptors run out.
    """
    if depth > DEEPEST:
        raise TakeoverError(f"found folders nested more than {DEEPEST} deep, expected less")
    for name in os.listdir(folder):
        try:
            found = os.lstat(name, dir_fd=folder)
            below = os.open(name, FOLDER, dir_fd=folder) if stat.S_ISDIR(found.st_mode) else None
        except OSError:  # removed or replaced meanwhile
            continue
        try:
            yield folder, name, found
            if below is not None:
                yield from walk(below, depth + 1)
        finally:
            close(below)


def give(path: Path, user: int, group: int) -> None:
    """Give a tree in a root-only folder to a user; symlinks themselves, not what they lead to."""
    top = os.open(path, FOLDER)
    try:
        os.fchown(top, user, group)
        for folder, name, _ in walk(top):
            os.chown(name, user, group, dir_fd=folder, follow_symlinks=False)
    finally:
        os.close(top)


def link(source: Path, target: Path, user: int, group: int) -> None:
    """Link the files of an environment into a new folder below a root-only one, for a user to build on.

    Folders become the user's, who can thus remove and replace files, but not change them: they stay root's.
    """
    remove(target)  # a build may have left a symlink there
    commands = [
        ("cp", "-al", "--", str(source), str(target)),
        ("find", str(target), "-type", "d", "-exec", "chown", f"{user}:{group}", "{}", "+"),
    ]
    for command in commands:
        subprocess.run(command, check=True, capture_output=True)


def size_of(path: Path) -> tuple[int, int]:
    """Return the bytes on disk and the number of entries below a folder that is being written.

    Counting ends at MOST_ENTRIES. Raise TakeoverError if folders are nested too deep.
    """
    size = count = 0
    linked: set[tuple[int, int]] = set()
    try:
        top = os.open(path, FOLDER)
    except FileNotFoundError:
        return 0, 0
    try:
        for _, _, found in walk(top):
            count += 1
            if count > MOST_ENTRIES:
                break
            if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
                if (found.st_dev, found.st_ino) in linked:
                    continue
                linked.add((found.st_dev, found.st_ino))
            size += found.st_blocks * 512
    finally:
        os.close(top)
    return size, count


def remove(path: Path) -> None:
    """Remove a tree of any depth, whose folders nothing changes meanwhile."""
    # Not shutil.rmtree, which fails where folders are nested deeper than Python recurses.
    subprocess.run(["rm", "-rf", "--", str(path)], check=True, capture_output=True)
