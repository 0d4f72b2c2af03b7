"""A site moves from one machine to another, which has its certificate before visitors come."""

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
PROOFS = "/.well-known/acme-challenge"
MOVING = {
    "server_names": [NAME],
    "source": {"path": "molecule/cluster/whoami"},
    "wsgi": "whoami:app",
    "health": {"path": "/healthz"},
    "tls": {"mode": "acme", "profile": "tlsserver"},
}


class Move:
    """The two machines, each in an inventory of its own as far as it knows."""

    def __init__(self, inventory: str, folder: Path) -> None:
        self.inventory, self.told = inventory, folder / "told.json"
        self.lab = yaml.safe_load((Path(inventory) / "hosts.yml").read_text())["all"]
        self.scenario = yaml.safe_load((Path(inventory) / "group_vars/all/sites.yml").read_text())["sites"]
        self.old, self.new = (
            testinfra.get_host(f"ansible://{name}?ansible_inventory={inventory}&sudo=True")
            for name in ("web1", "web2")
        )

    def address(self, name: str) -> str:
        return self.lab["hosts"][name]["ansible_host"]

    def run(self, playbook: str, name: str, *arguments: str) -> str:
        finished = run_playbook(playbook, self.inventory, "-e", f"@{self.told}", "--limit", name, *arguments)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout + finished.stderr

    def converge(self, name: str, sites: dict[str, Any], **settings: Any) -> str:
        self.told.write_text(json.dumps({"sites": sites, **settings}))
        return self.run("site.yml", name, "--tags", "certbot,nginx")

    def shown(self, name: str) -> x509.Certificate:
        """The certificate that a machine shows who comes to it for the site."""
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
    one = Move(inventory, tmp_path_factory.mktemp("move"))
    one.new.check_output("cp -a %s %s", STATE, f"{STATE}.kept")
    yield one
    one.new.check_output("rm -r %s", STATE)
    one.new.check_output("mv %s %s", f"{STATE}.kept", STATE)
    one.converge("web1:web2", one.scenario)


@pytest.fixture(autouse=True)
def at_the_old_machine(authority, move) -> Iterator[None]:
    """DNS leads there, and it has the site; the new one has nothing of an authority."""
    authority.lead(NAME, "")
    authority.lead(NAME, move.address("web1"))
    move.new.check_output("find %s -mindepth 1 -delete", STATE)
    move.converge("web1", move.scenario | {"moving": MOVING})
    move.converge("web2", {"moving": MOVING})
    said = move.new.check_output("journalctl --unit decanter-certificates --lines 8 --output cat")
    assert f"moving: {NAME} does not reach this host: {move.address('web1')} responds with 404" in said, said
    yield
    authority.lead(NAME, "")


def by_pebble(made: x509.Certificate) -> bool:
    return "Pebble" in made.issuer.rfc4514_string()


def test_a_certificate_before_dns_moves(move, visitor):
    # One line in the inventory of the old machine; of two that may follow it, one is not there.
    nobody = move.address("web2").rpartition(".")[0] + ".250"
    successors = [nobody, move.address("web2")]
    move.converge("web1", move.scenario | {"moving": MOVING}, nginx_challenge_successors=successors)
    move.new.run("systemctl start decanter-certificates.service")
    eventually(lambda: by_pebble(move.shown("web2")))
    shown = {name: move.shown(name) for name in ("web1", "web2")}
    numbers = {name: made.public_key().public_numbers() for name, made in shown.items()}
    assert numbers["web1"] != numbers["web2"], "expected each machine to have a key of its own"

    # What else comes to the old machine's door.
    token, short = "a-proof-that-is-long-enough_1", "too-short"
    folder = f"/var/lib/decanter/challenges{PROOFS}"
    for each in (token, short):
        move.new.check_output("printf found > %s", f"{folder}/{each}")
    asked = {
        "a proof": visitor.get(f"http://{NAME}{PROOFS}/{token}?a=b"),
        "it again": visitor.get(f"http://{NAME}{PROOFS}/{token}"),
        "one that a peer asks for": visitor.get(
            f"http://{NAME}{PROOFS}/{token}", headers={"X-Challenge-From": "peer"}
        ),
        "one that nobody has": visitor.get(f"http://{NAME}{PROOFS}/{token[::-1]}"),
        "what is no proof": visitor.get(f"http://{NAME}{PROOFS}/{short}"),
        "what is below": visitor.get(f"http://{NAME}{PROOFS}/{token}/{token}"),
        "another path": visitor.get(f"http://{NAME}/{token}"),
    }
    move.new.check_output("rm %s/%s %s/%s", folder, token, folder, short)
    found, expected = {"a proof": 200, "it again": 200, "another path": 301}, {}
    for what, answer in asked.items():
        expected[what] = found.get(what, 404)
        assert answer.elapsed.total_seconds() < 5, (
            f"expected an authority to wait for {what}, got {answer.elapsed}"
        )
    got = {what: answer.status_code for what, answer in asked.items()}
    assert got == expected, f"expected {expected}, got {got}"
    assert asked["a proof"].text == "found", asked["a proof"].text


@pytest.fixture
def carry(move, tmp_path):
    """Do as `make carry FROM=old HOST=web2` does; what an operator's ssh knows of `old` is in a file."""
    lab, place = move.lab["vars"], move.lab["hosts"]["web1"]
    known = re.search(r"UserKnownHostsFile=(\S+)", lab["ansible_ssh_common_args"])[1]
    (tmp_path / "config").write_text(
        f"Host old\n  HostName {place['ansible_host']}\n  Port {place.get('ansible_port', 22)}\n"
        f"  User {lab['ansible_user']}\n  IdentityFile {lab['ansible_ssh_private_key_file']}\n"
        f"  UserKnownHostsFile {known}\n"
    )
    (tmp_path / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {tmp_path}/config "$@"\n')
    (tmp_path / "ssh").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [ROOT / "bin/carry", "old", Path(move.inventory).resolve(), "web2"]
    return lambda: subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def accounts(host: testinfra.host.Host) -> str:
    return host.check_output("cd %s/certbot/accounts && sha256sum $(find . -type f | sort)", STATE)


def test_account_certificates_and_keys_are_carried_over(authority, move, carry):
    before = move.shown("web1")
    done = carry()
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "moving: imported" in said, said
    assert "plain: not a site of this host" in said, (
        f"expected what the new machine does not serve to be left, got {said}"
    )
    assert "PRIVATE" not in said and len(said) < 1000, "expected no key in what is said"
    assert by_pebble(before)
    eventually(lambda: move.shown("web2") == before)
    assert accounts(move.new) == accounts(move.old), "expected the account of the old machine"
    others = ("find", f"{STATE}/certbot/accounts", f"{STATE}/certbot/archive", f"{STATE}/sites")
    readable = move.new.check_output(f"{' '.join(others)} -type f -perm /077")
    assert readable == "", f"expected root alone to read them, got {readable}"
    again = carry()
    assert again.returncode != 0 and "this host already has an account" in again.stderr, again.stderr

    authority.lead(NAME, "")  # or it would have both
    authority.lead(NAME, move.address("web2"))
    said = move.converge("web2", {"moving": MOVING})
    assert set(re.findall(r"changed=(\d+)", said)) == {"0"}, f"expected nothing to be asked for, got {said}"
    assert move.shown("web2") == before
    move.run("certs.yml", "web2", "-e", "site=moving", "-e", "force=true")
    eventually(lambda: move.shown("web2") != before)
    assert by_pebble(move.shown("web2"))
    assert accounts(move.new) == accounts(move.old), "expected it to be had with the same account"
