#!/usr/bin/env python3
"""Check the health of each site on each web host, and take unhealthy hosts out of the balancer.

nginx reaches a web host through a symlink for each site, RUN/SITE/HOST.sock, which it resolves at every
connection. If the symlink is missing, nginx sends the request to the next host.

A host is in for a site if it is healthy and has no marker STATE/HOST of an operator (module balancer_member).
If no host is healthy, all stay in, because the fault is probably in the site or in the health check. Until
the first check, a host keeps its previous state. After a boot all are in.

Standard library of Python 3.10. SIGHUP: read the markers and check all hosts now.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import signal
import socket
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.files import write_file
from shared.journal import log

CONFIGURATION = Path("/etc/decanter/balancer.json")
RUN = Path("/run/decanter/balancer")
STATE = Path("/var/lib/decanter/balancer")


@dataclass
class Member:
    """The state of one site on one web host."""

    site: dict[str, Any]
    host: dict[str, Any]
    healthy: bool = False
    probed: bool = False  # since the start of the program
    successes: int = 0  # in a row
    failures: int = 0
    fault: str = ""  # of the last check
    checked: float = 0.0  # time of the last check, in seconds since 1970
    check_now: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return self.host["name"]

    def record(self, fault: str, falls: int, rises: int) -> None:
        """Record the result of a check; an empty fault is a success."""
        self.fault = fault
        self.successes, self.failures = (0, self.failures + 1) if fault else (self.successes + 1, 0)
        if not fault and (self.successes >= rises or not self.probed):
            self.healthy = True
        elif self.failures >= falls:
            self.healthy = False
        self.probed = True


class Balancer:
    def __init__(self, configuration: dict[str, Any], run: Path = RUN, state: Path = STATE) -> None:
        self.configuration, self.run, self.state = configuration, run, state
        self.sites = {
            site["name"]: [Member(site, host) for host in configuration["hosts"]]
            for site in configuration["sites"]
        }
        self.active: dict[str, set[str]] = {}
        self.state_changed = asyncio.Event()
        self.contexts = {verified: self.context(verified) for verified in (True, False)}

    def context(self, verified: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if verified and self.configuration["authority"]:
            context.load_verify_locations(self.configuration["authority"])
        elif not verified:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    # --- Symlinks ----------------------------------------------------------------------------------

    def link(self, member: Member) -> Path:
        return self.run / member.site["name"] / f"{member.name}.sock"

    def taken_out(self) -> set[str]:
        """Return the hosts that an operator has taken out."""
        return {name for name in os.listdir(self.state) if name[0] != "."}

    def prepare(self) -> None:
        """Create the folders, remove files of removed hosts and sites, and restore the previous state."""
        booted = not (self.run / "state.json").exists()
        names = {host["name"] for host in self.configuration["hosts"]}
        for removed in self.taken_out() - names:
            (self.state / removed).unlink()
        for folder in [path for path in self.run.iterdir() if path.is_dir()]:
            for link in list(folder.iterdir()):
                if folder.name not in self.sites or link.stem not in names:
                    link.unlink()
            if folder.name not in self.sites:
                folder.rmdir()
        for name, members in self.sites.items():
            (self.run / name).mkdir(mode=0o750, exist_ok=True)
            for member in members:
                member.healthy = booted or self.link(member).is_symlink()
            self.active[name] = {member.name for member in members if self.link(member).is_symlink()}
            self.update_links(name)

    def update_links(self, site: str) -> None:
        """Create and remove the symlinks of a site, and log each change."""
        out, members = self.taken_out(), self.sites[site]
        available = [member for member in members if member.name not in out]
        healthy = [member for member in available if member.healthy]
        active = {member.name for member in healthy or available}
        for member in members:
            link = self.link(member)
            if member.name in active and not link.is_symlink():
                link.symlink_to(f"../{member.name}.sock")
                # balancer_member creates the marker before it removes the link, possibly just now.
                if member.name in self.taken_out():
                    link.unlink(missing_ok=True)
                    active.discard(member.name)
            elif member.name not in active:
                link.unlink(missing_ok=True)
            if (member.name in active) != (member.name in self.active[site]):
                self.log_change(site, member, member.name in active, bool(healthy), member.name in out)
        self.active[site] = active
        self.state_changed.set()

    def log_change(self, site: str, member: Member, active: bool, healthy: bool, out: bool) -> None:
        if active:
            because = "" if healthy else f", because no host is healthy: {member.fault or 'not checked yet'}"
        else:
            because = f": {'taken out by an operator' if out else member.fault or 'not checked yet'}"
        log(f"{site}: {member.name} is {'in' if active else 'out'}{because}")

    # --- Health checks -----------------------------------------------------------------------------

    async def probe(self, member: Member) -> str:
        """Return the fault of a host, or an empty string if it is healthy."""
        timeout = self.configuration["timeout"]
        try:
            status, reason = await asyncio.wait_for(self.status(member), timeout)
        except asyncio.TimeoutError:
            return f"no response within {timeout} s"
        except ssl.SSLCertVerificationError as error:
            return f"its certificate is invalid ({error.verify_message})"
        except (OSError, ValueError) as error:
            return f"no response ({describe(error)})"
        return "" if status < 400 else f"{status} {reason}"

    async def status(self, member: Member) -> tuple[int, str]:
        """Return the status and reason of a response. Raise OSError, or ValueError if it is not HTTP."""
        site, loop = member.site, asyncio.get_running_loop()
        address = ipaddress.ip_address(member.host["address"])
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        writer = None
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            await loop.sock_connect(connection, (str(address), member.host["port"]))
            if self.configuration["proxy_protocol"]:  # UNKNOWN: without the address of a client
                await loop.sock_sendall(connection, b"PROXY UNKNOWN\r\n")
            reader, writer = await asyncio.open_connection(
                sock=connection, ssl=self.contexts[site["verified"]], server_hostname=site["tls_name"]
            )
            name = site["server_names"][0]
            name = f"[{name}]" if ":" in name else name
            headers = f"Host: {name}\r\nUser-Agent: decanter-health\r\nConnection: close\r\n"
            writer.write(f"GET {site['path']} HTTP/1.1\r\n{headers}\r\n".encode())
            line = (await reader.readline()).decode(errors="replace").strip()
        finally:
            if writer:
                writer.transport.abort()
            connection.close()
        if not line:
            raise ConnectionError("the connection was closed")
        version, _, rest = line.partition(" ")
        if not version.startswith("HTTP/"):
            raise ValueError(f"not HTTP: {line[:40]!r}")
        status, _, reason = rest.partition(" ")
        return int(status), reason

    async def watch(self, member: Member) -> None:
        """Check one site on one host, again and again."""
        settings = self.configuration
        while True:
            started = time.monotonic()
            member.check_now.clear()
            checked = time.time()
            fault = await self.probe(member)
            member.record(fault, settings["falls"], settings["rises"])
            member.checked = checked
            self.update_links(member.site["name"])
            pause = settings["interval"] - (time.monotonic() - started)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(member.check_now.wait(), max(pause, 0.05))

    # --- State for other programs ------------------------------------------------------------------

    def write_state(self) -> None:
        """Replace state.json atomically."""
        state = {
            "out": sorted(self.taken_out()),
            "sites": {
                name: {
                    member.name: {
                        "in": member.name in self.active[name],
                        "healthy": member.healthy,
                        "fault": member.fault,
                        "checked": member.checked,
                    }
                    for member in members
                }
                for name, members in self.sites.items()
            },
        }
        write_file(self.run / "state.json", json.dumps(state, indent=2, sort_keys=True) + "\n", 0o640)

    async def publish(self) -> None:
        """Write state.json after each change, at most once in 50 ms."""
        while True:
            await self.state_changed.wait()
            self.state_changed.clear()
            self.write_state()
            # Responses of several hosts arrive at about the same time.
            await asyncio.sleep(0.05)

    def reload(self) -> None:
        """Apply the markers, and check all hosts now."""
        for name, members in self.sites.items():
            self.update_links(name)
            for member in members:
                member.check_now.set()

    async def serve(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reload)
        self.prepare()
        self.write_state()
        notify("READY=1")
        members = [member for members in self.sites.values() for member in members]
        await asyncio.gather(self.publish(), *(self.watch(member) for member in members))


def describe(error: Exception) -> str:
    """Return the text of an error. asyncio's message for a refused connection lacks the reason."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def notify(message: str) -> None:
    """Send a message to systemd, if it started this program."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.connect("\0" + address[1:] if address[0] == "@" else address)
            connection.send(message.encode())


if __name__ == "__main__":
    asyncio.run(Balancer(json.loads(CONFIGURATION.read_text())).serve())
