"""The sandbox of a site, and its access to the network."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from sites_examples import changed, minimal
from sites_tables import accepted

VALID = [
    ("outbound", False),
    ("outbound", True),
]
test_valid_value_is_accepted = accepted(VALID)

DIRECTIVE = "a directive that the unit's sandbox sets, such as MemoryDenyWriteExecute"
EXCEPTION = "a dictionary such as {value: false, because: numba compiles}"
REASON = "the reason, on one line"
SANDBOX = [
    ("Nice", {"value": "5", "because": "x"}, "", 'the name "Nice"', DIRECTIVE),
    *(
        (
            name,
            {"value": "no", "because": "x"},
            "",
            f'the name "{name}"',
            "another directive, because this one isolates sites",
        )
        for name in ("User", "NoNewPrivileges", "ProtectSystem", "PrivateUsers", "CapabilityBoundingSet")
    ),
    (
        *("PrivateNetwork", {"value": "no", "because": "x"}, "", 'the name "PrivateNetwork"'),
        "outbound, which lists the networks that the application may connect to",
    ),
    ("ProtectProc", {"value": "default"}, ".because", "nothing", REASON),
    ("ProtectProc", {"value": "default", "because": " "}, ".because", '" "', REASON),
    ("ProtectProc", {"value": "default", "because": "a\nUser=root"}, ".because", '"a\\nUser=root"', REASON),
    ("ProtectProc", {"value": "default", "because": "a\\"}, ".because", '"a\\\\"', REASON),
    ("ProtectProc", "default", "", "a string", EXCEPTION),
    *(
        (
            *("ProtectProc", {"value": value, "because": "x"}, ".value", found),
            "true, false or a value that systemd accepts, on one line",
        )
        for value, found in (
            ("a\nUser=root", '"a\\nUser=root"'),
            ("a\\", '"a\\\\"'),
            (5, "5"),
            ("", "an empty string"),
        )
    ),
    *(
        (
            *("ReadWritePaths", {"value": path, "because": "x"}, ".value", f'"{path}"'),
            "folders of the application's own, such as /var/lib/myproject",
        )
        for path in (
            *("/", "/var", "/etc/nginx", "-/usr/lib", "relative/path", "/var/lib/a /srv/other/shared"),
            *("/srv/harbour", "/srv/harbour/releases", "/srv/harbour/../x", "/srv/harbour/venvs/1"),
        )
    ),
]


@pytest.mark.parametrize(("name", "value", "at", "found", "expected"), SANDBOX)
def test_sandbox_invalid_exception_is_rejected(name, value, at, found, expected, root) -> None:
    assert sites_check.site_errors(changed(minimal(), "sandbox", {name: value}), root) == [
        f"sites.harbour.sandbox.{name}{at}: found {found}, expected {expected}"
    ]


OUTBOUND = "true, false or a dictionary such as {payments: {to: [192.0.2.0/24], because: it takes cards}}"
NETWORK = "a network or an address, such as 192.0.2.0/24"
INVALID_OUTBOUND = [
    ("no", "", '"no"', OUTBOUND),
    ({}, "", "an empty dictionary", OUTBOUND),
    ({"a": {"to": ["192.0.2.0/24"]}}, ".a.because", "nothing", REASON),
    ({"a": {"to": [], "because": "x"}}, ".a.to", "an empty list", "a list of networks, such as 192.0.2.0/24"),
    *(
        ({"a": {"to": [network], "because": "x"}}, ".a.to[0]", f'"{network}"', NETWORK)
        for network in ("10.0.0.1/8", "pay.test", "any", "10.0.0.0/8 ::/0", "")
        if network
    ),
    (
        *({"A b": {"to": ["192.0.2.1"], "because": "x"}}, '["A b"]', 'the name "A b"'),
        "1 to 32 lower-case letters, digits and hyphens, a letter first",
    ),
]


@pytest.mark.parametrize(("value", "at", "found", "expected"), INVALID_OUTBOUND)
def test_outbound_invalid_value_is_rejected(value, at, found, expected, root) -> None:
    assert sites_check.site_errors(changed(minimal(), "outbound", value), root) == [
        f"sites.harbour.outbound{at}: found {found}, expected {expected}"
    ]
