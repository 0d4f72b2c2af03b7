"""Move a site to a new machine, which has a certificate before DNS changes."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml
from conftest import STATE, eventually
from cryptography import x509

from tests.hosts.fixtures.lab import ROOT, run_playbook

testinfra_hosts = ["ansible://web1"]  # the old machine; web2 is the new one
pytestmark = pytest.mark.alone

NAME = "moving.test"
CHALLENGES = "/.well-known/acme-challenge"
MOVING = {
    "server_names": [NAME],
    "source": {"path": "molecule/cluster/whoami"},
    "wsgi": "whoami:app",
    "health": {"path": "/healthz"},
    "tls": {"mode": "acme", "profile": "tlsserver"},
}


class Move:
    """The old and the new machine. Each run configures one of them, with its own sites."""

    def __init__(self, inventory: str, folder: Path) -> None:
        self.inventory, self.settings = inventory, folder / "settings.json"
        self.lab = yaml.safe_load((Path(inventory) / "hosts.yml").read_text())["all"]
        self.scenario = yaml.safe_load((Path(inventory) / "group_vars/all/sites.yml").read_text())["sites"]
        self.old, self.new = (
            testinfra.get_host(f"ansible://{name}?ansible_inventory={inventory}&sudo=True")
            for name in ("web1", "web2")
        )

    def address(self, name: str) -> str:
        return self.lab["hosts"][name]["ansible_host"]

    def run(self, playbook: str, name: str, *arguments: str) -> str:
        result = run_playbook(
            playbook, self.inventory, "-e", f"@{self.settings}", "--limit", name, *arguments
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    def converge(self, name: str, sites: dict[str, Any], **settings: Any) -> str:
        self.settings.write_text(json.dumps({"sites": sites, **settings}))
        return self.run("site.yml", name, "--tags", "certbot,nginx")

    def certificate(self, name: str) -> x509.Certificate:
        """Return the certificate that a machine serves for the site."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(
                (self.address(name), self.lab["hosts"][name]["lab_https_port"]), 10
            ) as plain,
            context.wrap_socket(plain, server_hostname=NAME) as connection,
        ):
            return x509.load_der_x509_certificate(connection.getpeercert(True))


@pytest.fixture(scope="module")
def move(inventory, tmp_path_factory) -> Iterator[Move]:
    machines = Move(inventory, tmp_path_factory.mktemp("move"))
    machines.new.check_output("cp -a %s %s", STATE, f"{STATE}.kept")
    yield machines
    machines.new.check_output("rm -r %s", STATE)
    machines.new.check_output("mv %s %s", f"{STATE}.kept", STATE)
    machines.converge("web1:web2", machines.scenario)


@pytest.fixture(autouse=True)
def old_machine_serves(authority, move) -> Iterator[None]:
    """Resolve the name to the old machine. The new one has the site but no certificate."""
    authority.clear_addresses(NAME)
    authority.add_address(NAME, move.address("web1"))
    move.new.check_output("find %s -mindepth 1 -delete", STATE)
    move.converge("web1", move.scenario | {"moving": MOVING})
    move.converge("web2", {"moving": MOVING})
    log = move.new.check_output("journalctl --unit decanter-certificates --lines 8 --output cat")
    assert f"moving: {NAME} does not reach this host: {move.address('web1')} responds with 404" in log, log
    yield
    authority.clear_addresses(NAME)


def issued_by_pebble(certificate: x509.Certificate) -> bool:
    return "Pebble" in certificate.issuer.rfc4514_string()


