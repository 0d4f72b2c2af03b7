"""What plugins/filter/sites_check.py refuses, in which words, and what it fills in."""

from __future__ import annotations

import copy
import json
import os
import pickle
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import EncryptedString, VaultLib, VaultSecret
from ansible.template import Templar, trust_as_template
from ansible_collections.decanter.stack.plugins.filter import sites_check
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import StrictUndefined, Undefined
from jsonschema import Draft202012Validator

SCHEMA = sites_check.SCHEMA
SECRET = "correct-horse-battery"
PEM_KEY = f"-----BEGIN EC PRIVATE KEY-----\n{SECRET}\n-----END EC PRIVATE KEY-----\n"
SSH_KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----\n"
GIT = "git@host.test:town/hall.git"
PEM_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def minimal() -> dict[str, Any]:
    return {
        "harbour": {
            "server_names": ["harbour.test"],
            "source": {"path": "app"},
            "wsgi": "harbour:create_app()",
        }
    }


def full() -> dict[str, Any]:
    return {
        "harbour": {
            "state": "present",
            "server_names": ["harbour.test", "www.xn--mller-kva.test", "10.0.0.7", "2001:db8::1"],
            "source": {"path": "app"},
            "wsgi": "harbour.web:make_app(town='St. John', debug=False)",
            "requirements": "pyproject.toml",
            "python": "3.12",
            "packages": ["libmagic1", "g++"],
            "install": ["pymysql>=1.1", ".[database, mail]", "group:production", "."],
            "indexes": [
                {
                    "name": "acme",
                    "url": "https://pypi.acme.test/simple",
                    "username": "deploy",
                    "password": SECRET,
                    "default": True,
                },
                {"name": "other", "url": "http://10.0.0.9:3141/root/simple/", "default": False},
            ],
            "build_secrets": {"TOKEN": SECRET},
            "build_outbound": {"index": {"to": ["10.0.0.9"], "because": "It has our packages."}},
            "files": {
                "settings.cfg": {"content": SECRET},
                "config/local.toml": {"path": "tls/site.crt"},
                "config/site.ini": {"template": "tls/site.crt"},
            },
            "services": ["redis", "memcached"],
            "build": ["npm ci && npm run build"],
            "uploads": ["instance", "src/harbour/static/uploads"],
            "database": {
                "engine": "mysql",
                "auth": "password",
                "password": SECRET,
                "name": "harbour_1",
                "scheme": "mysql+mysqldb",
                "variables": {"DB_URL": "url", "DB_HOST": "host", "DB_PASSWORD": "password"},
            },
            "env": {"HARBOUR_TOWN": "St. John's", "EMPTY": ""},
            "secrets": {"SECRET_KEY": SECRET, "pem": f"{SECRET}\n{SECRET}"},
            "secret_delivery": "credentials",
            "instance_role": False,
            "migrate": "flask db upgrade",
            "migration_check": "flask is-migrated",
            "setup": ["flask seed"],
            "health": {"path": "/readyz", "timeout": 600, "watch": 0},
            "processes": {"worker": "python -m worker"},
            "timers": {"digest": {"command": "flask digest", "calendar": "Mon..Fri 06:30", "on": "all"}},
            "static": [{"url": "/static/", "path": "src/harbour/static"}],
            "gunicorn": {
                "workers": 1,
                "threads": 128,
                "worker_class": "sync",
                "worker_connections": 100,
                "timeout": 3600,
                "settings": {"max_requests": 1000, "preload_app": True, "loglevel": "debug"},
            },
            "nginx": {
                "client_max_body_size": "10m",
                "headers": {"X-Frame-Options": False, "Content-Security-Policy": "default-src 'self'"},
                "hsts": {"seconds": 63072000, "subdomains": True, "preload": True},
                "limits": {"rate": 100, "burst": 300, "connections": 50},
                "basic_auth": {"ada": SECRET},
                "cache": {"seconds": 2, "harmless_cookies": ["_ga_*"], "except": ["/log-in"]},
            },
            "tls": {"mode": "provided", "certificate": "tls/site.crt", "key": PEM_KEY},
            "outbound": {"payments": {"to": ["192.0.2.0/24", "2001:db8::1"], "because": "It takes cards."}},
            "sandbox": {
                "MemoryDenyWriteExecute": {"value": False, "because": "numba compiles"},
                "SystemCallFilter": {"value": "@resources", "because": "it pins its threads"},
                "ReadWritePaths": {"value": "/var/lib/harbour -/srv/harbour/cache", "because": "maps"},
            },
        },
        "town-hall": {
            "server_names": ["hall.test"],
            "source": {"git": GIT, "version": "release/1.4", "subdir": "web/app", "key": SSH_KEY},
            "wsgi": "hall:app",
        },
    }


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder that relative paths start from, with an application in it."""
    path = tmp_path_factory.mktemp("root")
    (path / "app/src/harbour/static").mkdir(parents=True)
    (path / "app/pyproject.toml").touch()
    (path / "tls").mkdir()
    (path / "tls/site.crt").touch()
    (path / "outside").mkdir()
    (path / "app/link").symlink_to(path / "outside")
    (path / "app/loop").symlink_to(path / "app/loop")
    return str(path)


REMOVE = object()


def changed(sites: Any, dotted: str, value: Any) -> Any:
    """Return sites with the value at a dotted path of the site harbour set, or removed."""
    target = sites["harbour"]
    *parents, last = dotted.split(".")
    for step in parents:
        target = target[int(step)] if isinstance(target, list) else target.setdefault(step, {})
    if value is REMOVE:
        del target[last]
    else:
        target[int(last) if isinstance(target, list) else last] = value
    return sites


# --- Valid examples ----------------------------------------------------------------------------


@pytest.mark.parametrize("example", [minimal, full])
def test_a_valid_example_has_no_errors(example: Callable[[], Any], root: str) -> None:
    assert sites_check.site_errors(example(), root) == []


CALENDARS = ("hourly", "Mon..Fri 06:30", "*:*:0/5", "*-*-01 04:00:00 UTC", "Sun *-*~7", "00/2:30")
VALID = [
    ("source.path", "."),
    ("server_names", ["a." + "b" * 63 + ".test"]),
    ("server_names", ["1.2.test"]),
    ("server_names", ["myexample.com"]),
    ("server_names", ["::1"]),
    ("tls", {"mode": "provided", "certificate": PEM_CERTIFICATE, "key": "tls/site.crt"}),
    ("tls", {"mode": "ca"}),
    ("tls", {"mode": "acme"}),
    ("tls", {"mode": "acme", "challenge": "http"}),
    ("tls", {"mode": "acme", "challenge": "route53"}),
    ("server_names", ["a.test", "*.a.test", "www.a.test"]),
    ("tls", {"mode": "acme", "profile": "shortlived", "key_type": "rsa"}),
    ("database", {"engine": "mysql"}),
    ("outbound", False),
    ("outbound", True),
    ("gunicorn.worker_class", "gevent"),
    ("gunicorn.settings", {}),
    *(
        ("database", {"engine": "mysql", "scheme": f"mysql{driver}"})
        for driver in ("", "+mysqldb", "+asyncmy")
    ),
    (
        "database",
        {"engine": "mysql", "variables": {"A": "url", "B": "host", "C": "socket", "D": "user", "E": "name"}},
    ),
    ("secret_delivery", "environment"),
    ("instance_role", True),
    ("migrate", "sh -c 'a\tb && ü'"),
    ("nginx.client_max_body_size", "1g"),
    (
        "nginx.headers",
        {"Report-To": '{"group": "a", "max_age": 1}', "x-own": "a\\b", "X-Frame-Options": False},
    ),
    ("nginx.hsts", {"seconds": 0}),
    ("nginx.limits", False),
    ("nginx.cache", True),
    ("nginx.cache", {}),
    ("health.path", "/"),
    ("static", [{"url": "/a/b-c/", "path": "src"}]),
    ("wsgi", "wsgi:app"),
    ("env.PYTHONUNBUFFERED", "1"),
    ("secrets.a", "multi\nline"),
    *(
        ("source", {"git": address})
        for address in (GIT, "https://host.test/a/b", "ssh://git@host.test:22/a", "/a")
    ),
    *(("source", {"git": GIT, "version": name}) for name in ("main", "v1.4", "fix/a-b", "0123abc")),
    ("source", {"git": GIT, "subdir": "a/b.c", "key": "tls/site.crt"}),
    # Its folders are in the repository, where nobody has looked yet.
    ("static", [{"url": "/a/", "path": "src"}]),
    ("requirements", "pyproject.toml"),
    *(("python", python) for python in ("3.9", "3.13", "/usr/bin/python3", "/opt/python3.12/bin/python3.12")),
    ("uploads", ["a", "ab", "b/a", "b/c"]),
    ("processes", {"a": "b", "x" * 16: "sh -c 'a | b'"}),
    *(("timers", {"a": {"command": "b", "calendar": when}}) for when in CALENDARS),
]


@pytest.mark.parametrize(("dotted", "value"), VALID)
def test_accepts(dotted: str, value: Any, root: str) -> None:
    assert sites_check.site_errors(changed(minimal(), dotted, value), root) == []


def test_a_path_may_begin_at_home(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", root)
    tls = {"mode": "provided", "certificate": "~/tls/site.crt", "key": "~/tls/site.crt"}
    assert sites_check.site_errors(changed(changed(minimal(), "source.path", "~/app"), "tls", tls), "/") == []
    assert sites_check.site_errors(changed(minimal(), "source.path", "~/nowhere"), root) == [
        f'sites.harbour.source.path: found "~/nowhere", expected {FOLDER}'
    ]


# --- Each refusal and its words ----------------------------------------------------------------

HOST = "a host name (such as www.example.com) or an IP address"
ROOT = Path(__file__).parents[1]
FOLDER = "a folder on the controller (a relative path starts at the folder of ansible.cfg)"
WSGI = 'module:object or module:factory(), such as "harbour:create_app()", without a dot after the colon'
LITERALS = 'literal values as arguments, such as create_app("production", debug=False)'
COMMAND = "a command on one line, such as flask db upgrade"
ENV_NAME = "upper-case letters, digits and underscores, a letter first"
SOURCE = "a dictionary such as {path: app} or {git: URL, version: main}"
PROCESSES = "a dictionary of commands, such as {worker: python -m worker}"
TIMER = "a dictionary such as {command: flask digest, calendar: daily}"
TIMERS = "a dictionary such as {digest: {command: flask digest, calendar: daily}}"
COMPANION = "1 to 16 lower-case letters, digits and hyphens, a letter first"
COMPANION_COMMAND = "a command on one line, such as flask digest"
CALENDAR = 'a time as systemd writes it, such as daily or "Mon 06:30"'
STATIC_PATH = 'a folder inside the source, relative to it and without ".."'
STATIC_URL = "a path that begins and ends with /, such as /static/"
KEYS = (
    "build, build_outbound, build_secrets, database, env, files, gunicorn, health, indexes, install, "
    "instance_role, migrate, migration_check, nginx, outbound, packages, processes, python, requirements, "
    "sandbox, secret_delivery, secrets, server_names, services, setup, source, state, static, timers, "
    "tls, uploads, wsgi"
)
TLS_KEY = "a PEM private key or the path of a file on the controller"
TLS_CERTIFICATE = "a PEM certificate or the path of a file on the controller"
LONG = "x" * 100
QUOTES = "a string (put it in quotes)"
NOT_EMPTY = "a string that is not empty (put numbers in quotes)"
NAMES = "a list of at least one host name or IP address"
TWICE = "a name that sites.harbour.server_names[0] does not have already"
HEALTH_PATH = "a path that begins with / and has no spaces"


def rows(path: str, expected: str, *cases: tuple[Any, str], at: str = "") -> list[tuple[str, Any, str]]:
    """For each value and what is found: where it is put, the value, and the one error's line."""
    return [
        (at or path, value, f"sites.harbour.{path}: found {found}, expected {expected}")
        for value, found in cases
    ]


