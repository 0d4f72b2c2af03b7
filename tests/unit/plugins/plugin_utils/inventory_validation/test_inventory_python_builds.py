"""The mirror and the pins of Python builds."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.filter.inventory_check import inventory_errors
from inventory_lines import SITES


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, []),
        ({"python_mirror": "", "python_pins": ""}, []),
        ({"python_mirror": "https://mirror.test:8443/python", "python_pins": __file__}, []),
        (
            {"python_mirror": "https://ada:hidden@mirror.test/"},
            ["python_mirror: found a password in the URL, expected it in /root/.netrc of the host"],
        ),
        (
            {"python_mirror": "mirror.test/python", "python_pins": "/nowhere.json"},
            [
                'python_mirror: found "mirror.test/python", expected a URL such as https://mirror.example/python',
                'python_pins: found "/nowhere.json", expected a file on the controller',
            ],
        ),
    ],
)
def test_mirror_and_pins_of_pythons_are_validated_once(variables, expected):
    groups = {name: ["web1"] for name in ("all", "web", "database")}
    groups["all"] = groups["web"] = ["web1", "web2"]
    hosts = {
        host: variables | {"web_hosts_independent": True, "mysql_host": "a", "mysql_ca_file": "b"}
        for host in groups["all"]
    }
    got = inventory_errors(hosts, groups, SITES)
    assert got == [f"hosts.web1.{line}" for line in expected], got
