"""Every template of every role, rendered in seconds without a host, and read by the programs it is for.

The roles' own tasks say which file becomes what, so a new template is covered by being used. Programs
that are missing here skip their test; with DECANTER_REQUIRE_TOOLS=1, as in CI, they fail it.
"""

from __future__ import annotations

import configparser
import datetime
import functools
import gc
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections import ChainMap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.decanter.stack.plugins.action.files import expand
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from repository import ROLES, ROOT

# Roles that write to a host.
HOST_ROLES = [role for role in ROLES if role != "aws"]
MANAGED = "Ansible managed"
# bin/setup may unpack programs into .venv/tools, where nothing is started and root is not needed.
PROGRAMS = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin", str(ROOT / ".venv/tools/usr/sbin")])

# --- What is rendered --------------------------------------------------------------------------

HOSTS = {
    "debian12": {
        "distribution": "Debian",
        "distribution_version": "12.11",
        "distribution_release": "bookworm",
    },
    "debian13": {"distribution": "Debian", "distribution_version": "13.1", "distribution_release": "trixie"},
    "ubuntu22": {"distribution": "Ubuntu", "distribution_version": "22.04", "distribution_release": "jammy"},
    "ubuntu24": {"distribution": "Ubuntu", "distribution_version": "24.04", "distribution_release": "noble"},
}
FACTS = {
    "os_family": "Debian",
    "service_mgr": "systemd",
    "hostname": "web1",
    "nodename": "web1",
    "memtotal_mb": 960,
    "swaptotal_mb": 0,
    "processor_vcpus": 2,
    "architecture": "x86_64",
    "virtualization_role": "guest",
    "virtualization_type": "kvm",
}
# The output of roles/base/files/preflight.
LOOK = {
    "user": "admin",
    "new": True,
    "ssh_port": 22,
    "ssh_socket": True,
    "apt_ready": True,
    "locale_file": "/etc/default/locale",
    "swap_file": False,
    "timezone": "UTC",
    "admins": [],
    "absent": [],
    "locales": ["c.utf8"],
    "redis": [],
    "memcached": [],
}

MINIMAL = {"server_names": ["plain.test"], "source": {"path": "../app"}, "wsgi": "plain:app"}
FULL = {
    "server_names": ["harbour.test", "www.harbour.test", "10.1.2.3", "fd00::1"],
    "source": {"path": "../app"},
    "wsgi": 'harbour:create_app("100 %", {\'a\': "\\\\"})',
    "python": "3.12",
    "packages": ["libmagic1"],
    "services": ["redis", "memcached"],
    "database": {"engine": "mysql", "variables": {"DB_SOCKET": "socket", "DB_NAME": "name"}},
    "env": {"TOWN": "St. John's", "QUOTES": 'say "a\\b" $HOME %i #1', "NUMBER": "1", "EMPTY": ""},
    "secrets": {"SECRET_KEY": "x", "API_KEY": "y"},
    "migrate": "flask db upgrade",
    "setup": ["flask seed"],
    "processes": {"worker": "python -m worker", "odd": "sh -c 'echo \"$HOME\" 5% a\\\\b'"},
    "timers": {
        "digest": {"command": "flask digest --since '1 %'", "calendar": "Mon..Fri *-*-* 06:30:00 UTC"},
        "tick": {"command": "pwd >> /srv/harbour/shared/ticks", "calendar": "*:*:0/5"},
    },
    "health": {"path": "/readyz", "timeout": 5},
    "static": [{"url": "/static/", "path": "harbour/static"}, {"url": "/a/b/", "path": "harbour/static"}],
    "gunicorn": {"workers": 3, "threads": 8, "worker_class": "gthread", "timeout": 60},
    "nginx": {
        "client_max_body_size": "10m",
        "headers": {"X-Frame-Options": False, "content-security-policy": "default-src 'self'; a \"b\\\""},
        "hsts": {"seconds": 63072000, "subdomains": True, "preload": True},
        "limits": {"rate": 5, "burst": 10, "connections": 3},
        "basic_auth": {"ada": "correct horse"},
        "cache": {"except": ["/log-in", "/a.b/~c"], "harmless_cookies": ["_ga", "_ga_*", "a.b-c"]},
    },
    "tls": {"mode": "ca"},
    "outbound": False,
}


class Case(NamedTuple):
    """Sites, and an inventory's other variables, and what differs on the host."""

    sites: dict[str, Any]
    settings: Mapping[str, Any] = MappingProxyType({})
    groups: tuple[str, ...] = ("web", "database")  # that the host is in
    balancers: tuple[str, ...] = ()
    look: Mapping[str, Any] = MappingProxyType({})
    facts: Mapping[str, Any] = MappingProxyType({})


