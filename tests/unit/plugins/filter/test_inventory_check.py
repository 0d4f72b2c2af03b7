from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter.inventory_check import inventory_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.topology import (
    database_host,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.variables import (
    role_variables,
)

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


MAIL = {"to": ["ops@a.test"], "server": "smtp.a.test"}
LOGIN = {"user": "decanter", "password": "secret"}


@pytest.mark.parametrize("mail", [{}, MAIL, MAIL | LOGIN, MAIL | {"security": "none", "from": "a@a.test"}])
def test_whoever_is_mailed(mail):
    assert inventory_errors({"web1": {"base_mail": mail}}, GROUPS, SITES) == []


@pytest.mark.parametrize(
    ("mail", "expected"),
    [
        (["ops@a.test"], ": found a list, expected a dictionary such as {to: [ops@myproject.org], server: "),
        (MAIL | {"two": 1}, ".two: found an unknown key, expected one of: to, server, "),
        ({"server": "a"}, ".to: found nothing, expected a list of addresses such as ops@myproject.org"),
        (MAIL | {"to": "ops@a.test"}, '.to: found "ops@a.test", expected a list of addresses'),
        (MAIL | {"to": ["ops"]}, '.to[0]: found "ops", expected an address such as ops@myproject.org'),
        (MAIL | {"from": "Ops <ops@a.test>"}, '.from: found "Ops <ops@a.test>", expected an address'),
        ({"to": ["ops@a.test"]}, ".server: found nothing, expected the name of a mail server"),
        (MAIL | {"security": "ssl"}, '.security: found "ssl", expected one of: starttls, tls, none'),
        (MAIL | {"port": "smtp"}, '.port: found "smtp", expected an integer from 1 to 65535'),
        (MAIL | {"password": "secret"}, ".user: found nothing, expected a value, because password is set"),
        (MAIL | {"user": "decanter"}, ".password: found nothing, expected a value, because user is set"),
        (
            MAIL | LOGIN | {"security": "none"},
            ".security: found none with a password, expected starttls or",
        ),
        (MAIL | {"ca": "/nowhere.pem"}, '.ca: found "/nowhere.pem", expected a file on the controller'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_mail_that_cannot_be_sent_is_refused(mail, expected):
    hosts = {"web1": {"base_mail": mail}, "other": {"base_mail": mail}}
    groups = GROUPS | {"all": ["web1", "other"]}
    (got,) = inventory_errors(hosts, groups, SITES)
    assert got.startswith(f"hosts.web1.base_mail{expected}") and "secret" not in got, got


def database_lines(web: str, database: str, **variables: dict[str, object]) -> list[str]:
    """What is wrong with hosts, where each has the variables of its name and those that are `common`."""
    groups = {"web": web.split(), "database": database.split()}
    groups["all"] = sorted({*groups["web"], *groups["database"]})
    common = variables.get("common", {})
    return inventory_errors({host: common | variables.get(host, {}) for host in groups["all"]}, groups, SITES)


WEB_RULES = [{"port": 80}, {"port": "443"}]


class Unresolved(dict):
    """Stand in for a rule with templates that only a contacted host could resolve."""

    def __getitem__(self, key):
        raise RuntimeError(key)


@pytest.mark.parametrize(
    "variables",
    [
        {"firewall_rules": [*WEB_RULES, {"port": 8000}]},
        {"firewall_rules": [{"port": "80:443"}]},
        {"firewall_rules": [], "firewall_extra_rules": WEB_RULES},
        {"firewall_extra_rules": [{"port": 8000}]},
        {"firewall_rules": [], "firewall_enabled": False},
        {"firewall_rules": [], "firewall_enabled": "false"},
        {"firewall_rules": [{"port": 80, "from": []}, {"port": 443, "from": ["10.0.0.0/8"]}]},
        {"firewall_rules": [Unresolved()]},
        {"firewall_rules": "8000"},
        {"firewall_rules": [8000]},
    ],
)
def test_firewall_rules_with_the_ports_of_sites_are_accepted(variables):
    assert inventory_errors({"web1": variables}, GROUPS, SITES) == []


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ([], "no rule for ports 80 and 443"),
        ([{"port": 8000}], "no rule for ports 80 and 443"),
        ([{"port": 443}], "no rule for port 80"),
        ([{"port": 80}, {"port": 443, "proto": "udp"}], "no rule for port 443"),
        ([{"port": "81:443"}], "no rule for port 80"),
    ],
)
def test_firewall_rules_that_close_the_ports_of_sites_are_rejected(rules, found):
    hosts = {host: {"firewall_rules": rules} for host in ("web1", "balancer1", "other")}
    hosts["balancer1"]["balancer_address"] = hosts["web1"]["balancer_address"] = "10.1.2.3"
    groups = {"all": list(hosts), "web": ["web1"], "balancer": ["balancer1"]}
    (got,) = inventory_errors(hosts, groups, {"plain": {}})
    assert got == (
        f"hosts.web1.firewall_rules: found {found}, expected ports 80 and 443, at which sites are served. "
        "Use firewall_extra_rules to open further ports."
    )


ELSEWHERE = {"mysql_host": "db.test", "mysql_ca_file": "ca.pem"}


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
    network = {"balancer_address": "10.1.2.0/28", "balancer_tls_mode": "passthrough"}
    assert inventory_errors(BEHIND | {"lb1": BEHIND["lb1"] | network}, BALANCED, SITES) == []


WRONG_BALANCERS = {
    "one host is both": (
        {},
        {"web": ["web1", "lb1"]},
        "hosts.lb1: found it in the groups web and balancer, expected it in one of them",
    ),
    "a name for an address": (
        {"web1": {"ansible_host": "web1.provider.net"}},
        {},
        'hosts.web1.balancer_address: found "web1.provider.net", expected the IP address that web hosts '
        "and balancers use",
    ),
    "a network for a web host": (
        {"web1": {"balancer_address": "10.1.2.0/28"}},
        {},
        'hosts.web1.balancer_address: found "10.1.2.0/28", expected the IP address that web hosts '
        "and balancers use",
    ),
    "a name that makes no socket": (
        {"web 1": {"ansible_host": "10.1.2.3"}},
        {"all": ["web 1", "lb1"], "web": ["web 1"]},
        "hosts.web 1: found this name, expected at most 60 letters, digits, dots, hyphens and underscores "
        "behind a balancer",
    ),
    "no such mode": (
        {"lb1": {"ansible_host": "10.1.2.4", "balancer_tls_mode": "pass"}},
        {},
        'hosts.lb1.balancer_tls_mode: found "pass", expected one of: terminate, passthrough',
    ),
    "old name of terminate": (
        {"lb1": {"ansible_host": "10.1.2.4", "balancer_tls_mode": "ends"}},
        {},
        'hosts.lb1.balancer_tls_mode: found "ends", which was renamed, expected terminate',
    ),
    "old name of passthrough": (
        {"lb1": {"ansible_host": "10.1.2.4", "balancer_tls_mode": "passes"}},
        {},
        'hosts.lb1.balancer_tls_mode: found "passes", which was renamed, expected passthrough',
    ),
    "two modes": (
        {"lb2": {"ansible_host": "10.1.2.5", "balancer_tls_mode": "passthrough"}},
        {"all": ["web1", "lb1", "lb2"], "balancer": ["lb1", "lb2"]},
        "hosts.lb1.balancer_tls_mode: found terminate (lb1), passthrough (lb2), "
        "expected the same on all balancers",
    ),
}


@pytest.mark.parametrize(("hosts", "groups", "expected"), WRONG_BALANCERS.values(), ids=list(WRONG_BALANCERS))
def test_balancers_that_cannot_work_are_refused(hosts, groups, expected):
    assert inventory_errors(BEHIND | hosts, BALANCED | groups, {"harbour": {}}) == [expected]


ACME = {"harbour": {"tls": {"mode": "acme"}}, "old": {"tls": {"mode": "acme"}, "state": "absent"}, "a": {}}
BEHIND_ALB = {
    "balancer_kind": "alb",
    "balancer_target_groups": ["staging-web", "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/a/b"],
    "balancer_networks": ["10.0.0.0/24", "10.0.1.0/24"],
}
SCALED = {"all": ["web1", "web2"], "web": ["web1", "web2"]}


def alb_lines(groups: Any = SCALED, **changed: Any) -> list[str]:
    of_all = {name: value for name, value in (BEHIND_ALB | changed).items() if value is not None}
    return inventory_errors(dict.fromkeys(groups["all"], of_all), groups, {})


def test_web_hosts_behind_an_alb_are_right():
    assert alb_lines() == []
    acme = {"s": {"tls": {"mode": "acme"}}}
    assert inventory_errors(dict.fromkeys(SCALED["all"], BEHIND_ALB), SCALED, acme) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {"balancer_kind": "elb"},
            'balancer_kind: found "elb", expected one of: nginx, alb',
        ),
        (
            {"balancer_kind": None, "balancer_networks": None},
            "balancer_target_groups: found a value, expected none without balancer_kind: alb",
        ),
        (
            {"balancer_target_groups": None},
            "balancer_target_groups: found nothing, expected a list of names or ARNs of target groups",
        ),
        (
            {"balancer_target_groups": "web"},
            "balancer_target_groups: found no list, expected a list of names or ARNs of target groups",
        ),
        (
            {"balancer_target_groups": ["my group"]},
            'balancer_target_groups: found "my group", expected a list of names or ARNs of target groups',
        ),
        *(
            (
                {"balancer_networks": [network]},
                f'balancer_networks: found "{network}", expected a list of networks, the subnets of the ALB',
            )
            for network in ("alb.internal", "0.0.0.0/0")
        ),
    ],
)
def test_an_alb_that_cannot_work_is_refused_once(changed, expected):
    assert alb_lines(**changed) == [f"hosts.web1.{expected}"]


