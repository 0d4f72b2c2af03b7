from __future__ import annotations

from collections.abc import Mapping

import pytest
from inventory_check import database_host, inventory_errors, role_variables

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
    hosts = ["REPLACE_ME"]
    got = inventory_errors({"REPLACE_ME": {}}, {"all": hosts, "web": hosts, "database": hosts}, SITES)
    assert len(got) == 1, got


def test_a_group_without_a_host_is_refused():
    got = inventory_errors({"web1": {}}, {"all": ["web1"]}, SITES)
    assert [line.split(":")[0] for line in got] == ["groups.web", "groups.database"], got


def test_no_database_host_is_needed_where_no_site_has_a_database():
    assert inventory_errors({"web1": {}}, {"all": ["web1"], "web": ["web1"]}, {"plain": {}}) == []


def database_lines(web: str, database: str, **variables: dict[str, object]) -> list[str]:
    """What is wrong with hosts, where each has the variables of its name and those that are `common`."""
    groups = {"web": web.split(), "database": database.split()}
    groups["all"] = sorted({*groups["web"], *groups["database"]})
    common = variables.get("common", {})
    return inventory_errors({host: common | variables.get(host, {}) for host in groups["all"]}, groups, SITES)


ELSEWHERE = {"mysql_host": "db.test", "mysql_ca_file": "ca.pem"}


@pytest.mark.parametrize(
    ("web", "database", "common"),
    [
        ("a", "a", {}),
        ("a b", "a b", {"hosts_are_alone": True}),
        *((web, database, ELSEWHERE) for web in ("a", "a b") for database in ("a", "c")),
    ],
)
def test_each_web_host_has_its_database_or_shares_one(web, database, common):
    assert database_lines(web, database, common=common) == []


def test_several_web_hosts_with_a_database_each_are_refused():
    assert database_lines("a b", "a b") == [
        "groups.web: found 2 hosts with a database each, expected one host, or mysql_host for a database "
        "that they share (or hosts_are_alone: true, where they have nothing to do with each other)"
    ]


def test_a_database_on_another_host_is_refused_without_its_address():
    assert database_lines("a", "b") == [
        "groups.database: found no a, which is in web; expected it, or mysql_host for a database elsewhere",
        "groups.web: found no b, which is in database; expected it, or mysql_host for a database elsewhere",
    ]


def test_hosts_that_disagree_where_the_database_is_are_refused():
    assert database_lines("a b", "c", a=ELSEWHERE, b=ELSEWHERE) == [
        'hosts.c.mysql_host: found nothing, expected "db.test", as on the web hosts',
        "hosts.c.mysql_ca_file: found nothing, expected the authority that db.test is verified by",
    ]
    assert database_lines("a", "a b", b=ELSEWHERE)[0] == (
        'hosts.b.mysql_host: found "db.test", expected nothing, as on the web hosts'
    )


def test_where_the_database_is():
    groups = {"web": ["a", "b"]}
    assert database_host({"a": {}, "b": ELSEWHERE}, groups) == "db.test"
    assert database_host({"a": {"mysql_host": ""}, "b": {}}, groups) == database_host({}, {}) == ""


REFUSED = [
    ("nginx_worker_conections", "nginx", " (did you mean nginx_worker_connections?)"),
    ("python_app_timeout", "python_app", " (did you mean python_app_task_timeout?)"),
    ("mysql_flavor", "mysql", " (did you mean mysql_flavour?)"),
    ("base_zzzzzzzz", "base", ""),
]


@pytest.mark.parametrize(("name", "role", "hint"), REFUSED)
def test_a_variable_that_its_role_does_not_declare_is_refused(name, role, hint):
    got = inventory_errors({"web1": {name: 1}}, GROUPS, SITES)
    expected = f"hosts.web1.{name}: found an undeclared variable, expected one of the role {role}'s{hint}"
    assert got == [expected]