CASES = {
    "minimal": Case({"plain": MINIMAL}),
    "full": Case(
        {"harbour": FULL},
        {
            "base_admins": [
                {"name": "ada", "ssh_keys": ["ssh-ed25519 AAAA"]},
                {"name": "bob", "state": "absent"},
            ],
            "base_locale": "de_DE.UTF-8",
            "base_reboot_enabled": True,
            "base_ssh_ports": [22, 2222],
            "base_sysctls": {"net.core.rmem_max": 1048576, "vm.swappiness": 20},
            "base_upgrade_origins": ["origin=Example,codename=${distro_codename}"],
            "mysql_bind_addresses": ["0.0.0.0"],
            "mysql_flavour": "mysql",
            "mysql_slow_query_log_enabled": True,
            "nginx_public_https_port": 8443,
        },
        look={"ssh_port": 2022},
    ),
    "address": Case(
        {"ip": {**MINIMAL, "server_names": ["10.1.2.3"], "gunicorn": {"worker_class": "sync"}}},
        {"gunicorn_release_header": False, "mysql_bind_addresses": [], "mysql_flavour": "mariadb"},
        look={"user": "root", "ssh_port": None},
        facts={"virtualization_type": "podman", "memtotal_mb": 64000, "processor_vcpus": 16},
    ),
    "elsewhere": Case(
        {
            "harbour": {
                **MINIMAL,
                "database": {"engine": "mysql", "auth": "password", "password": "correct horse"},
                "secrets": {"SECRET_KEY": "x"},
                "secret_delivery": "environment",
                "gunicorn": {
                    "worker_class": "gevent",
                    "worker_connections": 500,
                    "settings": {
                        "max_requests": 1000,
                        "preload_app": True,
                        "proc_name": "har'bour",
                        "loglevel": "debug",
                    },
                },
                "build_outbound": {"index": {"to": ["192.0.2.8"], "because": "It has our packages."}},
                "env": {"SETTINGS": "{release}/set%tings.cfg"},
                "outbound": {
                    "payments": {"to": ["192.0.2.0/24", "2001:db8::1"], "because": "It takes cards."},
                    "database": {"to": ["10.0.0.5"], "because": "The database is elsewhere."},
                },
                "sandbox": {
                    "MemoryDenyWriteExecute": {"value": False, "because": "numba compiles"},
                    "SystemCallFilter": {"value": "@resources", "because": "it pins its threads"},
                    "RestrictAddressFamilies": {"value": "AF_NETLINK", "because": "it lists interfaces"},
                    "ReadWritePaths": {"value": "-/var/lib/harbour", "because": "maps"},
                },
            }
        },
        # Any file is an authority where nobody is asked for it.
        {"mysql_host": "db.test", "mysql_ca_file": str(ROOT / "LICENSE")},
    ),
    # A web host behind balancers, and the balancer; each in both modes.
    "behind": Case({"harbour": FULL}, balancers=("balancer1", "balancer2")),
    "behind-passes": Case({"harbour": FULL}, {"balancer_tls_mode": "passthrough"}, balancers=("balancer1",)),
    "behind-alb": Case(
        {"harbour": FULL, "plain": {**MINIMAL, "tls": {"mode": "acme"}}},
        {"balancer_kind": "alb", "balancer_networks": ["10.1.0.0/24", "10.1.1.0/24"]},
    ),
    "balancer": Case(
        {"harbour": FULL, "plain": MINIMAL},
        {"certbot_ca_certificate": __file__},
        groups=("balancer",),
        balancers=("balancer1",),
    ),
    "balancer-passes": Case(
        {"harbour": {**FULL, "tls": {"mode": "acme"}}, "plain": MINIMAL},
        {"balancer_tls_mode": "passthrough"},
        groups=("balancer",),
        balancers=("balancer1",),
    ),
    "acme": Case(
        {
            "harbour": {**FULL, "tls": {"mode": "acme", "profile": "shortlived"}},
            "plain": {**MINIMAL, "tls": {"mode": "acme", "key_type": "rsa"}},
        },
        {
            **{"certbot_ca_bundle": __file__, "certbot_metrics_directory": ""},
            **{"certbot_email": "ops@plain.test", "nginx_challenge_successors": ["10.1.2.9"]},
        },
    ),
    "route53": Case(
        {
            "harbour": {
                **FULL,
                "server_names": ["harbour.test", "*.harbour.test", "www.harbour.test", "*.homes.test"],
                "tls": {"mode": "acme", "challenge": "route53"},
            },
            "plain": MINIMAL,
        },
        {"certbot_aws_access_key_id": "AKIAEXAMPLE", "certbot_aws_secret_access_key": "a%b=c/d+e"},
    ),
    "route53-role": Case(
        {"plain": {**MINIMAL, "tls": {"mode": "acme", "challenge": "route53"}}},
        {"certbot_aws_region": "cn-north-1"},
    ),
    "balancer-wildcard": Case(
        {"harbour": {**FULL, "server_names": ["harbour.test", "*.harbour.test"]}, "plain": MINIMAL},
        {"balancer_tls_mode": "passthrough"},
        groups=("balancer",),
        balancers=("balancer1",),
    ),
    "fetched": Case(
        {
            "harbour": {
                **FULL,
                "secrets": {"SECRET_KEY": "ssm:/staging/SECRET_KEY", "API_KEY": "x"},
                "outbound": True,
            },
            "plain": {
                **MINIMAL,
                "secrets": {"API_KEY": "kms:" + "AQIC" * 12, "OTHER": "x"},
                "secret_delivery": "environment",
                "instance_role": True,
            },
        },
        {
            **{"credentials_region": "eu-west-1", "credentials_endpoint": "http://10.1.2.12:5000"},
            **{"cloudwatch_enabled": True, "cloudwatch_interval": 300},
        },
    ),
    "two": Case({"harbour": {**FULL, "server_names": ["harbour.test"]}, "plain-2": MINIMAL}),
}
# What a role has from tasks that a test cannot run.
REGISTERED = {
    "lab_root": str(ROOT),
    "lab_directory": "/tmp",
    "lab_hosts": [{"name": "a", "suite": "trixie", "groups": ["web"]}, {"name": "b", "suite": "bookworm"}],
    "__lab_user_id": {"stdout": "0"},
    "__lab_network_inspect": {"stdout": json.dumps([{"subnets": [{"subnet": "10.89.0.0/24"}]}])},
    "__lab_host_keys": {"results": [{"stdout": "ssh-ed25519 AAAA"}, {"stdout": "ssh-ed25519 BBBB"}]},
}


# Of the hosts, and how balancers know them.
ADDRESSES = {"web1": "10.1.2.3", "web2": "fd00::2", "balancer1": "10.1.2.8", "balancer2": "fd00::8"}


class File(NamedTuple):
    template: str
    path: str
    text: str


# --- How it is rendered ------------------------------------------------------------------------

LOADER = DataLoader()


def read(path: Path) -> Any:
    return LOADER.load_from_file(str(path), trusted_as_template=True) if path.exists() else {}


def template_tasks(node: Any) -> Iterator[dict[str, Any]]:
    """The tasks of a role that write files, those in blocks too."""
    if isinstance(node, list):
        for item in node:
            yield from template_tasks(item)
    elif isinstance(node, dict):
        if {"ansible.builtin.template", "decanter.stack.files"} & node.keys():
            yield node
        yield from template_tasks([node.get(part) for part in ("block", "rescue", "always")])


@functools.cache
def role_files(role: str) -> list[tuple[dict[str, Any], Path]]:
    return [
        (task, path)
        for path in sorted((ROLES[role] / "tasks").glob("*.yml"))
        for task in template_tasks(read(path))
    ]