def test_new_machine_gets_certificate_before_dns_changes(move, visitor):
    # The old machine requests challenges from two successors. The first address is not in use.
    unused_address = move.address("web2").rpartition(".")[0] + ".250"
    successors = [unused_address, move.address("web2")]
    move.converge("web1", move.scenario | {"moving": MOVING}, nginx_challenge_successors=successors)
    move.new.run("systemctl start decanter-certificates.service")
    eventually(lambda: issued_by_pebble(move.certificate("web2")))
    keys = {name: move.certificate(name).public_key().public_numbers() for name in ("web1", "web2")}
    assert keys["web1"] != keys["web2"], "expected different keys"

    # Other requests to the old machine.
    token, short = "a-proof-that-is-long-enough_1", "too-short"
    folder = f"/var/lib/decanter/challenges{CHALLENGES}"
    for name in (token, short):
        move.new.check_output("printf found > %s", f"{folder}/{name}")
    responses = {
        "a challenge": visitor.get(f"http://{NAME}{CHALLENGES}/{token}?a=b"),
        "the same challenge": visitor.get(f"http://{NAME}{CHALLENGES}/{token}"),
        "a challenge for a peer": visitor.get(
            f"http://{NAME}{CHALLENGES}/{token}", headers={"X-Challenge-From": "peer"}
        ),
        "an unknown token": visitor.get(f"http://{NAME}{CHALLENGES}/{token[::-1]}"),
        "a short token": visitor.get(f"http://{NAME}{CHALLENGES}/{short}"),
        "a path below a token": visitor.get(f"http://{NAME}{CHALLENGES}/{token}/{token}"),
        "another path": visitor.get(f"http://{NAME}/{token}"),
    }
    move.new.check_output("rm %s/%s %s/%s", folder, token, folder, short)
    statuses, expected = {"a challenge": 200, "the same challenge": 200, "another path": 301}, {}
    for request, response in responses.items():
        expected[request] = statuses.get(request, 404)
        assert response.elapsed.total_seconds() < 5, (
            f"{request}: expected a response within 5 s, got {response.elapsed}"
        )
    got = {request: response.status_code for request, response in responses.items()}
    assert got == expected, f"expected {expected}, got {got}"
    assert responses["a challenge"].text == "found", responses["a challenge"].text


@pytest.fixture
def carry(move, tmp_path):
    """Return a function that runs bin/carry as `make carry FROM=old HOST=web2` does.

    A configuration file of ssh defines the host `old`.
    """
    lab, old = move.lab["vars"], move.lab["hosts"]["web1"]
    known_hosts = re.search(r"UserKnownHostsFile=(\S+)", lab["ansible_ssh_common_args"])[1]
    (tmp_path / "config").write_text(
        f"Host old\n  HostName {old['ansible_host']}\n  Port {old.get('ansible_port', 22)}\n"
        f"  User {lab['ansible_user']}\n  IdentityFile {lab['ansible_ssh_private_key_file']}\n"
        f"  UserKnownHostsFile {known_hosts}\n"
    )
    (tmp_path / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {tmp_path}/config "$@"\n')
    (tmp_path / "ssh").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [ROOT / "bin/carry", "old", Path(move.inventory).resolve(), "web2"]
    return lambda: subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def accounts(host: testinfra.host.Host) -> str:
    return host.check_output("cd %s/certbot/accounts && sha256sum $(find . -type f | sort)", STATE)


def test_carry_imports_account_certificates_and_keys(authority, move, carry):
    before = move.certificate("web1")
    result = carry()
    output = result.stdout + result.stderr
    assert result.returncode == 0 and "moving: imported" in output, output
    assert "plain: not a site of this host" in output, f"expected no import of other sites, got {output}"
    assert "PRIVATE" not in output and len(output) < 1000, "expected no key in the output"
    assert issued_by_pebble(before)
    eventually(lambda: move.certificate("web2") == before)
    assert accounts(move.new) == accounts(move.old), "expected the account of the old machine"
    command = ("find", f"{STATE}/certbot/accounts", f"{STATE}/certbot/archive", f"{STATE}/sites")
    readable = move.new.check_output(f"{' '.join(command)} -type f -perm /077")
    assert readable == "", f"expected files that only root can read, got {readable}"
    result = carry()
    assert result.returncode != 0 and "this host already has an account" in result.stderr, result.stderr

    authority.clear_addresses(NAME)  # because add_address keeps the old address
    authority.add_address(NAME, move.address("web2"))
    output = move.converge("web2", {"moving": MOVING})
    assert set(re.findall(r"changed=(\d+)", output)) == {"0"}, (
        f"expected no change and no order, got {output}"
    )
    assert move.certificate("web2") == before
    move.run("certs.yml", "web2", "-e", "site=moving", "-e", "force=true")
    eventually(lambda: move.certificate("web2") != before)
    assert issued_by_pebble(move.certificate("web2"))
    assert accounts(move.new) == accounts(move.old), "expected the renewal to keep the account"
