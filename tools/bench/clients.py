"""Clients of Harbour: they wait for pages, or send requests at a steady rate."""

from __future__ import annotations

import contextlib
import http.client
import re
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.library import ROOT, Failure, Record


def await_page(host: Record, path: str, pattern: str, present: bool = True) -> None:
    """Wait until a page over HTTPS, or one of its headers, matches a pattern, or matches it no more.

    Raises Failure after 60 s.
    """
    url = f"https://{host['ansible_host']}:{host['lab_https_port']}{path}"
    # The certificate is self-signed or the lab's; it is not what is measured.
    https = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), https)
    found, end = "", time.monotonic() + 60
    while time.monotonic() < end:
        try:
            response = opener.open(url, timeout=10)
            found = f"{response.headers}{response.read().decode()}"
            if bool(re.search(pattern, found)) is present:
                return
        except OSError as error:
            found = str(error)
        time.sleep(0.05)
    raise Failure(f"{url} responds {'without' if present else 'with'} {pattern}: {found[:300]}")


def await_listings(host: Record) -> None:
    """Wait for Harbour's page of listings."""
    await_page(host, "/listings/", r'href="/listings/\d+"')


def time_until_page(
    title: str, log: Path, command: list[str], env: dict[str, str], page: tuple[Any, ...]
) -> float:
    """Run a command, and return the seconds from its start to a page that it changes.

    Args:
        log: the file that gets the output of the command.
        page: the arguments of await_page.
    """
    print(f"  {title}… ", end="", flush=True)
    fault, served = None, 0.0
    started = time.monotonic()
    with log.open("w") as file:
        running = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        await_page(*page)
        served = round(time.monotonic() - started, 2)
    except Failure as error:
        fault = error
    if running.wait() or fault:
        raise Failure(f"{log.read_text()[-3000:]}\n{fault or title} failed. The whole output is in {log}.")
    print(f"{served:.1f} s, ended after {time.monotonic() - started:.1f} s")
    return served


class Client(threading.Thread):
    """Request a page at a steady rate over a keep-alive connection, and measure each response."""

    def __init__(self, host: Record, rate: float) -> None:
        super().__init__(daemon=True)
        self.host, self.rate, self.over = host, rate, threading.Event()
        self.seconds: list[float] = []

    def run(self) -> None:
        context = ssl._create_unverified_context()
        place = (self.host["ansible_host"], self.host["lab_https_port"])
        connection = http.client.HTTPSConnection(*place, context=context, timeout=30)
        while not self.over.wait(1 / self.rate):
            started = time.monotonic()
            connection.request("GET", "/listings/")
            connection.getresponse().read()
            self.seconds.append(time.monotonic() - started)
        connection.close()


@contextlib.contextmanager
def clients(host: Record) -> Iterator[list[Client]]:
    """Send thirty requests a second over four connections."""
    threads = [Client(host, 7.5) for _ in range(4)]
    for client in threads:
        client.start()
    yield threads
    for client in threads:
        client.over.set()
        client.join()


def p99(threads: list[Client]) -> float:
    """Return the milliseconds that 99 of 100 responses do not exceed."""
    every = sorted(seconds for client in threads for seconds in client.seconds)
    return round(every[int(len(every) * 0.99)] * 1000, 1)