def role_variables(role: str, host: str, case: Case) -> dict[str, Any]:
    """What a play would give the role, by Ansible's precedence."""
    folder = ROLES[role]
    facts = {**FACTS, **HOSTS[host], **case.facts}
    facts["distribution_major_version"] = facts["distribution_version"].split(".")[0]
    version = f"{facts['distribution']}-{facts['distribution_major_version']}"
    return {
        **read(folder / "defaults/main.yml"),
        **read(ROOT / "playbooks/group_vars/all/roles.yml"),
        "sites": case.sites,
        **case.settings,
        "ansible_facts": facts,
        "ansible_managed": MANAGED,
        "inventory_hostname": "web1",
        "group_names": list(case.groups),
        "groups": {"all": list(ADDRESSES), "web": ["web1", "web2"], "balancer": list(case.balancers)},
        "hostvars": {name: {"ansible_host": address} | case.settings for name, address in ADDRESSES.items()},
        "playbook_dir": str(ROOT / "playbooks"),
        "role_path": str(folder),
        **read(folder / "vars/main.yml"),
        **read(folder / f"vars/{version}.yml"),
        "__base_looked": {"stdout": yaml.safe_dump({**LOOK, **case.look})},
        **REGISTERED,
    }


def written(role: str, arguments: dict[str, Any], variables: dict[str, Any]) -> Iterator[File]:
    """What our own module writes from templates."""
    folder = ROLES[role] / "templates"
    templar = Templar(LOADER, variables)
    files = arguments["files"]
    if isinstance(files, list):  # contents come from what tasks have registered
        files = [file for file in files if "content" not in file]
    files, sites = (templar.template(part) for part in (files, arguments.get("sites", [])))
    for file in expand(files, sites):
        if "template" not in file:
            continue
        known = variables | ({"site": file["site"]} if file["site"] else {})
        inside = Templar(LOADER, known).copy_with_new_env(searchpath=[str(folder)])
        source = trust_as_template((folder / file["template"]).read_text())
        text = inside.template(source, escape_backslashes=False)
        yield File(f"{role}/{file['template']}", file["path"], str(text))


@functools.cache
def rendered(host: str, case: str) -> list[File]:
    """Every file that the roles write on this host; an undefined variable raises."""
    files = []
    for role in HOST_ROLES:
        variables = role_variables(role, host, CASES[case])
        folder = ROLES[role] / "templates"
        for task, _ in role_files(role):
            known = ChainMap(task.get("vars", {}), variables)
            if "decanter.stack.files" in task:
                files.extend(written(role, task["decanter.stack.files"], dict(known)))
                continue
            loop = Templar(LOADER, known).template(task.get("loop", [None]))
            for item in loop:
                templar = Templar(LOADER, {**known, "item": item}).copy_with_new_env(searchpath=[str(folder)])
                arguments = task["ansible.builtin.template"]
                name, path = (str(templar.template(arguments[key])) for key in ("src", "dest"))
                source = trust_as_template((folder / name).read_text())
                text = templar.template(source, escape_backslashes=False)  # as the module does
                files.append(File(f"{role}/{name}", path, str(text)))
    return files


EVERYWHERE = [pytest.param(host, case, id=f"{host}-{case}") for host in HOSTS for case in CASES]
everywhere = pytest.mark.parametrize(("host", "case"), EVERYWHERE)


def matching(host: str, case: str, pattern: str) -> list[File]:
    files = [file for file in rendered(host, case) if re.search(pattern, file.path)]
    assert files, (
        f"{host}-{case}: expected a file like {pattern}, got {[f.path for f in rendered(host, case)]}"
    )
    return files


def program(name: str) -> str:
    """The path of a program; without it the test is skipped, or fails where all must be there."""
    found = shutil.which(name, path=PROGRAMS)
    if not found and os.environ.get("DECANTER_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{name} is not installed, and DECANTER_REQUIRE_TOOLS asks for it")
    return found or pytest.skip(f"{name} is not installed here")


@functools.cache
def run(*command: str) -> tuple[int, str]:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.returncode, done.stdout


@pytest.fixture
def root(host: str, case: str) -> Iterator[Path]:
    """A folder with the rendered files where they would be on a host."""
    with tempfile.TemporaryDirectory(prefix="decanter-") as folder:  # short: paths of sockets are limited
        for file in rendered(host, case):
            path = Path(folder + file.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text)
        yield Path(folder)


# --- What holds for all of them ----------------------------------------------------------------


def test_every_template_is_rendered():
    expected = {
        f"{role}/{path.relative_to(ROLES[role] / 'templates')}"
        for role in HOST_ROLES
        for path in (ROLES[role] / "templates").rglob("*.j2")
        if not path.name.startswith("_")  # included by others
    }
    got = {file.template for host in HOSTS for case in CASES for file in rendered(host, case)}
    assert got == expected, f"expected a task for each template, got none for {sorted(expected - got)}"


# sshd reads hosts' keys from it and nothing else.
WITHOUT_COMMENTS = {"lab/known_hosts.j2"}


@everywhere
def test_files_say_who_wrote_them_and_why(host, case):
    for file in rendered(host, case):
        if file.template in WITHOUT_COMMENTS:
            continue
        head, _, rest = file.text.partition(MANAGED)
        first = r"(#|//)\n\1 |<!doctype html>\n<!-- "
        assert re.fullmatch(first, head), f"{file.path}: expected {MANAGED} first, got {head!r}"
        comments = re.findall(r"^\s*(?:#|//) \S|^\. \S.* -->$", rest, re.M)
        assert comments, f"{file.path}: expected a comment that explains it, found none"


# What a template leaves where nobody thought of a value: Python's words, lists and markers.
ARTEFACT = re.compile(
    r"\b(None|True|False|Undefined|AnsibleUndefined|omit)\b|\{\{|\}\}|\{%|%\}|\[\]|\['|__omit"
)


# Lists that are emptied on purpose, and kernel settings that ufw must not touch.
WRITTEN_AS_TEMPLATES = re.compile(r' +verify_address: "\{\{ hostvars\[.*\]\.ansible_host \}\}"')
EMPTY = {"AmbientCapabilities=", "CapabilityBoundingSet=", "IPT_SYSCTL=", "ListenStream="}


