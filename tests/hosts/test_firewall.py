"""What role firewall promises, tried from outside against a host that it has set up."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator

import pytest

# Longer than any answer takes in a lab, shorter than the first retransmission's patience.
TIMEOUT = 2.0


@pytest.fixture(scope="module")
def address(host) -> str:
    """The host's address, as seen from here."""
    client, _, server, _ = host.check_output("echo $SSH_CONNECTION").split()
    if server == client or ipaddress.ip_address(server).is_loopback:
        pytest.skip("this host is reached through this machine, not over a network")
    return server


@pytest.fixture(scope="module")
def listeners(host) -> Iterator[tuple[int, ...]]:
    """Programs of no port that is declared, on all addresses."""
    ports = (8000, 3307)
    with host.sudo():
        for port in ports:
            host.run(f"systemctl stop test-port-{port}")
            host.check_output(
                f"systemd-run --collect --unit=test-port-{port} python3 -m http.server --bind :: {port}"
            )
        deadline = time.monotonic() + 10
        while not all(host.socket(f"tcp://:::{port}").is_listening for port in ports):
            assert time.monotonic() < deadline, f"expected listeners on {ports} after 10 s, got none"
    yield ports
    with host.sudo():
        for port in ports:
            host.run(f"systemctl stop test-port-{port}")


def reach(address: str, port: int) -> str:
    """How a connection ends: `open`, `refused` (the packet arrived, nobody listens) or `dropped`."""
    try:
        with socket.create_connection((address, port), TIMEOUT):
            return "open"
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "dropped"


def test_declared_ports_are_reached(host, address) -> None:
    ssh = int(host.check_output("echo $SSH_CONNECTION").split()[3])
    got = reach(address, ssh)
    assert got == "open", f"ssh on {address}:{ssh}: expected open, got {got}"
    for port in (80, 443):
        got = reach(address, port)
        assert got in ("open", "refused"), f"{address}:{port}: expected a way through, got {got}"


def test_other_ports_are_dropped(host, address, listeners) -> None:
    for port in listeners:
        inside = host.run(
            f'curl -so /dev/null http://127.0.0.1:{port} || python3 -c "import socket; '
            f"socket.create_connection(('127.0.0.1', {port}), 2)\""
        )
        assert inside.rc == 0, f"port {port} on the host itself: expected an answer, got {inside.stderr}"
        got = reach(address, port)
        assert got == "dropped", f"{address}:{port}: expected dropped, got {got}"


@pytest.mark.alone
def test_another_host_sees_the_declared_ports_alone(host, peer, listeners) -> None:
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
def test_both_families_drop(host, tool) -> None:
    with host.sudo():
        rules = host.check_output(f"{tool} -S INPUT").splitlines()
    assert rules[0] == "-P INPUT DROP", f"{tool}: expected -P INPUT DROP, got {rules[0]}"


def test_ufw_agrees_with_the_kernel(host) -> None:
    """ufw reads its files, the kernel its memory: both have the same number of rules for ssh."""
    with host.sudo():
        status = host.check_output("ufw status verbose")
        kernel = host.check_output("iptables -S ufw-user-input")
    assert "Status: active" in status, f"expected an active firewall, got: {status}"
    assert "Default: deny (incoming), allow (outgoing)" in status, f"expected deny, allow; got: {status}"
    for port in (22, 80, 443):
        assert f"--dport {port} " in kernel and f"{port}/tcp" in status, (
            f"expected {port}/tcp in both, got: {kernel}\n{status}"
        )


def test_it_starts_at_boot(host) -> None:
    assert host.service("ufw").is_enabled, "expected ufw.service to be enabled, got disabled"
    conf = host.file("/etc/ufw/ufw.conf").content_string
    assert "ENABLED=yes" in conf, f"expected ENABLED=yes, got: {conf}"


def test_the_host_reaches_out(host) -> None:
    """Answers to its own connections come in."""
    # Any name that the host has to know: where its packages come from.
    names = host.run("apt-get indextargets --format '$(SITE)' | cut -d/ -f3 | sort -u | xargs getent hosts")
    assert names.rc == 0, "expected a name to be resolved through the firewall, got no answer"
