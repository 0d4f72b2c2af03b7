"""Compile all modules below a folder with this program's interpreter, in the sandbox of a build.

usage: bytecode.py FOLDER

The bytecode is never checked against its source, because neither changes after the build. It contains
relative paths (the import system replaces them), because environments in different folders share it.
"""

from __future__ import annotations

import importlib.util
import os
import py_compile
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path


def bytecode_path(source: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(source)))


def compile_one(source: Path, folder: Path) -> None:
    """Compile one module, unless its bytecode exists."""
    target = bytecode_path(source)
    if target.exists():
        return
    # Files that are not valid Python, such as templates, stay without bytecode.
    with suppress(py_compile.PyCompileError, ValueError, RecursionError):
        py_compile.compile(
            str(source),
            dfile=str(source.relative_to(folder)),
            doraise=True,
            quiet=2,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def sources_of(folder: Path) -> list[Path]:
    """Return all modules below a folder. Symlinks are not followed, because they may leave it."""
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in ("node_modules", "__pycache__")]
        found += [
            path for name in names if name.endswith(".py") and not (path := Path(here, name)).is_symlink()
        ]
    return found


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0])
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(partial(compile_one, folder=folder), sources_of(folder), chunksize=32))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