@everywhere
def test_no_value_is_left_as_python_prints_it(host, case):
    for file in rendered(host, case):
        assert file.text.endswith("\n"), f"{file.path}: expected a newline at its end"
        if file.path.endswith(".py"):
            continue
        for number, line in enumerate(file.text.splitlines(), 1):
            meant = re.match(r"\s*#", line) or "{'a'" in line or WRITTEN_AS_TEMPLATES.fullmatch(line)
            found = None if meant else ARTEFACT.search(line)
            assert not found, f"{file.path}:{number}: found {found[0]!r} in {line!r}"
            empty = re.fullmatch(r"[\w.-]+ ?= ?", line) and line not in EMPTY
            assert not empty, f"{file.path}:{number}: expected a value, got {line!r}"
            assert line == line.rstrip(), f"{file.path}:{number}: found a blank at the end of {line!r}"


# --- nginx -------------------------------------------------------------------------------------


@functools.cache
def certificate() -> tuple[str, str]:
    """PEM of a certificate for one day, and of its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "decanter.test")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return public.decode(), private.decode()


def version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("."))


def nginx_newer_than(host: str) -> str | None:
    """Why the nginx of this machine cannot test what is rendered for a host's."""
    wanted = role_variables("nginx", host, CASES["minimal"])
    said = run(program("nginx"), "-V")[1]
    for name, pattern in (("nginx", r"nginx/([\d.]+)"), ("openssl", r"built with OpenSSL ([\d.]+)")):
        here = re.search(pattern, said)[1]
        needed = wanted["__nginx_version" if name == "nginx" else "__nginx_openssl_version"]
        if version(here) < version(str(needed)):
            return f"{name} is {here} here, {host} has {needed}"
    return None


def module(name: str) -> str:
    """The line that loads a module of nginx, which is a package of its own."""
    place = f"usr/lib/nginx/modules/ngx_{name}_module.so"
    found = [path for path in (Path("/") / place, ROOT / ".venv/tools" / place) if path.exists()]
    if not found and os.environ.get("DECANTER_REQUIRE_TOOLS") == "1":
        pytest.fail(f"nginx's module {name} is not installed, and DECANTER_REQUIRE_TOOLS asks for it")
    return f"load_module {found[0]};\n" if found else pytest.skip(f"nginx's module {name} is not here")


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("acme", ["[fd00::2]", "10.1.2.9"]),  # the other web host, and a machine to come
        ("balancer-passes", ["[fd00::2]"]),  # the web hosts behind it; web1 is its own name here
        *(
            (case, []) for case in ("full", "behind", "behind-alb", "balancer")
        ),  # nobody has anything of an ACME server
    ],
)
def test_who_may_have_a_proof_is_asked_for_it(case, expected):
    (default,) = matching("debian13", case, r"/00-default\.conf$")
    assert re.findall(r"^    server (\S+):80 ", default.text, re.M) == expected, default.text
    (challenges,) = matching("debian13", case, r"/challenges\.conf$")
    assert ("proxy_pass" in challenges.text) == bool(expected), challenges.text


