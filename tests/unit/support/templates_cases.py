"""Hosts, facts and inventories for rendering the templates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ansible_collections.decanter.stack.plugins.plugin_utils.platforms import platforms
from repository import ROOT

# A host for each file of vars/platform; the host of Debian-12 is debian12.
PLATFORMS = {name.replace("-", "").lower(): platform for name, platform in platforms().items()}
HOSTS = {
    name.replace("-", "").lower(): dict(
        zip(("distribution", "distribution_major_version"), name.split("-"), strict=True)
    )
    for name in platforms()
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
    "instances": [],
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
    "env": {"TOWN": "St. John's", "QUOTES": 'print "a\\b" $HOME %i #1', "NUMBER": "1", "EMPTY": ""},
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
        "websockets": ["/ws", "/a.b/~c"],
        "streams": ["/events"],
        "idle_timeout": 60,
    },
    "tls": {"mode": "ca"},
    "outbound": False,
}

# A site below a path of the name of FULL.
BELOW = {
    **{key: FULL[key] for key in ("source", "health", "static")},
    **{"server_names": ["harbour.test"], "path": "/a-b/c.d", "wsgi": "shop:app"},
    "nginx": {"cache": True, "basic_auth": {"ada": "correct horse"}},
}


class Case(NamedTuple):
    """Sites, other variables of the inventory, and differences of the host."""

    sites: dict[str, Any]
    settings: Mapping[str, Any] = MappingProxyType({})
    groups: tuple[str, ...] = ("web", "database")  # groups of the host
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
            "http3_enabled": True,
        },
        look={"ssh_port": 2022},
    ),
    "address": Case(
        {"ip": {**MINIMAL, "server_names": ["10.1.2.3"], "gunicorn": {"worker_class": "sync"}}},
        {"python_app_release_header": False, "mysql_bind_addresses": [], "mysql_flavour": "mariadb"},
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
        # Any file can be the CA, because the test contacts no server.
        {"mysql_host": "db.test", "mysql_ca_file": str(ROOT / "LICENSE")},
    ),
    # A web host behind balancers, and the balancer; each in both modes.
    "behind": Case({"harbour": FULL}, balancers=("balancer1", "balancer2")),
    "behind-passes": Case(
        {"harbour": FULL},
        {"balancer_tls_mode": "passthrough", "http3_enabled": True},
        balancers=("balancer1",),
    ),
    "behind-alb": Case(
        {"harbour": FULL, "plain": {**MINIMAL, "tls": {"mode": "acme"}}},
        {"balancer_kind": "alb", "balancer_networks": ["10.1.0.0/24", "10.1.1.0/24"]},
    ),
    "balancer": Case(
        {"harbour": FULL, "plain": MINIMAL, "shop": BELOW},
        {"certbot_ca_certificate": __file__},
        groups=("balancer",),
        balancers=("balancer1",),
    ),
    "balancer-passes": Case(
        {"harbour": {**FULL, "tls": {"mode": "acme"}}, "plain": MINIMAL, "shop": BELOW},
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
        {
            "plain": {
                **MINIMAL,
                "tls": {"mode": "acme", "challenge": "route53"},
                "gunicorn": {"worker_class": "asgi", "graceful_timeout": 120},
                "nginx": {"websockets": True},
            }
        },
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
    "two": Case({"harbour": {**FULL, "server_names": ["harbour.test"]}, "plain-2": MINIMAL, "shop": BELOW}),
}
# Variables that tasks register, which a test cannot run.
REGISTERED = {
    "lab_root": str(ROOT),
    "lab_directory": "/tmp",
    "lab_hosts": [{"name": "a", "suite": "trixie", "groups": ["web"]}, {"name": "b", "suite": "bookworm"}],
    "__lab_user_id": {"stdout": "0"},
    "__lab_network_inspect": {"stdout": json.dumps([{"subnets": [{"subnet": "10.89.0.0/24"}]}])},
    "__lab_host_keys": {"results": [{"stdout": "ssh-ed25519 AAAA"}, {"stdout": "ssh-ed25519 BBBB"}]},
}
# Addresses of hosts and balancers.
ADDRESSES = {"web1": "10.1.2.3", "web2": "fd00::2", "balancer1": "10.1.2.8", "balancer2": "fd00::8"}