REFUSED: list[tuple[str, Any, str]] = [
    # unknown and missing keys, wrong types
    *rows("serv_names", f"one of: {KEYS} (did you mean server_names?)", ([], "an unknown key")),
    *rows("qqq", f"one of: {KEYS}", (SECRET, "an unknown key")),
    *rows("server_names", NAMES, (REMOVE, "nothing")),
    *rows("source", SOURCE, (REMOVE, "nothing")),
    *rows("wsgi", WSGI, (REMOVE, "nothing"), (None, "nothing")),
    *rows("source.path", FOLDER, ({}, "nothing"), at="source"),
    *rows("source", SOURCE, ("app", "a string")),
    *rows("source.path", FOLDER, ({"version": "main"}, "nothing"), at="source"),
    *rows(
        "source.gti",
        "one of: git, key, path, subdir, version (did you mean git?)",
        ("x", "an unknown key"),
    ),
    *rows("source.git", "one of the two", (GIT, "git beside path")),
    *rows(
        "source.git",
        "the address of a git repository",
        ({"git": ""}, "an empty string"),
        ({"git": "--upload-pack=x"}, '"--upload-pack=x"'),
        ({"git": "a b"}, '"a b"'),
        ({"git": "a\n"}, '"a\\n"'),
        ({"git": 5}, "5"),
        at="source",
    ),
    *rows("source.version", "no version where path is", ("main", "version beside path")),
    *rows(
        "source.version",
        "a branch, a tag or a commit",
        ({"git": GIT, "version": ""}, "an empty string"),
        ({"git": GIT, "version": "-x"}, '"-x"'),
        ({"git": GIT, "version": "main~1"}, '"main~1"'),
        ({"git": GIT, "version": "a:b"}, '"a:b"'),
        ({"git": GIT, "version": 1.4}, "1.4"),
        at="source",
    ),
    *rows("source.subdir", "no subdir where path is", ("src", "subdir beside path")),
    *rows(
        "source.subdir",
        'a folder in the repository, relative to its top and without ".."',
        ({"git": GIT, "subdir": "/a"}, '"/a"'),
        ({"git": GIT, "subdir": "a/../.."}, '"a/../.."'),
        ({"git": GIT, "subdir": "a b"}, '"a b"'),
        at="source",
    ),
    *rows("source.key", "no key where path is", (SSH_KEY, "key beside path")),
    *rows(
        "source.key",
        "a private ssh key or the path of a file on the controller",
        ({"git": GIT, "key": ""}, "an empty string"),
        ({"git": GIT, "key": 5}, "a number"),
        ({"git": GIT, "key": "../nowhere"}, "a path that does not exist"),
        at="source",
    ),
    *rows("env", "a dictionary of environment variables", (["A"], "a list")),
    # server_names
    *rows("server_names", NAMES, ([], "an empty list"), ("harbour.test", '"harbour.test"')),
    *rows(
        "server_names[0]",
        HOST,
        ("foo_bar.com", '"foo_bar.com"'),
        ("localhost", '"localhost"'),
        ("-a.test", '"-a.test"'),
        ("a.test.", '"a.test."'),
        ("a.test\n", '"a.test\\n"'),
        ("a.test:443", '"a.test:443"'),
        ("1.2.3.400", '"1.2.3.400"'),
        ("10.0.0.0/8", '"10.0.0.0/8"'),
        ("fe80::1%eth0", '"fe80::1%eth0"'),
        ("", "an empty string"),
        (7, "7"),
        ("b" * 64 + ".test", f'"{"b" * 59}…"'),
        ("a." * 125 + "test", f'"{("a." * 40)[:59]}…"'),
        at="server_names.0",
    ),
    *rows(
        "server_names[0]",
        "a name without a wildcard first, which has an address to redirect to",
        ("*.harbour.test", '"*.harbour.test"'),
        at="server_names.0",
    ),
    *rows(
        "server_names[1]",
        "a wildcard as its whole first label and nowhere else, as in *.example.com",
        *(
            (["harbour.test", name], f'"{name}"')
            for name in ("*", "*.", "**.a.test", "*a.a.test", "a.*.test", "*.*.a.test", "a.test.*", "*.test")
        ),
        at="server_names",
    ),
    *rows("server_names[1]", TWICE, (["harbour.test", "harbour.test"], '"harbour.test"'), at="server_names"),
    *rows(
        "server_names[0]",
        "the name in its ASCII form, which is written xn--…",
        ("müller.test", '"müller.test"'),
        at="server_names.0",
    ),
    *rows(
        "server_names[0]",
        'the name in lower case, "harbour.test"',
        ("Harbour.Test", '"Harbour.Test"'),
        at="server_names.0",
    ),
    *rows(
        "server_names[1]",
        TWICE,
        (["a.test", "a.test"], '"a.test"'),
        (["::1", "0:0:0:0:0:0:0:1"], '"0:0:0:0:0:0:0:1"'),
        at="server_names",
    ),
    # source and wsgi
    *rows(
        "source.path",
        FOLDER,
        ("nowhere", '"nowhere"'),
        ("app/pyproject.toml", '"app/pyproject.toml"'),
        ("app/loop", '"app/loop"'),
        ("a\0b", '"a\\u0000b"'),
        ("x/" * 3000, f'"{("x/" * 30)[:59]}…"'),
        ("", "an empty string"),
    ),
    *rows(
        "wsgi",
        WSGI,
        ("harbour", '"harbour"'),
        ("harbour:app\n", '"harbour:app\\n"'),
        ("1a:app", '"1a:app"'),
        ("a:b(", '"a:b("'),
        ("app:app.server", '"app:app.server"'),
        ("web:make.app()", '"web:make.app()"'),
    ),
    *rows(
        "wsgi",
        LITERALS,
        ("a:b(os.environ)", '"a:b(os.environ)"'),
        ("a:b(debug=not True)", '"a:b(debug=not True)"'),
        ("a:b(1,,)", '"a:b(1,,)"'),
        ("a:b()()", '"a:b()()"'),
    ),
    # requirements, python, build, uploads
    *rows(
        "requirements",
        'a file inside the source, relative to it and without ".."',
        ("nowhere.txt", '"nowhere.txt"'),
        ("src", '"src"'),
        ("../a.txt", '"../a.txt"'),
        ("/a.txt", '"/a.txt"'),
        (["a.txt"], "a list"),
    ),
    *rows(
        "python",
        'a version in quotes, such as "3.12", or the path of an interpreter outside /home, /root and /srv',
        (3.12, "3.12"),
        ("3", '"3"'),
        ("2.7", '"2.7"'),
        ("3.12.1", '"3.12.1"'),
        ("python3.12", '"python3.12"'),
        ("/root/.pyenv/bin/python", '"/root/.pyenv/bin/python"'),
        ("/opt/../root/python", '"/opt/../root/python"'),
        ("/srv/shop/shared/pypy/bin/python", '"/srv/shop/shared/pypy/bin/python"'),
        ("//srv/shop/shared/python", '"//srv/shop/shared/python"'),
        ("/./srv/shop/shared/python", '"/./srv/shop/shared/python"'),
        ("/opt/a b", '"/opt/a b"'),
    ),
    *rows("build", "a list of commands", ("npm run build", '"npm run build"')),
    *rows(
        "build[0]",
        "a command on one line, such as npm run build",
        (["a\nb"], '"a\\nb"'),
        ([1], "1"),
        at="build",
    ),
    *rows("uploads", "a list of folders, such as [instance]", ("instance", '"instance"')),
    *rows(
        "uploads[0]",
        'a folder inside the source, relative to it, without ".." and no / at its end',
        *(
            ([path], f'"{path}"')
            for path in (".", "./a", "/a", "a/", "a//b", "a/../b", "a/./b", ".venv", "a b")
        ),
        at="uploads",
    ),
    *rows("uploads[1]", "a folder that has nothing to do with a/b", (["a/b", "a/b"], '"a/b"'), at="uploads"),
    *rows("uploads[1]", "a folder that has nothing to do with a/b", (["a/b", "a"], '"a"'), at="uploads"),
    *rows("uploads[1]", "a folder that has nothing to do with a", (["a", "a/b"], '"a/b"'), at="uploads"),
    # services
    *rows(
        "services",
        "a list of different services, such as [redis]",
        ("redis", '"redis"'),
        (["redis", "redis"], "a list"),
    ),
    *rows("services[0]", "one of: redis, memcached", (["Redis"], '"Redis"'), at="services"),
    # packages
    *rows(
        "packages[0]",
        "the name of a Debian package, such as libmagic1",
        (["Foo"], '"Foo"'),
        at="packages",
    ),
    *rows("packages", "a list of Debian package names", ("git", '"git"')),
    # database
    *rows("database.engine", "one of: mysql", ({}, "nothing"), at="database"),
    *rows("database", "a dictionary such as {engine: mysql}", (f"mysql://{SECRET}", "a string")),
    *rows("database.engine", "one of: mysql", ({"engine": "oracle"}, '"oracle"'), at="database"),
    *rows(
        "database.auth",
        "one of: socket, password",
        ({"engine": "mysql", "auth": "x"}, '"x"'),
        at="database",
    ),
    *rows(
        "database.password",
        "a string of at least 12 characters",
        ({"engine": "mysql", "auth": "password"}, "nothing"),
        at="database",
    ),
    *rows(
        "database.password",
        "no password where auth is socket",
        ({"engine": "mysql", "password": SECRET}, "a string"),
        at="database",
    ),
    *rows(
        "database.password",
        "a string of at least 12 characters",
        ({"engine": "mysql", "auth": "password", "password": SECRET[:11]}, "a string"),
        ({"engine": "mysql", "auth": "password", "password": 12345678901234}, "a number"),
        at="database",
    ),
    *rows(
        "database.name",
        "1 to 64 lower-case letters, digits and underscores, a letter first",
        ({"engine": "mysql", "name": "a-b"}, '"a-b"'),
        at="database",
    ),
    *rows(
        "database.name",
        "a name that is none of the server's own databases",
        ({"engine": "mysql", "name": "mysql"}, '"mysql"'),
        at="database",
    ),
    # env and secrets
    *rows("env.A", QUOTES, (5, "5"), (True, "true")),
    *rows("env.A", "a string on one line", ("a\nb", '"a\\nb"')),
    *rows("env.a", ENV_NAME, ("x", 'the name "a"')),
    *rows("env[5]", ENV_NAME, ({5: "x"}, "the name 5"), at="env"),
    *rows('env["A B\\u2028"]', ENV_NAME, ({"A B\u2028": "x"}, 'the name "A B\\u2028"'), at="env"),
    *rows("secrets", "a dictionary of secrets", (SECRET, "a string")),
    *rows(
        "secrets.A",
        NOT_EMPTY,
        ("", "an empty string"),
        (5, "a number"),
        (True, "a boolean"),
        ([SECRET], "a list"),
    ),
    *rows(
        "secrets._a",
        "letters, digits and underscores, a letter first",
        ({"_a": SECRET}, 'the name "_a"'),
        at="secrets",
    ),
    # commands
    *rows(
        "migrate",
        COMMAND,
        ("", "an empty string"),
        ("  ", '"  "'),
        ("a\nb", '"a\\nb"'),
        (LONG + "\n", f'"{LONG[:59]}…"'),
    ),
    *rows("migration_check", "a command on one line", ("a\nb", '"a\\nb"'), (True, "true")),
    *rows("setup", "a list of commands", ("flask seed", '"flask seed"')),
    *rows("setup[0]", "a command on one line, such as flask seed", (["a\n"], '"a\\n"'), at="setup"),
    # processes and timers
    *rows("processes", PROCESSES, (["python -m worker"], "a list")),
    *rows(
        "processes.a",
        "a command on one line, such as python -m worker",
        ("", "an empty string"),
        ("a\nb", '"a\\nb"'),
        ({"command": "a"}, "a dictionary"),
    ),
    *rows("timers", TIMERS, ("daily", "a string")),
    *rows("timers.a", TIMER, ("flask digest", "a string")),
    *rows("timers.a.command", COMPANION_COMMAND, ({"calendar": "daily"}, "nothing"), at="timers.a"),
    *rows("timers.a.calendar", CALENDAR, ({"command": "flask digest"}, "nothing"), at="timers.a"),
    *rows(
        "timers.a.at",
        "one of: calendar, command, on",
        ({"command": "x", "calendar": "daily", "at": "one"}, "an unknown key"),
        at="timers.a",
    ),
    *rows(
        "timers.a.on",
        "one of: one, all",
        ({"command": "x", "calendar": "daily", "on": "two"}, '"two"'),
        ({"command": "x", "calendar": "daily", True: "two"}, '"two"'),
        at="timers.a",
    ),
    *rows(
        "timers.a.command",
        COMPANION_COMMAND,
        ({"command": "a\nb", "calendar": "daily"}, '"a\\nb"'),
        at="timers.a",
    ),
    *rows(
        "timers.a.calendar",
        CALENDAR,
        *(
            ({"command": "x", "calendar": when}, found)
            for when, found in (
                ("", "an empty string"),
                ("daily\nUnit=x.service", '"daily\\nUnit=x.service"'),
                ("daily; reboot", '"daily; reboot"'),
                ("-1", '"-1"'),
                ("%H:00", '"%H:00"'),
                (5, "5"),
            )
        ),
        at="timers.a",
    ),
    # health, gunicorn, nginx, outbound
    *rows("health.path", HEALTH_PATH, ("readyz", '"readyz"'), ("/a b", '"/a b"')),
    *rows(
        "health.timeout",
        "an integer from 1 to 600",
        (0, "0"),
        (601, "601"),
        (30.0, "30.0"),
        (True, "true"),
        ("30", '"30"'),
    ),
    *rows("health.watch", "an integer from 0 to 600", (-1, "-1"), (601, "601"), ("2", '"2"')),
    *rows("gunicorn.workers", "an integer from 1 to 64", (65, "65")),
    *rows("gunicorn.threads", "an integer from 1 to 128", (129, "129")),
    *rows("gunicorn.timeout", "an integer from 1 to 3600", (3601, "3601")),
    *rows("gunicorn.worker_class", "one of: gthread, sync, gevent", ("tornado", '"tornado"')),
    *rows(
        "nginx.client_max_body_size",
        "a number followed by k, m or g, such as 10m",
        ("10 MB", '"10 MB"'),
        ("\u0661m", '"\u0661m"'),
    ),
    *rows(
        "nginx.headers.A",
        "false, or a value of 1 to 3000 printable ASCII characters without $",
        ({"A": True}, "true"),
        ({"A": "$host"}, '"$host"'),
        ({"A": "a\nb"}, '"a\\nb"'),
        ({"A": ""}, "an empty string"),
        ({"A": 5}, "5"),
        at="nginx.headers",
    ),
    *(
        row
        for name in (
            "Set-Cookie",
            "strict-transport-security",
            "X_A",
            "Cache-Control",
            "A:",
            "Content-Length",
        )
        for row in rows(
            f"nginx.headers.{name}" if ":" not in name else f'nginx.headers["{name}"]',
            "a header's name, such as Referrer-Policy, and none that nginx or the application decides",
            ({name: "a"}, f'the name "{name}"'),
            at="nginx.headers",
        )
    ),
    *rows(
        "nginx.headers.x-a",
        "one of the two",
        ({"X-A": "a", "x-a": "b"}, "X-A as well"),
        at="nginx.headers",
    ),
    *rows("nginx.hsts.seconds", "an integer from 0 to 126144000", (-1, "-1"), (True, "true")),
    *rows(
        "nginx.hsts.preload",
        "subdomains: true and seconds: 63072000, at least, beside it",
        ({"preload": True}, "true"),
        ({"preload": True, "subdomains": True}, "true"),
        ({"preload": True, "subdomains": True, "seconds": 31536000}, "true"),
        ({"preload": True, "seconds": 63072000}, "true"),
        at="nginx.hsts",
    ),
    *rows("nginx.limits", "false or a dictionary such as {rate: 100}", (True, "true"), (5, "5")),
    *rows("nginx.limits.rate", "an integer from 1 to 10000", (0, "0"), ("5r/s", '"5r/s"')),
    *rows(
        "nginx.cache.except[0]",
        "a path that begins with /, of letters, digits and . _ ~ - /",
        (["log-in"], '"log-in"'),
        (["/a b"], '"/a b"'),
        (['/a"'], '"/a\\""'),
        at="nginx.cache.except",
    ),
    *rows(
        "nginx.cache.harmless_cookies[0]",
        "1 to 64 letters, digits, dots, underscores and hyphens, and * at the end or none",
        (["*"], '"*"'),
        (["a*b"], '"a*b"'),
        (["a=b"], '"a=b"'),
        at="nginx.cache.harmless_cookies",
    ),
    # static
    *rows("static[0].url", STATIC_URL, ([{"path": "src"}], "nothing"), at="static"),
    *rows("static[0].path", STATIC_PATH, ([{"url": "/a/"}], "nothing"), at="static"),
    *rows(
        "static[0].url",
        STATIC_URL,
        ([{"url": "/", "path": "src"}], '"/"'),
        ([{"url": "/a", "path": "src"}], '"/a"'),
        ([{"url": "a/", "path": "src"}], '"a/"'),
        ([{"url": "/a/../b/", "path": "src"}], '"/a/../b/"'),
        ([{"url": "/a;b/", "path": "src"}], '"/a;b/"'),
        at="static",
    ),
    *rows(
        "static[0].path",
        STATIC_PATH,
        ([{"url": "/a/", "path": "/etc"}], '"/etc"'),
        ([{"url": "/a/", "path": "src/../.."}], '"src/../.."'),
        ([{"url": "/a/", "path": "src/../src"}], '"src/../src"'),
        ([{"url": "/a/", "path": "nowhere"}], '"nowhere"'),
        ([{"url": "/a/", "path": "."}], '"."'),
        ([{"url": "/a/", "path": "link"}], '"link"'),
        ([{"url": "/a/", "path": "loop"}], '"loop"'),
        at="static",
    ),
    *rows(
        "static[1].url",
        "a url that is not given twice",
        ([{"url": "/a/", "path": "src"}] * 2, '"/a/"'),
        at="static",
    ),
    # tls
    *rows("tls.mode", "one of: self-signed, ca, acme, provided", ("letsencrypt", '"letsencrypt"')),
    *rows(
        "tls.profile",
        "a profile of the authority, such as tlsserver or shortlived",
        ({"mode": "acme", "profile": "short lived"}, '"short lived"'),
        ({"mode": "acme", "profile": ""}, "an empty string"),
        at="tls",
    ),
    *rows(
        "tls.key_type", "one of: ecdsa, rsa", ({"mode": "acme", "key_type": "ed25519"}, '"ed25519"'), at="tls"
    ),
    *rows(
        "tls.profile",
        "no profile where mode is not acme",
        ({"profile": "shortlived"}, '"shortlived"'),
        ({"mode": "ca", "profile": "shortlived"}, '"shortlived"'),
        at="tls",
    ),
    *rows("tls.key_type", "no key_type where mode is not acme", ({"key_type": "rsa"}, '"rsa"'), at="tls"),
    *rows(
        "tls.challenge", "one of: http, route53", ({"mode": "acme", "challenge": "dns"}, '"dns"'), at="tls"
    ),
    *rows(
        "tls.challenge",
        "no challenge where mode is not acme",
        ({"challenge": "route53"}, '"route53"'),
        ({"mode": "ca", "challenge": "http"}, '"http"'),
        at="tls",
    ),
    *rows(
        "tls.certificate",
        "no certificate where mode is not provided",
        ({"certificate": "tls/site.crt"}, '"tls/site.crt"'),
        at="tls",
    ),
    *rows(
        "tls.key",
        "no key where mode is not provided",
        ({"mode": "ca", "key": PEM_KEY}, "a string"),
        at="tls",
    ),
    *rows(
        "tls.certificate",
        TLS_CERTIFICATE,
        ({"mode": "provided", "key": PEM_KEY}, "nothing"),
        at="tls",
    ),
    *rows(
        "tls.key",
        TLS_KEY,
        ({"mode": "provided", "certificate": "tls/site.crt"}, "nothing"),
        at="tls",
    ),
    *rows(
        "tls.certificate",
        TLS_CERTIFICATE,
        ({"mode": "provided", "certificate": "a.crt", "key": PEM_KEY}, '"a.crt"'),
        ({"mode": "provided", "certificate": PEM_KEY, "key": PEM_KEY}, "a string"),
        at="tls",
    ),
    *rows(
        "tls.key",
        TLS_KEY,
        (
            {"mode": "provided", "certificate": "tls/site.crt", "key": SECRET},
            "a path that does not exist",
        ),
        ({"mode": "provided", "certificate": "tls/site.crt", "key": ""}, "an empty string"),
        at="tls",
    ),
    # placeholders
    *rows(
        "server_names[0]",
        "your own name",
        ("harbour.example.com", 'the placeholder "harbour.example.com"'),
        ("example.org", 'the placeholder "example.org"'),
        ("town.example", 'the placeholder "town.example"'),
        ("192.0.2.9", 'the placeholder "192.0.2.9"'),
        ("203.0.113.255", 'the placeholder "203.0.113.255"'),
        at="server_names.0",
    ),
    *rows("migrate", "your own value", ("flask changeme", 'the placeholder "flask changeme"')),
    *rows("env.A", "your own value", ("Replace_Me", 'the placeholder "Replace_Me"')),
    *rows("secrets.A", "your own value", ("CHANGEME" + SECRET, "a placeholder")),
    # what is no JSON
    *rows(
        "env.A",
        QUOTES,
        (Undefined(name="x"), "an undefined variable"),
        (10**5000, "a huge number"),
        ({1, 2}, "a value of another type"),
        (yaml.safe_load("2024-01-31"), "a date"),
        (EncryptedString(ciphertext="x"), "a value that cannot be read"),
    ),
]


