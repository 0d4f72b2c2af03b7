"""A host for the program of the role certbot, with a stub of certbot."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from repository import ROOT

PROGRAM = ROOT / "roles/certbot/files/certificates"
if str(PROGRAM) not in sys.path:
    sys.path.insert(0, str(PROGRAM))  # as the host runs it: a folder with a __main__

MODULES = {
    path.stem: importlib.import_module(path.stem) for path in PROGRAM.glob("*.py") if path.stem != "__main__"
}

# Write a new pair as certbot does, append the arguments to a file, and fail if a file has an error.
CERTBOT = """#!{python}
import datetime, json, os, pathlib, sys
arguments = sys.argv[1:]
value = lambda name: arguments[arguments.index(name) + 1]
config = pathlib.Path(value("--config-dir"))
account = config / "accounts/ca.test/dir"
log = pathlib.Path(value("--logs-dir"), "letsencrypt.log")
log.parent.mkdir(parents=True, exist_ok=True)
log.write_text("")
names = [arguments[i + 1] for i, one in enumerate(arguments) if one in ("--domain", "--ip-address")]
root = pathlib.Path({root!r})
with open(root / "calls", "a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
if arguments[0] == "renew":
    due = (root / "due").read_text().split() if (root / "due").exists() else []
    for file in sorted((config / "renewal").glob("*.conf")):
        print("- " * 40 + f"\\nProcessing {{file}}\\n" + "- " * 40)
        print("Certificate is due for renewal, auto-renewing..." if file.stem in due else "not yet due")
    sys.exit(1 if due else 0)
if (account / "lost").exists():
    log.write_text("acme.messages.Error: urn:ietf:params:acme:error:accountDoesNotExist :: no such account")
    sys.exit(print("Account not found.") or 1)
account.mkdir(parents=True, exist_ok=True)
if arguments[0] == "update_account":
    sys.exit(print((root / "fault-account").read_text()) or 1 if (root / "fault-account").exists() else 0)
(root / "environment").write_text(json.dumps(dict(os.environ)))
fault = root / f"fault-{{value('--cert-name')}}"
if fault.exists():
    sys.exit(print(fault.read_text()) or 1)
if "--dry-run" in arguments:
    sys.exit(0)
sys.path.insert(0, {tests!r})
from certificate_pair import lineage
lineage(config, value("--cert-name"), names, value("--key-type"))
"""


class Host:
    """The folders of a host, and runs of the program."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder, self.tls = root, root / "state", root / "tls"
        for folder in (self.folder, self.tls, root / "challenges", root / "bin"):
            folder.mkdir()
        self.settings: dict[str, Any] = {}
        text = CERTBOT.format(python=sys.executable, root=str(root), tests=str(Path(__file__).parent))
        self.command("certbot", text)

    def command(self, name: str, text: str) -> None:
        """Write a program of the host."""
        (self.root / "bin" / name).write_text(text)
        (self.root / "bin" / name).chmod(0o755)

    def configuration(self, **sites: dict[str, Any]) -> dict[str, Any]:
        defaults = {"mode": "acme", "profile": "", "key_type": "ecdsa"}
        return {
            **{"server": "https://ca.test/dir", "ca_bundle": "", "email": "", "probe": False, "reloads": []},
            "shared": False,
            "aws": {"region": "us-east-1", "endpoint": ""},
            "challenges": str(self.root / "challenges"),
            "directory": str(self.tls),
            "state": str(self.folder),
            "certbot": str(self.root / "bin/certbot"),
            "metrics": str(self.root / "certificates.prom"),
            "sites": [
                {"name": name, "server_names": [f"{name}.test"]} | defaults | site
                for name, site in sites.items()
            ],
        } | self.settings

    def state(self, **sites: dict[str, Any]) -> Any:
        return MODULES["state"].State(self.configuration(**sites))

    def run(self, request: dict[str, Any] | None = None, **sites: dict[str, Any]) -> Any:
        """Run the program. Return the run; its `well` is whether the run was successful."""
        run = MODULES["renewal"].Run(self.state(**sites), request)
        run.well = run.rehearse() if (request or {}).get("dry_run") else run.renew()
        return run

    def rows(self, **sites: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what the command `list` prints."""
        monitoring = MODULES["monitoring"]
        return monitoring.rows(self.state(**sites), MODULES["renewal"].time.time())

    def calls(self) -> list[list[str]]:
        """Return the calls of certbot since the last call of this method."""
        file = self.root / "calls"
        calls = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        file.unlink(missing_ok=True)
        return calls

    def orders(self) -> list[list[str]]:
        """Return the same calls without `renew`, which only checks whether a renewal is due."""
        return [call for call in self.calls() if call[0] != "renew"]

    def ordered(self) -> list[str]:
        """Return the names of each order."""
        return [
            " ".join(call[i + 1] for i, one in enumerate(call) if one in ("--domain", "--ip-address"))
            for call in self.orders()
        ]

    def served(self, name: str) -> bytes:
        return (self.tls / name / "fullchain.pem").read_bytes()

    def note(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / "sites" / f"{name}.json").read_text())

    def metrics(self) -> str:
        return (self.root / "certificates.prom").read_text()


def new_host(root: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Return a host with a correct clock. No CA is contacted."""
    monkeypatch.setattr(MODULES["clock"], "ca_time", lambda *_: None)
    return Host(root)


def replace_writes(monkeypatch: pytest.MonkeyPatch, write: Callable[..., None]) -> None:
    """Replace `write_file` in each module."""
    for module in MODULES.values():
        if hasattr(module, "write_file"):
            monkeypatch.setattr(module, "write_file", write)
