"""Commands for the HAProxy of a balancer, over its stats socket.

HAProxy's management guide describes the commands and their output.
"""

from __future__ import annotations

import csv
import socket
from pathlib import Path

from .files import write_file

SOCKET = Path("/run/decanter/balancer/admin.sock")
# HAProxy reads it when it starts (server-state-file in haproxy.cfg).
STATE = Path("/var/lib/haproxy/server-state")
TIMEOUT = 10.0  # seconds
CONFIGURATION = Path("/etc/haproxy")
# A line of haproxy.cfg with balancer_tls_mode=passthrough.
PASSTHROUGH = "frontend https from passthrough"


class HaproxyError(Exception):
    """HAProxy rejects a command; the message is the reason."""


def run(command: str) -> str:
    """Return the output of a command. Raise OSError if HAProxy does not respond."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(str(SOCKET))
        connection.sendall(f"{command}\n".encode())
        chunks = iter(lambda: connection.recv(65536), b"")
        return b"".join(chunks).decode(errors="replace").strip()


def change(command: str) -> None:
    """Run a command that returns nothing. Raise HaproxyError with its output otherwise."""
    if output := run(command):
        raise HaproxyError(f"HAProxy rejects `{command}`: {output}")


def server_states() -> tuple[str, list[str], list[list[str]]]:
    """Return of `show servers state`: the version of the format, the columns, and their values by server."""
    version, header, *lines = run("show servers state").splitlines()
    return version, header.split()[1:], [line.split() for line in lines if line]


def servers() -> list[dict[str, str]]:
    """Return the columns of `show stat` and of `show servers state` for each server."""
    _, columns, lines = server_states()
    states = [dict(zip(columns, line, strict=True)) for line in lines]
    by_name = {(state["be_name"], state["srv_name"]): state for state in states}
    rows = csv.DictReader(run("show stat").removeprefix("# ").splitlines())
    return [row | by_name[name] for row in rows if (name := (row["pxname"], row["svname"])) in by_name]


def process() -> dict[str, str]:
    """Return facts of the running process, such as `Pid` and `Uptime_sec`."""
    lines = (line.partition(": ") for line in run("show info").splitlines())
    return {name: value for name, _, value in lines}


def save_state() -> None:
    """Write which servers are drained or unhealthy, so that the next process starts with it.

    HAProxy also restores whether it connects to a server with TLS. This is a setting of the configuration,
    which may have changed: after a change to passthrough, HAProxy would encrypt the clients' TLS again.
    """
    is_passed = PASSTHROUGH in (CONFIGURATION / "haproxy.cfg").read_text().splitlines()
    version, columns, lines = server_states()
    for line in lines:
        line[columns.index("srv_use_ssl")] = "0" if is_passed else "1"
    write_file(STATE, "\n".join([version, *map(" ".join, [["#", *columns], *lines]), ""]), 0o600)
