#!/usr/bin/env python3
"""Asks each web host for the health of each site, and takes it out of the balancer while it is ill.

nginx reaches a web host by a symlink for each site, RUN/SITE/HOST.sock, which it looks up at every
connection. One that is not there costs a visitor nothing: nothing was sent yet, and the next host is asked.

A host is in for a site when it is healthy and no operator has taken it out, whose marker is STATE/HOST (see
module balancer_member). When no host is healthy, all stay in: then the fault is more likely the site's, or
in what is asked, and a page that fails is no worse than none. Until a host was asked, it is what it was when
this last ran; after a boot, when nobody knows, all are in, for nginx passes over whom it cannot reach.

Standard library of Python 3.10 alone. SIGHUP: look at the markers and ask everybody now.
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
    """A web host, as far as one site is concerned."""

    site: dict[str, Any]
    host: dict[str, Any]
    healthy: bool = False
    asked: bool = False  # since this began
    successes: int = 0  # in a row
    failures: int = 0
    fault: str = ""  # what the last answer was
    checked: float = 0.0  # when it was last asked, in seconds since 1970
    now: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return self.host["name"]

    def count(self, fault: str, falls: int, rises: int) -> None:
        """Take an answer into account; an empty fault is a success."""
        self.fault = fault
        self.successes, self.failures = (0, self.failures + 1) if fault else (self.successes + 1, 0)
        if not fault and (self.successes >= rises or not self.asked):
            self.healthy = True
        elif self.failures >= falls:
            self.healthy = False
        self.asked = True


class Balancer:
    def __init__(self, configuration: dict[str, Any], run: Path = RUN, state: Path = STATE) -> None:
        self.configuration, self.run, self.state = configuration, run, state
        self.sites = {
            site["name"]: [Member(site, host) for host in configuration["hosts"]]
            for site in configuration["sites"]
        }
        self.inside: dict[str, set[str]] = {}
        self.news = asyncio.Event()
        self.contexts = {verified: self.context(verified) for verified in (True, False)}

    def context(self, verified: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if verified and self.configuration["authority"]:
            context.load_verify_locations(self.configuration["authority"])
        elif not verified:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    # --- Who is in ---------------------------------------------------------------------------------

    def link(self, member: Member) -> Path:
        return self.run / member.site["name"] / f"{member.name}.sock"

    def taken_out(self) -> set[str]:
        """The hosts that an operator has taken out."""
        return {name for name in os.listdir(self.state) if name[0] != "."}

    def prepare(self) -> None:
        """Make the folders, remove what is nobody's any more, and begin with what was."""
        booted = not (self.run / "state.json").exists()
        names = {host["name"] for host in self.configuration["hosts"]}
        for stranger in self.taken_out() - names:
            (self.state / stranger).unlink()
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
            self.inside[name] = {member.name for member in members if self.link(member).is_symlink()}
            self.settle(name)

    def settle(self, site: str) -> None:
        """Have the symlinks of a site say who is in, and a line in the journal for each change."""
        out, members = self.taken_out(), self.sites[site]
        left = [member for member in members if member.name not in out]
        healthy = [member for member in left if member.healthy]
        inside = {member.name for member in healthy or left}
        for member in members:
            link = self.link(member)
            if member.name in inside and not link.is_symlink():
                link.symlink_to(f"../{member.name}.sock")
                # An operator may have come in between: the marker is made before the link is removed.
                if member.name in self.taken_out():
                    link.unlink(missing_ok=True)
                    inside.discard(member.name)
            elif member.name not in inside:
                link.unlink(missing_ok=True)
            if (member.name in inside) != (member.name in self.inside[site]):
                self.say(site, member, member.name in inside, bool(healthy), member.name in out)
        self.inside[site] = inside
        self.news.set()

    def say(self, site: str, member: Member, inside: bool, healthy: bool, out: bool) -> None:
        if inside:
            because = "" if healthy else f", as nobody is healthy: {member.fault or 'not asked yet'}"
        else:
            because = f": {'taken out by an operator' if out else member.fault or 'not asked yet'}"
        log(f"{site}: {member.name} is {'in' if inside else 'out'}{because}")

    # --- How they are ------------------------------------------------------------------------------

    async def ask(self, member: Member) -> str:
        """What is wrong with a host; an empty string when it is healthy."""
        timeout = self.configuration["timeout"]
        try:
            status, reason = await asyncio.wait_for(self.status(member), timeout)
        except asyncio.TimeoutError:
            return f"no answer within {timeout} s"
        except ssl.SSLCertVerificationError as error:
            return f"its certificate is refused ({error.verify_message})"
        except (OSError, ValueError) as error:
            return f"no answer ({words(error)})"
        return "" if status < 400 else f"{status} {reason}"

    async def status(self, member: Member) -> tuple[int, str]:
        """The status of an answer, and its words. Raises OSError, or ValueError for what is no HTTP."""
        site, loop = member.site, asyncio.get_running_loop()
        address = ipaddress.ip_address(member.host["address"])
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        writer = None
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            await loop.sock_connect(connection, (str(address), member.host["port"]))
            if self.configuration["proxy_protocol"]:  # on nobody's behalf
                await loop.sock_sendall(connection, b"PROXY UNKNOWN\r\n")
            reader, writer = await asyncio.open_connection(
                sock=connection, ssl=self.contexts[site["verified"]], server_hostname=site["tls_name"]
            )
            name = site["server_names"][0]
            name = f"[{name}]" if ":" in name else name
            headers = f"Host: {name}\r\nUser-Agent: decanter-health\r\nConnection: close\r\n"
            writer.write(f"GET {site['path']} HTTP/1.1\r\n{headers}\r\n".encode())
            answer = (await reader.readline()).decode(errors="replace").strip()
        finally:
            if writer:
                writer.transport.abort()
            connection.close()
        if not answer:
            raise ConnectionError("the connection was closed")
        version, _, words = answer.partition(" ")
        if not version.startswith("HTTP/"):
            raise ValueError(f"no HTTP: {answer[:40]!r}")
        status, _, reason = words.partition(" ")
        return int(status), reason

    async def watch(self, member: Member) -> None:
        """Ask one host for one site, again and again."""
        settings = self.configuration
        while True:
            began = time.monotonic()
            member.now.clear()
            checked = time.time()
            fault = await self.ask(member)
            member.count(fault, settings["falls"], settings["rises"])
            member.checked = checked
            self.settle(member.site["name"])
            rest = settings["interval"] - (time.monotonic() - began)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(member.now.wait(), max(rest, 0.05))

    # --- What others may know ----------------------------------------------------------------------

    def write(self) -> None:
        """Replace state.json at once."""
        told = {
            "out": sorted(self.taken_out()),
            "sites": {
                name: {
                    member.name: {
                        "in": member.name in self.inside[name],
                        "healthy": member.healthy,
                        "fault": member.fault,
                        "checked": member.checked,
                    }
                    for member in members
                }
                for name, members in self.sites.items()
            },
        }
        write_file(self.run / "state.json", json.dumps(told, indent=2, sort_keys=True) + "\n", 0o640)

    async def tell(self) -> None:
        while True:
            await self.news.wait()
            self.news.clear()
            self.write()
            # Many hosts answer at about the same time.
            await asyncio.sleep(0.05)

    def look(self) -> None:
        """Somebody has changed a marker."""
        for name, members in self.sites.items():
            self.settle(name)
            for member in members:
                member.now.set()

    async def serve(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.look)
        self.prepare()
        self.write()
        notify("READY=1")
        members = [member for members in self.sites.values() for member in members]
        await asyncio.gather(self.tell(), *(self.watch(member) for member in members))


def words(error: Exception) -> str:
    """What an error means; asyncio's own words for a refused connection leave out that it was refused."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def notify(message: str) -> None:
    """Tell systemd, where it listens."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.connect("\0" + address[1:] if address[0] == "@" else address)
            connection.send(message.encode())


if __name__ == "__main__":
    asyncio.run(Balancer(json.loads(CONFIGURATION.read_text())).serve())