@pytest.mark.parametrize(("dotted", "value", "line"), REFUSED, ids=[row[2] for row in REFUSED])
def test_refuses(dotted: str, value: Any, line: str, root: str) -> None:
    sites = changed(minimal(), dotted, copy.deepcopy(value) if value is not REMOVE else value)
    assert sites_check.site_errors(sites, root) == [line]


@pytest.mark.parametrize("kind", ["processes", "timers"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("task", "another name, task is Decanter's own"),
        *((name, COMPANION) for name in ("Worker", "a_b", "a.b", "a-", "1a", "", "a" * 17)),
    ],
)
def test_refuses_a_process_and_a_timer_by_their_names(kind: str, name: str, expected: str, root: str) -> None:
    command = {"processes": "x", "timers": {"command": "x", "calendar": "daily"}}[kind]
    [line] = sites_check.site_errors(changed(minimal(), kind, {name: command}), root)
    assert line.startswith(f"sites.harbour.{kind}"), line
    assert line.endswith(f": found the name {json.dumps(name)}, expected {expected}"), line


@pytest.mark.parametrize(
    ("names", "tls", "index", "expected"),
    [
        (["*.a.test"], {}, 1, "tls.challenge route53 for it, or each name written out"),
        (["*.a.test"], {"challenge": "http"}, 1, "tls.challenge route53 for it, or each name written out"),
        (["*.a.test"], {"challenge": "route53"}, None, ""),
        (["10.1.2.3"], {}, None, ""),
        (["10.1.2.3"], {"challenge": "route53"}, 1, "host names alone where tls.challenge is route53"),
        (["*.a.test", "::1"], {"challenge": "route53"}, 2, "host names alone where tls.challenge is route53"),
    ],
)
def test_refuses_names_that_cannot_be_proven(
    names: list[str], tls: dict[str, str], index: int | None, expected: str, root: str
) -> None:
    sites = minimal()
    sites["harbour"] |= {"server_names": ["a.test", *names], "tls": {"mode": "acme", **tls}}
    lines = [f'sites.harbour.server_names[{index}]: found "{names[-1]}", expected {expected}']
    assert sites_check.site_errors(sites, root) == (lines if index else [])


