"""No site has the name of an operator's account."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter.inventory_check import inventory_errors

GROUPS = {"all": ["web1", "db1"], "web": ["web1"]}


@pytest.mark.parametrize(
    ("variables", "owner"),
    [
        ({"ansible_user": "shop"}, "ansible_user"),
        ({"ansible_ssh_user": "shop"}, "ansible_ssh_user"),
        ({"base_admins": [{"name": "ada"}, {"name": "shop"}]}, "base_admins[1].name"),
        ({"base_admins": [{"name": "shop", "state": "absent"}]}, "base_admins[0].name"),
        ({"ansible_user": "shopper", "base_admins": [{"name": "ada"}]}, ""),
    ],
)
def test_site_with_the_name_of_an_account_is_rejected(variables: dict[str, Any], owner: str) -> None:
    hostvars = {"web1": {"ansible_host": "10.0.0.1", **variables}, "db1": {"ansible_host": "10.0.0.2"}}
    expected = f"another site id, because hosts.web1.{owner} has this name and sites have no login"
    lines = [f'sites.shop: found the name "shop", expected {expected}'] if owner else []
    assert inventory_errors(hostvars, GROUPS, {"shop": {}, "hall": {}}) == lines


def test_account_of_a_host_without_sites_is_accepted() -> None:
    hostvars = {
        "web1": {"ansible_host": "10.0.0.1"},
        "db1": {"ansible_host": "10.0.0.2", "ansible_user": "shop"},
    }
    assert inventory_errors(hostvars, GROUPS, {"shop": {}}) == []
