"""The uv that tests run, in the version that requirements.txt pins."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def find_uv() -> str:
    expected = Path(sys.executable).with_name("uv")
    found = str(expected) if expected.exists() else shutil.which("uv")
    assert found, f"found no uv, expected it at {expected} or in PATH. Install it with bin/setup."
    return found