def test_a_name_below_anothers_wildcard_is_its_own(root: str) -> None:
    sites = {"a": minimal()["harbour"], "b": minimal()["harbour"]}
    sites["a"]["server_names"] = ["a.test", "*.a.test"]
    sites["b"]["server_names"] = ["b.a.test", "*.b.a.test"]
    assert sites_check.site_errors(sites, root) == []
    sites["b"]["server_names"] = ["b.test", "*.a.test"]
    expected = "expected a name that sites.a.server_names[1] does not have already"
    assert sites_check.site_errors(sites, root) == [f'sites.b.server_names[1]: found "*.a.test", {expected}']


def test_refuses_a_process_and_a_timer_of_one_name(root: str) -> None:
    sites = changed(minimal(), "processes", {"a": "x", "b": "x"})
    sites = changed(sites, "timers", {"b": {"command": "x", "calendar": "daily"}})
    assert sites_check.site_errors(sites, root) == [
        'sites.harbour.timers.b: found the name "b", expected a name that no process has'
    ]


ENV_TAKEN = "another name, this variable is not a site's to set"
TAKEN_VARIABLES = [
    *("PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "DECANTER_X"),
    *("CREDENTIALS_DIRECTORY", "LISTEN_FDS", "GUNICORN_CMD_ARGS"),
]


@pytest.mark.parametrize("name", TAKEN_VARIABLES)
def test_refuses_variables_that_are_not_a_sites_to_set(name: str, root: str) -> None:
    assert sites_check.site_errors(changed(minimal(), f"env.{name}", "x"), root) == [
        f'sites.harbour.env.{name}: found the name "{name}", expected {ENV_TAKEN}'
    ]


def test_refuses_a_name_in_env_and_secrets(root: str) -> None:
    sites = changed(changed(minimal(), "env.A", "x"), "secrets.A", SECRET)
    assert sites_check.site_errors(sites, root) == [
        "sites.harbour.secrets.A: found a name that is in env as well, expected it in one of the two"
    ]


def with_password(**more: Any) -> dict[str, Any]:
    return {"engine": "mysql", "auth": "password", "password": SECRET, **more}


@pytest.mark.parametrize("place", ["env", "secrets"])
def test_refuses_a_variable_of_the_database_that_is_there_already(place: str, root: str) -> None:
    database = {"engine": "mysql", "variables": {"DB_NAME": "name"}}
    sites = changed(changed(minimal(), f"{place}.DB_NAME", SECRET), "database", database)
    assert sites_check.site_errors(sites, root) == [
        f"sites.harbour.database.variables.DB_NAME: found a name that is in {place} as well, "
        "expected it in one of the two"
    ]
    # The one that nobody asked for gives way.
    sites = changed(changed(minimal(), f"{place}.DATABASE_URL", SECRET), "database", {"engine": "mysql"})
    assert sites_check.site_errors(sites, root) == []


@pytest.mark.parametrize(
    ("database", "piece", "host", "expected"),
    [
        ({"engine": "mysql"}, "password", "", "one of: host, name, socket, url, user where auth is socket"),
        ({"engine": "mysql"}, "port", "", "one of: host, name, socket, url, user where auth is socket"),
        (
            with_password(),
            "socket",
            "",
            "one of: host, name, password, port, url, user where auth is password",
        ),
        (
            *(with_password(), "ca", ""),
            "one of: host, name, password, port, url, user where the database is on the site's own host",
        ),
        (
            *(with_password(), "socket", "db.test"),
            "one of: ca, host, name, password, port, url, user where auth is password",
        ),
    ],
)
def test_refuses_a_piece_of_the_database_that_is_not_there(database, piece, host, expected, root) -> None:
    sites = changed(minimal(), "database", database | {"variables": {"A": piece}})
    assert sites_check.site_errors(sites, root, host) == [
        f'sites.harbour.database.variables.A: found "{piece}", expected {expected}'
    ]


def test_a_database_elsewhere_needs_a_password_and_a_url_that_verifies(root: str) -> None:
    assert sites_check.site_errors(changed(minimal(), "database", {"engine": "mysql"}), root, "db.test") == [
        'sites.harbour.database.auth: found "socket", expected password, for the database is elsewhere, '
        "on db.test"
    ]
    assert sites_check.site_errors(minimal(), root, "db.test") == [], "expected no fault without a database"
    told = with_password(scheme="mysql+asyncmy", variables={"A": "ca", "B": "host"})
    assert sites_check.site_errors(changed(minimal(), "database", told), root, "db.test") == []
    asked = changed(minimal(), "database", told | {"variables": {"A": "url"}})
    assert sites_check.site_errors(asked, root, "db.test") == [
        'sites.harbour.database.scheme: found "mysql+asyncmy", expected one of: mysql, mysql+mysqlconnector, '
        "mysql+mysqldb, mysql+pymysql where the database is elsewhere, or no url in variables"
    ]
    assert sites_check.site_errors(asked, root) == [], "expected no fault on the site's own host"


def test_a_password_is_sent_by_tcp_which_outbound_must_allow(root: str) -> None:
    sites = changed(changed(minimal(), "database", with_password()), "outbound", False)
    assert sites_check.site_errors(sites, root) == [
        "sites.harbour.outbound: found false, "
        "expected true, for with database.auth password the database is reached by TCP"
    ]


def with_users(users: Any, path: str = "/healthz") -> dict[str, Any]:
    return changed(changed(minimal(), "nginx.basic_auth", users), "health.path", path)


def test_passwords_keep_out_nobody_who_asks_for_health(root: str) -> None:
    assert sites_check.site_errors(with_users({"ada": SECRET, "b@c.test": "$2b$12$" + "x" * 53}), root) == []
    for path in ("/", "/?a=b", "/a;b", "/$a"):
        [line] = sites_check.site_errors(with_users({"ada": SECRET}, path), root)
        assert line == (
            f'sites.harbour.nginx.basic_auth: found "{path}", expected health.path to be a path of its own, '
            "such as /healthz, for that is open to all"
        )


@pytest.mark.parametrize("password", [SECRET[:7], SECRET + "\n", "ü" * 8, 12345678])
def test_a_refused_password_is_not_shown(password: Any, root: str) -> None:
    [line] = sites_check.site_errors(with_users({"ada": password}), root)
    found = "a number" if isinstance(password, int) else "a string"
    expected = "a password of 8 to 128 printable ASCII characters, or its hash"
    assert line == f"sites.harbour.nginx.basic_auth.ada: found {found}, expected {expected}"


OWN = [
    ("bind", "none, for systemd holds the socket"),
    ("threads", "it in gunicorn, beside settings"),
    ("user", "none, for the unit decides it"),
    ("raw_env", "it as env of the site"),
    ("certfile", "none, for nginx ends TLS"),
    ("accesslog", "none, for nginx writes the access log, and errors go to the journal"),
    ("post_worker_init", "none, for a hook is code, whose place is the application"),
    ("graceful_timeout", "none, for it is the timeout, which nginx and systemd wait for as well"),
]


@pytest.mark.parametrize(("name", "expected"), OWN)
def test_refuses_settings_of_gunicorn_that_are_decanters_with_the_reason(name, expected, root) -> None:
    sites = changed(minimal(), "gunicorn.settings", {name: "x", "max_requests": 1})
    assert sites_check.site_errors(sites, root) == [
        f"sites.harbour.gunicorn.settings.{name}: found a setting that is Decanter's own, expected {expected}"
    ]


RENAMED = [
    ("nginx.body_size", "10m", "client_max_body_size"),
    ("once", ["flask seed"], "setup"),
    ("migrated", "flask is-migrated", "migration_check"),
    ("secrets_as", "environment", "secret_delivery"),
]


@pytest.mark.parametrize(("key", "value", "new"), RENAMED)
def test_renamed_key_of_a_site_is_rejected_with_its_new_name(
    key: str, value: Any, new: str, root: str
) -> None:
    assert sites_check.site_errors(changed(minimal(), key, value), root) == [
        f"sites.harbour.{key}: found a key that was renamed, expected {new}"
    ]


SETTINGS = [
    ("max_request", 1, "an unknown key", None),
    ("max_requests", "1000", '"1000"', "an integer from 0 to 10000000"),
    ("preload_app", 1, "1", "true or false"),
    ("loglevel", "loud", '"loud"', "one of: debug, info, warning, error, critical"),
    ("proc_name", "a b", '"a b"', "1 to 64 letters, digits, dots, underscores and hyphens"),
]


@pytest.mark.parametrize(("name", "value", "found", "expected"), SETTINGS)
def test_refuses_settings_of_gunicorn_that_it_would(name, value, found, expected, root) -> None:
    [line] = sites_check.site_errors(changed(minimal(), "gunicorn.settings", {name: value}), root)
    assert line.startswith(f"sites.harbour.gunicorn.settings.{name}: found {found}, expected "), line
    if expected:
        assert line.endswith(f"expected {expected}"), line
    else:
        assert line.endswith("(did you mean max_requests?)"), line


DIRECTIVE = "a directive that the unit's sandbox sets, such as MemoryDenyWriteExecute"
LOOSENED = "a dictionary such as {value: false, because: numba compiles}"
REASON = "the reason, on one line"
SANDBOX = [
    ("Nice", {"value": "5", "because": "x"}, "", 'the name "Nice"', DIRECTIVE),
    *(
        (
            name,
            {"value": "no", "because": "x"},
            "",
            f'the name "{name}"',
            "another directive, this one keeps sites apart",
        )
        for name in ("User", "NoNewPrivileges", "ProtectSystem", "PrivateUsers", "CapabilityBoundingSet")
    ),
    (
        *("PrivateNetwork", {"value": "no", "because": "x"}, "", 'the name "PrivateNetwork"'),
        "outbound, which says where the application may connect to",
    ),
    ("ProtectProc", {"value": "default"}, ".because", "nothing", REASON),
    ("ProtectProc", {"value": "default", "because": " "}, ".because", '" "', REASON),
    ("ProtectProc", {"value": "default", "because": "a\nUser=root"}, ".because", '"a\\nUser=root"', REASON),
    ("ProtectProc", {"value": "default", "because": "a\\"}, ".because", '"a\\\\"', REASON),
    ("ProtectProc", "default", "", "a string", LOOSENED),
    *(
        (
            *("ProtectProc", {"value": value, "because": "x"}, ".value", found),
            "true, false or what systemd reads, on one line",
        )
        for value, found in (
            ("a\nUser=root", '"a\\nUser=root"'),
            ("a\\", '"a\\\\"'),
            (5, "5"),
            ("", "an empty string"),
        )
    ),
    *(
        (
            *("ReadWritePaths", {"value": path, "because": "x"}, ".value", f'"{path}"'),
            "folders of the application's own, such as /var/lib/myproject",
        )
        for path in (
            *("/", "/var", "/etc/nginx", "-/usr/lib", "relative/path", "/var/lib/a /srv/other/shared"),
            *("/srv/harbour", "/srv/harbour/releases", "/srv/harbour/../x", "/srv/harbour/venvs/1"),
        )
    ),
]


@pytest.mark.parametrize(("name", "value", "at", "found", "expected"), SANDBOX)
def test_refuses_a_loosened_sandbox(name, value, at, found, expected, root) -> None:
    assert sites_check.site_errors(changed(minimal(), "sandbox", {name: value}), root) == [
        f"sites.harbour.sandbox.{name}{at}: found {found}, expected {expected}"
    ]


OUTBOUND = "true, false or a dictionary such as {payments: {to: [192.0.2.0/24], because: it takes cards}}"
NETWORK = "a network or an address, such as 192.0.2.0/24"
OPENED = [
    ("no", "", '"no"', OUTBOUND),
    ({}, "", "an empty dictionary", OUTBOUND),
    ({"a": {"to": ["192.0.2.0/24"]}}, ".a.because", "nothing", REASON),
    ({"a": {"to": [], "because": "x"}}, ".a.to", "an empty list", "a list of networks, such as 192.0.2.0/24"),
    *(
        ({"a": {"to": [network], "because": "x"}}, ".a.to[0]", f'"{network}"', NETWORK)
        for network in ("10.0.0.1/8", "pay.test", "any", "10.0.0.0/8 ::/0", "")
        if network
    ),
    (
        *({"A b": {"to": ["192.0.2.1"], "because": "x"}}, '["A b"]', 'the name "A b"'),
        "1 to 32 lower-case letters, digits and hyphens, a letter first",
    ),
]


@pytest.mark.parametrize(("value", "at", "found", "expected"), OPENED)
def test_refuses_an_outbound_that_says_nothing(value, at, found, expected, root) -> None:
    assert sites_check.site_errors(changed(minimal(), "outbound", value), root) == [
        f"sites.harbour.outbound{at}: found {found}, expected {expected}"
    ]


PARAMETER = "ssm: and the path of a parameter, such as ssm:/staging/harbour/SECRET_KEY"
ENCRYPTED = "kms: and what AWS KMS has encrypted, in base64"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ssm:/staging/harbour/SECRET_KEY", ""),
        (f"kms:{'AQIC' * 12}", ""),
        (f"kms:{'AQIC' * 12}AQ==", ""),
        ("ssm:staging/harbour", PARAMETER),
        ("ssm:/staging//a", PARAMETER),
        ("ssm:/a b", PARAMETER),
        ("ssm:", PARAMETER),
        ("kms:", ENCRYPTED),
        ("kms:aGVsbG8=", ENCRYPTED),
        (f"kms:{'AQIC' * 12}A", ENCRYPTED),
    ],
)
def test_where_a_secret_is_kept(value: str, expected: str, root: str) -> None:
    lines = [f"sites.harbour.secrets.A: found a string, expected {expected}"] if expected else []
    assert sites_check.site_errors(changed(minimal(), "secrets", {"A": value}), root) == lines


