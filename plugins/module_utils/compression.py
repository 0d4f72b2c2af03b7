"""Compress the static files of a release when it is built, so that nginx serves them without work."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

TWINS = (".gz", ".br")
# Formats that compression makes smaller. Images and web fonts are compressed already.
SUFFIXES = (
    *(
        ".css",
        ".csv",
        ".htm",
        ".html",
        ".ico",
        ".js",
        ".json",
        ".map",
        ".mjs",
        ".otf",
        ".svg",
        ".ttf",
        ".txt",
    ),
    *(".wasm", ".webmanifest", ".xml"),
)
SMALLEST = 512  # bytes: a smaller file fits in one packet without compression
LARGEST = 8 * 2**20  # bytes: compression of larger files takes seconds


def twins(path: Path) -> list[Path]:
    """Return the paths of a file's compressed versions."""
    return [path.with_name(path.name + suffix) for suffix in TWINS]


def compress(files: Iterable[Path], group: int) -> None:
    """Write compressed versions of files that become smaller. Root owns them; the group can read them.

    Files that the build has compressed stay. Root owns the folders, so other users cannot add symlinks.
    """
    brotli = shutil.which("brotli")
    for file in list(files):
        size = file.stat().st_size
        if file.suffix.lower() not in SUFFIXES or not SMALLEST <= size <= LARGEST:
            continue
        content = file.read_bytes()
        for twin in twins(file):
            if os.path.lexists(twin):
                continue
            if twin.suffix == ".gz":
                packed = gzip.compress(content, 9, mtime=0)
            elif brotli:
                packed = _brotli(brotli, content)
            else:
                continue
            if len(packed) < size * 0.95:
                _write(twin, packed, file, group)


def _brotli(program: str, content: bytes) -> bytes:
    done = subprocess.run([program, "--stdout", "--best"], input=content, capture_output=True, check=True)
    return done.stdout


def _write(path: Path, content: bytes, of: Path, group: int) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "wb") as file:
        file.write(content)
    os.chown(path, 0, group)
    # nginx sends the time of this file as Last-Modified, so it must be that of the original.
    moment = of.stat().st_mtime_ns
    os.utime(path, ns=(moment, moment))
