"""Addresses, groups and databases of an inventory."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.filter.inventory_check import inventory_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.topology import (
    database_host,
)
from inventory_lines import ELSEWHERE, GROUPS, SITES, database_lines


def test_an_edited_inventory_is_right():
    assert inventory_errors({"web1": {"ansible_host": "10.1.2.3"}}, GROUPS, SITES) == []


@pytest.mark.parametrize("address", ["REPLACE_ME", "changeme.test", "203.0.113.10", "2001:db8::1"])
def test_a_placeholder_is_refused(address):
    got = inventory_errors({"web1": {"ansible_host": address}}, GROUPS, SITES)
    expected = [
        f'hosts.web1.ansible_host: found the placeholder "{address}", expected the address that ssh reaches'
    ]
    assert got == expected


def test_the_name_is_the_address_where_none_is_given():
    hosts = ["REPLACE_ME"]
    got = inventory_errors({"REPLACE_ME": {}}, {"all": hosts, "web": hosts, "database": hosts}, SITES)
    assert len(got) == 1, got


def test_a_group_without_a_host_is_refused():
    got = inventory_errors({"web1": {}}, {"all": ["web1"]}, SITES)
    assert [line.split(":")[0] for line in got] == ["groups.web", "groups.database"], got


def test_no_database_host_is_needed_where_no_site_has_a_database():
    assert inventory_errors({"web1": {}}, {"all": ["web1"], "web": ["web1"]}, {"plain": {}}) == []


@pytest.mark.parametrize(
    ("web", "database", "common"),
    [
        ("a", "a", {}),
        ("a b", "a b", {"web_hosts_independent": True}),
        *((web, database, ELSEWHERE) for web in ("a", "a b") for database in ("a", "c")),
    ],
)
def test_each_web_host_has_its_database_or_shares_one(web, database, common):
    assert database_lines(web, database, common=common) == []


def test_several_web_hosts_with_a_database_each_are_refused():
    assert database_lines("a b", "a b") == [
        "groups.web: found 2 hosts with a database each, expected one host, or mysql_host for a database "
        "that they share (or web_hosts_independent: true, if the hosts share nothing)"
    ]


def test_a_database_on_another_host_is_refused_without_its_address():
    assert database_lines("a", "b") == [
        "groups.database: found no a, which is in web; expected it, or mysql_host for a database elsewhere",
        "groups.web: found no b, which is in database; expected it, or mysql_host for a database elsewhere",
    ]


def test_hosts_that_disagree_where_the_database_is_are_refused():
    assert database_lines("a b", "c", a=ELSEWHERE, b=ELSEWHERE) == [
        'hosts.c.mysql_host: found nothing, expected "db.test", as on the web hosts',
        "hosts.c.mysql_ca_file: found nothing, expected the certificate of the CA that verifies db.test",
    ]
    assert database_lines("a", "a b", b=ELSEWHERE)[0] == (
        'hosts.b.mysql_host: found "db.test", expected nothing, as on the web hosts'
    )


def test_where_the_database_is():
    groups = {"web": ["a", "b"]}
    assert database_host({"a": {}, "b": ELSEWHERE}, groups) == "db.test"
    assert database_host({"a": {"mysql_host": ""}, "b": {}}, groups) == database_host({}, {}) == ""
