"""Two sites on one host: nginx serves both, and neither can access the other."""

from __future__ import annotations

import pytest

OTHER_SITE = {"myproject": "harbour", "harbour": "myproject"}


def test_site_is_served_by_ip_address(visitor, variables):
    """The client verifies that the certificate contains the IP address."""
    page = visitor.get(f"https://{variables['ansible_host']}/")
    assert (page.status_code, "Hello There!" in page.text) == (200, True), (
        f"got {page.status_code}: {page.text}"
    )


def test_hostname_redirects_to_canonical_address(visitor, variables):
    port = "" if variables["lab_https_port"] == 443 else f":{variables['lab_https_port']}"
    expected = f"https://{variables['ansible_host']}{port}/x"
    for url, status in (("https://myproject.test/x", 308), ("http://myproject.test/x", 301)):
        answer = visitor.get(url)
        got = (answer.status_code, answer.headers.get("Location"))
        assert got == (status, expected), f"{url}: expected {status} to {expected}, got {got}"


def test_certificate_per_site(visitor):
    for name in ("harbour.test", "myproject.test"):
        with visitor.handshake(name) as connection:
            names = [value for _, value in connection.getpeercert()["subjectAltName"]]
        assert name in names, f"expected a certificate for {name}, got a certificate for {names}"
    assert "harbour.test" not in names, f"certificate of myproject: expected no harbour.test, got {names}"


@pytest.mark.parametrize("site", OTHER_SITE)
def test_site_cannot_read_files_of_other_site(host, site):
    other = OTHER_SITE[site]
    with host.sudo():
        release = host.check_output(f"readlink -f /srv/{other}/current")
    commands = [
        f"ls {release}",
        f"ls /srv/{other}/shared",
        f"ls /srv/{other}/venvs",
        f"ls /etc/decanter/{other}/credentials",
        f"cat /etc/decanter/{other}/environment",
        f"ls /run/decanter/{other}",
        f"ls /etc/decanter/tls/{other}",
    ]
    with host.sudo(site):
        for command in commands:
            run = host.run(command)
            assert run.rc != 0, f"{site}: expected `{command}` to fail, got {run.stdout}"


@pytest.mark.parametrize("site", OTHER_SITE)
def test_site_cannot_list_processes_of_other_site(host, site):
    with host.sudo():
        colour = host.check_output(f"basename $(readlink /run/decanter/{site}/live.sock) .sock")
        pid = host.check_output(f"systemctl show --property MainPID --value {site}@{colour}.service")
        # In the mount namespace of the unit, as the user of the site.
        sandbox = f"nsenter --target {pid} --mount -- setpriv --reuid {site} --regid {site} --clear-groups"
        processes = host.check_output(f"{sandbox} sh -c 'cat /proc/[0-9]*/cmdline' | tr '\\0' ' '")
    assert "sh -c" in processes, f"expected processes of {site} itself, got {processes}"
    other = OTHER_SITE[site]
    assert f"/srv/{other}/" not in processes, f"{site}: expected no process of {other}, got {processes}"


def test_site_without_database_cannot_log_in_to_mysql(host):
    with host.sudo("myproject"):
        run = host.run("mysql --execute 'SELECT 1'")
    assert run.rc != 0, f"expected the login of myproject to fail, got {run.stdout}"


def test_site_without_outbound_has_loopback_only(host):
    with host.sudo():
        colour = host.check_output("basename $(readlink /run/decanter/harbour/live.sock) .sock")
        pid = host.check_output(f"systemctl show --property MainPID --value harbour@{colour}.service")
        links = host.check_output(f"nsenter --target {pid} --net -- ip -brief link").split("\n")
    assert [link.split()[0] for link in links] == ["lo"], f"expected the loopback interface only, got {links}"
