"""Commands of this program."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from failures import CertificateError, describe
from installation import install_all
from monitoring import rows
from renewal import Run
from shared.files import read_json, write_file
from shared.journal import log
from state import State
from transfer import pack, unpack

CONFIGURATION = Path("/etc/decanter/certificates.json")
COMMANDS = """
run      issue, renew and monitor certificates (the default)
install  install the certificates that certbot has, and reload services; certbot's deploy hook
list     print the certificates as JSON
pack     print the account, certificates and keys for another host
unpack   import what `pack` has printed, unless this host has an account
"""


def main(arguments: list[str]) -> int:
    """Run a command. Return the exit status."""
    parser = argparse.ArgumentParser(
        prog="certificates", epilog=COMMANDS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "command", nargs="?", default="run", choices=["run", "install", "list", "pack", "unpack"]
    )
    command = parser.parse_args(arguments).command
    state = State(json.loads(CONFIGURATION.read_text()))
    if command == "list":
        print(json.dumps(rows(state, time.time())))
        return 0
    with locked(state.folder):
        if command == "run":
            return run(state)
        if command == "install":
            install_all(state)
        else:
            transfer(command, state)
    return 0


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait for another process of this program, and hold its lock."""
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(state: State) -> int:
    """Renew certificates with the options in request.json. Write the result to last.json."""
    request_path = state.folder / "request.json"
    request = read_json(request_path)
    request_path.unlink(missing_ok=True)
    job, begun = Run(state, request), time.time()
    try:
        successful = job.rehearse() if request.get("dry_run") else job.renew()
    except OSError as error:
        successful = False
        job.report(describe(error))
    result = {
        "request": request,
        "begun": begun,
        "account": job.certbot.account_changed,
        "ended": time.time(),
        "sites": job.results,
        "faults": job.faults,
    }
    try:
        write_file(state.folder / "last.json", json.dumps(result), 0o600)
    except OSError as error:
        successful = False
        log(describe(error), fault=True)
    return 0 if successful else 1


def transfer(command: str, state: State) -> None:
    """Print or import the account, certificates and keys. Exit with a message if that fails."""
    os.umask(0o077)
    try:
        if command == "unpack":
            unpack(state, sys.stdin.read())
        elif sys.stdout.isatty():
            raise CertificateError("private keys are not printed on a terminal. Redirect the output.")
        else:
            print(json.dumps(pack(state)))
    except CertificateError as error:
        sys.exit(f"{socket.gethostname()}: {error}")
