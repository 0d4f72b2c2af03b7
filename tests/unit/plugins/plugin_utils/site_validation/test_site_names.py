"""The host names of a site."""

from __future__ import annotations

from ansible_collections.decanter.stack.plugins.filter import sites_check
from sites_examples import REMOVE, full, minimal
from sites_tables import accepted, rejected, rows

VALID = [
    ("server_names", ["a." + "b" * 63 + ".test"]),
    ("server_names", ["1.2.test"]),
    ("server_names", ["myexample.com"]),
    ("server_names", ["changement-climatique.fr"]),
    ("server_names", ["::1"]),
    ("server_names", ["a.test", "*.a.test", "www.a.test"]),
]
test_valid_value_is_accepted = accepted(VALID)

HOST = "a host name (such as www.example.com) or an IP address"
NAMES = "a list of at least one host name or IP address"
TWICE = "a name that sites.harbour.server_names[0] does not have"
INVALID = [
    *rows("server_names", NAMES, (REMOVE, "nothing")),
    *rows("server_names", NAMES, ([], "an empty list"), "harbour.test"),
    *rows(
        "server_names[0]",
        HOST,
        ("foo_bar.com", '"foo_bar.com"'),
        ("-a.test", '"-a.test"'),
        ("a.test.", '"a.test."'),
        ("a.test:443", '"a.test:443"'),
        ("1.2.3.400", '"1.2.3.400"'),
        ("10.0.0.0/8", '"10.0.0.0/8"'),
        ("fe80::1%eth0", '"fe80::1%eth0"'),
        ("", "an empty string"),
        (7, "7"),
        ("b" * 64 + ".test", f'"{"b" * 59}…"'),
        ("a." * 125 + "test", f'"{("a." * 40)[:59]}…"'),
        at="server_names.0",
    ),
    *rows(
        "server_names[0]",
        "a first name without a wildcard, because nginx redirects to it",
        ("*.harbour.test", '"*.harbour.test"'),
        at="server_names.0",
    ),
    *rows(
        "server_names[1]",
        "a wildcard as its whole first label and nowhere else, as in *.example.com",
        *(
            ["harbour.test", name]
            for name in ("*", "*.", "**.a.test", "*a.a.test", "a.*.test", "*.*.a.test", "a.test.*", "*.test")
        ),
        at="server_names",
    ),
    *rows("server_names[1]", TWICE, ["harbour.test", "harbour.test"], at="server_names"),
    *rows(
        "server_names[0]",
        "the name in its ASCII form, which is written xn--…",
        ("müller.test", '"müller.test"'),
        at="server_names.0",
    ),
    *rows(
        "server_names[0]",
        'the name in lower case, "harbour.test"',
        ("Harbour.Test", '"Harbour.Test"'),
        at="server_names.0",
    ),
    *rows("server_names[1]", TWICE, ["a.test", "a.test"], ["::1", "::1"], at="server_names"),
    *(
        row
        for name in ("2001:db8:0::1", "2001:DB8::1", "2001:0db8::1", "2001:db8:0:0:0:0:0:1")
        for row in rows(
            "server_names[0]",
            'the address in its canonical form, "2001:db8::1"',
            (name, f'"{name}"'),
            at="server_names.0",
        )
    ),
    *(
        row
        for name in ("localhost", "intranet")
        for row in rows(
            "server_names[0]",
            f"a full host name such as {name}.myproject.org, "
            "because browsers and CAs treat a name without a dot as a local name",
            (name, f'"{name}"'),
            at="server_names.0",
        )
    ),
    *rows(
        "server_names[0]",
        "your own name",
        ("harbour.example.com", 'the placeholder "harbour.example.com"'),
        ("example.org", 'the placeholder "example.org"'),
        ("town.example", 'the placeholder "town.example"'),
        ("192.0.2.9", 'the placeholder "192.0.2.9"'),
        ("203.0.113.255", 'the placeholder "203.0.113.255"'),
        at="server_names.0",
    ),
]
test_invalid_value_is_rejected = rejected(INVALID)


def test_name_below_the_wildcard_of_another_site_is_accepted(root: str) -> None:
    sites = {"a": minimal()["harbour"], "b": minimal()["harbour"]}
    sites["a"]["server_names"] = ["a.test", "*.a.test"]
    sites["b"]["server_names"] = ["b.a.test", "*.b.a.test"]
    assert sites_check.site_errors(sites, root) == []
    sites["b"]["server_names"] = ["b.test", "*.a.test"]
    expected = "expected a name that sites.a.server_names[1] does not have"
    assert sites_check.site_errors(sites, root) == [f'sites.b.server_names[1]: found "*.a.test", {expected}']


def test_name_of_another_site_is_rejected(root: str) -> None:
    sites = full()
    sites["town-hall"]["server_names"] = ["hall.test", "www.xn--mller-kva.test"]
    assert sites_check.site_errors(sites, root) == [
        'sites.town-hall.server_names[1]: found "www.xn--mller-kva.test", expected a name that '
        "sites.harbour.server_names[1] does not have"
    ]


def test_name_of_an_absent_site_is_accepted(root: str) -> None:
    taken = full()["harbour"]["server_names"]
    for absent, other in (("harbour", "town-hall"), ("town-hall", "harbour")):
        sites = full()
        sites[absent] |= {"server_names": taken, "state": "absent"}
        sites[other]["server_names"] = taken
        assert sites_check.site_errors(sites, root) == []
