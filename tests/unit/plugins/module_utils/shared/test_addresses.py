"""Checks of IP addresses and networks."""

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import (
    canonical,
    is_example,
    parse_address,
    parse_network,
)


@pytest.mark.parametrize("text", ["a.test", "10.0.0.0/8", "10.0.0.256", ""])
def test_parse_address_of_other_text_is_none(text: str) -> None:
    assert parse_address(text) is None


def test_parse_network_accepts_an_address_and_rejects_host_bits() -> None:
    assert parse_network("10.1.2.3") == ipaddress.ip_network("10.1.2.3/32")
    assert parse_network("10.1.2.3/8") is None
    assert parse_network("a.test") is None


def test_canonical_spellings_of_an_address_are_equal() -> None:
    assert canonical("fd00::1") == canonical("FD00:0:0:0:0:0:0:1")
    assert canonical("a.test") == "a.test"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.9", True),
        ("203.0.113.128/25", True),
        ("2001:db8::1", True),
        ("192.0.2.0/23", False),
        ("10.0.0.1", False),
        ("fd00::/8", False),
    ],
)
def test_is_example_finds_documentation_networks(text: str, expected: bool) -> None:
    assert is_example(ipaddress.ip_network(text)) is expected
