"""Addresses, groups and databases of an inventory."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.filter.inventory_check import inventory_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.topology import (
    database_host,
)
from inventory_lines import ELSEWHERE, GROUPS, SITES, database_lines


def test_inventory_with_an_address_is_valid():
    assert inventory_errors({"web1": {"ansible_host": "10.1.2.3"}}, GROUPS, SITES) == []


@pytest.mark.parametrize("address", ["REPLACE_ME", "changeme.test", "203.0.113.10", "2001:db8::1"])
def test_placeholder_address_is_rejected(address):
    got = inventory_errors({"web1": {"ansible_host": address}}, GROUPS, SITES)
    expected = [
        f'hosts.web1.ansible_host: found the placeholder "{address}", expected the address that ssh reaches'
    ]
    assert got == expected


def test_host_name_is_the_default_address():
    hosts = ["REPLACE_ME"]
    got = inventory_errors({"REPLACE_ME": {}}, {"all": hosts, "web": hosts, "database": hosts}, SITES)
    assert len(got) == 1, got


def test_empty_group_is_rejected():
    got = inventory_errors({"web1": {}}, {"all": ["web1"]}, SITES)
    assert [line.split(":")[0] for line in got] == ["groups.web", "groups.database"], got


def test_database_group_is_optional_without_a_database():
    assert inventory_errors({"web1": {}}, {"all": ["web1"], "web": ["web1"]}, {"plain": {}}) == []


@pytest.mark.parametrize(
    ("web", "database", "common"),
    [
        ("a", "a", {}),
        ("a b", "a b", {"web_hosts_independent": True}),
        *((web, database, ELSEWHERE) for web in ("a", "a b") for database in ("a", "c")),
    ],
)
def test_local_or_shared_databases_are_valid(web, database, common):
    assert database_lines(web, database, common=common) == []


def test_separate_databases_of_web_hosts_are_rejected():
    assert database_lines("a b", "a b") == [
        "groups.web: found 2 hosts with a database each, expected one host, or mysql_host for a database "
        "that they share (or web_hosts_independent: true, if the hosts share nothing)"
    ]


def test_database_on_another_host_requires_its_address():
    assert database_lines("a", "b") == [
        "groups.database: found no a, which is in web; expected it, or mysql_host for a database elsewhere",
        "groups.web: found no b, which is in database; expected it, or mysql_host for a database elsewhere",
    ]


def test_different_database_addresses_are_rejected():
    assert database_lines("a b", "c", a=ELSEWHERE, b=ELSEWHERE) == [
        'hosts.c.mysql_host: found nothing, expected "db.test", as on the web hosts',
        "hosts.c.mysql_ca_file: found nothing, expected the certificate of the CA that verifies db.test",
    ]
    assert database_lines("a", "a b", b=ELSEWHERE)[0] == (
        'hosts.b.mysql_host: found "db.test", expected nothing, as on the web hosts'
    )


def test_database_host_is_the_address_of_any_web_host():
    groups = {"web": ["a", "b"]}
    assert database_host({"a": {}, "b": ELSEWHERE}, groups) == "db.test"
    assert database_host({"a": {"mysql_host": ""}, "b": {}}, groups) == database_host({}, {}) == ""
