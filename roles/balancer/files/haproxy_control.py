#!/usr/bin/env python3
"""Reload or stop HAProxy without losing a request: haproxy_control.py reload|stop PID (of the master).

`reload` exchanges certificates in the running process if only these have changed. Otherwise it starts a new
process, which takes over the listening sockets, while the old one completes its requests.

Standard library of Python 3.10, for haproxy.service.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from shared import haproxy
from shared.journal import log

# Its time is that of the last read of the configuration. haproxy.service creates it at each start.
READ = Path("/run/decanter/balancer/read")
CHECK = (
    "/usr/sbin/haproxy",
    "-c",
    "-f",
    f"{haproxy.CONFIGURATION}/haproxy.cfg",
    "-f",
    f"{haproxy.CONFIGURATION}/sites",
)
START_SECONDS = 20.0
# A client that sends a request gets the end of its connection with the response. Others keep it so long.
STOP_SECONDS = 5.0
END = "-----END CERTIFICATE-----"


def certificates() -> Iterator[Path]:
    """Yield the certificates of HAProxy's list. A key is next to its certificate, with the suffix .key."""
    file = haproxy.CONFIGURATION / "certificates.list"
    for line in file.read_text().splitlines() if file.exists() else []:
        if line.startswith("/"):
            yield Path(line.split()[0])


def configuration_changed() -> bool:
    """Return whether a file is newer than the process. The targets of links to certificates do not count."""
    paths = [haproxy.CONFIGURATION, *haproxy.CONFIGURATION.rglob("*")]
    return not READ.exists() or max(path.lstat().st_ctime for path in paths) >= READ.stat().st_mtime


def exchange_certificates() -> None:
    """Load certificates that differ from those of the process. Raise HaproxyError if it rejects one."""
    for path in certificates():
        chain = path.read_text()
        first = chain[: chain.index(END) + len(END)]
        fingerprint = hashlib.sha1(ssl.PEM_cert_to_DER_cert(first), usedforsecurity=False).hexdigest().upper()
        if fingerprint in haproxy.run(f"show ssl cert {path}"):
            continue
        # The payload of a command ends with an empty line.
        pem = "\n".join(line for line in f"{chain}\n{Path(f'{path}.key').read_text()}".splitlines() if line)
        output = haproxy.run(f"set ssl cert {path} <<\n{pem}\n")
        output += "\n" + haproxy.run(f"commit ssl cert {path}")
        if "Success!" not in output:
            haproxy.run(f"abort ssl cert {path}")
            raise haproxy.HaproxyError(f"{path}: {output}")
        log(f"{path}: exchanged")


def start_new_process(master: int, worker: str) -> None:
    """Start a process with the files on disk, and wait until it has the stats socket. Raise OSError."""
    start = time.time()
    # systemd passes the sockets of these variables to the master only.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BALANCER_")}
    checked = subprocess.run(CHECK, capture_output=True, text=True, env=environment)
    if checked.returncode != 0:
        raise OSError(f"the new configuration is invalid: {checked.stderr.strip()}")
    os.kill(master, signal.SIGUSR2)
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if haproxy.process().get("Pid", worker) != worker:
                READ.touch()
                os.utime(READ, (start, start))
                # Removed hosts leave the file.
                haproxy.save_state()
                return
        time.sleep(0.05)
    raise OSError(f"no new process has started within {START_SECONDS:.0f} s")


def reload(master: int) -> None:
    facts = haproxy.process()
    haproxy.save_state()
    if not configuration_changed():
        try:
            exchange_certificates()
        except (haproxy.HaproxyError, ValueError) as error:
            log(f"a new process reads the certificates, because they were not exchanged: {error}")
        else:
            return
    start_new_process(master, facts["Pid"])


def stop(master: int) -> None:
    """Complete the requests, and end the process. systemd ends it after STOP_SECONDS."""
    # A process that does not respond has to stop, too.
    with contextlib.suppress(OSError):
        haproxy.save_state()
    os.kill(master, signal.SIGUSR1)
    until = time.monotonic() + STOP_SECONDS
    while time.monotonic() < until and os.path.exists(f"/proc/{master}"):
        time.sleep(0.05)


if __name__ == "__main__":
    # The standard output of haproxy.service is the access log.
    sys.stdout = sys.stderr
    try:
        {"reload": reload, "stop": stop}[sys.argv[1]](int(sys.argv[2]))
    except (OSError, haproxy.HaproxyError) as error:
        log(f"haproxy: {error}", fault=True)
        sys.exit(1)