def test_who_makes_a_user_has_to_know_its_password(root: str) -> None:
    database = {"engine": "mysql", "auth": "password", "password": "ssm:/staging/harbour/password"}
    assert sites_check.site_errors(changed(minimal(), "database", database), root) == [
        "sites.harbour.database.password: found a string, expected the password itself, from Ansible Vault: "
        "who makes the database's user has to know it"
    ]


def test_the_instances_role_takes_a_network(root: str) -> None:
    sites = changed(changed(minimal(), "outbound", False), "instance_role", True)
    assert sites_check.site_errors(sites, root) == [
        "sites.harbour.instance_role: found true, expected false where outbound is, for the role is asked "
        "for over the network"
    ]


@pytest.mark.parametrize(
    ("name", "value", "found", "expected"),
    [
        ("lower", SECRET, 'the name "lower"', ENV_NAME),
        ("LD_PRELOAD", SECRET, 'the name "LD_PRELOAD"', ENV_TAKEN),
        ("A", f"{SECRET}\x07", "a string", "no control characters in an environment variable"),
    ],
)
def test_secrets_in_the_environment_are_variables(name, value, found, expected, root) -> None:
    sites = changed(minimal(), "secrets", {name: value, "FINE": f"{SECRET}\n\t'\"\\ü"})
    if name != "LD_PRELOAD":
        assert sites_check.site_errors(sites, root) == [], "expected a file to take it"
    assert sites_check.site_errors(changed(sites, "secret_delivery", "environment"), root) == [
        f"sites.harbour.secrets.{name}: found {found}, expected {expected}"
    ]


