"""Harbour: pages, forms, redirects and TLS for visitors, and secrets that only the site can read."""

from __future__ import annotations

import re
import secrets
import socket
import ssl

import pytest
import requests

SITE = "https://harbour.test"


def submit_listing(visitor, title: str) -> requests.Response:
    """Submit a listing as a visitor does: open the form, fill it in, send it."""
    form = visitor.get(f"{SITE}/submit")
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text)
    assert token, f"expected a form with a csrf_token at /submit, got {form.status_code}: {form.text[:300]}"
    fields = {
        "csrf_token": token[1],
        "title": title,
        "kind": "cottage",
        "price": "245000",
        "bedrooms": "2",
        "bathrooms": "1",
        "area_m2": "84",
        "street": "12 Quay Road",
        "neighbourhood": "The Battery",
        "description": "Two rooms over the water, a stove, a wharf of its own and a view of every ship.",
        "contact_name": "Una Power",
        "contact_email": "una@power.test",
    }
    return visitor.post(f"{SITE}/submit", fields, headers={"Referer": f"{SITE}/submit"})


def receive(connection: socket.socket) -> bytes:
    """Return the bytes before the end of the connection, or b"" after a reset."""
    try:
        return connection.recv(1000)
    except ConnectionResetError:
        return b""


def test_page_has_certificate_of_the_lab_ca(visitor):
    page = visitor.get(f"{SITE}/")
    assert page.status_code == 200, f"expected 200 for /, got {page.status_code}: {page.text[:300]}"
    assert "St. John&#39;s" in page.text, f"expected the town's name on the page, got {page.text[:500]}"


def test_certificate_is_rejected_without_the_lab_ca(visitor):
    with pytest.raises(requests.exceptions.SSLError):
        visitor.get(f"{SITE}/", verify=True)


def test_listing_pages_show_all_published_listings(visitor, sql):
    expected = int(sql("harbour", "SELECT COUNT(*) FROM listings WHERE status = 'published'"))
    shown = 0
    for number in range(1, 20):
        page = visitor.get(f"{SITE}/listings/", params={"page": number})
        cards = set(re.findall(r'href="/listings/(\d+)"', page.text))
        if not cards or page.status_code != 200:
            break
        shown += len(cards)
        if f"page={number + 1}" not in page.text:
            break
    assert shown == expected > 12, f"expected the {expected} published listings on the pages, got {shown}"


def test_listing_page_shows_its_title(visitor, sql):
    number, title = sql(
        "harbour", "SELECT id, title FROM listings WHERE status = 'published' ORDER BY id LIMIT 1"
    ).split("\t")
    page = visitor.get(f"{SITE}/listings/{number}")
    assert page.status_code == 200 and title.split("'")[0] in page.text, (
        f"expected {title!r}, got {page.text[:300]}"
    )


@pytest.mark.parametrize("name", ["harbour.test", "www.harbour.test"])
def test_http_is_redirected_to_https(visitor, variables, name):
    port = "" if variables["lab_https_port"] == 443 else f":{variables['lab_https_port']}"
    response = visitor.get(f"http://{name}/listings/?q=quay")
    got = (response.status_code, response.headers.get("Location"))
    assert got == (301, f"https://harbour.test{port}/listings/?q=quay"), (
        f"expected a 301 that keeps the path, got {got}"
    )


def test_other_names_are_redirected_to_canonical_name(visitor, variables):
    port = "" if variables["lab_https_port"] == 443 else f":{variables['lab_https_port']}"
    response = visitor.get("https://www.harbour.test/submit")
    got = (response.status_code, response.headers.get("Location"))
    assert got == (308, f"https://harbour.test{port}/submit"), (
        f"expected a 308 to the canonical name, got {got}"
    )