def test_two_kinds_of_balancers_at_once_are_refused():
    groups = {"all": ["web1", "lb1"], "web": ["web1"], "balancer": ["lb1"]}
    hosts = {"web1": BEHIND_ALB | {"ansible_host": "10.1.2.3"}, "lb1": {"ansible_host": "10.1.2.4"}}
    assert inventory_errors(hosts, groups, {}) == [
        "hosts.web1.balancer_kind: found alb and lb1, expected no host in the group balancer, because "
        "the ALB balances the web hosts"
    ]


TWO = {"all": ["web1", "web2"], "web": ["web1", "web2"], "balancer": []}
NAMED = {"web1": {"ansible_host": "10.1.2.3"}, "web2": {"ansible_host": "10.1.2.5"}}


def test_hosts_that_an_authority_may_mean_ask_each_other_by_their_addresses():
    alone = {name: {"ansible_host": f"{name}.provider.net", "web_hosts_independent": True} for name in NAMED}
    passthrough = {"lb1": {"ansible_host": "10.1.2.4", "balancer_tls_mode": "passthrough"}}
    network = {"lb1": {"ansible_host": "10.1.2.4", "balancer_address": "10.1.2.0/28"}}
    one = {"all": ["web1"], "web": ["web1"]}
    for hosts, groups in (
        *((NAMED, one), ({"web1": {"ansible_host": "web1.provider.net"}}, one), (NAMED, TWO), (alone, TWO)),
        *((BEHIND, BALANCED), (BEHIND | passthrough, BALANCED), (BEHIND | network, BALANCED)),
    ):
        assert inventory_errors(hosts, groups, ACME) == [], (hosts, groups)


