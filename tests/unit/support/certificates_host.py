"""A host for the program of the role certbot, with a stub of certbot."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from repository import ROOT

PROGRAM = ROOT / "roles/certbot/files/certificates.py"
spec = importlib.util.spec_from_file_location("certificates_program", PROGRAM)
program = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = program  # dataclasses look there
spec.loader.exec_module(program)
ASK_WINDOW, ASK_TIME = program.window, program.authority_time  # which most tests replace

# Makes what certbot would, notes how it was called, and fails where a file says how.
CERTBOT = """#!{python}
import datetime, json, os, pathlib, sys
arguments = sys.argv[1:]
value = lambda name: arguments[arguments.index(name) + 1]
account = pathlib.Path(value("--config-dir"), "accounts/ca.test/dir")
log = pathlib.Path(value("--logs-dir"), "letsencrypt.log")
log.parent.mkdir(exist_ok=True)
log.write_text("")
names = [arguments[i + 1] for i, one in enumerate(arguments) if one in ("--domain", "--ip-address")]
root = pathlib.Path({root!r})
with open(root / "calls", "a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
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
lineage(pathlib.Path(value("--config-dir")), value("--cert-name"), names, value("--key-type"))
"""


class Host:
    """A host's folders, and what its program does there."""

    def __init__(self, root: Path) -> None:
        self.root, self.state, self.tls = root, root / "state", root / "tls"
        for folder in (self.state, self.tls, root / "challenges", root / "bin"):
            folder.mkdir()
        self.settings: dict[str, Any] = {}
        text = CERTBOT.format(python=sys.executable, root=str(root), tests=str(Path(__file__).parent))
        (root / "bin/certbot").write_text(text)
        (root / "bin/certbot").chmod(0o755)

    def run(self, request: dict[str, Any] | None = None, **sites: dict[str, Any]) -> Any:
        configuration = {
            **{"server": "https://ca.test/dir", "ca_bundle": "", "email": "", "probe": False, "reloads": []},
            "shared": False,
            "aws": {"region": "us-east-1", "endpoint": ""},
            "challenges": str(self.root / "challenges"),
            "directory": str(self.tls),
            "state": str(self.state),
            "certbot": str(self.root / "bin/certbot"),
            "metrics": str(self.root / "certificates.prom"),
            "sites": [
                {
                    "name": name,
                    "mode": "acme",
                    "profile": "",
                    "key_type": "ecdsa",
                    "server_names": [f"{name}.test"],
                }
                | site
                for name, site in sites.items()
            ],
        } | self.settings
        run = program.Run(configuration, self.state, request)
        run.well = run.rehearse() if (request or {}).get("dry_run") else run.go()
        return run

    def orders(self) -> list[list[str]]:
        """How certbot was called since this was last asked."""
        calls = self.root / "calls"
        told = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
        calls.unlink(missing_ok=True)
        return told

    def ordered(self) -> list[str]:
        """For what certificates were asked, each as its names."""
        return [
            " ".join(call[i + 1] for i, one in enumerate(call) if one in ("--domain", "--ip-address"))
            for call in self.orders()
        ]

    def serial_file(self, name: str) -> bytes:
        return (self.tls / name / "fullchain.pem").read_bytes()

    def note(self, name: str) -> dict[str, Any]:
        return json.loads((self.state / "sites" / f"{name}.json").read_text())


def new_host(root: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Return a host whose CA suggests no time of renewal; a test replaces this."""
    monkeypatch.setattr(program, "window", lambda *_: {"again": 0})
    monkeypatch.setattr(program, "authority_time", lambda *_: None)
    return Host(root)
