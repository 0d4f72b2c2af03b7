"""What is changed in an inventory is changed by the next converge: nothing of the old stays, nobody is cut
off. Each test puts the host back as it was, by another converge; test_check_mode.py finds what stays."""

from __future__ import annotations

import ipaddress
import json
import secrets
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from test_firewall import reach

from tests.hosts.fixtures.lab import Reader, login

SITE = "https://harbour.test/healthz"


def with_site(sites: dict, name: str, **keys: object) -> dict:
    """The sites with other values under keys of one of them."""
    return sites | {name: sites[name] | keys}


@pytest.fixture
def converge(play, sites) -> Callable[..., None]:
    """Converge with other sites or variables than the inventory's, which must end well."""

    def run(tags: str, changed: dict | None = None, **variables: object) -> None:
        arguments = ("--tags", tags, "-e", json.dumps(variables))
        done = play("site.yml", sites if changed is None else changed, *arguments)
        assert done.returncode == 0, done.stdout

    return run


@pytest.fixture
def neighbour(variables) -> str:
    """The other site, which is asked for by the host's address."""
    return f"https://{variables['ansible_host']}/"


@pytest.fixture
def address(variables) -> str:
    if ipaddress.ip_address(variables["ansible_host"]).is_loopback:
        pytest.skip("this host is reached through this machine, not over a network")
    return variables["ansible_host"]


@pytest.fixture
def session(variables) -> Iterator[None]:
    """A connection that was there before the test, and must answer when it has ended."""
    options = ("-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ServerAliveInterval=2")
    command = ["ssh", *options, *login(variables), "cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:

        def echo() -> None:
            word = secrets.token_hex(4)
            print(word, file=shell.stdin, flush=True)
            got = shell.stdout.readline().strip()
            assert got == word, f"expected {word} back over the connection, got {got!r}"

        echo()
        yield
        echo()
        shell.stdin.close()


def sshd_ports(host) -> list[str]:
    with host.sudo():
        return host.check_output("/usr/sbin/sshd -T | sed -n 's/^port //p' | sort -n").split()


def firewalled(host) -> str:
    with host.sudo():
        return host.check_output("ufw status")


def test_the_port_of_ssh(host, visitor, variables, converge, address, session):
    """One run through the old port, and one through the new, which closes the old."""
    old, new = variables.get("ansible_port", 22), 2222
    with Reader(visitor, SITE) as reader:
        try:
            converge("base,firewall", base_ssh_ports=[new])
            got = {port: reach(address, port) for port in (old, new)}
            assert got == {old: "open", new: "open"}, f"expected both while {old} is in use, got {got}"

            converge("base,firewall", base_ssh_ports=[new], ansible_port=new)
            got = {port: reach(address, port) for port in (old, new)}
            assert got == {old: "dropped", new: "open"}, f"expected the new one alone, got {got}"
            got = sshd_ports(host)
            assert got == [str(new)], f"expected sshd to listen on {new} alone, got {got}"
            got = firewalled(host)
            assert f"{new}/tcp" in got and f"\n{old}/tcp" not in got, f"expected ssh on {new}, got {got}"
        finally:
            # The way back is the same.
            for port in (new, old):
                if reach(address, port) == "open":
                    converge("base,firewall", ansible_port=port)
    got = ({port: reach(address, port) for port in (old, new)}, sshd_ports(host))
    assert got == ({old: "open", new: "dropped"}, [str(old)]), f"expected {old} alone again, got {got}"
    reader.assert_served()


def test_a_rule_of_the_firewall(host, visitor, converge, address, session):
    before = firewalled(host)
    # Nobody listens: `refused` is what comes back from behind the firewall.
    assert reach(address, 8000) == "dropped", "expected the port to be closed at first, got a way through"
    with Reader(visitor, SITE) as reader:
        converge("firewall", firewall_extra_rules=[{"port": 8000}])
        opened = reach(address, 8000)
        converge("firewall")
    assert opened == "refused", f"expected a way through to the port that was added, got {opened}"
    got = reach(address, 8000)
    assert got == "dropped", f"expected the port that was taken away to be closed, got {got}"
    assert firewalled(host) == before, f"expected the rules of before, {before}; got {firewalled(host)}"
    reader.assert_served()


def test_the_name_of_a_site(host, visitor, sites, converge, neighbour):
    tags = "python_app,release,certbot,nginx"
    url = "https://renamed.test/"
    renamed = with_site(sites, "myproject", server_names=["renamed.test"])
    with Reader(visitor, SITE) as other, Reader(visitor, neighbour, url) as reader:
        converge(tags, renamed)
        try:
            with visitor.handshake("renamed.test") as connection:
                names = [value for _, value in connection.getpeercert()["subjectAltName"]]
            assert names == ["renamed.test"], f"expected a certificate for the new name alone, got {names}"
            for name in ("myproject.test", None):
                with pytest.raises(ssl.SSLError):
                    visitor.handshake(name)
            for old in ("http://myproject.test/", neighbour.replace("https", "http")):
                with pytest.raises(OSError):
                    visitor.get(old)
            with host.sudo():
                left = host.run("grep -rlF myproject.test /etc /run/decanter").stdout
            assert left == "", f"expected the old name nowhere, got it in {left}"
        finally:
            converge(tags)
    used = list(dict.fromkeys(answer[0] for answer in reader.answers))
    assert used == [neighbour, url], f"expected the new name to answer from when the old did not, got {used}"
    reader.assert_served()
    other.assert_served()


def test_the_settings_of_a_site(host, visitor, sites, converge, neighbour):
    """The number of workers, the upload limit, and a secret that is taken away again."""
    tags = "python_app,release,nginx"
    body = {"text": "x" * 1_500_000}
    # Where a secret is kept, and what systemd hands to the processes that run.
    places = "/etc/decanter/myproject/credentials /run/credentials/myproject@*.service"

    def found() -> tuple[int, int, int]:
        """Of all instances: the workers, what becomes of an upload, in how many places the secret is."""
        with host.sudo():
            # One of them is the master.
            workers = len(host.check_output("pgrep --full --uid myproject gunicorn").split()) - 1
            kept = len(host.run(f"find {places} -name OLD_TOKEN").stdout.split())
        return workers, visitor.post(neighbour, body).status_code, kept

    def settled(expected: tuple[int, int, int]) -> tuple[int, int, int]:
        """What is found, once it is what is expected or 20 s have passed: the old instance drains."""
        deadline = time.monotonic() + 20
        while (got := found()) != expected and time.monotonic() < deadline:
            time.sleep(0.2)
        return got

    before = found()
    assert before[1:] == (413, 0), f"expected 1.5 MB to be too much and no secret at first, got {before}"
    # The application takes no POST, so nginx let it through.
    expected = (before[0] + 1, 405, 2)
    changed = with_site(
        *(sites, "myproject"),
        gunicorn={"workers": expected[0]},
        nginx={"client_max_body_size": "2m"},
        secrets={"OLD_TOKEN": secrets.token_hex()},
    )
    with Reader(visitor, neighbour) as reader:
        converge(tags, changed)
        got = settled(expected)
        converge(tags)
        back = settled(before)
    assert got == expected, f"expected workers, answer and places of the secret {expected}, got {got}"
    assert back == before, f"expected what was there before, {before}; got {back}"
    with host.sudo():
        left = host.run("grep -rl OLD_TOKEN /etc/decanter /etc/systemd").stdout
    assert left == "", f"expected a secret that was taken away to be named nowhere, got it in {left}"
    reader.assert_served()
