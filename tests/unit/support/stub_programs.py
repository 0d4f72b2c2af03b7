"""Stubs of programs that a test starts; see the fixture `programs`."""

from __future__ import annotations

from pathlib import Path


def program(folder: Path, name: str, text: str) -> None:
    """Write a stub of a program, a script of sh."""
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