def test_unknown_name_gets_no_response(visitor, variables):
    with socket.create_connection(visitor.endpoint(80), 10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: unknown.test\r\nConnection: close\r\n\r\n")
        got = receive(plain)
    assert got == b"", f"expected no response to an unknown Host, got {got!r}"
    with pytest.raises(ssl.SSLError):
        visitor.handshake("unknown.test")
    # A client without SNI requests the host's address, which is a name of one site.
    for name, subject in (("harbour.test", "harbour.test"), (None, variables["ansible_host"])):
        with visitor.handshake(name) as connection:
            names = [value for _, value in connection.getpeercert()["subjectAltName"]]
            connection.sendall(b"GET / HTTP/1.1\r\nHost: unknown.test\r\nConnection: close\r\n\r\n")
            got = receive(connection)
        assert subject in names, f"expected the certificate of {subject}, got one for {names}"
        assert got == b"", f"expected no response to an unknown Host after a handshake, got {got!r}"


def test_static_files_are_served_by_nginx_and_cacheable(visitor):
    page = visitor.get(f"{SITE}/")
    url = re.search(r'href="(/static/dist/style\.[0-9a-f]{12}\.css)"', page.text)
    assert url, f"expected a stylesheet with its hash in its name, got {page.text[:500]}"
    style = visitor.get(SITE + url[1])
    assert style.status_code == 200 and "X-Release" not in style.headers, (
        f"expected a response without the application, got {style.headers}"
    )
    assert "immutable" in style.headers["Cache-Control"], (
        f"expected an immutable response, got {style.headers}"
    )


def test_response_header_contains_the_live_release(host, visitor):
    expected = host.check_output("readlink /srv/harbour/current").removeprefix("releases/")
    got = visitor.get(f"{SITE}/healthz").headers.get("X-Release")
    assert got == expected, f"expected X-Release: {expected}, got {got}"


def test_submitted_listing_is_stored_once_as_pending(visitor, sql):
    title = f"Cottage {secrets.token_hex(6)}"
    response = submit_listing(visitor, title)
    assert response.status_code == 303, (
        f"expected 303 after sending the form, got {response.status_code}: {response.text[:500]}"
    )
    stored = sql("harbour", f"SELECT status FROM listings WHERE title = '{title}'")
    assert stored == "pending", f"expected one pending listing in the database, got {stored!r}"
    assert title not in visitor.get(f"{SITE}/").text, "expected no page with a pending listing, got it on /"


def test_form_without_csrf_token_is_rejected(visitor, sql):
    before = sql("harbour", "SELECT COUNT(*) FROM listings")
    response = visitor.post(f"{SITE}/submit", {"title": "forged"}, headers={"Referer": f"{SITE}/submit"})
    assert response.status_code == 400, f"expected 400 without a token, got {response.status_code}"
    assert sql("harbour", "SELECT COUNT(*) FROM listings") == before


def test_request_body_above_the_limit_is_rejected(visitor):
    response = visitor.post(f"{SITE}/submit", {"title": "x" * 42_000_000})
    assert response.status_code == 413, f"expected 413 above 40m, got {response.status_code}"


def test_secrets_are_readable_by_the_site_only(host, variables):
    with host.sudo():
        secret = host.check_output("cat /etc/decanter/harbour/credentials/SECRET_KEY")
        assert len(secret) >= 32, f"expected a long secret, got {len(secret)} characters"
        places = "/proc/*/environ /proc/*/cmdline /etc/systemd/system /srv/harbour /var/log"
        # grep reads the pattern from stdin, because its command line would contain the secret.
        found = host.run(
            f"cat /etc/decanter/harbour/credentials/SECRET_KEY | grep -rlaFf - {places} 2>/dev/null"
        ).stdout
        assert found == "", f"expected the secret in no environment, log or unit, got it in {found}"
        journal = host.run(
            "journalctl -o cat | grep -cFf /etc/decanter/harbour/credentials/SECRET_KEY"
        ).stdout.strip()
        assert journal == "0", f"expected the secret nowhere in the journal, got it in {journal} lines"
    with host.sudo("nobody"):
        for path in ("/etc/decanter/harbour/credentials", "/srv/harbour/releases", "/run/decanter/harbour"):
            assert host.run("ls %s", path).rc != 0, (
                f"expected no access to {path} for another user, got a listing"
            )


@pytest.mark.parametrize(
    ("unit", "limit"), [("harbour@blue.service", 0.2), ("nginx.service", 2.5), ("mariadb.service", 2.2)]
)
def test_units_are_sandboxed(host, unit, limit):
    with host.sudo():
        line = host.check_output(f"systemd-analyze security --no-pager {unit} | grep 'Overall exposure'")
    got = float(re.search(r": ([0-9.]+)", line)[1])
    assert got <= limit, f"{unit}: expected an exposure of at most {limit}, got {got}"


# Tests at the same time would delay the start of the new master.
@pytest.mark.alone
def test_killed_gunicorn_master_loses_no_request(host, visitor):
    with host.sudo():
        unit = host.check_output("basename $(readlink /run/decanter/harbour/live.sock) .sock")
        host.check_output(f"kill -KILL $(systemctl show --property MainPID --value harbour@{unit}.service)")
    response = visitor.get(f"{SITE}/healthz")
    assert response.status_code == 200, (
        f"expected the request to wait for the next master, got {response.status_code}"
    )
    assert response.elapsed.total_seconds() < 5, f"expected a response within 5 s, got {response.elapsed}"
