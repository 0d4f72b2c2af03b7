"""What each role gets of `sites`."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.decanter.stack.plugins.filter import sites as filters
from ansible_collections.decanter.stack.plugins.filter.sites_check import (
    OWN_PATH,
    PIECES,
    VERIFYING_SCHEMES,
    with_defaults,
)

ROOT = Path(__file__).parents[1]
PLAIN = {"server_names": ["plain.test"], "source": {"path": "../plain"}, "wsgi": "myproject:app"}


def site(**changes):
    return with_defaults({"plain": {**PLAIN, **changes}})


def source(**source):
    return filters.release_sources(site(source=source), "/project")["plain"]


def test_a_relative_source_starts_at_the_project():
    assert source(path="../plain") == {"path": "/project/../plain"}
    assert source(path="/srv/code") == {"path": "/srv/code"}


def test_a_path_may_begin_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert source(path="~/plain")["path"] == f"{tmp_path}/plain"
    assert source(git="a", key="~/.ssh/deploy")["key"] == f"{tmp_path}/.ssh/deploy"
    assert source(path="~plain")["path"] == "/project/~plain", "expected a folder of this name"


def test_a_repository_is_released_from_main_where_nothing_is_said():
    git = "git@host.test:a/b.git"
    assert source(git=git) == {"git": git, "version": "main"}
    given = {"git": git, "version": "v1.4", "subdir": "web"}
    assert source(**given) == given


def test_a_key_is_text_or_a_file_of_the_project():
    git, text = "git@host.test:a/b.git", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"
    assert source(git=git, key="../deploy")["key"] == "/project/../deploy"
    assert source(git=git, key="/root/deploy")["key"] == "/root/deploy"
    assert source(git=git, key=text)["key"] == text


def test_a_site_that_is_not_there_is_refused_by_its_name():
    sites = with_defaults({name: {**PLAIN, "server_names": [f"{name}.test"]} for name in ("one", "two")})
    assert [one["name"] for one in filters.release_sites(sites)] == ["one", "two"]
    assert [one["name"] for one in filters.release_sites(sites, "two")] == ["two"]
    with pytest.raises(AnsibleFilterError, match="SITE: found three, expected one of: one, two"):
        filters.release_sites(sites, "three")


def test_one_site_is_meant_where_there_is_only_one():
    assert filters.release_site(site(), "")["name"] == "plain"
    sites = with_defaults({name: {**PLAIN, "server_names": [f"{name}.test"]} for name in ("one", "two")})
    assert filters.release_site(sites, "two")["name"] == "two"
    with pytest.raises(AnsibleFilterError, match="SITE: found nothing, expected one of: one, two"):
        filters.release_site(sites, "")


def test_an_absent_site_is_not_released():
    sites = with_defaults({"gone": {**PLAIN, "state": "absent"}})
    assert filters.with_sources(sites, {})["gone"]["source"] == {"path": "."}
    assert filters.release_sites(sites) == [] and filters.release_sources(sites, "/") == {}


PINS = {
    f"cpython-3.{minor}.1-linux-{machine}-gnu": {"major": 3, "minor": minor, "arch": {"family": machine}}
    for minor in (12, 9)
    for machine in ("x86_64", "aarch64")
}


def test_python_version_is_searched_for():
    paths = [
        "/usr/bin/python3.12",
        "/usr/local/bin/python3.12",
        "/opt/python*/bin/python3.12",
        "/opt/decanter/python/bin/python3.12",
    ]
    given = site(python="3.12")
    assert filters.release_sites(given)[0]["python"] == paths
    app = filters.python_app_sites(given, HERE)[0]
    assert app["python"] == {"version": "3.12", "package": "python3.12", "instead": paths[1:3]}
    (base,) = filters.base_pythons(given, PINS)
    assert (base["paths"], base["package"]) == (paths, "python3.12")
    assert base["machines"] == ["aarch64", "x86_64"], base
    assert filters.base_pythons(site(python="3.13"), PINS)[0]["machines"] == []
    assert base["refusal"] == (
        f"sites.plain.python: found no Python at {', '.join(paths)}, expected one there, the package "
        "python3.12, or a version that can be downloaded: 3.9, 3.12"
    )


def test_python_path_is_taken_as_it_is():
    given = site(python="/opt/own/bin/python")
    assert filters.release_sites(given)[0]["python"] == ["/opt/own/bin/python"]
    assert "python" not in filters.python_app_sites(given, HERE)[0], "expected no package for a path"
    (base,) = filters.base_pythons(given, PINS)
    assert (base["package"], base["machines"]) == ("", []), base
    assert base["refusal"].endswith("found no Python at /opt/own/bin/python, expected one there"), base
    assert filters.base_pythons(site(), PINS) == [] and filters.release_sites(site())[0]["python"] == []


COMPANIONS = {
    "processes": {"worker": "python -m worker"},
    "timers": {"digest": {"command": "flask digest", "calendar": "daily"}},
}


HERE = {"host": "", "port": 3306, "ca": "/etc/ssl/ca.pem"}
THERE = HERE | {"host": "db.test"}


def app(whole, server=HERE):
    return filters.python_app_sites(whole, server)[0]


def test_processes_and_timers_are_units_of_their_site():
    whole = site(**COMPANIONS)
    units = filters.companion_units(filters.python_app_sites(whole, HERE), "processes", "timers")
    got = [(unit["name"], unit["command"], unit.get("calendar"), unit["of"]["name"]) for unit in units]
    assert got == [
        ("plain.worker", "python -m worker", None, "plain"),
        ("plain.digest", "flask digest", "daily", "plain"),
    ]
    released = filters.release_sites(whole)[0]
    assert (released["processes"], released["timers"]) == (["worker"], ["digest"]), released


@pytest.mark.parametrize(("on", "there"), [("one", False), ("all", True)])
def test_a_timer_of_one_host_is_the_first_ones(on, there):
    # Without quotes, `on` is what YAML calls true.
    timer = yaml.safe_load(f"{{command: flask digest, calendar: daily, on: {on}}}")
    assert True in timer, timer
    whole = site(timers={"digest": timer})
    for first in (True, False):
        expected = ["digest"] if first or there else []
        units = filters.companion_units(filters.python_app_sites(whole, HERE, first), "timers")
        assert [unit["name"] for unit in units] == [f"plain.{name}" for name in expected], (first, units)
        got = filters.release_sites(whole, "", first)[0]["timers"]
        assert got == expected, f"expected {expected} where first is {first}, got {got}"


def test_service_adds_an_instance_a_package_and_a_variable():
    whole = site(services=["redis", "memcached"])
    assert filters.service_instances(whole) == [
        {"service": "redis", "name": "plain"},
        {"service": "memcached", "name": "plain"},
    ]
    assert filters.service_instances(site()) == []
    assert filters.site_packages(whole) == ["memcached", "redis-server"]
    app = filters.python_app_sites(whole, HERE)[0]
    assert app["after"] == ["memcached@plain.service", "redis@plain.service"]
    assert app["env"] == {
        "REDIS_URL": "unix:///run/redis-plain/redis.sock",
        "MEMCACHED_SOCKET": "/run/memcached-plain/memcached.sock",
    }
    gone = with_defaults({"plain": {**PLAIN, "state": "absent", "services": ["redis"]}})
    assert filters.service_instances(gone) == [], "expected no instance of an absent site"


def test_instance_of_a_service_that_no_site_has_is_absent():
    instances = filters.service_instances(site(services=["redis"]))
    units = ["getty@tty1", "plain@blue", "redis@plain", "memcached@plain", "redis@gone"]
    assert filters.absent_service_instances(units, instances) == [
        {"service": "memcached", "name": "plain"},
        {"service": "redis", "name": "gone"},
    ]


def test_what_the_operator_says_of_a_service_holds():
    given = {"REDIS_URL": "redis://elsewhere:6379"}
    assert filters.python_app_sites(site(services=["redis"], env=given), HERE)[0]["env"] == given
    app = filters.python_app_sites(site(services=["redis"], secrets=given), HERE)[0]
    assert (app["env"], app["credentials"]) == ({}, given), f"expected the secret alone, got {app}"


def test_a_socket_login_is_no_secret_and_a_password_is():
    got = app(site(database={"engine": "mysql"}))
    url = "mysql+pymysql://plain@localhost/plain?unix_socket=/run/mysqld/mysqld.sock&charset=utf8mb4"
    assert (got["env"], got["credentials"]) == ({"DATABASE_URL": url}, {})
    got = app(site(database=PASSWORD))
    url = "mysql+pymysql://plain:p%40ss%2Fword%3Along@127.0.0.1:3306/plain?charset=utf8mb4"
    assert (got["env"], got["credentials"]) == ({}, {"DATABASE_URL": url})


PASSWORD = {"engine": "mysql", "auth": "password", "password": "p@ss/word:long"}


@pytest.mark.parametrize(
    ("scheme", "tls"),
    [
        ("mysql+pymysql", ""),
        ("mysql+mysqldb", "&ssl_mode=VERIFY_IDENTITY"),
        ("mysql", "&ssl_mode=VERIFY_IDENTITY"),
        ("mysql+mysqlconnector", "&use_pure=true&ssl_verify_cert=true&ssl_verify_identity=true"),
    ],
)
def test_a_database_elsewhere_is_verified(scheme, tls):
    got = app(site(database=PASSWORD | {"scheme": scheme}), THERE)
    assert got["credentials"]["DATABASE_URL"] == (
        f"{scheme}://plain:p%40ss%2Fword%3Along@db.test:3306/plain?ssl_ca=/etc/ssl/ca.pem{tls}&charset=utf8mb4"
    )
    assert got["database"] == {
        **{"host": "db.test", "port": "3306", "user": "plain"},
        **{"password": "p@ss/word:long", "ca": "/etc/ssl/ca.pem"},
    }
    assert "database" not in app(site(database=PASSWORD)), (
        "expected root's socket to do on the site's own host"
    )


def test_drivers_that_are_verified_are_those_that_are_accepted():
    assert set(filters.VERIFIED) == set(VERIFYING_SCHEMES)


@pytest.mark.parametrize(
    ("database", "server"), [({"engine": "mysql"}, HERE), (PASSWORD, HERE), (PASSWORD, THERE)]
)
def test_an_application_can_be_told_what_it_may_be_told(database, server):
    expected = PIECES[database.get("auth", "socket")] | ({"ca"} if server["host"] else set())
    assert (
        set(filters.database_pieces(site(database=database)["plain"] | {"name": "plain"}, server)) == expected
    )


@pytest.mark.parametrize("secret_delivery", ["credentials", "environment"])
def test_a_database_has_the_names_that_an_application_knows(secret_delivery):
    variables = {"DB_HOST": "host", "DB_PORT": "port", "DB_USER": "user", "DB_PASS": "password", "DB": "name"}
    got = app(
        site(
            database=PASSWORD | {"variables": variables}, secrets={"A": "x"}, secret_delivery=secret_delivery
        )
    )
    assert got["env"] == {"DB_HOST": "127.0.0.1", "DB_PORT": "3306", "DB_USER": "plain", "DB": "plain"}
    key = {"credentials": "credentials", "environment": "secret_env"}[secret_delivery]
    assert got[key] == {"A": "x", "DB_PASS": "p@ss/word:long"}
    assert len({"credentials", "secret_env"} & got.keys()) == 1, got


def test_what_a_site_says_itself_wins_over_the_default():
    got = app(site(database=PASSWORD, env={"DATABASE_URL": "x"}))
    assert (got["env"], got["credentials"]) == ({"DATABASE_URL": "x"}, {})
    got = app(site(database={"engine": "mysql"}, secrets={"DATABASE_URL": "x"}))
    assert (got["env"], got["credentials"]) == ({}, {"DATABASE_URL": "x"})


def test_users_of_a_database_elsewhere_come_from_anywhere():
    assert [
        filters.mysql_users(site(database=PASSWORD), server)[0].get("host") for server in (HERE, THERE)
    ] == [
        None,
        "%",
    ]


def test_networks_that_are_named_are_all_that_there_is():
    got = [app(site(outbound=given)) for given in (True, False)]
    assert [(one["outbound"], one["networks"]) for one in got] == [(True, []), (False, [])]
    pay = {"to": ["192.0.2.0/24"], "because": "cards"}
    got = app(site(outbound={"pay": pay}))
    assert (got["outbound"], got["networks"]) == (True, [{"name": "pay", **pay}])


@pytest.mark.parametrize("value", [True, 1000, "har'b\\our", ""])
def test_a_setting_is_what_python_reads(value):
    assert ast.literal_eval(filters.python_literal(value)) == value


def test_what_is_no_longer_a_secret_is_removed():
    def kept(**keys):
        files = filters.credential_files([{"name": "plain", **keys}])
        return {
            Path(file["path"]).name: (file.get("content"), file["mode"])
            for file in files
            if "content" in file
        }

    login = {"host": "h", "port": "1", "user": "u", "password": 'p"\\\n#', "ca": "/ca"}
    got = kept(secret_env={"A": "a\nb"}, credentials={"B": "b"}, database=login)
    assert set(got) == {"secrets.env", "database.cnf", "B"} and {mode for _, mode in got.values()} == {"0600"}
    assert got["secrets.env"][0].endswith('A="a\nb"\n'), got
    assert r'password="p\"\\\n#"' in got["database.cnf"][0].splitlines(), got
    files = {Path(file["path"]).name: file for file in filters.credential_files([{"name": "plain"}])}
    assert {files[name]["state"] for name in ("secrets.env", "database.cnf")} == {"absent"}, files
    assert files["credentials"]["exclusive"], files


ODD = """quotes " ' and ` \\ \\n $HOME ${A} $(id) % %i #  ;
the next line
"""


@pytest.mark.parametrize("value", [ODD, "\\", '"', "$", " ", "ü", "a\\\nb", "\n"])
def test_an_environment_variable_is_what_it_was(value):
    text = filters.secret_environment({"A": value, "B": "b"})
    # In double quotes a shell reads what systemd does.
    script = f'{text}\nprintf "%s|%s|" "$A" "$B"'
    got = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert got == f"{value}|b|", got


def test_a_site_without_a_database_gets_none():
    assert filters.mysql_databases(site()) == filters.mysql_users(site(), THERE) == []
    assert "database" not in app(site(), THERE)


@pytest.mark.parametrize(
    ("name", "expected"), [("10.0.0.1", "IP:10.0.0.1"), ("::1", "IP:::1"), ("a.test", "DNS:a.test")]
)
def test_alternative_names(name, expected):
    assert filters.subject_alternative_names([name]) == [expected]


def test_whom_a_host_asks_for_a_proof():
    hostvars = {
        "web1": {"ansible_host": "10.1.2.3"},
        "web2": {"ansible_host": "web2.provider.net", "balancer_address": "10.1.2.5"},
    }
    asked = filters.challenge_peers(site(tls={"mode": "acme"}), ["web1", "web2"], hostvars)
    assert asked == ["10.1.2.3", "10.1.2.5"], asked
    for no_proof in (site(), site(tls={"mode": "acme"}, state="absent")):
        assert filters.challenge_peers(no_proof, ["web1", "web2"], hostvars) == []


def test_certificates_of_an_acme_server():
    whole = site(tls={"mode": "acme", "profile": "shortlived"})
    given = filters.certbot_sites(whole, "/")
    assert given[0].items() >= {"mode": "acme", "profile": "shortlived"}.items(), given
    assert filters.certificates_made(given, "")[0]["stands_in"] is True
    kept = filters.certificates_kept(given, "tlsserver", "ecdsa")
    assert kept[0].items() >= {"profile": "shortlived", "key_type": "ecdsa", "mode": "acme"}.items(), kept
    assert (
        filters.certificates_kept(filters.certbot_sites(site(tls={"mode": "acme"}), "/"), "tlsserver", "rsa")[
            0
        ].items()
        >= {"profile": "tlsserver", "key_type": "rsa"}.items()
    )
    behind = filters.certbot_sites(whole, "/", True)
    assert behind[0]["mode"] == "self-signed", "expected the balancer to have it"


def test_a_wildcard_has_a_certificate_of_what_it_does_not_cover():
    whole = site(
        server_names=["a.test", "*.a.test", "www.a.test", "x.www.a.test", "b.test"],
        tls={"mode": "acme", "challenge": "route53"},
    )
    given = filters.certbot_sites(whole, "/")
    assert given[0]["server_names"] == ["a.test", "*.a.test", "x.www.a.test", "b.test"], given
    assert filters.certificates_kept(given, "", "ecdsa")[0]["challenge"] == "route53"
    assert (
        filters.certificates_kept(filters.certbot_sites(site(), "/"), "", "ecdsa")[0]["challenge"] == "http"
    )


def test_a_handshake_names_no_wildcard():
    whole = site(server_names=["10.1.2.3", "*.a.test"], tls={"mode": "ca"})
    (balanced,) = filters.balancer_sites(whole, "authority")
    assert (balanced["tls_name"], balanced["verified"]) == ("10.1.2.3", False), balanced


def test_urls_name_a_port_only_where_it_is_not_443():
    assert filters.site_urls(site(), 443)[0]["url"] == "https://plain.test/"
    assert filters.site_urls(site(server_names=["::1"]), 8443)[0]["url"] == "https://[::1]:8443/"


def door(**nginx):
    return filters.nginx_sites(site(nginx=nginx))[0]


def test_a_site_is_guarded_where_nothing_is_said():
    got = door()
    assert got["limits"] == {"rate": 30, "burst": 150, "connections": 100}
    assert (got["headers"], got["basic_auth"], "cache" in got) == ({}, False, False), got
    assert "limits" not in door(limits=False), "expected no limits"


def test_headers_have_the_names_that_the_defaults_have():
    defaults = yaml.safe_load((ROOT / "roles/nginx/defaults/main.yml").read_text())["nginx_headers"]
    got = door(headers={name.upper(): False for name in defaults})["headers"]
    assert set(got) == set(defaults), f"expected {sorted(defaults)}, got {sorted(got)}"


def test_a_cache_is_short_and_passed_by_with_any_cookie():
    assert door(cache=True)["cache"] == {"seconds": 1, "harmless_cookies": [], "except": []}
    assert door(cache={"except": ["/a"]})["cache"] == {"seconds": 1, "harmless_cookies": [], "except": ["/a"]}


def test_the_page_that_all_visitors_come_for_is_no_page_of_health():
    paths = {
        "/": "",
        "/readyz": "/readyz",
        "/readyz?full=1": "/readyz",
        "/a;b": "",
        '/"': "",
        "/a/b.c": "/a/b.c",
    }
    for path, expected in paths.items():
        got = filters.nginx_sites(site(health={"path": path}))[0]["health"]
        assert got == expected, f"{path}: expected {expected!r}, got {got!r}"
    assert filters.OWN_PATH.pattern == OWN_PATH.pattern


def test_passwords_are_not_among_what_every_template_sees():
    whole = site(nginx={"basic_auth": {"ada": "correct horse"}})
    assert filters.site_passwords(whole) == {"plain": {"ada": "correct horse"}}
    assert "correct horse" not in str(filters.nginx_sites(whole))


def test_a_balancer_counts_and_asks_for_no_password():
    whole = site(nginx={"basic_auth": {"ada": "correct horse"}, "cache": True, "headers": {"x-a": "b"}})
    got = filters.nginx_balanced_sites(whole, [], "")[0]
    assert (got["basic_auth"], "cache" in got) == (False, False), got
    assert got["limits"]["rate"] == 30 and got["headers"] == {"X-A": "b"}, got


@pytest.mark.parametrize("role", ["python_app", "gunicorn", "release", "nginx", "certbot"])
def test_roles_are_given_what_their_specs_know(role):
    """A key that a role does not know would stop every converge."""
    specs = yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"][f"{role}_sites"]["options"]
    whole = site(
        database={"engine": "mysql"},
        migrate="flask db upgrade",
        migration_check="true",
        setup=["flask seed"],
        requirements="requirements.txt",
        python="3.12",
        build=["flask digest"],
        uploads=["instance"],
        **COMPANIONS,
        static=[{"url": "/static/", "path": "static"}],
        gunicorn={"workers": 2, "threads": 2, "worker_connections": 9, "settings": {"keepalive": 5}},
        tls={"mode": "acme", "challenge": "route53", "profile": "tlsserver", "key_type": "rsa"},
        nginx={"cache": True, "basic_auth": {"ada": "correct horse"}, "headers": {"x-a": "b"}},
    )
    function = getattr(filters, f"{role}_sites")
    given = function(whole, *{"certbot": ["/"], "python_app": [HERE]}.get(role, []))
    unknown = set(given[0]) - set(options)
    assert not unknown, f"{role}_sites: expected keys of its specs, got also {sorted(unknown)}"
    missing = {name for name, option in options.items() if option.get("required")} - set(given[0])
    assert not missing, f"{role}_sites: expected {sorted(missing)}, got {sorted(given[0])}"