SITE_ID = "a site id: 1 to 16 lower-case letters, digits and hyphens, a letter first and no hyphen last"
TAKEN_ID = "a site id that is no name the system uses"


@pytest.mark.parametrize(
    ("site_id", "line"),
    [
        ("Harbour", f'.Harbour: found the name "Harbour", expected {SITE_ID}'),
        ("harbour-", f'.harbour-: found the name "harbour-", expected {SITE_ID}'),
        ("1a", f'["1a"]: found the name "1a", expected {SITE_ID}'),
        ("a" * 17, f'.{"a" * 17}: found the name "{"a" * 17}", expected {SITE_ID}'),
        ("a\n", f'["a\\n"]: found the name "a\\n", expected {SITE_ID}'),
        ("a.b", f'["a.b"]: found the name "a.b", expected {SITE_ID}'),
        ("", f'[""]: found the name "", expected {SITE_ID}'),
        (True, f"[true]: found the name true, expected {SITE_ID}"),
        ("root", f'.root: found the name "root", expected {TAKEN_ID}'),
        (
            "systemd-resolve",
            f'.systemd-resolve: found the name "systemd-resolve", expected {TAKEN_ID}',
        ),
        ("changeme", ".changeme: found a placeholder, expected a name of your own"),
    ],
)
def test_refuses_a_site_id(site_id: Any, line: str, root: str) -> None:
    assert sites_check.site_errors({site_id: minimal()["harbour"]}, root) == [f"sites{line}"]


@pytest.mark.parametrize("site_id", ["a", "a" * 16, "town-hall", "x1", "system"])
def test_accepts_a_site_id(site_id: str, root: str) -> None:
    assert sites_check.site_errors({site_id: minimal()["harbour"]}, root) == []


TAKEN = (
    "daemon nginx www-data mysql mariadb ssh sshd admin ubuntu debian redis memcache certbot "
    "systemd systemd-network backup mail nobody decanter postgres"
)


@pytest.mark.parametrize("site_id", TAKEN.split())
def test_refuses_the_systems_names(site_id: str, root: str) -> None:
    assert sites_check.site_errors({site_id: minimal()["harbour"]}, root) == [
        f'sites.{site_id}: found the name "{site_id}", expected {TAKEN_ID}'
    ]


@pytest.mark.parametrize("table", ["passwd", "group"])
def test_refuses_every_name_of_base_passwd(table: str, root: str) -> None:
    master = Path(f"/usr/share/base-passwd/{table}.master")
    if not master.exists():
        pytest.skip("this machine has no base-passwd")
    names = [line.split(":")[0] for line in master.read_text("utf-8").splitlines()]
    site = minimal()["harbour"]
    assert [name for name in names if not sites_check.site_errors({name: site}, root)] == []


SITES = "1 to 50 sites, each under its id (such as harbour)"


@pytest.mark.parametrize(
    ("sites", "found"),
    [
        (None, "nothing"),
        ({}, "an empty dictionary"),
        ([], "an empty list"),
        ([minimal()], "a list"),
        (7, "a number"),
        (True, "a boolean"),
        (SECRET, "a string"),
        (b"x", "a value of another type"),
        (object(), "a value of another type"),
        (Undefined(name="sites"), "an undefined variable"),
        (StrictUndefined(name="sites"), "an undefined variable"),
    ],
)
def test_refuses_what_is_no_dictionary_of_sites(sites: Any, found: str, root: str) -> None:
    lines = sites_check.site_errors(sites, root)
    assert lines == [f"sites: found {found}, expected {SITES}"]


def test_refuses_more_than_fifty_sites(root: str) -> None:
    def many(count: int) -> Any:
        site = minimal()["harbour"]
        return {f"s{n}": {**site, "server_names": [f"s{n}.test"]} for n in range(count)}

    assert sites_check.site_errors(many(50), root) == []
    assert sites_check.site_errors(many(51), root) == [f"sites: found 51 entries, expected {SITES}"]


def test_refuses_one_name_in_two_sites(root: str) -> None:
    sites = full()
    sites["town-hall"]["server_names"] = ["hall.test", "www.xn--mller-kva.test"]
    assert sites_check.site_errors(sites, root) == [
        'sites.town-hall.server_names[1]: found "www.xn--mller-kva.test", expected a name that '
        "sites.harbour.server_names[1] does not have already"
    ]


def test_a_name_of_an_absent_site_may_be_taken_over(root: str) -> None:
    taken = full()["harbour"]["server_names"]
    for absent, other in (("harbour", "town-hall"), ("town-hall", "harbour")):
        sites = full()
        sites[absent] |= {"server_names": taken, "state": "absent"}
        sites[other]["server_names"] = taken
        assert sites_check.site_errors(sites, root) == []


@pytest.mark.parametrize("state", ["present", "absent"])
def test_refuses_one_database_in_two_sites(state: str, root: str) -> None:
    """An absent site's is kept until it is purged, and would be the other's."""
    sites = full()
    sites["harbour"]["state"] = state
    sites["town-hall"]["database"] = {"engine": "mysql", "name": "harbour_1"}
    assert sites_check.site_errors(sites, root) == [
        'sites.town-hall.database.name: found "harbour_1", expected a name that '
        "sites.harbour.database.name does not have already"
    ]


def test_refuses_a_database_that_is_anothers_by_default(root: str) -> None:
    sites = full()
    sites["harbour"]["database"]["name"] = "town_hall"
    sites["town-hall"]["database"] = {"engine": "mysql"}
    assert sites_check.site_errors(sites, root) == [
        'sites.town-hall.database.name: found "town_hall", expected a name that '
        "sites.harbour.database.name does not have already"
    ]


