"""Static files compressed once, when a release is made, for nginx to serve as they are."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

TWINS = (".gz", ".br")
# What is text, however it is called; pictures and fonts for browsers are compressed already.
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
SMALLEST = 512  # bytes: less fits in a packet anyway
LARGEST = 8 * 2**20  # beyond that it takes seconds


def twins(path: Path) -> list[Path]:
    """Where nginx looks for a file's compressed versions."""
    return [path.with_name(path.name + suffix) for suffix in TWINS]


def compress(files: Iterable[Path], group: int) -> None:
    """Put compressed versions beside files that have none and gain by it; root's, and readable by the group.

    A file that a build has compressed stays. The folders are root's by now: nobody puts a link in the way.
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
    # It is as old as what it stands for, which is what nginx says of it.
    moment = of.stat().st_mtime_ns
    os.utime(path, ns=(moment, moment))
