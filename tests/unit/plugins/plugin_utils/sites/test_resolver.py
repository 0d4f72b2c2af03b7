"""The resolved object of a site, which roles and templates read."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.decanter.stack.plugins.filter import certificates, topology
from ansible_collections.decanter.stack.plugins.filter import sites as filters
from repository import ROOT
from resolved_site import PLAIN, entry, resolved


def several(*names):
    return {name: {**PLAIN, "server_names": [f"{name}.test"]} for name in names}


# --- Sites ----------------------------------------------------------------------------------------


def test_resolved_site_has_no_secret():
    secret = "correct horse battery"
    sites = entry(
        source={"git": "git@host.test:a/b.git", "key": f"-----BEGIN {secret}"},
        secrets={"API_KEY": secret},
        build_secrets={"TOKEN": secret},
        indexes=[{"name": "own", "url": "https://index.test/simple", "username": "ada", "password": secret}],
        files={"settings.cfg": {"content": secret}},
        database={"engine": "mysql", "auth": "password", "password": secret},
        nginx={"basic_auth": {"ada": secret}},
        tls={"mode": "provided", "certificate": "a.crt", "key": f"-----BEGIN {secret}"},
    )
    text = json.dumps(filters.resolve_sites(sites))
    assert secret not in text, text
    assert filters.resolve_sites(sites)[0]["environment"]["credentials"] == ["API_KEY", "DATABASE_URL"]


def test_resolved_site_is_plain_data():
    site = resolved(database={"engine": "mysql"}, services=["redis"], outbound=False)
    assert json.loads(json.dumps(site)) == site


def test_select_sites_rejects_an_unknown_site():
    sites = filters.resolve_sites(several("one", "two"))
    assert [site["name"] for site in filters.select_sites(sites, "")] == ["one", "two"]
    assert [site["name"] for site in filters.select_sites(sites, "two")] == ["two"]
    with pytest.raises(AnsibleFilterError, match="SITE: found three, expected one of: one, two"):
        filters.select_sites(sites, "three")


def test_select_site_requires_a_name_of_several_sites():
    assert filters.select_site(filters.resolve_sites(several("one")), "")["name"] == "one"
    sites = filters.resolve_sites(several("one", "two"))
    assert filters.select_site(sites, "two")["name"] == "two"
    with pytest.raises(AnsibleFilterError, match="SITE: found nothing, expected one of: one, two"):
        filters.select_site(sites, "")


def test_absent_site_is_not_resolved():
    sites = entry(state="absent", services=["redis"], tls={"mode": "acme"})
    assert filters.resolve_sites(sites) == [] and filters.absent_sites(sites) == ["plain"]
    assert filters.site_sources(sites, "/") == {} and filters.site_credential_files(sites, {}) == []


@pytest.mark.parametrize(
    ("names", "port", "url"),
    [
        (["plain.test"], 443, "https://plain.test/"),
        (["::1"], 8443, "https://[::1]:8443/"),
        (["plain.test"], "8443", "https://plain.test:8443/"),
    ],
)
def test_url_has_a_port_unless_it_is_443(names, port, url):
    site = resolved(server_names=names, health={"path": "/readyz"}, host={"https_port": port})
    assert (site["url"], site["health"]["url"]) == (url, f"{url}readyz")


# --- Processes, timers, services -------------------------------------------------------------------

COMPANIONS = {
    "processes": {"worker": "python -m worker"},
    "timers": {"digest": {"command": "flask digest", "calendar": "daily"}},
}


def test_companion_units_have_their_site():
    units = filters.companion_units([resolved(**COMPANIONS)], "processes", "timers")
    got = [(unit["name"], unit["command"], unit.get("calendar"), unit["of"]["name"]) for unit in units]
    assert got == [
        ("plain.worker", "python -m worker", None, "plain"),
        ("plain.digest", "flask digest", "daily", "plain"),
    ]


@pytest.mark.parametrize(("on", "other_hosts"), [("one", False), ("all", True)])
def test_timer_on_one_host_is_omitted_on_other_hosts(on, other_hosts):
    # YAML reads `on` without quotes as true.
    timer = yaml.safe_load(f"{{command: flask digest, calendar: daily, on: {on}}}")
    assert True in timer, timer
    for first in (True, False):
        expected = ["digest"] if first or other_hosts else []
        got = list(resolved(timers={"digest": timer}, host={"first": first})["timers"])
        assert got == expected, f"expected {expected} where first is {first}, got {got}"


def test_service_is_a_variable_and_starts_before_the_site():
    site = resolved(services=["redis", "memcached"])
    assert site["units"]["after"] == ["memcached@plain.service", "redis@plain.service"]
    assert site["environment"]["variables"] == {
        "REDIS_URL": "unix:///run/redis-plain/redis.sock",
        "MEMCACHED_SOCKET": "/run/memcached-plain/memcached.sock",
    }


def test_service_has_an_instance_and_a_package():
    site = resolved(services=["redis", "memcached"], packages=["libmagic1"])
    assert filters.service_instances([site]) == [
        {"service": "redis", "name": "plain"},
        {"service": "memcached", "name": "plain"},
    ]
    assert filters.service_instances([resolved()]) == []
    assert filters.site_packages([site]) == ["libmagic1", "memcached", "redis-server"]


def test_unused_service_instance_is_absent():
    instances = filters.service_instances([resolved(services=["redis"])])
    units = ["getty@tty1", "plain@blue", "redis@plain", "memcached@plain", "redis@gone"]
    assert filters.absent_service_instances(units, instances) == [
        {"service": "memcached", "name": "plain"},
        {"service": "redis", "name": "gone"},
    ]


def test_variable_of_a_service_can_be_set_by_the_operator():
    own = {"REDIS_URL": "redis://elsewhere:6379"}
    assert resolved(services=["redis"], env=own)["environment"]["variables"] == own
    environment = resolved(services=["redis"], secrets=own)["environment"]
    assert (environment["variables"], environment["credentials"]) == ({}, ["REDIS_URL"])


# --- Python ---------------------------------------------------------------------------------------

PINS = {
    f"cpython-3.{minor}.1-linux-{machine}-gnu": {"major": 3, "minor": minor, "arch": {"family": machine}}
    for minor in (12, 9)
    for machine in ("x86_64", "aarch64")
}


def test_python_version_has_locations_and_a_package():
    paths = [
        "/usr/bin/python3.12",
        "/usr/local/bin/python3.12",
        "/opt/python*/bin/python3.12",
        "/opt/decanter/python/bin/python3.12",
    ]
    site = resolved(python="3.12")
    assert site["interpreter"] == {
        **{"version": "3.12", "package": "python3.12"},
        **{"paths": paths, "alternatives": paths[1:3]},
    }
    (missing,) = filters.missing_interpreters([site], PINS)
    assert missing["machines"] == ["aarch64", "x86_64"], missing
    assert filters.missing_interpreters([resolved(python="3.13")], PINS)[0]["machines"] == []
    assert missing["refusal"] == (
        f"sites.plain.python: found no Python at {', '.join(paths)}, expected one there, the package "
        "python3.12, or a version that can be downloaded: 3.9, 3.12"
    )


def test_python_path_has_no_package():
    site = resolved(python="/opt/own/bin/python")
    assert site["interpreter"]["paths"] == ["/opt/own/bin/python"] and not site["interpreter"]["package"]
    (missing,) = filters.missing_interpreters([site], PINS)
    assert (missing["package"], missing["machines"]) == ("", []), missing
    assert missing["refusal"].endswith("found no Python at /opt/own/bin/python, expected one there"), missing
    assert filters.missing_interpreters([resolved()], PINS) == []


# --- nginx ----------------------------------------------------------------------------------------


def nginx(**keys):
    return resolved(nginx=keys)["nginx"]


def test_nginx_limits_are_on_by_default():
    got = nginx()
    assert got["limits"] == {"rate": 30, "burst": 150, "connections": 100}
    assert (got["headers"], got["basic_auth"], got["cache"]) == ({}, False, {}), got
    assert nginx(limits=False)["limits"] == {}


def test_nginx_headers_are_spelled_as_the_defaults():
    defaults = yaml.safe_load((ROOT / "roles/nginx/defaults/main.yml").read_text())["nginx_headers"]
    got = nginx(headers={name.upper(): False for name in defaults})["headers"]
    assert set(got) == set(defaults), f"expected {sorted(defaults)}, got {sorted(got)}"


def test_nginx_cache_true_has_defaults():
    assert nginx(cache=True)["cache"] == {"seconds": 1, "harmless_cookies": [], "except": []}
    assert nginx(cache={"except": ["/a"]})["cache"] == {
        "seconds": 1,
        "harmless_cookies": [],
        "except": ["/a"],
    }


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/", ""),
        ("/readyz", "/readyz"),
        ("/readyz?full=1", "/readyz"),
        ("/a;b", ""),
        ('/"', ""),
        ("/a/b.c", "/a/b.c"),
    ],
)
def test_health_path_becomes_an_exact_location(path, location):
    assert resolved(health={"path": path})["health"]["location"] == location


@pytest.mark.parametrize("value", [True, 1000, "har'b\\our", ""])
def test_gunicorn_setting_is_a_python_literal(value):
    assert ast.literal_eval(filters.python_literal(value)) == value


# --- Names and certificates ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"), [("10.0.0.1", "IP:10.0.0.1"), ("::1", "IP:::1"), ("a.test", "DNS:a.test")]
)
def test_subject_alternative_name_has_a_type(name, expected):
    assert certificates.subject_alternative_names([name]) == [expected]


def test_challenge_peers_are_addresses_of_acme_sites():
    hostvars = {
        "web1": {"ansible_host": "10.1.2.3"},
        "web2": {"ansible_host": "web2.provider.net", "balancer_address": "10.1.2.5"},
    }
    peers = topology.challenge_peers([resolved(tls={"mode": "acme"})], ["web1", "web2"], hostvars)
    assert peers == ["10.1.2.3", "10.1.2.5"], peers
    by_dns = resolved(tls={"mode": "acme", "challenge": "route53"})
    for without_request in ([resolved()], [by_dns], []):
        assert topology.challenge_peers(without_request, ["web1", "web2"], hostvars) == []


def monitored(*sites, profile="", key_type="ecdsa"):
    return certificates.monitored_certificates(sites, profile, key_type)


def test_acme_site_has_its_own_profile_or_the_default():
    site = resolved(tls={"mode": "acme", "profile": "shortlived"})
    assert certificates.created_certificates([site], "")[0]["temporary"] is True
    (got,) = monitored(site, profile="tlsserver")
    assert (got["mode"], got["profile"], got["key_type"]) == ("acme", "shortlived", "ecdsa"), got
    (got,) = monitored(resolved(tls={"mode": "acme"}), profile="tlsserver", key_type="rsa")
    assert (got["profile"], got["key_type"]) == ("tlsserver", "rsa"), got


def test_acme_site_behind_a_balancer_is_self_signed():
    sites = [resolved(tls={"mode": "acme"}), resolved(tls={"mode": "ca"})]
    modes = [site["tls"]["mode"] for site in certificates.without_acme(sites)]
    assert modes == ["self-signed", "ca"], modes


def test_wildcard_certificate_omits_covered_names():
    site = resolved(
        server_names=["a.test", "*.a.test", "www.a.test", "x.www.a.test", "b.test"],
        tls={"mode": "acme", "challenge": "route53"},
    )
    (got,) = monitored(site)
    assert got["server_names"] == ["a.test", "*.a.test", "x.www.a.test", "b.test"], got
    assert got["challenge"] == "route53" and monitored(resolved())[0]["challenge"] == "http"


def test_provided_certificate_is_text_or_a_file_of_the_controller():
    text = "-----BEGIN PRIVATE KEY-----\nAAAA\n"
    sites = entry(tls={"mode": "provided", "certificate": "../site.crt", "key": text})
    given = certificates.provided_certificates(sites, "/project")
    assert given == {"plain": {"certificate": "/project/../site.crt", "key": text}}
    files = certificates.certificate_files(filters.resolve_sites(sites), "/tls", given)
    by_path = {Path(file["path"]).name: file for file in files}
    assert (
        by_path["fullchain.pem"]["copy"] == "/project/../site.crt"
        and by_path["privkey.pem"]["content"] == text
    )
    assert {by_path[name]["mode"] for name in ("fullchain.pem", "privkey.pem")} == {"0600"}, files
    assert certificates.created_certificates(filters.resolve_sites(sites), "") == []


def test_balancer_does_not_verify_addresses_and_wildcards():
    for names, expected in (
        (["10.1.2.3", "*.a.test"], ("", False)),
        (["10.1.2.3", "a.test"], ("a.test", True)),
    ):
        tls = resolved(server_names=names, tls={"mode": "ca"})["tls"]
        assert (tls["handshake_name"], tls["verifiable"]) == expected, tls
