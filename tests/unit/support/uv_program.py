"""The uv that tests run: requirements.txt pins it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def find_uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    assert found, f"expected uv at {beside} or on the path, found none: bin/setup installs it"
    return found
