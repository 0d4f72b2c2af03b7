"""Open WebSockets and keep them idle: idle_websockets.py NAME CA NUMBER SECONDS.

Runs on a host of the lab without the project. Prints the number of WebSockets when they are open, and the
number that is still open at the end.
"""

import socket
import ssl
import sys
import time

name, ca, number, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
HANDSHAKE = (
    f"GET /ws HTTP/1.1\r\nHost: {name}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def open_websocket() -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=ca)
    connection = context.wrap_socket(socket.create_connection((name, 443), 30), server_hostname=name)
    connection.sendall(HANDSHAKE.encode())
    received = connection.recv(4096)
    if b" 101 " not in received:
        sys.exit(f"found {received[:100]!r}, expected status 101")
    return connection


def is_open(connection: ssl.SSLSocket) -> bool:
    """Return whether the server has not closed the connection. Read messages and pings."""
    connection.setblocking(False)
    try:
        return bool(connection.recv(4096))
    except ssl.SSLWantReadError:
        return True
    except OSError:
        return False


connections = [open_websocket() for _ in range(number)]
print(len(connections), flush=True)
time.sleep(seconds)
print(sum(map(is_open, connections)))
