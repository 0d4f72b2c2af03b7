"""Read state files; replace files, folders and symlinks atomically."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # renameat2(2)


def read_json(path: Path) -> dict[str, Any]:
    """Return the dictionary in a file; an empty one if the file is missing or holds anything else."""
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@contextlib.contextmanager
def replacement(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` at the end of the block.

    A reader, or the host after a power failure, finds the old or the new file whole. An exception in the
    block, such as a full disk, keeps the old file. Until the end only the owner can read the new file.
    """
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        with open(new, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        new.rename(path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(new)):
            raise
        # A failed write does not name its file.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        new.unlink(missing_ok=True)


def write_file(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Replace a file atomically. Text is written in UTF-8."""
    with replacement(path, mode) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def replace_symlink(path: Path, target: str) -> bool:
    """Replace a symlink atomically; return whether its target has changed."""
    if path.is_symlink() and os.readlink(path) == target:
        return False
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.rename(path)
    return True


def exchange(new: Path, old: Path) -> bool:
    """Exchange two folders atomically. Return False if the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    paths = (AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(old))
    if libc.renameat2(*paths, RENAME_EXCHANGE) == 0:
        return True
    error = ctypes.get_errno()
    # EXDEV: overlayfs does not rename folders of its lower layer, such as those of a container's image.
    if error in (errno.EINVAL, errno.ENOSYS, errno.EXDEV):
        return False
    raise OSError(error, os.strerror(error), str(old))
