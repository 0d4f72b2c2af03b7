"""A lock on this machine: shared, or exclusive for a test that measures time.

Each scenario of a checkout holds the shared lock while it runs, except for its tests. Each of them takes the
lock itself.
"""

from __future__ import annotations

import os
from fcntl import LOCK_EX, LOCK_SH, LOCK_UN, flock
from pathlib import Path


class MachineLock:
    """File locks in a folder that all scenarios use. The kernel releases those of a process that ends."""

    def __init__(self, folder: Path) -> None:
        self.inside = False
        folder.mkdir(exist_ok=True)
        # Whoever waits for the room to be empty keeps the door shut, or those behind would never let it be.
        self.door, self.room = (
            os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            for name in ("door", "room")
        )

    def enter(self, alone: bool = False) -> None:
        # At the door, who is inside would wait for one who waits for the room to be empty.
        if self.inside:
            return
        flock(self.door, LOCK_EX)
        flock(self.room, LOCK_EX if alone else LOCK_SH)
        flock(self.door, LOCK_UN)
        self.inside = True

    def leave(self) -> None:
        flock(self.room, LOCK_UN)
        self.inside = False
