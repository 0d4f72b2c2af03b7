"""The firewall of hosts after role firewall: connections from outside, and its rules."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator

import pytest

# Seconds, longer than any response takes in a lab. A dropped packet gets none.
TIMEOUT = 2.0


@pytest.fixture(scope="module")
def address(host) -> str:
    """Return the address of the host, or skip the tests if this machine is not connected over a network."""
    client, _, server, _ = host.check_output("echo $SSH_CONNECTION").split()
    if server == client or ipaddress.ip_address(server).is_loopback:
        pytest.skip("the host is reached through a port of this machine, not over a network")
    return server


@pytest.fixture(scope="module")
def listeners(host) -> Iterator[tuple[int, ...]]:
    """Start listeners on ports without a firewall rule, on all addresses. Return the ports."""
    ports = (8000, 3307)
    with host.sudo():
        for port in ports:
            host.run(f"systemctl stop test-port-{port}")
            host.check_output(
                f"systemd-run --collect --unit=test-port-{port} python3 -m http.server --bind :: {port}"
            )
        deadline = time.monotonic() + 10
        while not all(host.socket(f"tcp://:::{port}").is_listening for port in ports):
            assert time.monotonic() < deadline, f"expected listeners on {ports} within 10 s"
    yield ports
    with host.sudo():
        for port in ports:
            host.run(f"systemctl stop test-port-{port}")


def reach(address: str, port: int) -> str:
    """Return `open`, `refused` (the packet arrived, but no program listens) or `dropped` for a connection."""
    try:
        with socket.create_connection((address, port), TIMEOUT):
            return "open"
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "dropped"


def test_firewall_accepts_declared_ports(host, address) -> None:
    ssh = int(host.check_output("echo $SSH_CONNECTION").split()[3])
    got = reach(address, ssh)
    assert got == "open", f"ssh on {address}:{ssh}: expected open, got {got}"
    for port in (80, 443):
        got = reach(address, port)
        assert got in ("open", "refused"), f"{address}:{port}: expected open or refused, got {got}"


def test_firewall_drops_other_ports(host, address, listeners) -> None:
    for port in listeners:
        local = host.run(
            f'curl -so /dev/null http://127.0.0.1:{port} || python3 -c "import socket; '
            f"socket.create_connection(('127.0.0.1', {port}), 2)\""
        )
        assert local.rc == 0, f"port {port} on the host itself: expected a response, got {local.stderr}"
        got = reach(address, port)
        assert got == "dropped", f"{address}:{port}: expected dropped, got {got}"


@pytest.mark.alone
def test_firewall_shows_peer_declared_ports_only(host, peer, listeners) -> None:
    address = host.interface("eth0").addresses[0]
    probe = (
        "import socket, sys\n"
        "for port in map(int, sys.argv[2:]):\n"
        "    try: socket.create_connection((sys.argv[1], port), 2).close(); print(port)\n"
        "    except OSError: pass\n"
    )
    ports = [22, 80, 443, *listeners, 3306]
    got = peer.check_output("python3 -c %s %s " + " ".join(map(str, ports)), probe, address)
    assert got.split() == ["22", "80", "443"], (
        f"expected 22, 80 and 443 of {ports} to be open, got {got.split()}"
    )


@pytest.mark.parametrize("tool", ["iptables", "ip6tables"])
def test_firewall_default_is_drop_for_ipv4_and_ipv6(host, tool) -> None:
    with host.sudo():
        rules = host.check_output(f"{tool} -S INPUT").splitlines()
    assert rules[0] == "-P INPUT DROP", f"{tool}: expected -P INPUT DROP, got {rules[0]}"


def test_firewall_ufw_rules_match_kernel(host) -> None:
    """The files of ufw, which `ufw status` reads, and the kernel contain the same rules."""
    with host.sudo():
        status = host.check_output("ufw status verbose")
        kernel = host.check_output("iptables -S ufw-user-input")
    assert "Status: active" in status, f"expected an active firewall, got: {status}"
    assert "Default: deny (incoming), allow (outgoing)" in status, f"expected deny, allow; got: {status}"
    for port in (22, 80, 443):
        assert f"--dport {port} " in kernel and f"{port}/tcp" in status, (
            f"expected {port}/tcp in both, got: {kernel}\n{status}"
        )


def test_firewall_starts_at_boot(host) -> None:
    assert host.service("ufw").is_enabled, "expected ufw.service to be enabled, got disabled"
    conf = host.file("/etc/ufw/ufw.conf").content_string
    assert "ENABLED=yes" in conf, f"expected ENABLED=yes, got: {conf}"


def test_firewall_accepts_replies_to_own_connections(host) -> None:
    """The host resolves a hostname, so the firewall accepts the reply of the DNS server."""
    # The names of the package archives, because each host has to resolve them.
    names = host.run("apt-get indextargets --format '$(SITE)' | cut -d/ -f3 | sort -u | xargs getent hosts")
    assert names.rc == 0, "expected an archive's name to resolve through the firewall"
