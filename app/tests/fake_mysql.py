"""A stub of a MySQL server on loopback: its tables are empty, and it fails on request.

https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Callable

QUIT, QUERY = 1, 3
OK = bytes((0, 1, 1, 2, 0, 0, 0))  # one row with the ID 1
END_OF_ROWS = bytes((0xFE, 0, 0, 2, 0))
CAPABILITIES = 0x000FA201  # protocol 4.1, transactions, authentication by a plugin
LOST = "the server closes the connection"

Fault = Callable[[str], "tuple[int, str] | str | None"]


def error(code: int, message: str, state: str = "HY000") -> bytes:
    return b"\xff" + struct.pack("<H", code) + f"#{state}{message}".encode()


def greeting() -> bytes:
    low, high = CAPABILITIES & 0xFFFF, CAPABILITIES >> 16
    return (
        b"\x0a8.0.0\x00"
        + struct.pack("<I8sxHBHHB10x12sx", 1, b"s" * 8, low, 45, 2, high, 21, b"s" * 12)
        + b"mysql_native_password\x00"
    )


def text(value: bytes) -> bytes:
    return bytes((len(value),)) + value


def column(name: str) -> bytes:
    names = text(b"def") + text(b"") * 3 + text(name.encode()) + text(b"")
    return names + struct.pack("<BHIBHBxx", 12, 45, 80, 253, 0, 0)


class Connection(socketserver.BaseRequestHandler):
    """One client."""

    server: FakeMySQL

    def handle(self) -> None:
        self.server.connections.append(self.request)
        if self.server.rejection:
            self.send(0, [error(*self.server.rejection, "08004")])
            return
        self.send(0, [greeting()])
        self.receive()
        self.send(2, [OK])
        while command := self.receive():
            if command[0] == QUIT:
                return
            statement = command[1:].decode() if command[0] == QUERY else ""
            self.server.statements.append(statement)
            fault = self.server.fault(statement)
            if fault == LOST:
                return
            self.send(1, [error(*fault)] if fault else self.answer(statement))

    def answer(self, statement: str) -> list[bytes]:
        """Return the value of a server variable, or no rows."""
        if not statement.lstrip().upper().startswith(("DESCRIBE", "SELECT", "SHOW")):
            return [OK]
        value = b"8.0.0" if "VERSION()" in statement.upper() else b"1"
        selected, is_query, _ = " ".join(statement.split()).removeprefix("SELECT ").partition(" FROM ")
        if not is_query:
            return [b"\x01", column("value"), END_OF_ROWS, text(value), END_OF_ROWS]
        names = [expression.split(" AS ")[-1] for expression in selected.split(", ")]
        return [bytes((len(names),)), *map(column, names), END_OF_ROWS, END_OF_ROWS]

    def send(self, sequence: int, payloads: list[bytes]) -> None:
        for number, payload in enumerate(payloads, sequence):
            self.request.sendall(struct.pack("<I", len(payload) | number << 24) + payload)

    def receive(self) -> bytes:
        """Return the payload of the next packet, or nothing at the end of the connection."""
        try:
            header = self.request.recv(4, socket.MSG_WAITALL)
            return (
                self.request.recv(int.from_bytes(header[:3], "little"), socket.MSG_WAITALL) if header else b""
            )
        except OSError:  # the server was stopped
            return b""


class FakeMySQL(socketserver.ThreadingTCPServer):
    """The server.

    Attributes:
        rejection: code and message for new connections, or None.
        fault: returns the code and message for a statement, or LOST, or None.
        statements: all statements so far.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Connection)
        self.connections: list[socket.socket] = []
        self.statements: list[str] = []
        self.rejection: tuple[int, str] | None = None
        self.fault: Fault = lambda _: None
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def stop(self) -> None:
        """Close the port and all connections."""
        self.shutdown()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed by the client
        self.server_close()
