"""Who may have the machine: many at once, or one alone, who measures time.

Every scenario of a checkout that runs is in the room, but while its tests do, which come in one by one.
"""

from __future__ import annotations

import os
from fcntl import LOCK_EX, LOCK_SH, LOCK_UN, flock
from pathlib import Path


class Room:
    """Locks on files of a folder that all know; who ends without a word has left."""

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
