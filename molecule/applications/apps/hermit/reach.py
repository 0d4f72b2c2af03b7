"""A build command that records whether the build reaches the package server."""

import socket
from pathlib import Path

try:
    socket.create_connection(("applications", 8200), 5).close()
    result = "reached"
except OSError as error:
    result = f"not reached: {error}"
Path("reach.txt").write_text(result)
