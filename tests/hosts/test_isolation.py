"""Two sites on one host: each is served, and none sees anything of the other."""

from __future__ import annotations

import pytest

OTHERS = {"myproject": "harbour", "harbour": "myproject"}


def test_a_single_file_is_served_by_an_address(visitor, variables):
    """The certificate is verified by the same address, or there would be no page."""
    page = visitor.get(f"https://{variables['ansible_host']}/")
    assert (page.status_code, "Hello There!" in page.text) == (200, True), (
        f"got {page.status_code}: {page.text}"
    )


def test_a_name_leads_to_the_address_that_comes_first(visitor, variables):
    port = "" if variables["lab_https_port"] == 443 else f":{variables['lab_https_port']}"
    expected = f"https://{variables['ansible_host']}{port}/x"
    for url, status in (("https://myproject.test/x", 308), ("http://myproject.test/x", 301)):
        answer = visitor.get(url)
        got = (answer.status_code, answer.headers.get("Location"))
        assert got == (status, expected), f"{url}: expected {status} to {expected}, got {got}"


def test_each_site_has_its_own_certificate(visitor):
    for name in ("harbour.test", "myproject.test"):
        with visitor.handshake(name) as connection:
            names = [value for _, value in connection.getpeercert()["subjectAltName"]]
        assert name in names, f"expected a certificate for {name}, got one for {names}"
    assert "harbour.test" not in names, f"expected myproject's certificate to name no other site, got {names}"


@pytest.mark.parametrize("site", OTHERS)
def test_a_site_reads_nothing_of_the_others(host, site):
    other = OTHERS[site]
    with host.sudo():
        release = host.check_output(f"readlink -f /srv/{other}/current")
    closed = [
        f"ls {release}",
        f"ls /srv/{other}/shared",
        f"ls /srv/{other}/venvs",
        f"ls /etc/decanter/{other}/credentials",
        f"cat /etc/decanter/{other}/environment",
        f"ls /run/decanter/{other}",
        f"ls /etc/decanter/tls/{other}",
    ]
    with host.sudo(site):
        for command in closed:
            run = host.run(command)
            assert run.rc != 0, f"{site}: expected `{command}` to be refused, got {run.stdout}"


@pytest.mark.parametrize("site", OTHERS)
def test_a_site_sees_no_process_of_the_others(host, site):
    with host.sudo():
        colour = host.check_output(f"basename $(readlink /run/decanter/{site}/live.sock) .sock")
        pid = host.check_output(f"systemctl show --property MainPID --value {site}@{colour}.service")
        # As the site sees /proc: in its unit's mounts, as its user.
        within = f"nsenter --target {pid} --mount -- setpriv --reuid {site} --regid {site} --clear-groups"
        seen = host.check_output(f"{within} sh -c 'cat /proc/[0-9]*/cmdline' | tr '\\0' ' '")
    assert "sh -c" in seen, f"expected {site} to see its own processes, got {seen}"
    assert f"/srv/{OTHERS[site]}/" not in seen, f"expected {site} to see no {OTHERS[site]}, got {seen}"


def test_a_site_without_a_database_gets_into_none(host):
    with host.sudo("myproject"):
        run = host.run("mysql --execute 'SELECT 1'")
    assert run.rc != 0, f"expected myproject to be refused by the database, got {run.stdout}"


def test_a_site_without_outbound_calls_nobody(host):
    with host.sudo():
        colour = host.check_output("basename $(readlink /run/decanter/harbour/live.sock) .sock")
        pid = host.check_output(f"systemctl show --property MainPID --value harbour@{colour}.service")
        links = host.check_output(f"nsenter --target {pid} --net -- ip -brief link").split("\n")
    assert [link.split()[0] for link in links] == ["lo"], f"expected a loopback alone, got {links}"