@everywhere
def test_nginx_takes_its_configuration(host, case, root):
    nginx = program("nginx")
    if reason := nginx_newer_than(host):
        pytest.skip(reason)
    for folder in ("etc/nginx/modules-enabled", "run", "var/log/nginx", "var/lib/nginx"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/nginx/mime.types").write_text("types { text/html html; }\n")
    paths = re.compile(r"(?<=[ ;])/(?=(?:etc|run|srv|var)/)")  # not those of sockets, after unix:
    certificate_path = re.compile(r"ssl_(?:trusted_)?certificate(_key)? (\S+);")
    for path in (root / "etc/nginx").rglob("*.conf"):
        text = paths.sub(f"{root}/", path.read_text())
        for private, pem in certificate_path.findall(text):
            Path(pem).parent.mkdir(parents=True, exist_ok=True)
            Path(pem).write_text(certificate()[bool(private)])
        # Low ports are for root; and somebody may serve on them here.
        text = re.sub(r"(listen (?:\[::\]:)?)(80|443)\b", r"\g<1>20\2", text)
        # It makes the sockets that it listens on, also to test.
        text = text.replace("listen unix:/run/decanter/balancer", f"listen unix:{root}")
        path.write_text(text.replace("user www-data;", ""))
    main = root / "etc/nginx/nginx.conf"
    modules = root / "etc/nginx/modules-enabled"
    if "brotli on" in main.read_text():
        lines = module("http_brotli_filter") + module("http_brotli_static")
        (modules / "brotli.conf").write_text(lines)
    if "balancer" in CASES[case].groups:
        (modules / "stream.conf").write_text(module("stream"))
    else:
        shutil.rmtree(root / "etc/nginx/stream-enabled")
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    lines = "".join(f"{kind}_temp_path {root}/var/lib/nginx/{kind};\n" for kind in temporary)
    main.write_text(main.read_text().replace("http {", f"http {{\n{lines}", 1))
    code, said = run(nginx, "-t", "-q", "-e", "stderr", "-p", str(root), "-c", str(main))
    assert code == 0, f"nginx refuses what {host} would get:\n{said}"
    # A newer nginx warns of what older ones need.
    warnings = [line for line in said.splitlines() if "[warn]" in line and "deprecated" not in line]
    assert not warnings, f"nginx warns of what {host} would get: {warnings}"


# --- systemd -----------------------------------------------------------------------------------

# What the distribution has, as far as our units and drop-ins need it.
STUBS = {
    **{
        f"{name}.target": "[Unit]\nDescription=stub\n"
        for name in ("basic", "sysinit", "shutdown", "sockets", "swap", "network", "multi-user", "umount")
    },
    "nginx.service": "[Service]\nType=forking\nExecStart=/bin/sh\n",
    "mariadb.service": "[Service]\nUser=mysql\nExecStart=/bin/sh\n",
    "mysql.service": "[Service]\nUser=mysql\nExecStart=/bin/sh\n",
    "ssh.socket": "[Socket]\nListenStream=22\nAccept=no\n",
    "ssh.service": "[Service]\nExecStart=/bin/sh\n",
}
# Exposure as `systemd-analyze security` counts it, in tenths: what must not be exceeded.
EXPOSURE = {
    **{"site": 2, "site with outbound traffic": 11, "loosened site": 15},
    **{"nginx": 25, "balancer": 11, "certificates": 15, "database": 22, "service": 3},
    "build": 15,
}


# The rest of the transient unit of a build: plugins/module_utils/build.py.
BUILD = (
    "User=build_{0}\nGroup=build_{0}\nBindPaths=/srv/{0}/.build/tree:/srv/{0}/releases/1\nExecStart=/bin/sh\n"
)


@pytest.fixture
def units(root: Path, case: str) -> Path:
    folder = root / "etc/systemd/system"
    for name, text in STUBS.items():
        (folder / name).write_text(text)
    programs = [
        *("bin/sh", "bin/kill", "usr/bin/find", "usr/bin/python3"),
        *("usr/bin/redis-server", "usr/bin/memcached", "opt/decanter/aws/current/bin/python"),
    ]
    for site in CASES[case].sites:
        # As the role gunicorn links it.
        (folder / f"{site}@.service.d").mkdir()
        shutil.copy(root / f"etc/decanter/{site}/unit.conf", folder / f"{site}@.service.d/site.conf")
        programs.append(f"srv/{site}/blue/.venv/bin/python")
        # As the module release starts it.
        text = (root / f"etc/decanter/{site}/build.conf").read_text()
        (folder / f"{site}.build.service").write_text(f"{text}\n{BUILD.format(site)}")
    for name in programs:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("#!/bin/sh\n")
        (root / name).chmod(0o755)
    return root


def units_of(site: str, values: Mapping[str, Any]) -> list[str]:
    """The names of the services that run a site's code, without their instance."""
    companions = (*values.get("processes", {}), *values.get("timers", {}))
    return [site, f"{site}.task", *(f"{site}.{name}" for name in companions)]


def unit_names(root: Path) -> list[str]:
    """Each unit that was written or has a drop-in, templates with an instance."""
    folder, names = root / "etc/systemd/system", []
    for path in sorted(folder.iterdir()):
        if path.name in STUBS:
            continue
        names.append(path.name.removesuffix(".d"))
    return sorted({re.sub(r"@\.", "@blue.", name) for name in names})


@everywhere
def test_systemd_takes_its_units(host, case, units):
    names = unit_names(units)
    expected = {"nginx.service", "decanter-balancer.service", "ssh.socket", "swapfile.swap"}
    expected |= {"decanter-certificates.service", "decanter-certificates.timer"}
    assert expected <= set(names), names
    for site, values in CASES[case].sites.items():
        expected = {f"{site}@{colour}.socket" for colour in ("blue", "green")}
        expected |= {f"{unit}@blue.service" for unit in units_of(site, values)} | {f"{site}.build.service"}
        expected |= {f"{site}.{name}@blue.timer" for name in values.get("timers", {})}
        got = {name for name in names if re.match(rf"{site}[@.]", name)}
        assert got == expected, f"expected {sorted(expected)}, got {sorted(got)}"
    command = [program("systemd-analyze"), "verify", "--man=no", "--generators=no", f"--root={units}", *names]
    code, said = run(*command)
    said = "\n".join(line for line in said.splitlines() if "does not match any known unit" not in line)
    assert (code, said) == (0, ""), f"systemd refuses what {host} would get:\n{said}"


# systemd of each distribution, and directives that came after the oldest of them: from the "Added in
# version" of its 257's man pages. An older one warns in its log and goes on without them.
SYSTEMD = {"debian12": 252, "debian13": 257, "ubuntu22": 249, "ubuntu24": 255}
NEWER = {
    250: "ConditionCPUPressure ConditionIOPressure ConditionMemoryPressure ExecSearchPath ExitType"
    " RestrictFileSystems RestrictNetworkInterfaces RuntimeRandomizedExtraSec TTYColumns TTYRows",
    251: "ExtensionDirectories",
    252: "ConditionCredential CoredumpReceive",
    253: "LogFilterPatterns MemoryZSwapMax OpenFile ReloadSignal StartupMemoryZSwapMax",
    254: "DelegateSubgroup ExtensionImagePolicy FileDescriptorStorePreserve ImportCredential MemoryKSM"
    " MemoryPressureThresholdSec MemoryPressureWatch MountImagePolicy RestartMaxDelaySec RestartMode"
    " RestartSteps RootEphemeral RootImagePolicy",
    255: "NFTSet PollLimitBurst PollLimitIntervalSec SetLoginEnvironment SurviveFinalKillSignal",
    256: "MemoryZSwapWriteback PassFileDescriptorsToExec WantsMountsFor",
    257: "BindLogSockets ManagedOOMMemoryPressureDurationSec PrivatePIDs UtmpMode",
}


@everywhere
def test_systemd_is_as_new_as_its_directives(host, case):
    newer = {name: since for since, names in NEWER.items() for name in names.split()}
    for file in matching(
        host, case, r"\.(service|socket|swap)(\.d/|$)|/(unit|build)\.conf$|/journald\.conf\.d/"
    ):
        for name in re.findall(r"^(\w+)=", file.text, re.M):
            since = newer.get(name, 0)
            assert since <= SYSTEMD[host], (
                f"{file.path}: {name}= came with systemd {since}, {host} has {SYSTEMD[host]}"
            )


@everywhere
def test_units_are_confined(host, case, units):
    allowed = {"nginx.service": EXPOSURE["nginx"], "decanter-balancer.service": EXPOSURE["balancer"]}
    allowed["decanter-certificates.service"] = EXPOSURE["certificates"]
    for site, values in CASES[case].sites.items():
        kind = "site" if values.get("outbound", True) is False else "site with outbound traffic"
        kind = "loosened site" if values.get("sandbox") else kind
        allowed |= {f"{unit}@blue.service": EXPOSURE[kind] for unit in units_of(site, values)}
        allowed |= {f"{name}@{site}.service": EXPOSURE["service"] for name in values.get("services", [])}
        allowed[f"{site}.build.service"] = EXPOSURE["build"]
    database = matching(host, case, r"/(mariadb|mysql)\.service\.d/")[0]
    allowed[Path(database.path).parent.name.removesuffix(".d")] = EXPOSURE["database"]
    for unit, threshold in allowed.items():
        command = [program("systemd-analyze"), "security", "--offline=true", "--no-pager", f"--root={units}"]
        code, said = run(*command, f"--threshold={threshold}", unit)
        found = re.search(r"exposure level for .*", said)
        assert code == 0, f"expected at most {threshold / 10}, got {found[0] if found else said}"


@everywhere
def test_services_are_where_the_site_looks_for_them(host, case):
    for site, values in CASES[case].sites.items():
        environment = matching(host, case, rf"/etc/decanter/{site}/environment$")[0].text
        shared = matching(host, case, rf"/etc/decanter/{site}/unit\.conf$")[0].text
        # What fetches secrets comes before a site, too.
        after = re.findall(r"^After=(?!decanter-credentials@)(.*)", shared, re.M)
        if not values.get("services"):
            assert "REDIS_URL" not in environment and not after, f"expected no service, got {shared}"
            continue
        assert after == [f"memcached@{site}.service redis@{site}.service"], after
        settings = matching(host, case, rf"/etc/decanter/redis/{site}\.conf$")[0].text
        socket = re.findall(r"^unixsocket (.*)", settings, re.M)[0]
        assert f'REDIS_URL="unix://{socket}"\n' in environment, f"expected {socket} in {environment}"
        unit = matching(host, case, r"/memcached@\.service$")[0].text.replace("%i", site)
        socket = re.findall(r"--unix-socket=(\S+)", unit)[0]
        assert f'MEMCACHED_SOCKET="{socket}"\n' in environment, f"expected {socket} in {environment}"


# --- The site's own files ----------------------------------------------------------------------


@everywhere
def test_gunicorn_takes_its_configuration(host, case, monkeypatch, tmp_path):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    for file in matching(host, case, r"/gunicorn\.conf\.py$"):
        settings: dict[str, Any] = {"__file__": file.path}
        exec(compile(file.text, file.path, "exec"), settings)
        site = CASES[case].sites[Path(file.path).parent.name]
        assert type(settings["workers"]) is int and settings["workers"] >= 1, settings["workers"]
        assert settings["worker_class"] == site.get("gunicorn", {}).get("worker_class", "gthread")
        assert ("threads" in settings) == (settings["worker_class"] == "gthread")
        assert (
            settings["timeout"] == settings["graceful_timeout"] == site.get("gunicorn", {}).get("timeout", 30)
        )
        assert (settings["worker_tmp_dir"], settings["control_socket_disable"]) == (str(tmp_path), True)
        for name in ("accesslog", "errorlog"):
            assert settings[name] in (None, "-"), f"{name}: {settings[name]!r}"
        given = site.get("gunicorn", {})
        assert settings.get("worker_connections") == given.get("worker_connections")
        wrong = {key for key, value in given.get("settings", {}).items() if settings.get(key) != value}
        assert not wrong, f"{file.path}: expected {given['settings']}, got others for {wrong}"
        if importlib.util.find_spec("gunicorn"):
            from gunicorn.config import Config

            config = Config()
            for name in config.settings.keys() & settings.keys():
                config.set(name, settings[name])


@pytest.mark.parametrize("case", ["full", "elsewhere"])
def test_a_release_names_itself_in_each_response(case, monkeypatch, tmp_path):
    """The hook of gunicorn's configuration, on an application of three lines."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings: dict[str, Any] = {}
    exec(matching("debian13", case, r"/gunicorn\.conf\.py$")[0].text, settings)

    class Worker:
        @staticmethod
        def wsgi(environ, start_response):
            start_response("200 OK", [("A", "b")])
            return [b"body"]

    worker, got = Worker(), []
    try:
        settings["post_worker_init"](worker)
        assert gc.get_freeze_count(), "expected what is there to be looked through for garbage no more"
    finally:
        gc.unfreeze()
    assert worker.wsgi({}, lambda status, headers: got.append((status, headers))) == [b"body"]
    assert got == [("200 OK", [("A", "b"), ("X-Release", tmp_path.name)])]
    monkeypatch.delattr(gc, "freeze")
    settings["post_worker_init"](Worker())  # a worker of PyPy's starts as well


@everywhere
def test_the_environment_arrives_as_it_was_written(host, case):
    for file in matching(host, case, r"/etc/decanter/[^/]+/environment$"):
        site = CASES[case].sites[Path(file.path).parent.name]
        lines = [line for line in file.text.splitlines() if line and not line.startswith("#")]
        # In double quotes, systemd reads backslashes as a shell does.
        got = dict(shlex.split(line)[0].split("=", 1) for line in lines)
        expected = {name: value for name, value in site.get("env", {}).items() if "{release}" not in value}
        wrong = {name: got.get(name) for name, value in expected.items() if got.get(name) != value}
        assert not wrong, f"{file.path}: expected {expected}, got {wrong}"
        assert not set(site.get("secrets", {})) & set(got), f"{file.path}: found a secret"


@pytest.mark.parametrize(
    ("unit", "folder"), [("@.service", "/srv/harbour/%i"), (".task@.service", "/srv/harbour/releases/%i")]
)
def test_release_folder_in_env_is_that_of_the_unit(unit, folder):
    (file,) = matching("debian13", "elsewhere", rf"/harbour{re.escape(unit)}$")
    lines = [line for line in file.text.splitlines() if "SETTINGS" in line]
    assert lines == [f'Environment="SETTINGS={folder}/set%%tings.cfg"'], f"expected {folder}, got {lines}"


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("full", ["127.0.0.0/8 ::1"]),
        ("elsewhere", ["any"]),
    ],
)
def test_build_network_is_limited(case, expected):
    (file,) = matching("debian13", case, "/harbour/build.conf$")
    denied = [value for value, _ in directives(file.text)["IPAddressDeny"]]
    assert denied[-1:] == expected, f"expected {expected}, got {denied}"


def test_build_program_is_installed_completely():
    folder = ROOT / "roles/python_app/files/build"
    expected = {path.name for path in folder.glob("*.py")}
    got = set(re.findall(r"'build/(\w+\.py)'", (ROOT / "roles/python_app/tasks/configure.yml").read_text()))
    assert got == expected, f"expected a copy of each module, got none of {sorted(expected - got)}"


@everywhere
def test_secrets_are_handed_over_in_one_way(host, case):
    """As files of systemd's, or as variables: never by the unit itself."""
    for name, site in CASES[case].sites.items():
        text = matching(host, case, rf"/etc/decanter/{name}/unit\.conf$")[0].text
        files = re.findall(r"^LoadCredential=(\w+):", text, re.M)
        as_variables = f"EnvironmentFile=/etc/decanter/{name}/secrets.env" in text.splitlines()
        expected = site.get("secret_delivery") == "environment"
        assert as_variables == expected and bool(files) == (bool(site.get("secrets")) and not expected), text


def directives(text: str) -> dict[str, list[tuple[str, str]]]:
    """Each directive's values in their order, with the line above it."""
    found: dict[str, list[tuple[str, str]]] = {}
    lines = text.splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        if match := re.fullmatch(r"([A-Z]\w+)=(.*)", line):
            found.setdefault(match[1], []).append((match[2], above))
    return found


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    ("case", "state", "handed"),
    [("route53", "file", ["aws:/etc/decanter/certbot-aws"]), ("route53-role", "absent", [])],
)
def test_the_key_to_a_zone_is_handed_over_where_there_is_one(host, case, state, handed):
    unit = directives(matching(host, case, r"/decanter-certificates\.service$")[0].text)
    got = [value for value, _ in unit.get("LoadCredential", [])]
    assert got == handed, f"expected {handed}, got {got}"
    variables = role_variables("certbot", host, CASES[case])
    file = Templar(LOADER, variables).template(variables["__certbot_aws_file"])
    assert (file["state"], file["mode"]) == (state, "0600")
    if handed:
        read = configparser.RawConfigParser()  # as boto3 does
        read.read_string(file["content"])
        key = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "a%b=c/d+e"}
        assert dict(read["default"]) == key, dict(read["default"])