@pytest.mark.parametrize("source_root", [None, 7, [], Undefined(name="x")])
def test_refuses_a_source_root_that_is_no_path(source_root: Any, root: str) -> None:
    sites = changed(minimal(), "source.path", f"{root}/app")
    (line,) = sites_check.site_errors(sites, source_root)
    assert line.startswith("source_root: found ")


def test_a_static_folder_is_not_looked_for_without_a_source(root: str) -> None:
    sites = changed(minimal(), "static", [{"url": "/a/", "path": "nowhere"}])
    lines = sites_check.site_errors(changed(sites, "source.path", "missing"), root)
    assert lines == [f'sites.harbour.source.path: found "missing", expected {FOLDER}']
    lines = sites_check.site_errors(changed(sites, "source", {}), root)
    assert lines == [f"sites.harbour.source.path: found nothing, expected {FOLDER}"]


@pytest.mark.parametrize("name", sorted(sites_check.OTHER_TOOLS))
def test_requirements_of_other_tools_are_rejected_with_the_export(name: str, root: str) -> None:
    sites = minimal()
    sites["harbour"]["source"] = {"git": "https://git.test/web", "version": "main"}
    sites["harbour"]["requirements"] = f"sub/{name}"
    (line,) = sites_check.site_errors(sites, root)
    expected = f"a file that uv reads: {sites_check.OTHER_TOOLS[name]}"
    assert line == f'sites.harbour.requirements: found "sub/{name}", expected {expected}'


def test_files_of_other_tools_are_listed_once() -> None:
    programs = [path for part in ("plugins", "roles") for path in (ROOT / part).rglob("*.py")]
    listing = [path.name for path in programs if "conda-lock.yml" in path.read_text()]
    assert listing == ["sites_check.py"]


def test_reports_all_errors_at_once_in_order(root: str) -> None:
    sites = full()
    harbour = sites["harbour"]
    del harbour["wsgi"]
    harbour["source"]["path"] = "nowhere"
    harbour["server_names"][1] = "b_c.test"
    harbour["gunicorn"] = {"workers": 0, "thread": 1}
    harbour["database"]["auth"] = "socket"
    sites["root"] = None
    lines = sites_check.site_errors(sites, root)
    assert [line.split(": found ")[0] for line in lines] == [
        "sites.harbour.database.password",
        "sites.harbour.database.variables.DB_PASSWORD",
        "sites.harbour.gunicorn.thread",
        "sites.harbour.gunicorn.workers",
        "sites.harbour.server_names[1]",
        "sites.harbour.source.path",
        "sites.harbour.wsgi",
        "sites.root",
        "sites.root",
    ]


def test_data_that_contains_itself_ends(root: str) -> None:
    sites: dict[str, Any] = minimal()
    # Twice at every level: without a limit to the depth this would take for ever.
    sites["harbour"]["env"] = {"A": sites["harbour"], "B": sites["harbour"]}
    assert sites_check.site_errors(sites, root) == [
        f"sites.harbour.env.{name}: found a dictionary, expected {QUOTES}" for name in "AB"
    ]


# --- Secrets -----------------------------------------------------------------------------------

Where = Callable[[Any], Any]
PLACES: dict[str, Where] = {
    "sites": lambda secret: secret,
    "a site": lambda secret: {"harbour": secret},
    "the secrets": lambda secret: changed(minimal(), "secrets", secret),
    "a secret": lambda secret: changed(minimal(), "secrets.A", secret),
    "the database": lambda secret: changed(minimal(), "database", secret),
    "the password": lambda secret: changed(minimal(), "database.password", secret),
    "the source": lambda secret: changed(minimal(), "source", secret),
    "the source's key": lambda secret: changed(minimal(), "source", {"git": GIT, "key": secret}),
    "a key beside a path": lambda secret: changed(minimal(), "source.key", secret),
    "tls": lambda secret: changed(minimal(), "tls", secret),
    "the key": lambda secret: changed(minimal(), "tls", {"mode": "provided", "key": secret}),
    "a misspelt key": lambda secret: changed(minimal(), "secret", secret),
    "a key too deep": lambda secret: changed(minimal(), "database.passwords", secret),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize(
    "secret",
    [
        *(SECRET, f"CHANGEME {SECRET}", f"a\n{SECRET}", f"{SECRET}.example.com", PEM_KEY),
        *([SECRET], {"a": SECRET}, {"a": {"b": f"CHANGEME {SECRET}"}}, [[SECRET], 5]),
        *(4815162342, 48.15162342),
    ],
)
def test_a_secret_is_never_printed(place: Where, secret: Any, root: str) -> None:
    text = "\n".join(sites_check.site_errors(place(secret), root))
    assert SECRET not in text
    assert "15162342" not in text


# --- Whatever comes, no exception --------------------------------------------------------------

settings.register_profile(
    "quiet",
    database=None,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("quiet")

WORDS = st.sampled_from(
    [
        *SCHEMA["additionalProperties"]["properties"],
        *("git", "version", "subdir", "command", "calendar", "watch", "task", "daily"),
        *("path", "url", "engine", "auth", "password", "name", "mode", "certificate", "key"),
        *("provided", "mysql", "harbour.test", "::1", "a:b", "CHANGEME", "x\ny", "\ud800", "\0"),
        *("k" * 900, "a\u2028b", "app", "*.a.test", "Ä.test", "%", "1" * 5000),
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**4400, max_value=10**4401)
    | st.floats()
    | st.text()
    | st.text(string.printable)
    | WORDS
    | st.dates()
    | st.binary(max_size=3)
)
KEYS_OF_ANY_TYPE = WORDS | st.text() | st.integers() | st.none() | st.booleans() | st.floats()
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.tuples(inner) | st.dictionaries(KEYS_OF_ANY_TYPE, inner, max_size=5)
    ),
    max_leaves=20,
)


def places(value: Any, steps: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield steps
    if isinstance(value, dict | list):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*steps, step))


@st.composite
def mutated_sites(draw: st.DrawFn) -> Any:
    """The full example with one to three of its values replaced, or keys added."""
    sites: Any = full()
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from([p for p in places(sites) if p]))
        target = sites
        for step in parents:
            target = target[step]
        step = draw(KEYS_OF_ANY_TYPE) if isinstance(target, dict) and draw(st.booleans()) else last
        target[step] = draw(ANYTHING)
    return sites


def assert_lines(lines: Any) -> None:
    assert isinstance(lines, list)
    for line in lines:
        assert type(line) is str
        assert len(line.splitlines()) == 1
        line.encode("utf-8")
        assert ": found " in line
        assert ", expected " in line
        assert len(line) < 800


@given(sites=ANYTHING, source_root=ANYTHING)
def test_anything_gives_lines(sites: Any, source_root: Any) -> None:
    assert_lines(sites_check.site_errors(sites, source_root))


@given(sites=mutated_sites())
def test_a_mutated_example_gives_lines(sites: Any, root: str) -> None:
    before = pickle.dumps(sites)
    assert_lines(sites_check.site_errors(sites, root))
    sites_check.with_defaults(sites)
    assert pickle.dumps(sites) == before


class Hostile(dict[str, Any]):
    """A dictionary whose items cannot be read, as a lazy one whose templates fail."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError(SECRET)


def test_an_item_that_cannot_be_read_is_one_error(root: str) -> None:
    sites = minimal()
    sites["harbour"]["env"] = Hostile(A="x", B="y")
    assert sites_check.site_errors(sites, root) == [
        f"sites.harbour.env.{name}: found a value that cannot be read, expected a string (put it in quotes)"
        for name in "AB"
    ]


class Text(str):
    """A string that is not to be used as it is."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError(SECRET)


class Number(int):
    """A number as ansible-core tags it: of a type of its own."""


def test_subclasses_of_plain_types_are_read_as_plain(root: str) -> None:
    sites = changed(minimal(), "migrate", Text("flask db upgrade"))
    assert sites_check.site_errors(changed(sites, "health.timeout", Number(30)), root) == []
    sites = changed(changed(minimal(), "env.A", Number(5)), "env.B", Text("x\n"))
    assert sites_check.site_errors(sites, root) == [
        f"sites.harbour.env.A: found 5, expected {QUOTES}",
        'sites.harbour.env.B: found "x\\n", expected a string on one line',
    ]


def test_what_a_build_makes_is_not_there_yet(root: str) -> None:
    sites = changed(minimal(), "static", [{"url": "/static/", "path": "src/harbour/dist"}])
    assert sites_check.site_errors(sites, root) == [
        f'sites.harbour.static[0].path: found "src/harbour/dist", expected {STATIC_PATH}'
    ]
    assert sites_check.site_errors(changed(sites, "build", ["make"]), root) == []
    for path in (".", "link", "loop", "pyproject.toml"):
        assert sites_check.site_errors(changed(sites, "static.0.path", path), root) == [
            f'sites.harbour.static[0].path: found "{path}", expected {STATIC_PATH}'
        ]


def test_static_files_may_have_uploads_in_them_and_not_be_uploads(root: str) -> None:
    sites = changed(minimal(), "static", [{"url": "/static/", "path": "src/harbour/static"}])
    assert sites_check.site_errors(changed(sites, "uploads", ["src/harbour/static/uploads"]), root) == []
    expected = "a folder that is not among uploads, which the application serves"
    for upload in ("src/harbour/static", "src/harbour", "src"):
        assert sites_check.site_errors(changed(sites, "uploads", [upload]), root) == [
            f'sites.harbour.static[0].path: found "src/harbour/static", expected {expected}'
        ]


