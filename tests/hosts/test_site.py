"""What a visitor of Harbour sees, and what nobody gets to see."""

from __future__ import annotations

import re
import secrets
import socket
import ssl

import pytest
import requests

SITE = "https://harbour.test"


def offer(visitor, title: str) -> requests.Response:
    """Offer a home as a visitor does: open the form, fill it in, send it."""
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


def rest(connection: socket.socket) -> bytes:
    """What comes before the connection ends; it may end with a reset."""
    try:
        return connection.recv(1000)
    except ConnectionResetError:
        return b""


def test_pages_are_served_with_a_certificate_that_verifies(visitor):
    page = visitor.get(f"{SITE}/")
    assert page.status_code == 200, f"expected 200 for /, got {page.status_code}: {page.text[:300]}"
    assert "St. John&#39;s" in page.text, f"expected the town's name on the page, got {page.text[:500]}"


def test_a_certificate_of_nobody_known_is_refused(visitor):
    with pytest.raises(requests.exceptions.SSLError):
        visitor.get(f"{SITE}/", verify=True)


def test_the_listings_are_those_in_the_database(visitor, sql):
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


def test_one_listing_has_a_page(visitor, sql):
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
    answer = visitor.get(f"http://{name}/listings/?q=quay")
    got = (answer.status_code, answer.headers.get("Location"))
    assert got == (301, f"https://harbour.test{port}/listings/?q=quay"), (
        f"expected a 301 that keeps the path, got {got}"
    )


def test_other_names_are_redirected_to_the_first(visitor, variables):
    port = "" if variables["lab_https_port"] == 443 else f":{variables['lab_https_port']}"
    answer = visitor.get("https://www.harbour.test/submit")
    got = (answer.status_code, answer.headers.get("Location"))
    assert got == (308, f"https://harbour.test{port}/submit"), f"expected a 308 to the first name, got {got}"


def test_an_unknown_name_is_served_nothing(visitor, variables):
    with socket.create_connection(visitor.place(80), 10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: unknown.test\r\nConnection: close\r\n\r\n")
        got = rest(plain)
    assert got == b"", f"expected no answer for an unknown Host, got {got!r}"
    with pytest.raises(ssl.SSLError):
        visitor.handshake("unknown.test")
    # Who names none asks for an address, which one of the sites has.
    for name, host in (("harbour.test", "harbour.test"), (None, variables["ansible_host"])):
        with visitor.handshake(name) as known:
            names = [value for _, value in known.getpeercert()["subjectAltName"]]
            known.sendall(b"GET / HTTP/1.1\r\nHost: unknown.test\r\nConnection: close\r\n\r\n")
            got = rest(known)
        assert host in names, f"expected the certificate of {host}, got one for {names}"
        assert got == b"", f"expected no answer for an unknown Host behind a known handshake, got {got!r}"


def test_static_files_come_from_nginx_and_are_kept_by_browsers(visitor):
    page = visitor.get(f"{SITE}/")
    url = re.search(r'href="(/static/dist/style\.[0-9a-f]{12}\.css)"', page.text)
    assert url, f"expected a stylesheet with its hash in its name, got {page.text[:500]}"
    style = visitor.get(SITE + url[1])
    assert style.status_code == 200 and "X-Release" not in style.headers, (
        f"expected nginx's own answer, got {style.headers}"
    )
    assert "immutable" in style.headers["Cache-Control"], f"expected a year's caching, got {style.headers}"


def test_a_response_names_its_release(host, visitor):
    expected = host.check_output("readlink /srv/harbour/current").removeprefix("releases/")
    got = visitor.get(f"{SITE}/healthz").headers.get("X-Release")
    assert got == expected, f"expected X-Release: {expected}, got {got}"


def test_a_home_that_is_offered_is_stored_once_and_waits(visitor, sql):
    title = f"Cottage {secrets.token_hex(6)}"
    answer = offer(visitor, title)
    assert answer.status_code == 303, (
        f"expected 303 after sending the form, got {answer.status_code}: {answer.text[:500]}"
    )
    stored = sql("harbour", f"SELECT status FROM listings WHERE title = '{title}'")
    assert stored == "pending", f"expected one pending listing in the database, got {stored!r}"
    assert title not in visitor.get(f"{SITE}/").text, (
        "expected a pending listing to be on no page, got it on /"
    )


def test_a_form_without_its_token_is_refused(visitor, sql):
    before = sql("harbour", "SELECT COUNT(*) FROM listings")
    answer = visitor.post(f"{SITE}/submit", {"title": "forged"}, headers={"Referer": f"{SITE}/submit"})
    assert answer.status_code == 400, f"expected 400 without a token, got {answer.status_code}"
    assert sql("harbour", "SELECT COUNT(*) FROM listings") == before


def test_a_body_that_is_too_large_is_refused(visitor):
    answer = visitor.post(f"{SITE}/submit", {"title": "x" * 42_000_000})
    assert answer.status_code == 413, f"expected 413 above 40m, got {answer.status_code}"


def test_secrets_are_the_sites_alone(host, variables):
    with host.sudo():
        secret = host.check_output("cat /etc/decanter/harbour/credentials/SECRET_KEY")
        assert len(secret) >= 32, f"expected a long secret, got {len(secret)} characters"
        places = "/proc/*/environ /proc/*/cmdline /etc/systemd/system /srv/harbour /var/log"
        # grep's own command line would hold it: it reads the pattern from its input.
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
                f"expected {path} to be closed to another user, got a listing"
            )


@pytest.mark.parametrize(
    ("unit", "most"), [("harbour@blue.service", 0.2), ("nginx.service", 2.5), ("mariadb.service", 2.2)]
)
def test_units_are_sandboxed(host, unit, most):
    with host.sudo():
        line = host.check_output(f"systemd-analyze security --no-pager {unit} | grep 'Overall exposure'")
    got = float(re.search(r": ([0-9.]+)", line)[1])
    assert got <= most, f"{unit}: expected an exposure of at most {most}, got {got}"


# A new master is as quick as the processors that it has.
@pytest.mark.alone
def test_a_killed_master_costs_no_request(host, visitor):
    with host.sudo():
        unit = host.check_output("basename $(readlink /run/decanter/harbour/live.sock) .sock")
        host.check_output(f"kill -KILL $(systemctl show --property MainPID --value harbour@{unit}.service)")
    answer = visitor.get(f"{SITE}/healthz")
    assert answer.status_code == 200, (
        f"expected the request to wait for the next master, got {answer.status_code}"
    )
    assert answer.elapsed.total_seconds() < 5, f"expected an answer within 5 s, got {answer.elapsed}"
