"""A converge applies a changed inventory, removes the old configuration, and keeps all connections.

Each test restores the host with another converge. test_check_mode.py then detects remaining changes.
"""

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
    """Return `sites` with changed keys of one site."""
    return sites | {name: sites[name] | keys}


@pytest.fixture
def converge(play, sites) -> Callable[..., None]:
    """Return a function that converges with changed sites or variables, and asserts success."""

    def converge_tags(tags: str, new_sites: dict | None = None, **variables: object) -> None:
        arguments = ("--tags", tags, "-e", json.dumps(variables))
        run = play("site.yml", sites if new_sites is None else new_sites, *arguments)
        assert run.returncode == 0, run.stdout

    return converge_tags


@pytest.fixture
def myproject_url(variables) -> str:
    """Return the URL of the site myproject: its canonical name is the address of the host."""
    return f"https://{variables['ansible_host']}/"


@pytest.fixture
def address(variables) -> str:
    """Return the address of the host, or skip the test if it is a loopback address."""
    if ipaddress.ip_address(variables["ansible_host"]).is_loopback:
        pytest.skip("the host is reached through a port of this machine, not over a network")
    return variables["ansible_host"]


@pytest.fixture
def session(variables) -> Iterator[None]:
    """Open an ssh connection before the test, and assert after the test that it still works."""
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


def firewall_rules(host) -> str:
    with host.sudo():
        return host.check_output("ufw status")


def test_ssh_port_changed_keeps_access(host, visitor, variables, converge, address, session):
    """A run through the old port opens the new one. A run through the new port closes the old one."""
    old, new = variables.get("ansible_port", 22), 2222
    with Reader(visitor, SITE) as reader:
        try:
            converge("base,firewall", base_ssh_ports=[new])
            got = {port: reach(address, port) for port in (old, new)}
            assert got == {old: "open", new: "open"}, (
                f"expected both ports open while Ansible uses {old}, got {got}"
            )

            converge("base,firewall", base_ssh_ports=[new], ansible_port=new)
            got = {port: reach(address, port) for port in (old, new)}
            assert got == {old: "dropped", new: "open"}, f"expected only port {new} open, got {got}"
            got = sshd_ports(host)
            assert got == [str(new)], f"expected sshd to listen on {new} only, got {got}"
            got = firewall_rules(host)
            assert f"{new}/tcp" in got and f"\n{old}/tcp" not in got, (
                f"expected a rule for ssh on {new} only, got {got}"
            )
        finally:
            for port in (new, old):
                if reach(address, port) == "open":
                    converge("base,firewall", ansible_port=port)
    got = ({port: reach(address, port) for port in (old, new)}, sshd_ports(host))
    assert got == ({old: "open", new: "dropped"}, [str(old)]), f"expected only port {old} again, got {got}"
    reader.assert_served()


def test_firewall_rule_added_and_removed(host, visitor, converge, address, session):
    before = firewall_rules(host)
    # No program listens on the port, so a packet that passes the firewall results in `refused`.
    assert reach(address, 8000) == "dropped", "expected the firewall to drop packets to port 8000 at first"
    with Reader(visitor, SITE) as reader:
        converge("firewall", firewall_extra_rules=[{"port": 8000}])
        with_rule = reach(address, 8000)
        converge("firewall")
    assert with_rule == "refused", f"port 8000 with a rule: expected refused, got {with_rule}"
    got = reach(address, 8000)
    assert got == "dropped", f"port 8000 without a rule: expected dropped, got {got}"
    assert firewall_rules(host) == before, (
        f"expected the previous rules, {before}; got {firewall_rules(host)}"
    )
    reader.assert_served()


def test_site_renamed_serves_new_name_only(host, visitor, sites, converge, myproject_url):
    tags = "python_app,release,certbot,nginx"
    url = "https://renamed.test/"
    renamed_sites = with_site(sites, "myproject", server_names=["renamed.test"])
    with Reader(visitor, SITE) as other, Reader(visitor, myproject_url, url) as reader:
        converge(tags, renamed_sites)
        try:
            with visitor.handshake("renamed.test") as connection:
                names = [value for _, value in connection.getpeercert()["subjectAltName"]]
            assert names == ["renamed.test"], f"expected a certificate for the new name only, got {names}"
            for name in ("myproject.test", None):
                with pytest.raises(ssl.SSLError):
                    visitor.handshake(name)
            for old in ("http://myproject.test/", myproject_url.replace("https", "http")):
                with pytest.raises(OSError):
                    visitor.get(old)
            with host.sudo():
                files = host.run("grep -rlF myproject.test /etc /run/decanter").stdout
            assert files == "", f"expected no file with the old name, got {files}"
        finally:
            converge(tags)
    used = list(dict.fromkeys(origin for origin, _ in reader.results))
    assert used == [myproject_url, url], (
        f"expected responses from the old URL, then from the new one; got {used}"
    )
    reader.assert_served()
    other.assert_served()


def test_site_settings_changed_and_restored(host, visitor, sites, converge, myproject_url):
    """Change the number of workers and the upload limit; add a secret and remove it again."""
    tags = "python_app,release,nginx"
    body = {"text": "x" * 1_500_000}
    # The file of a secret, and its copies for the running instances, which systemd creates.
    folders = "/etc/decanter/myproject/credentials /run/credentials/myproject@*.service"

    def read_state() -> tuple[int, int, int]:
        """Return the number of workers, the status of an upload, and the number of copies of the secret."""
        with host.sudo():
            # Without the master process.
            workers = len(host.check_output("pgrep --full --uid myproject gunicorn").split()) - 1
            copies = len(host.run(f"find {folders} -name OLD_TOKEN").stdout.split())
        return workers, visitor.post(myproject_url, body).status_code, copies

    def wait_for_state(expected: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the state when it is as expected, or after 20 s, because the old instance drains first."""
        deadline = time.monotonic() + 20
        while (got := read_state()) != expected and time.monotonic() < deadline:
            time.sleep(0.2)
        return got

    before = read_state()
    assert before[1:] == (413, 0), f"expected status 413 for 1.5 MB and no secret at first, got {before}"
    # The application responds with 405 to a POST, so this status shows that nginx accepted the upload.
    expected = (before[0] + 1, 405, 2)
    new_sites = with_site(
        *(sites, "myproject"),
        gunicorn={"workers": expected[0]},
        nginx={"client_max_body_size": "2m"},
        secrets={"OLD_TOKEN": secrets.token_hex()},
    )
    with Reader(visitor, myproject_url) as reader:
        converge(tags, new_sites)
        got = wait_for_state(expected)
        converge(tags)
        after = wait_for_state(before)
    assert got == expected, f"expected workers, status and copies of the secret {expected}, got {got}"
    assert after == before, f"expected the previous state {before}, got {after}"
    with host.sudo():
        files = host.run("grep -rl OLD_TOKEN /etc/decanter /etc/systemd").stdout
    assert files == "", f"expected no file with the name of the removed secret, got {files}"
    reader.assert_served()
