"""Values of the roles' variables: types of the argument specs, and limits of the programs that read them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter.inventory_check import inventory_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation import role_values
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.variables import ROLES
from ansible_collections.decanter.stack.plugins.plugin_utils.plain_data import plain
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.yaml_traps import BOOLEAN
from inventory_lines import GROUPS
from jinja2 import Undefined
from templates_cases import CASES
from templates_rendering import read

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ ada@laptop"
TIME = 'a time from "00:00" to "23:59"'
USER = "1 to 32 lower-case letters, digits, underscores and hyphens, a letter first"
PORT = 'a port from 1 to 65535, or a range such as "8000:8010"'
INVALID = [
    ("base_reboot_time", "24:00", "", '"24:00"', TIME),
    (
        *("base_reboot_time", 990, "", "990"),
        f"{TIME}; YAML reads 16:30 without quotes as the number 990",
    ),
    ("base_timezone", "Europ/Berlin", "", '"Europ/Berlin"', "a time zone such as Europe/Berlin"),
    ("base_locale", "german", "", '"german"', "a locale such as de_DE.UTF-8"),
    ("base_journal_size", "5 GB", "", '"5 GB"', "a size such as 500M"),
    ("base_swap_mb", False, "", "false", f"auto, or a size in MiB; {BOOLEAN}"),
    ("base_hostname", "web_1", "", '"web_1"', None),
    ("base_ssh_ports", "22", "", '"22"', "a list of different ports"),
    ("base_ssh_ports", [22, 22], "", "a list", "a list of different ports"),
    ("base_ssh_ports", [70000], "[0]", "70000", "an integer from 1 to 65535"),
    ("base_admins", [{"name": "Ada"}], "[0].name", '"Ada"', USER),
    ("base_admins", [{"ssh_keys": [KEY]}], "[0].name", "nothing", USER),
    ("base_admins", [{"name": "ada", "ssh_keys": ["AAAA"]}], "[0].ssh_keys[0]", '"AAAA"', None),
    ("base_admins", [{"name": "ada", "keys": []}], "[0].keys", "an unknown key", None),
    ("base_sysctls", {"somaxconn": 1}, "", 'the name "somaxconn"', None),
    ("base_upgrade", "yes", "", '"yes"', "true or false"),
    ("firewall_extra_rules", [{"port": 70000}], "[0].port", "70000", PORT),
    ("firewall_extra_rules", [{"port": 1, "proto": "icmp"}], "[0].proto", '"icmp"', "one of: tcp, udp"),
    ("firewall_ssh_networks", ["10.0.0.0/33"], "[0]", '"10.0.0.0/33"', "a network such as 192.0.2.0/24"),
    ("mysql_flavour", "percona", "", '"percona"', "one of: auto, mariadb, mysql"),
    ("mysql_memory_share", 20, "", "20", "a number from 0 to 0.9"),
    (
        *("mysql_max_connections", "100", "", '"100"'),
        "an integer from 10 to 100000; without quotes, or with -e '{\"mysql_max_connections\": 100}', "
        "because -e NAME=VALUE makes a string",
    ),
    ("mysql_admin_password", 5, "", "a number", "a string"),
    ("nginx_headers", {"X-A": "a\nb"}, ".X-A", '"a\\nb"', None),
    ("nginx_hsts_seconds", -1, "", "-1", "an integer from 0 to 126144000"),
    ("release_kept", 0, "", "0", "an integer from 1 to 1000"),
    ("certbot_server", "acme.test", "", '"acme.test"', "the https:// URL of an ACME directory"),
]


def lines(variables: dict[str, Any]) -> list[str]:
    return inventory_errors({"web1": variables}, GROUPS, {})


@pytest.mark.parametrize(("name", "value", "path", "found", "expected"), INVALID)
def test_invalid_value_of_a_role_is_rejected(name, value, path, found, expected):
    got = lines({name: value})
    start = f"hosts.web1.{name}{path}: found {found}, expected {expected or ''}"
    assert len(got) == 1 and got[0].startswith(start) and (not expected or got[0] == start), (
        f"expected {start}, got {got}"
    )


VALID = [
    ("base_admins", [{"name": "ada", "ssh_keys": [f'from="10.0.0.0/8" {KEY}', KEY]}]),
    ("base_swap_mb", 1024),
    ("base_sysctls", {"net.ipv4.conf.eth0/1.rp_filter": 1, "kernel.core_pattern": "|/bin/false %p"}),
    ("base_packages", ["htop", "libc6:amd64=2.36-9+deb12u4"]),
    ("firewall_extra_rules", [{"port": "8000:8010", "from": ["10.0.0.0/8", "fd00::/8"]}]),
    ("mysql_slow_query_seconds", 0.25),
    ("release_batches", [1, "50%"]),
    ("base_reboot_time", Undefined("a fact")),
]


@pytest.mark.parametrize(("name", "value"), VALID)
def test_valid_or_unresolved_value_of_a_role_is_accepted(name, value):
    assert lines({name: value}) == []


def test_error_of_several_hosts_is_reported_once():
    groups = {"all": ["web1", "web2"], "web": ["web1", "web2"]}
    got = inventory_errors({host: {"base_swap_mb": "x"} for host in groups["all"]}, groups, {})
    assert got == ['hosts.web1.base_swap_mb: found "x", expected auto, or a size in MiB']


def test_limits_have_names_of_variables():
    limits = role_values.yaml_load(role_values.LIMITS.read_text())
    assert limits.keys() - role_values.schemas().keys() == set()


@pytest.mark.parametrize("path", sorted(ROLES.glob("*/defaults/main.yml")), ids=lambda path: path.parts[-3])
def test_defaults_of_roles_are_valid(path):
    schemas, defaults = role_values.schemas(), read(path)
    fixed = {name for name in defaults.keys() & schemas.keys() if "{{" not in str(defaults[name])}
    values = {name: plain(lambda name=name: defaults[name]) for name in fixed}
    errors = [line for name in fixed for line in role_values.error_lines(name, schemas[name], values[name])]
    assert errors == []


@pytest.mark.parametrize("case", CASES)
def test_settings_of_rendered_templates_are_valid(case):
    assert list(role_values.variable_lines(CASES[case].settings)) == []