@pytest.mark.parametrize("host", HOSTS)
def test_what_a_wildcard_stands_for_is_served(host):
    text = matching(host, "route53", r"sites-enabled/harbour\.conf$")[0].text
    servers = re.split(r"^server \{$", text, flags=re.MULTILINE)[1:]
    got = [
        (
            re.search(r"server_name (.+);", server)[1],
            re.findall(r"return 30\d ([^;]+);|(application\.conf)", server)[-1],
        )
        for server in servers
    ]
    first = "https://harbour.test$request_uri"
    assert got == [
        ("harbour.test www.harbour.test", (first, "")),
        ("*.harbour.test *.homes.test", ("https://$host$request_uri", "")),
        ("www.harbour.test", (first, "")),
        ("harbour.test *.harbour.test *.homes.test", ("", "application.conf")),
    ], got


@everywhere
def test_what_is_loosened_comes_last_with_its_reason(host, case):
    for name, site in CASES[case].sites.items():
        got = directives(matching(host, case, rf"/etc/decanter/{name}/unit\.conf$")[0].text)
        for directive, loosened in site.get("sandbox", {}).items():
            value = {True: "yes", False: "no"}.get(loosened["value"], loosened["value"])
            assert len(got[directive]) > 1, f"{directive}: expected it to be set before, got {got[directive]}"
            assert got[directive][-1] == (value, f"# {loosened['because']}"), got[directive]
        networks = site.get("outbound") if isinstance(site.get("outbound"), dict) else {}
        expected = [("localhost", "IPAddressDeny=any")] if networks else []
        for network in sorted(networks):
            of = networks[network]
            expected.append((" ".join(of["to"]), f"# {network}: {of['because']}"))
        assert got.get("IPAddressAllow", []) == expected, got