@pytest.mark.parametrize(
    ("hosts", "groups", "found"),
    [
        ({"web2": {"ansible_host": "web2.provider.net"}}, TWO, ("web2", "web2.provider.net")),
        ({"web2": {"balancer_address": "10.1.2.0/28"}}, TWO, ("web2", "10.1.2.0/28")),
        (
            {"lb2": {"ansible_host": "10.1.2.6", "balancer_address": "10.1.2.0/28"}},
            {"all": ["web1", "lb1", "lb2"], "balancer": ["lb1", "lb2"]},
            ("lb2", "10.1.2.0/28"),
        ),
    ],
)
def test_a_host_that_cannot_be_asked_for_a_proof_is_refused(hosts, groups, found):
    host, address = found
    expected = "the IP address at which other hosts request ACME challenges"
    got = inventory_errors(BEHIND | NAMED | hosts, BALANCED | groups, ACME)
    line = f'hosts.{host}.balancer_address: found "{address}", expected {expected}'
    assert line in got, f"expected {line}, got {got}"
    assert line not in inventory_errors(BEHIND | NAMED | hosts, BALANCED | groups, {"harbour": {}})


@pytest.mark.parametrize("found", ["new.provider.net", "10.1.2.0/28", "203.0.113.9", "REPLACE_ME", 5])
def test_a_machine_to_come_has_an_address(found):
    for value in ([found], ["10.1.2.9", found]):
        got = inventory_errors({"web1": {"nginx_challenge_successors": value}}, GROUPS, SITES)
        expected = f'hosts.web1.nginx_challenge_successors: found "{found}", expected a list of IP addresses'
        assert got == [expected], got
    good = {"web1": {"nginx_challenge_successors": ["10.1.2.9", "fd00::9"]}}
    assert inventory_errors(good, GROUPS, SITES) == []


BY_DNS = {"harbour": {"tls": {"mode": "acme", "challenge": "route53"}}}
KEY, SECRET = "certbot_aws_access_key_id", "certbot_aws_secret_access_key"
PASSTHROUGH = {"lb1": {"ansible_host": "10.1.2.4", "balancer_tls_mode": "passthrough"}}


def test_a_proof_in_dns_is_anybodys_to_give():
    for hosts, groups in (
        (NAMED, {"all": ["web1"], "web": ["web1"]}),
        (NAMED, TWO),
        (BEHIND | PASSTHROUGH, BALANCED),
        (
            BEHIND | {"lb2": {"ansible_host": "10.1.2.6"}},
            BALANCED | {"all": ["web1", "lb1", "lb2"], "balancer": ["lb1", "lb2"]},
        ),
    ):
        assert inventory_errors(hosts, groups, BY_DNS) == [], groups


@pytest.mark.parametrize(
    ("has", "sites", "lacking", "given"),
    [
        ({KEY: "AKIA"}, BY_DNS, SECRET, KEY),
        ({SECRET: "x"}, BY_DNS, KEY, SECRET),
        ({SECRET: "x", KEY: ""}, BY_DNS, KEY, SECRET),
        ({SECRET: "x", KEY: "AKIA"}, BY_DNS, "", ""),
        ({KEY: "AKIA"}, {"harbour": {**BY_DNS["harbour"], "state": "absent"}}, "", ""),
        ({KEY: "AKIA"}, ACME, "", ""),
    ],
)
def test_half_a_key_is_refused(has, sites, lacking, given):
    hosts = {"web1": {"ansible_host": "10.1.2.3", **has}}
    expected = f"a value, because {given} is set, or neither if the instance role can write to the zone"
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
