"""Print lines for the journal."""

from __future__ import annotations

import os
from datetime import datetime, timezone


def iso(moment: float) -> str:
    """Return a time in seconds since 1970 as text."""
    return f"{datetime.fromtimestamp(moment, timezone.utc):%Y-%m-%d %H:%M} UTC"


def log(text: str, *, fault: bool = False) -> None:
    """Print a line. In the journal a fault has the priority `err` (sd-daemon(3))."""
    print(f"{'<3>' if fault and 'JOURNAL_STREAM' in os.environ else ''}{text}", flush=True)