def test_a_sandbox_is_loosened_where_it_is_set():
    """Each directive of a unit's sandbox may be loosened or is refused, and no other."""
    schema = yaml.safe_load((ROOT / "plugins/schema/sites.yml").read_text())["additionalProperties"][
        "properties"
    ]
    known = set(schema["sandbox"]["propertyNames"]["enum"])
    texts = [matching("debian13", case, r"/unit\.conf$")[0].text for case in ("full", "elsewhere")]
    found = set().union(*(directives(text.partition("[Service]")[2]) for text in texts))
    assert known == found, f"expected {sorted(found)}, got {sorted(known)}"
    refused = [set(rule["not"]["enum"]) for rule in schema["sandbox"]["propertyNames"]["allOf"]]
    assert set().union(*refused) < known and not set.intersection(*refused)


@everywhere
def test_gunicorn_is_given_the_application(host, case):
    for name, site in CASES[case].sites.items():
        file = matching(host, case, rf"/{name}@\.service$")[0]
        command = next(line for line in file.text.splitlines() if line.startswith("ExecStart="))
        # In double quotes, systemd reads backslashes as a shell does; a % is written twice.
        got = shlex.split(command)[-1]
        assert got == site["wsgi"].replace("%", "%%"), f"{file.path}: {command}"


# Processes that are to run for ever come back; what a timer starts ends, or is ended.
KINDS = {
    "processes": {"Type=exec", "Restart=always", "WantedBy=multi-user.target", "StartLimitIntervalSec=0"},
    "timers": {"Type=oneshot", "TimeoutStartSec=900"},
}


@everywhere
def test_processes_and_timers_run_what_was_written(host, case):
    for site, values in CASES[case].sites.items():
        for kind, name in ((one, name) for one in KINDS for name in values.get(one, {})):
            file = matching(host, case, rf"/{site}\.{name}@\.service$")[0]
            lines = file.text.splitlines()
            given = values[kind][name]
            command = given if kind == "processes" else given["command"]
            [start] = [line for line in lines if line.startswith("ExecStart=")]
            # In double quotes, systemd reads backslashes as a shell does; % and $ are written twice.
            got = shlex.split(start.removeprefix("ExecStart="))
            expected = ["/bin/sh", "-c", command.replace("%", "%%").replace("$", "$$")]
            assert got == expected, f"{file.path}: expected {expected}, got {got}"
            assert f"WorkingDirectory=/srv/{site}/releases/%i" in lines and f"User={site}" in lines, file.text
            for other, words in KINDS.items():
                assert words <= set(lines) if other == kind else not words & set(lines), file.text