def test_a_mistake_in_group_vars_is_named_once():
    hosts = [f"web{number}" for number in range(1, 6)]
    groups = {"all": hosts, "web": hosts}
    got = inventory_errors({host: {"nginx_ports": 1, "nginx_sites": []} for host in hosts}, groups, {})
    assert len(got) == 1 and got[0].startswith(
        "hosts.web1.nginx_ports: found an undeclared variable (on 5 hosts)"
    ), got


ACCEPTED = [
    *("nginx_worker_connections", "mysql_admin_password", "lab_https_port", "release_kept"),  # ours
    *(
        "mysqlx_foo",
        "database_url",
        "nginx",
        "nginxconf",
        "vault_sites",
        "my_nginx_port",
        "NGINX_PORT",
    ),  # nobody's
    *(
        "ansible_host",
        "group_names",
        "inventory_dir",
        "playbook_dir",
        "__nginx_version",
    ),  # Ansible's, internal
]


@pytest.mark.parametrize("name", ACCEPTED)
def test_other_variables_are_left_alone(name):
    # A host must be no placeholder whatever its variables are.
    got = inventory_errors({"web1": {"ansible_host": "10.1.2.3", name: "10.1.2.3"}}, GROUPS, SITES)
    assert got == []


BALANCED = {"all": ["web1", "lb1"], "web": ["web1"], "database": ["web1"], "balancer": ["lb1"]}
BEHIND = {"web1": {"ansible_host": "10.1.2.3"}, "lb1": {"ansible_host": "10.1.2.4"}}


def test_web_hosts_behind_a_balancer_are_right():
    assert inventory_errors(BEHIND, BALANCED, SITES) == []
    private = {"ansible_host": "web1.provider.net", "balancer_address": "10.1.2.3"}
    assert inventory_errors(BEHIND | {"web1": private}, BALANCED, SITES) == []
    # Balancers may come and go in a network of theirs.
    network = {"ansible_host": "10.1.2.4", "balancer_address": "10.1.2.0/28", "balancer_tls": "passes"}
    assert inventory_errors(BEHIND | {"lb1": network}, BALANCED, SITES) == []


WRONG_BALANCERS = {
    "one host is both": (
        {},
        {"web": ["web1", "lb1"]},
        "hosts.lb1: found it in the groups web and balancer, expected it in one of them",
    ),
    "a name for an address": (
        {"web1": {"ansible_host": "web1.provider.net"}},
        {},
        'hosts.web1.balancer_address: found "web1.provider.net", expected an IP address: that by which web '
        "hosts and balancers know it",
    ),
    "a network for a web host": (
        {"web1": {"balancer_address": "10.1.2.0/28"}},
        {},
        'hosts.web1.balancer_address: found "10.1.2.0/28", expected an IP address: that by which web '
        "hosts and balancers know it",
    ),
    "a name that makes no socket": (
        {"web 1": {"ansible_host": "10.1.2.3"}},
        {"all": ["web 1", "lb1"], "web": ["web 1"]},
        "hosts.web 1: found this name, expected at most 60 letters, digits, dots, hyphens and underscores "
        "behind a balancer",
    ),
    "no such mode": (
        {"lb1": {"ansible_host": "10.1.2.4", "balancer_tls": "pass"}},
        {},
        'hosts.lb1.balancer_tls: found "pass", expected one of: ends, passes',
    ),
    "two modes": (
        {"lb2": {"ansible_host": "10.1.2.5", "balancer_tls": "passes"}},
        {"all": ["web1", "lb1", "lb2"], "balancer": ["lb1", "lb2"]},
        "hosts.lb1.balancer_tls: found ends (lb1), passes (lb2), expected the same on all balancers",
    ),
}


@pytest.mark.parametrize(("hosts", "groups", "expected"), WRONG_BALANCERS.values(), ids=list(WRONG_BALANCERS))
def test_balancers_that_cannot_work_are_refused(hosts, groups, expected):
    assert inventory_errors(BEHIND | hosts, BALANCED | groups, {"harbour": {}}) == [expected]


