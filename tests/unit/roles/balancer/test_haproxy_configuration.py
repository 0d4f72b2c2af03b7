"""HAProxy accepts its rendered configuration, and forwards requests only where it should."""

from __future__ import annotations

import re
from typing import Any

import pytest
from haproxy_configuration import check_haproxy
from templates_cases import CASES, HOSTS, MINIMAL
from templates_rendering import matching, render, root_of

BALANCERS = [name for name, case in CASES.items() if "balancer" in case.groups]
NAME = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
# Sites with values at their limits, and site ids that are also names in the configuration.
LIMITS: dict[str, dict[str, Any]] = {
    "many long server names": {
        f"a{site}": {"server_names": [f"n{site}-{number}.{NAME[8:]}" for number in range(100)]}
        for site in range(50)
    },
    "the longest health path": {"a": {"health": {"path": f"/{'h' * 3999}"}}},
    "a health path of special characters": {"a": {"health": {"path": "/#'\"\\${HOME}%[src]{}~?&;"}}},
    "only an address": {"a": {"server_names": ["10.1.2.3"]}, "b": {"server_names": ["fd00::1"]}},
    "names inside HAProxy": {
        name: {} for name in ("http", "https", "web", "challenges", "clients", "prometheus")
    },
}


def balancer_files(sites: dict[str, Any], **settings: Any) -> dict[str, str]:
    """Return the files of a balancer with these sites, by their paths."""
    case = CASES["balancer"]
    case = case._replace(sites=sites, settings={**case.settings, **settings})
    return {file.path: file.text for file in render("debian12", case, ["balancer"])}


@pytest.mark.parametrize("case", BALANCERS)
@pytest.mark.parametrize("host", HOSTS)
def test_haproxy_accepts_its_configuration(host, case):
    # An older OpenSSL on this machine would reject the curves of a newer one.
    for root in root_of(render(host, CASES[case], ["balancer"], __balancer_openssl_version="3.0")):
        check_haproxy(root, host)


@pytest.mark.parametrize("mode", ["terminate", "passthrough"])
@pytest.mark.parametrize("values", LIMITS)
def test_haproxy_accepts_values_at_their_limits(values, mode):
    sites = {
        name: {**MINIMAL, "server_names": [f"{name}.test"], **site} for name, site in LIMITS[values].items()
    }
    case = CASES["balancer"]._replace(sites=sites, settings={"balancer_tls_mode": mode})
    for root in root_of(render("debian12", case, ["balancer"])):
        check_haproxy(root, "debian12")


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        # The challenge files of this host only: no site has a certificate from an ACME CA.
        ("balancer", ["127.0.0.1:8402"]),
        # The web hosts; this balancer has the name web1.
        ("balancer-passes", ["127.0.0.1:8402", "[fd00::2]:80"]),
    ],
)
def test_acme_challenges_are_requested_from_other_hosts(case, expected):
    (main,) = matching("debian13", case, r"/haproxy\.cfg$")
    section = re.search(r"^backend challenges\.all.*?(?=^backend)", main.text, re.M | re.S)[0]
    assert re.findall(r"^    server \S+ (\S+)", section, re.M) == expected, section


def test_web_host_is_verified_with_the_private_ca_only():
    sites = {
        "a": {**MINIMAL, "server_names": ["10.1.2.3", "a.test"], "tls": {"mode": "ca"}},
        "b": {**MINIMAL, "server_names": ["b.test"]},
        "c": {**MINIMAL, "server_names": ["10.1.2.3"], "tls": {"mode": "ca"}},
    }
    files = balancer_files(sites)
    pattern = re.compile(r" ssl (verify \w+).*?(?: sni str\((.*?)\))? tcp-ut")
    found = {name: set(pattern.findall(files[f"/etc/haproxy/sites/{name}.cfg"])) for name in sites}
    expected = {"a": ("verify required", "a.test"), "b": ("verify none", "b.test"), "c": ("verify none", "")}
    assert found == {name: {value} for name, value in expected.items()}, found


def test_longer_wildcards_precede_shorter_ones():
    sites = {
        "a": {**MINIMAL, "server_names": ["a.test", "*.test.org"]},
        "b": {**MINIMAL, "server_names": ["b.test", "*.shop.test.org"]},
    }
    text = balancer_files(sites)["/etc/haproxy/wildcards.map"]
    lines = [line for line in text.splitlines() if line[:1] == "."]
    assert lines == [".shop.test.org b", ".test.org a"], lines
