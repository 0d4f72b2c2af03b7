from __future__ import annotations

import pytest
from inventory_check import inventory_errors

SITES = {"harbour": {"database": {"engine": "mysql"}}}
GROUPS = {"all": ["web1"], "web": ["web1"], "database": ["web1"]}


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
    got = inventory_errors({"REPLACE_ME": {}}, {**GROUPS, "all": ["REPLACE_ME"]}, SITES)
    assert len(got) == 1, got


def test_a_group_without_a_host_is_refused():
    got = inventory_errors({"web1": {}}, {"all": ["web1"]}, SITES)
    assert [line.split(":")[0] for line in got] == ["groups.web", "groups.database"], got


def test_no_database_host_is_needed_where_no_site_has_a_database():
    assert inventory_errors({"web1": {}}, {"all": ["web1"], "web": ["web1"]}, {"plain": {}}) == []
