"""Fixtures of the scenario: the CA, DNS, served certificates and the unit that renews them."""

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
    """Wait until the condition is true, because nginx reloads its files asynchronously."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "expected another certificate within 5 s"
        time.sleep(0.1)


class Authority:
    """The management API of Pebble and of its DNS server.

    Uses urllib, because the fixture `visitor` sends all connections of urllib3 to the host under test.
    """

    def __init__(self, address: str, ca_file: str) -> None:
        self.address, self.context = address, ssl.create_default_context(cafile=ca_file)

    def request(self, url: str, data: dict[str, Any] | None = None) -> str:
        body = json.dumps(data).encode() if data else None
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.context))
        with urllib.request.build_opener(*handlers).open(request, timeout=20) as response:
            return response.read().decode()

    def root(self) -> str:
        """Return the root certificate in PEM format."""
        return self.request(f"https://{self.address}:15000/roots/0")

    def suggest(self, chain: str, start: str, end: str) -> None:
        """Set the renewal window that ARI returns for a certificate."""
        window = {"suggestedWindow": {"start": start, "end": end}}
        data = {"certificate": chain, "ariResponse": json.dumps(window)}
        self.request(f"https://{self.address}:15000/set-renewal-info/", data)

    def add_address(self, name: str, address: str) -> None:
        """Add an address to the DNS records of a name."""
        self.request(f"http://{self.address}:8055/add-a", {"host": f"{name}.", "addresses": [address]})

    def clear_addresses(self, name: str) -> None:
        """Delete the DNS records of a name."""
        self.request(f"http://{self.address}:8055/clear-a", {"host": f"{name}."})


@pytest.fixture(scope="module")
def authority(host) -> Authority:
    # get_variables() does not render this template. Module scope, because a call of Ansible takes seconds.
    address = host.ansible("ansible.builtin.debug", "var=scenario_ca")["scenario_ca"]
    return Authority(address, f"{host.ansible.get_variables()['lab_directory']}/ca.crt")


@pytest.fixture
def certificate(visitor) -> Callable[[str], x509.Certificate]:
    """Return a function that returns the certificate that nginx serves for a name."""

    def read(name: str) -> x509.Certificate:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(visitor.endpoint(443), 10) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            return x509.load_der_x509_certificate(connection.getpeercert(True))

    return read


@pytest.fixture
def converge(play) -> Callable[..., str]:
    """Return a function that converges sites with the roles for certificates, and returns the output."""

    def run(sites: dict[str, Any], *arguments: str) -> str:
        tags = ("--tags", "python_app,release,certbot,nginx")
        result = play("site.yml", sites, *tags, *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    return run


@pytest.fixture
def run_unit(host) -> Callable[[], Any]:
    """Return a function that runs the timer's unit, and returns the result of systemctl."""

    def run() -> Any:
        with host.sudo():
            result = host.run("systemctl start decanter-certificates.service")
        time.sleep(0.5)  # nginx reloads its files asynchronously
        return result

    return run


@pytest.fixture
def reloads(host) -> Callable[[], int]:
    """Return a function that counts the reloads of nginx."""
    log = "sudo journalctl --unit nginx.service --output cat"
    return lambda: sum(line.startswith("Reloaded nginx") for line in host.check_output(log).splitlines())


@pytest.fixture
def host_name(variables) -> str:
    """Return the host's name in the inventory, which is part of the names of its sites."""
    return variables["inventory_hostname"]


@pytest.fixture
def force_renewal(host, run_unit) -> Callable[..., str]:
    """Return a function that renews a site's certificate, and returns the output of the unit."""

    def run(site: str = "plain", fails: bool = True) -> str:
        request = json.dumps({"force": True, "site": site})
        with host.sudo():
            host.check_output("printf %%s %s > %s/request.json", request, STATE)
        return output_of_run(host, run_unit, fails)

    return run


def output_of_run(host, run_unit, fails: bool) -> str:
    """Start the unit, and return its output. `fails` is whether the unit is expected to fail."""
    with host.sudo():
        result = run_unit()
        invocation = host.check_output(f"systemctl show {UNIT} --property InvocationID --value")
        log = host.check_output(f"journalctl _SYSTEMD_INVOCATION_ID={invocation} --output cat")
    assert (result.rc != 0) == fails, f"expected the unit to {'fail' if fails else 'succeed'}, got {log}"
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
def other_names(host, authority, variables, host_name) -> Iterator[None]:
    """Make the names of all sites resolve to the host, so that the unit fails only because of a test."""
    names = [f"{name}.{host_name}.test" for name in ("astray", "early")]
    for name in names:
        authority.clear_addresses(name)
        authority.add_address(name, variables["ansible_host"])
    yield
    for name in names:
        authority.clear_addresses(name)
    authority.add_address(names[0], authority.address)
