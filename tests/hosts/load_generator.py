"""A load generator: requests at a steady rate over persistent connections; each third request posts."""

from __future__ import annotations

import http.client
import itertools
import secrets
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self

Connection = http.client.HTTPSConnection


@dataclass
class Answer:
    asked: float  # seconds since 1970, as answered
    answered: float
    status: int  # 0 where there was none
    by: str  # who gave it, or what went wrong
    good: bool
    posted: str = ""


@dataclass
class LoadGenerator:
    """Connections at a steady rate in all. What is asked, and what is a good answer, says a subclass."""

    address: tuple[str, int]
    ca: str
    name: str
    connections: int = 8
    rate: float = 80.0
    posting: bool = True
    # Tells what this crowd has posted from what others have.
    mark: str = field(default_factory=lambda: secrets.token_hex(4))
    answers: list[Answer] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def begin(self, connection: Connection) -> Any:
        """What a visitor needs to know before the first request."""

    def ask(self, connection: Connection, known: Any, count: int, posted: str) -> tuple[int, str, bool]:
        """Ask for something, or post; the status, who answered, and whether that is good."""
        raise NotImplementedError

    def connect(self) -> Connection:
        context = ssl.create_default_context(cafile=self.ca)
        connection = Connection(self.name, timeout=60, context=context)
        # The name leads to the host, whatever DNS says.
        connection._create_connection = lambda *_: socket.create_connection(self.address, 30)
        return connection

    def visit(self, number: int) -> None:
        connection = self.connect()
        known = self.begin(connection)
        due = time.monotonic() + number / self.rate
        for count in itertools.count():
            time.sleep(max(0.0, due - time.monotonic()))
            if self.over.is_set():
                break
            # Whoever is late asks at once and does not come more often afterwards.
            due = max(due + self.connections / self.rate, time.monotonic())
            posted = f"{self.mark}-{number}-{count}" if self.posting and count % 3 == 2 else ""
            asked = time.time()
            try:
                told = self.ask(connection, known, count, posted)
            except (OSError, http.client.HTTPException) as error:
                told = (0, repr(error), False)
                connection.close()
            self.answers.append(Answer(asked, time.time(), *told, posted))
        connection.close()

    def __enter__(self) -> Self:
        self.threads = [
            threading.Thread(target=self.visit, args=(n,), daemon=True) for n in range(self.connections)
        ]
        for thread in self.threads:
            thread.start()
        time.sleep(1)
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    @property
    def lost(self) -> list[Answer]:
        return [answer for answer in self.answers if not answer.good]
