"""Copy the results of an untrusted build from a root-only folder into new files of root.

The copies have no owner, set-user-ID bit, group-write bit, ACL, open descriptor or hard link of the builder.
Folders are opened one below the other without following symlinks. Files of an earlier environment, which root
owns, become hard links.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

DEEPEST = 100
# More entries than any application has. The limit protects inodes, because empty files take no space.
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
    # For each file with several links: its first path, its link count, and the links found so far.
    links: dict[tuple[int, int], tuple[str, int, int]] = field(default_factory=dict)

    def take(self, source: Path, target: Path, earlier: Path | None = None, kept: Iterable[str] = ()) -> None:
        """Copy `source`, which no other process changes, to the new folder `target`. Raise TakeoverError.

        `kept` are the paths of files that the tree `earlier`, which root owns, and the new tree have.
        """
        self.make(target)
        if earlier:
            self.link(earlier, target, set(kept))
        folders = [os.open(path, FOLDER) for path in (source, target)]
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

    def make(self, folder: Path) -> None:
        folder.mkdir(mode=0o755)
        os.chown(folder, 0, self.group)

    def link(self, earlier: Path, target: Path, kept: set[str]) -> None:
        """Create hard links to the files of an earlier tree that `kept` lists."""
        for here, folders, names in os.walk(earlier):
            below = Path(here).relative_to(earlier)
            prefix = "" if here == str(earlier) else f"{below}/"
            wanted = [name for name in (*names, *folders) if f"{prefix}{name}" in kept]
            copy = target / below
            missing = takewhile(lambda folder: not folder.exists(), (copy, *copy.parents)) if wanted else ()
            for folder in reversed([*missing]):
                self.make(folder)
            for name in wanted:
                self.enter(os.lstat(f"{here}/{name}"))
                os.link(f"{here}/{name}", copy / name, follow_symlinks=False)
                kept.remove(f"{prefix}{name}")
        if kept:
            raise TakeoverError(
                f"found {shown(min(kept))} among the files to keep, expected files of the earlier environment"
            )

    def folder(self, path: str, source: int, target: int) -> None:
        """Copy what is in an open folder to another; `path` is for messages."""
        if path.count("/") > DEEPEST:
            raise TakeoverError(
                f"found folders nested more than {DEEPEST} deep at {shown(path)}, expected less"
            )
        for name in sorted(os.listdir(source)):
            found = os.lstat(name, dir_fd=source)
            self.enter(found)
            where = f"{path}{name}"
            if stat.S_ISDIR(found.st_mode):
                with suppress(FileExistsError):  # a folder of the earlier tree
                    os.mkdir(name, 0o755, dir_fd=target)
                    os.chown(name, 0, self.group, dir_fd=target, follow_symlinks=False)
                below = [os.open(name, FOLDER, dir_fd=source), open_folder(where, name, target)]
                try:
                    self.folder(f"{where}/", *below)
                finally:
                    close(*below)
            elif stat.S_ISLNK(found.st_mode):
                unlink(where, name, target)
                os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
                os.chown(name, 0, self.group, dir_fd=target, follow_symlinks=False)
            elif stat.S_ISREG(found.st_mode):
                self.file(where, name, source, target)
            # A socket, a pipe or a device cannot be part of a release.

    def enter(self, found: os.stat_result) -> None:
        """Count a file, symlink or folder, and the size of a file."""
        self.entries += 1
        if self.entries > MOST_ENTRIES:
            raise TakeoverError(f"found more than {MOST_ENTRIES} files and folders, expected less")
        self.copied += found.st_size if stat.S_ISREG(found.st_mode) else 0
        if self.copied > self.limit:
            raise TakeoverError(f"found more than {self.limit >> 20} MiB of files, expected less")

    def file(self, where: str, name: str, source: int, target: int) -> None:
        """Copy a file."""
        given = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
        try:
            found = os.fstat(given)
            if found.st_nlink > 1:
                key = (found.st_dev, found.st_ino)
                self.links[key] = (where, found.st_nlink, self.links.get(key, ("", 0, 0))[2] + 1)
            mode = 0o755 if found.st_mode & 0o100 else 0o644
            unlink(where, name, target)
            copy = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
            try:
                while block := os.read(given, BLOCK):
                    left = memoryview(block)
                    while left:  # a write is short if the disk is nearly full
                        left = left[os.write(copy, left) :]
                os.fchown(copy, 0, self.group)
                os.fchmod(copy, mode)
                # nginx and browsers use the time of a static file as its version.
                os.utime(copy, ns=(found.st_mtime_ns, found.st_mtime_ns))
            finally:
                close(copy)
        finally:
            close(given)


def open_folder(where: str, name: str, parent: int) -> int:
    """Open a folder that root owns. Raise TakeoverError if the earlier tree has a file there."""
    try:
        return os.open(name, FOLDER, dir_fd=parent)
    except OSError as error:
        raise TakeoverError(f"found the folder {shown(where)}, expected a file as before") from error


def unlink(where: str, name: str, folder: int) -> None:
    """Remove a file of the earlier tree that the build replaces. Raise TakeoverError if it is a folder."""
    try:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
    except OSError as error:
        raise TakeoverError(f"found the file {shown(where)}, expected a folder as before") from error


def close(*descriptors: int | None) -> None:
    for descriptor in descriptors:
        if descriptor is not None:
            os.close(descriptor)


def sync(path: Path) -> None:
    """Write a file system to its disk, before a marker or a final name declares a tree complete."""
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
        except OSError:  # removed or replaced at the same time
            continue
        try:
            yield folder, name, found
            if below is not None:
                yield from walk(below, depth + 1)
        finally:
            close(below)


def give(path: Path, user: int, group: int) -> None:
    """Set a user as the owner of a tree in a root-only folder, without following symlinks."""
    top = os.open(path, FOLDER)
    try:
        os.fchown(top, user, group)
        for folder, name, _ in walk(top):
            os.chown(name, user, group, dir_fd=folder, follow_symlinks=False)
    finally:
        os.close(top)


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
    """Remove a tree of any depth, which no other process changes."""
    # shutil.rmtree fails if folders are nested deeper than Python's recursion limit.
    subprocess.run(["rm", "-rf", "--", str(path)], check=True, capture_output=True)