@everywhere
def test_a_timer_has_its_calendar(host, case):
    for site, values in CASES[case].sites.items():
        for name, timer in values.get("timers", {}).items():
            file = matching(host, case, rf"/{site}\.{name}@\.timer$")[0]
            assert f"OnCalendar={timer['calendar']}" in file.text.splitlines(), file.text
            code, said = run(program("systemd-analyze"), "calendar", timer["calendar"])
            assert code == 0, said


def test_flask_finds_an_application_whose_name_has_quotes():
    file = matching("debian13", "full", r"/etc/decanter/harbour/environment$")[0]
    line = next(line for line in file.text.splitlines() if line.startswith("FLASK_APP="))
    assert shlex.split(line) == [f"FLASK_APP={FULL['wsgi']}"], line


@everywhere
def test_tmpfiles_are_lines_of_seven_fields(host, case):
    for file in matching(host, case, r"/tmpfiles\.d/"):
        for line in file.text.splitlines():
            assert re.fullmatch(r"#.*|d /run/decanter(/[a-z0-9-]+)? 0\d{3} \S+ \S+", line), (
                f"{file.path}: {line!r}"
            )


# --- The host's own files ----------------------------------------------------------------------


@everywhere
def test_sshd_takes_its_configuration(host, case, root):
    sshd, keygen, key = program("sshd"), program("ssh-keygen"), root / "key"
    run(keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    path = root / "etc/ssh/sshd_config.d/10-decanter.conf"
    code, said = run(sshd, "-t", "-h", str(key), "-f", str(path))
    # Where sshd does not run, its user and folder are missing. It looks for them when the
    # configuration has been read without an error.
    assert code == 0 or re.match("(Missing p|P)rivilege separation (directory|user)", said), said


@everywhere
def test_sudo_takes_its_rules(host, case, root):
    path = root / "etc/sudoers.d/50-decanter"
    path.chmod(0o440)
    code, said = run(program("visudo"), "-c", "-f", str(path))
    assert code == 0, said


@everywhere
def test_apt_takes_its_configuration(host, case, root):
    path = root / "etc/apt/apt.conf.d/52-decanter"
    code, said = run(program("apt-config"), "--config-file", str(path), "dump")
    assert code == 0, said
    origin = "origin=Ubuntu," if host.startswith("ubuntu") else "origin=Debian,"
    origins = re.findall(r'^Unattended-Upgrade::Origins-Pattern:: "(.*)";', said, re.M)
    assert any(line.startswith(origin) for line in origins), f"expected {origin}, got {origins}"
    assert 'DPkg::Options:: "--force-confold";' in said.replace("Dpkg", "DPkg"), said
    assert not any("Allowed-Origins::" in line for line in said.splitlines()), said


@everywhere
def test_sections_have_each_key_once(host, case):
    for file in matching(host, case, r"\.cnf$|journald\.conf\.d/"):
        parser = configparser.RawConfigParser(allow_no_value=True, comment_prefixes=("#",))
        parser.read_string(file.text, file.path)
        for section in parser.sections():
            bare = {name for name, value in parser[section].items() if value in (None, "")}
            assert bare <= {"skip-networking"}, f"{file.path}: expected values, got none for {bare}"


@everywhere
def test_kernel_settings_are_names_and_values(host, case):
    for file in matching(host, case, r"/sysctl\.d/"):
        lines = [line for line in file.text.splitlines() if line and not line.startswith("#")]
        wrong = [line for line in lines if not re.fullmatch(r"-?[a-z0-9_.]+ = [\w ]+", line)]
        assert not wrong, f"{file.path}: {wrong}"
        others = [line for line in lines if not line.lstrip("-").startswith("net.")]
        assert bool(others) == (case != "address"), f"a container sets its network only, got {others}"


@everywhere
def test_shell_reads_its_variables(host, case, root):
    for name in ("etc/default/ufw", "etc/default/locale"):
        code, said = run(program("sh"), "-n", str(root / name))
        assert code == 0, said


@everywhere
def test_a_lab_has_an_inventory(host, case):
    file = next(file for file in rendered(host, case) if file.template == "lab/inventory.yml.j2")
    got = yaml.safe_load(file.text)["all"]
    assert list(got["hosts"]) == ["a", "b"] and list(got["children"]["web"]["hosts"]) == ["a"], got


def test_each_distribution_gets_its_own():
    """What must differ does: or a table of facts that nothing reads would prove nothing."""
    names = {"nginx": r"/nginx\.conf$", "ssl": r"/sites-enabled/00", "database": r"/etc/mysql/.*\.cnf$"}
    got = {name: [matching(host, "minimal", pattern)[0] for host in HOSTS] for name, pattern in names.items()}
    assert ["X25519MLKEM768" in file.text for file in got["nginx"]] == [False, True, False, False]
    assert ["ssl_reject_handshake" in file.text for file in got["ssl"]] == [True, True, False, True]
    assert ["mariadb.conf.d" in file.path for file in got["database"]] == [True, True, False, False]


# --- Secrets that a host fetches ---------------------------------------------------------------


def test_units_are_handed_what_is_fetched_before_them():
    (harbour, plain) = (
        next(file.text for file in matching("debian13", "fetched", f"/{site}/unit.conf$"))
        for site in ("harbour", "plain")
    )
    unit = "decanter-credentials@harbour.service"
    for line in (f"Wants={unit}", f"After={unit}"):
        assert f"\n{line}\n" in harbour, f"expected {line}, got {harbour}"
    expected = [
        "LoadCredential=API_KEY:/etc/decanter/harbour/credentials/API_KEY",
        "LoadCredential=SECRET_KEY:/run/decanter-credentials/harbour/SECRET_KEY",
    ]
    got = re.findall("^LoadCredential=.*", harbour, re.M)
    assert got == expected, f"expected {expected}, got {got}"
    assert re.findall("^EnvironmentFile=(.*)", plain, re.M)[1:] == [
        "/etc/decanter/plain/secrets.env",
        "/run/decanter-credentials/plain/environment",
    ], plain
    # Whoever has the application ask for an address must not be given the instance's role.
    denied = "IPAddressDeny=169.254.169.254 fd00:ec2::254"
    assert denied in harbour and denied not in plain, "expected it where instance_role does not say otherwise"
    (minimal,) = matching("debian13", "minimal", "/unit.conf$")
    assert denied in minimal.text and "decanter-credentials" not in minimal.text