ACME = {"harbour": {"tls": {"mode": "acme"}}, "old": {"tls": {"mode": "acme"}, "state": "absent"}, "a": {}}
TWO = {"all": ["web1", "web2"], "web": ["web1", "web2"], "balancer": []}
NAMED = {"web1": {"ansible_host": "10.1.2.3"}, "web2": {"ansible_host": "10.1.2.5"}}


def test_one_host_asks_for_a_certificate_and_is_asked_for_its_proof():
    alone = {name: {**host, "hosts_are_alone": True} for name, host in NAMED.items()}
    for hosts, groups in ((NAMED, {"all": ["web1"], "web": ["web1"]}), (BEHIND, BALANCED), (alone, TWO)):
        assert inventory_errors(hosts, groups, ACME) == [], groups


@pytest.mark.parametrize(
    ("hosts", "groups", "found"),
    [
        (NAMED, TWO, "acme with 2 hosts that visitors may reach"),
        (
            {"lb1": {"ansible_host": "10.1.2.4", "balancer_tls": "passes"}},
            {},
            "acme behind a balancer that passes TLS through",
        ),
        (
            {"lb2": {"ansible_host": "10.1.2.6"}},
            {"all": ["web1", "lb1", "lb2"], "balancer": ["lb1", "lb2"]},
            "acme with 2 hosts that visitors may reach",
        ),
    ],
)
def test_a_proof_that_another_host_would_be_asked_for_is_refused(hosts, groups, found):
    expected = "another mode, or one host or one balancer where TLS ends and the proof is asked for"
    got = inventory_errors(BEHIND | hosts, BALANCED | groups, ACME)
    assert f"sites.harbour.tls.mode: found {found}, expected {expected}" in got, got
    assert not [line for line in got if line.startswith(("sites.old", "sites.a"))], got


BY_DNS = {"harbour": {"tls": {"mode": "acme", "challenge": "route53"}}}
KEY, SECRET = "certbot_aws_access_key_id", "certbot_aws_secret_access_key"
PASSES = {"lb1": {"ansible_host": "10.1.2.4", "balancer_tls": "passes"}}


def test_a_proof_in_dns_is_anybodys_to_give():
    for hosts, groups in (
        (NAMED, {"all": ["web1"], "web": ["web1"]}),
        (NAMED, TWO),
        (BEHIND | PASSES, BALANCED),
        (
            BEHIND | {"lb2": {"ansible_host": "10.1.2.6"}},
            BALANCED | {"all": ["web1", "lb1", "lb2"], "balancer": ["lb1", "lb2"]},
        ),
    ):
        assert inventory_errors(hosts, groups, BY_DNS) == [], groups


@pytest.mark.parametrize(
    ("has", "sites", "lacking", "beside"),
    [
        ({KEY: "AKIA"}, BY_DNS, SECRET, KEY),
        ({SECRET: "x"}, BY_DNS, KEY, SECRET),
        ({SECRET: "x", KEY: ""}, BY_DNS, KEY, SECRET),
        ({SECRET: "x", KEY: "AKIA"}, BY_DNS, "", ""),
        ({KEY: "AKIA"}, {"harbour": {**BY_DNS["harbour"], "state": "absent"}}, "", ""),
        ({KEY: "AKIA"}, ACME, "", ""),
    ],
)
def test_half_a_key_is_refused(has, sites, lacking, beside):
    hosts = {"web1": {"ansible_host": "10.1.2.3", **has}}
    expected = f"it beside {beside}, or neither where the instance's role may write to the zone"
    lines = [f"hosts.web1.{lacking}: found nothing, expected {expected}"] if lacking else []
    assert inventory_errors(hosts, {"all": ["web1"], "web": ["web1"]}, sites) == lines


class Unreadable(Mapping):
    """Host variables as ansible-core hands them over: a value is worked out when it is read."""

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


def test_no_value_is_read():
    got = inventory_errors({"web1": Unreadable("mysql_admin_password", "mysql_pasword")}, GROUPS, SITES)
    assert len(got) == 1 and "mysql_pasword" in got[0], got


def test_specs_are_read_once():
    assert role_variables() is role_variables()
    assert {"nginx", "python_app"} <= set(role_variables())
