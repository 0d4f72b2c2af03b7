"""Variables of hosts that no role declares."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from ansible_collections.decanter.stack.plugins.filter.inventory_check import inventory_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.variables import (
    role_variables,
)
from inventory_lines import ELSEWHERE, GROUPS, SITES, database_lines

UNDECLARED = [
    ("nginx_worker_conections", "nginx", " (did you mean nginx_worker_connections?)"),
    ("python_app_timeout", "python_app", " (did you mean python_app_task_timeout?)"),
    ("mysql_flavor", "mysql", " (did you mean mysql_flavour?)"),
    ("base_zzzzzzzz", "base", ""),
]


@pytest.mark.parametrize(("name", "role", "hint"), UNDECLARED)
def test_undeclared_variable_of_a_role_is_rejected(name, role, hint):
    got = inventory_errors({"web1": {name: 1}}, GROUPS, SITES)
    expected = f"hosts.web1.{name}: found an undeclared variable, expected one of the role {role}'s{hint}"
    assert got == [expected]


def test_error_in_group_vars_is_reported_once():
    hosts = [f"web{number}" for number in range(1, 6)]
    groups = {"all": hosts, "web": hosts}
    got = inventory_errors({host: {"nginx_ports": 1, "nginx_sites": []} for host in hosts}, groups, {})
    assert len(got) == 1 and got[0].startswith(
        "hosts.web1.nginx_ports: found an undeclared variable (on 5 hosts)"
    ), got


MODES = "balancer_tls_mode (terminate instead of ends, passthrough instead of passes)"
RENAMED = [
    ("balancer_tls", "passes", MODES),
    ("hosts_are_alone", True, "web_hosts_independent"),
    ("redis_instances", [], "services_instances"),
    ("redis_absent", [], "services_absent"),
    ("redis_memory_mb", 128, "services_redis_memory_mb"),
    ("redis_policy", "allkeys-lru", "services_redis_policy"),
    ("redis_purge", "myproject", "services_purge"),
    ("memcached_instances", [], "services_instances"),
    ("memcached_absent", [], "services_absent"),
    ("memcached_memory_mb", 128, "services_memcached_memory_mb"),
]


@pytest.mark.parametrize(("name", "value", "new"), RENAMED)
@pytest.mark.parametrize("set_on", [["web1", "web2"], ["web2"], ["other"]])
def test_renamed_variable_of_any_host_is_rejected_once(name, value, new, set_on):
    hosts = {
        host: ELSEWHERE | ({name: value} if host in set_on else {}) for host in ("web1", "web2", "other")
    }
    groups = {"all": list(hosts), "web": ["web1", "web2"], "database": ["web1"]}
    found = "a variable that was renamed" + (" (on 2 hosts)" if len(set_on) == 2 else "")
    assert inventory_errors(hosts, groups, SITES) == [
        f"hosts.{set_on[0]}.{name}: found {found}, expected {new}"
    ]


def test_old_name_of_web_hosts_independent_is_the_only_error():
    found = "a variable that was renamed (on 2 hosts)"
    assert database_lines("a b", "a b", common={"hosts_are_alone": True}) == [
        f"hosts.a.hosts_are_alone: found {found}, expected web_hosts_independent"
    ]


ACCEPTED = [
    *(
        "mysql_admin_password",
        "mysql_ca_path",
    ),  # declared by roles
    *(
        "mysqlx_foo",
        "database_url",
        "nginx",
        "nginxconf",
        "vault_sites",
        "my_nginx_port",
        "NGINX_PORT",
    ),  # without the prefix of a role
    *(
        "ansible_host",
        "group_names",
        "inventory_dir",
        "playbook_dir",
        "__nginx_version",
    ),  # of Ansible, or internal
]


@pytest.mark.parametrize("name", ACCEPTED)
def test_other_variables_are_accepted(name):
    # The address must not be a placeholder, or there would be another error.
    got = inventory_errors({"web1": {"ansible_host": "10.1.2.3", name: "10.1.2.3"}}, GROUPS, SITES)
    assert got == []


class Unreadable(Mapping):
    """Lazy host variables, as ansible-core passes them. Reading a value fails."""

    def __init__(self, *names):
        self.names = names

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, name):
        raise AssertionError(f"{name} was read")

    def get(self, name, default=None):
        return default if name == "ansible_host" else self[name]


def test_values_are_not_read():
    got = inventory_errors({"web1": Unreadable("mysql_admin_password", "mysql_pasword")}, GROUPS, SITES)
    assert len(got) == 1 and "mysql_pasword" in got[0], got


def test_specs_are_read_once():
    assert role_variables() is role_variables()
    assert {"nginx", "python_app"} <= set(role_variables())