# --- Defaults ----------------------------------------------------------------------------------

FILLED = {
    "state": "present",
    "packages": [],
    "install": [],
    "indexes": [],
    "build_secrets": {},
    "build_outbound": True,
    "files": {},
    "services": [],
    "build": [],
    "uploads": [],
    "env": {},
    "secrets": {},
    "secret_delivery": "credentials",
    "instance_role": False,
    "setup": [],
    "health": {"path": "/", "timeout": 30, "watch": 2},
    "processes": {},
    "timers": {},
    "static": [],
    "gunicorn": {"worker_class": "gthread", "timeout": 30},
    "nginx": {
        "client_max_body_size": "1m",
        "headers": {},
        "hsts": {"subdomains": False, "preload": False},
        "limits": {"rate": 30, "burst": 150, "connections": 100},
        "cache": False,
    },
    "tls": {"mode": "self-signed"},
    "outbound": True,
    "sandbox": {},
}
FILLED_DATABASE = {
    "engine": "mysql",
    "auth": "socket",
    "scheme": "mysql+pymysql",
    "variables": {"DATABASE_URL": "url"},
}


def test_defaults_of_a_minimal_site(root: str) -> None:
    filled = sites_check.with_defaults(minimal())
    assert filled == {"harbour": minimal()["harbour"] | FILLED}
    assert sites_check.site_errors(filled, root) == []


def test_defaults_keep_what_is_said() -> None:
    sites = full()
    assert sites_check.with_defaults(sites)["harbour"] == sites["harbour"]


def test_defaults_fill_half_filled_keys() -> None:
    sites = changed(minimal(), "health.path", "/readyz")
    sites = {"town-hall": changed(sites, "database.engine", "mysql")["harbour"]}
    filled = sites_check.with_defaults(sites)["town-hall"]
    assert filled["health"] == {"path": "/readyz", "timeout": 30, "watch": 2}
    assert filled["database"] == {**FILLED_DATABASE, "name": "town_hall"}


def test_defaults_leave_their_input_and_the_schema_alone() -> None:
    sites, schema = full() | minimal(), copy.deepcopy(SCHEMA)
    before = copy.deepcopy(sites)
    for site in sites_check.with_defaults(sites).values():
        for container in (site[key] for key in FILLED if isinstance(site[key], dict)):
            container["new"] = 1
        site["server_names"].append("new")
        site["static"].append("new")
        site["env"]["new"] = 1
    assert sites == before
    assert schema == SCHEMA


@pytest.mark.parametrize("junk", [None, [], 7, {"a": None}, {"a": [{}]}, {5: "x"}])
def test_defaults_pass_junk_on(junk: Any) -> None:
    assert sites_check.with_defaults(junk) == junk


@given(sites=ANYTHING)
def test_defaults_take_anything(sites: Any) -> None:
    sites_check.with_defaults(sites)


# --- The schema itself -------------------------------------------------------------------------


def nodes(schema: dict[str, Any], path: str = "sites") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for key, sub in schema.get("properties", {}).items():
        yield from nodes(sub, f"{path}.{key}")
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from nodes(schema[word], f"{path}.*")


@pytest.mark.parametrize(("path", "node"), list(nodes(SCHEMA)), ids=[p for p, _ in nodes(SCHEMA)])
def test_every_key_is_described(path: str, node: dict[str, Any]) -> None:
    assert node["description"].endswith("."), path
    types = node["type"] if isinstance(node["type"], list) else [node["type"]]
    assert set(types) <= set(sites_check.TYPES)
    if "default" in node:
        Draft202012Validator(node).validate(node["default"])
    refused, known = node.get("refused", {}), node.get("properties", {}).keys()
    assert not refused.keys() & known
    assert {rule["renamed"] for rule in refused.values() if isinstance(rule, dict)} <= known
    if "object" in types:
        closed = node.get("additionalProperties") is False
        assert closed or {"additionalProperties", "propertyNames"} <= node.keys()


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_keys_are_those_of_the_design() -> None:
    assert sorted(SCHEMA["additionalProperties"]["properties"]) == KEYS.split(", ")


# --- Inside ansible-core -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def template() -> Callable[[str, dict[str, Any]], Any]:
    """Return what an expression gives inside ansible-core, its variables tagged and lazy."""

    def run(expression: str, variables: dict[str, Any]) -> Any:
        templar = Templar(loader=DataLoader(), variables=variables)
        return templar.template(trust_as_template("{{ " + expression + " }}"))

    return run


def test_templates_in_sites_are_read(template: Callable[..., Any], root: str) -> None:
    sites = minimal()
    sites["harbour"]["server_names"] = [trust_as_template("{{ town }}.test")]
    sites["harbour"]["health"] = {"timeout": trust_as_template("{{ 6 * 7 }}")}
    sites["harbour"]["database"] = {"engine": trust_as_template("{{ 'mysql' }}")}
    variables = {"sites": sites, "root": root, "town": "harbour"}
    assert template("sites | decanter.stack.site_errors(root)", variables) == []
    filled = template("sites | decanter.stack.with_defaults", variables)["harbour"]
    assert filled["server_names"] == ["harbour.test"]
    assert filled["health"] == {"path": "/", "timeout": 42, "watch": 2}
    assert filled["database"] == {**FILLED_DATABASE, "name": "harbour"}


def test_templates_that_fail_are_errors(template: Callable[..., Any], root: str) -> None:
    sites = minimal()
    sites["harbour"]["wsgi"] = trust_as_template("{{ nowhere }}")
    sites["harbour"]["env"] = {"A": trust_as_template("{{ 1 / 0 }}"), "B": "b"}
    sites["harbour"]["secrets"] = trust_as_template("{{ vault_sites.harbour }}")
    lines = template("sites | decanter.stack.site_errors(root)", {"sites": sites, "root": root})
    assert lines == [
        "sites.harbour.env.A: found a template that fails, expected a string (put it in quotes)",
        "sites.harbour.secrets: found an undefined variable, expected a dictionary of secrets",
        f"sites.harbour.wsgi: found an undefined variable, expected {WSGI}",
    ]


def test_sites_that_are_undefined_are_an_error(template: Callable[..., Any], root: str) -> None:
    assert template("sites | decanter.stack.site_errors(root)", {"root": root}) == [
        f"sites: found an undefined variable, expected {SITES}"
    ]


PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.copy:
        content: "{{ {'errors': found, 'filled': sites | decanter.stack.with_defaults} | to_json }}"
        dest: "{{ playbook_dir }}/result.json"
        mode: "0600"
      vars:
        found: "{{ sites | decanter.stack.site_errors(playbook_dir) }}"
    - ansible.builtin.assert:
        that: (sites | decanter.stack.site_errors(playbook_dir)) == []
        fail_msg: "{{ sites | decanter.stack.site_errors(playbook_dir) | join('\\n') }}"
"""


def vaulted(text: str) -> str:
    secret = VaultSecret(b"a password of the vault")
    ciphertext = VaultLib([("default", secret)]).encrypt(text, secret).decode()
    return "!vault |\n" + "".join(f"            {line}\n" for line in ciphertext.splitlines())


def run_playbook(folder: Path, variables: str) -> tuple[int, str]:
    (folder / "host_vars").mkdir()
    (folder / "host_vars/localhost.yml").write_text(variables, "utf-8")
    (folder / "hosts").write_text("localhost\n", "utf-8")
    (folder / "play.yml").write_text(PLAY, "utf-8")
    (folder / "vault").write_text("a password of the vault", "utf-8")
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "hosts", "play.yml"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_VAULT_PASSWORD_FILE": "vault",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


SITES_YAML = """
town: harbour
sites:
  harbour:
    server_names: ["{{ town }}.%(domain)s"]
    source: {path: "{{ playbook_dir }}/app"}
    wsgi: harbour:create_app()
    database:
        engine: mysql
        auth: password
        password: %(password)s
    secrets:
        SECRET_KEY: %(secret)s
"""


def test_a_playbook_accepts_templated_and_vaulted_values(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    values = {"domain": "test", "password": vaulted(SECRET), "secret": vaulted("k")}
    code, output = run_playbook(tmp_path, SITES_YAML % values)
    assert code == 0, output
    assert SECRET not in output
    result = json.loads((tmp_path / "result.json").read_text("utf-8"))
    assert result["errors"] == []
    assert result["filled"]["harbour"]["database"]["password"] == SECRET
    assert result["filled"]["harbour"]["server_names"] == ["harbour.test"]


def test_a_playbook_refuses_them_with_every_line(tmp_path: Path) -> None:
    values = {"domain": "example.com", "password": vaulted(SECRET[:9]), "secret": vaulted("")}
    code, output = run_playbook(tmp_path, SITES_YAML % values)
    assert code != 0
    assert SECRET[:9] not in output
    assert json.loads((tmp_path / "result.json").read_text("utf-8"))["errors"] == [
        "sites.harbour.database.password: found a string, expected a string of at least 12 characters",
        "sites.harbour.secrets.SECRET_KEY: found an empty string, "
        "expected a string that is not empty (put numbers in quotes)",
        'sites.harbour.server_names[0]: found the placeholder "harbour.example.com", expected your own name',
        f'sites.harbour.source.path: found "{str(tmp_path / "app")[:59]}…", expected {FOLDER}'
        if len(str(tmp_path / "app")) > 60
        else f'sites.harbour.source.path: found "{tmp_path / "app"}", expected {FOLDER}',
    ]
