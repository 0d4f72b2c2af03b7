"""The authority and DNS of the scenario, and what visitors are shown."""

from __future__ import annotations

import json
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

ROOT = Path(__file__).parents[3]
pytest_plugins = ["tests.hosts.fixtures.lab"]

STATE = "/var/lib/decanter/certificates"
UNIT = "decanter-certificates.service"
ALARM = f"decanter-alarm@{UNIT}.service"
METRICS = "/var/lib/decanter/metrics/certificates.prom"


def eventually(condition: Callable[[], bool]) -> None:
    """Once nginx, which is not waited for when it is reloaded, has read what is new."""
    ends = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < ends, "expected another certificate to be shown within 5 s"
        time.sleep(0.1)


class Authority:
    """Pebble, and the DNS that it asks. Not by requests, which takes all for the visitor's host."""

    def __init__(self, address: str, vouched_by: str) -> None:
        self.address, self.context = address, ssl.create_default_context(cafile=vouched_by)

    def ask(self, url: str, told: dict[str, Any] | None = None) -> str:
        body = json.dumps(told).encode() if told else None
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.context))
        with urllib.request.build_opener(*handlers).open(request, timeout=20) as answer:
            return answer.read().decode()

    def root(self) -> str:
        """Whom visitors have to trust."""
        return self.ask(f"https://{self.address}:15000/roots/0")

    def suggest(self, chain: str, start: str, end: str) -> None:
        """Have it say when a certificate is to be renewed."""
        window = {"suggestedWindow": {"start": start, "end": end}}
        told = {"certificate": chain, "ariResponse": json.dumps(window)}
        self.ask(f"https://{self.address}:15000/set-renewal-info/", told)

    def lead(self, name: str, address: str) -> None:
        """Have DNS know a name, or forget it."""
        what, told = ("add-a", {"addresses": [address]}) if address else ("clear-a", {})
        self.ask(f"http://{self.address}:8055/{what}", {"host": f"{name}.", **told})


@pytest.fixture(scope="module")
def authority(host) -> Authority:
    # A template, which variables are not rid of; and to ask Ansible takes seconds.
    address = host.ansible("ansible.builtin.debug", "var=scenario_ca")["scenario_ca"]
    return Authority(address, f"{host.ansible.get_variables()['lab_directory']}/ca.crt")


@pytest.fixture
def shown(visitor) -> Callable[[str], x509.Certificate]:
    """The certificate that a visitor of a name is shown."""

    def look(name: str) -> x509.Certificate:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(visitor.place(443), 10) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            return x509.load_der_x509_certificate(connection.getpeercert(True))

    return look


@pytest.fixture
def converge(play) -> Callable[..., str]:
    """Converge the roles that have to do with it, with some sites; what was said."""

    def run(sites: dict[str, Any], *arguments: str) -> str:
        tags = ("--tags", "python_app,release,certbot,nginx")
        finished = play("site.yml", sites, *tags, *arguments)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout + finished.stderr

    return run


@pytest.fixture
def turn(host) -> Callable[[], Any]:
    """Have the timer's unit run now; the finished command."""

    def run() -> Any:
        with host.sudo():
            finished = host.run("systemctl start decanter-certificates.service")
        time.sleep(0.5)  # nginx, which is not waited for when it is reloaded, reads what is new
        return finished

    return run


@pytest.fixture
def reloads(host) -> Callable[[], int]:
    """How often nginx has been reloaded."""
    log = "sudo journalctl --unit nginx.service --output cat"
    return lambda: sum(line.startswith("Reloaded nginx") for line in host.check_output(log).splitlines())


@pytest.fixture
def me(variables) -> str:
    """Return the host's name in the inventory, which its sites' names have."""
    return variables["inventory_hostname"]


@pytest.fixture
def forced(host, turn) -> Callable[..., str]:
    """Renew one site's certificate, and return the output of the unit."""

    def run(site: str = "plain", fails: bool = True) -> str:
        request = json.dumps({"force": True, "site": site})
        with host.sudo():
            host.check_output("printf %%s %s > %s/request.json", request, STATE)
        return output_of_run(host, turn, fails)

    return run


def output_of_run(host, turn, fails: bool) -> str:
    """Start the unit, and return its output. `fails` is whether the unit is expected to fail."""
    with host.sudo():
        finished = turn()
        invocation = host.check_output(f"systemctl show {UNIT} --property InvocationID --value")
        log = host.check_output(f"journalctl _SYSTEMD_INVOCATION_ID={invocation} --output cat")
    assert (finished.rc != 0) == fails, f"expected the unit to {'fail' if fails else 'succeed'}, got {log}"
    return log


@pytest.fixture
def authority_down(host) -> Callable[[], AbstractContextManager[None]]:
    """Return a context in which the host's connections to the CA are refused."""
    rule = "OUTPUT -p tcp --dport 14000 -j REJECT --reject-with tcp-reset"

    @contextmanager
    def down() -> Iterator[None]:
        with host.sudo():
            host.check_output(f"iptables -I {rule}")
        try:
            yield
        finally:
            with host.sudo():
                host.check_output(f"iptables -D {rule}")

    return down


@pytest.fixture
def other_names(host, authority, variables, me) -> Iterator[None]:
    """Let each name of each site resolve to the host, so that the unit fails only by the fault of a test."""
    names = [f"{name}.{me}.test" for name in ("astray", "early")]
    for name in names:
        authority.lead(name, "")
        authority.lead(name, variables["ansible_host"])
    yield
    for name in names:
        authority.lead(name, "")
    authority.lead(names[0], authority.address)
