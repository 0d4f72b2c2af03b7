"""The error that ends new-site."""

from __future__ import annotations


class Stop(Exception):
    """End without a written file: the exit status, and the messages."""

    def __init__(self, status: int, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.status = status
