"""Build command: writes whether the build reaches the index of the house."""

import socket
from pathlib import Path

try:
    socket.create_connection(("applications", 8200), 5).close()
    found = "reached"
except OSError as error:
    found = f"not reached: {error}"
Path("reach.txt").write_text(found)
