"""Strategies of Hypothesis for whole inventories that `site_errors` accepts."""

from __future__ import annotations

import functools
import json
import keyword
import re
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.filter.sites_check import site_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import SCHEMA
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.source import RESERVED_IN_BUILDS
from consistent_sites import consistent
from hypothesis import event, reject
from hypothesis import strategies as st
from schema_strategies import CHARACTERS, Strategy, values
from templates_cases import CASES, Case

KEYS = SCHEMA["additionalProperties"]["properties"]
# Positions of hosts in a topology, and variables of roles that change their files.
TOPOLOGIES = (
    *("minimal", "full", "address", "elsewhere", "behind", "behind-passes", "behind-alb"),
    *("balancer", "balancer-passes", "acme", "route53"),
)
# Values that systemd accepts. site_errors accepts others as well.
SANDBOX: dict[str, list[str | bool]] = {
    **{
        name: [False, True, "no", "yes"]
        for name in (
            *("LockPersonality", "MemoryDenyWriteExecute", "PrivateDevices", "ProtectClock"),
            *("ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules"),
            *("ProtectKernelTunables", "RestrictRealtime"),
        )
    },
    "DevicePolicy": ["auto", "closed", "strict"],
    "ProcSubset": ["all", "pid"],
    "ProtectProc": ["default", "invisible", "ptraceable", "noaccess"],
    "ReadWritePaths": ["/var/lib/maps", "-/opt/data +/mnt/x"],
    "RestrictAddressFamilies": ["AF_NETLINK", "AF_UNIX AF_INET"],
    "RestrictNamespaces": [False, True, "user pid"],
    "SystemCallArchitectures": ["native", "x86-64"],
    "SystemCallErrorNumber": ["EPERM", "ENOSYS"],
    "SystemCallFilter": ["@resources", "mbind @setuid", "~@mount"],
}
LITERALS = st.text(CHARACTERS, max_size=20) | st.integers() | st.booleans() | st.none()
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,30}", fullmatch=True)
PYTHON_NAMES = NAMES.filter(lambda name: not keyword.iskeyword(name))
IDS = values(SCHEMA["propertyNames"], {})
NETWORKS = st.sampled_from(
    ["0.0.0.0/0", "192.0.2.0/24", "10.255.255.255", "::/0", "2001:db8::/64", "fd00::1"]
)


def wsgi(modules: list[str], name: str, arguments: list[Any] | None) -> str:
    call = "" if arguments is None else f"({', '.join(map(repr, arguments))})"
    return f"{'.'.join(modules)}:{name}{call}"


def sandbox(directives: dict[str, tuple[int, str]]) -> dict[str, dict[str, Any]]:
    return {
        name: {"value": SANDBOX[name][number % len(SANDBOX[name])], "because": because}
        for name, (number, because) in directives.items()
    }


@functools.cache
def site_values(root: Path) -> Strategy:
    """Return a strategy for sites without server names. Half of them have the keys that nginx reads."""
    given = special(root)
    frequent = st.fixed_dictionaries(
        {},
        optional={name: values(KEYS[name], given, (name,)) for name in ("nginx", "health", "static", "tls")},
    )
    site = values(SCHEMA["additionalProperties"], given)
    return site | st.builds(lambda one, other: one | other, site, frequent)


def special(root: Path) -> dict[str, Strategy]:
    """Return strategies for values that the schema does not describe completely, by their paths."""
    certificate, key = str(root / "tls/site.crt"), str(root / "tls/site.key")
    because = values(KEYS["sandbox"]["additionalProperties"]["properties"]["because"], {})
    secrets = values(KEYS["secrets"]["additionalProperties"], {})
    files = [{"path": st.just(certificate)}, {"template": st.just(certificate)}, {"content": secrets}]
    sources = [{"path": str(root / "app")}, {"git": "git@host.test:town/hall.git", "version": "main"}]
    return {
        "source": st.sampled_from(sources),
        "state": st.sampled_from(["present"] * 4 + ["absent"]),
        "server_names": st.just([]),  # unique in a whole inventory
        "wsgi": st.builds(
            wsgi, st.lists(PYTHON_NAMES, min_size=1, max_size=4), PYTHON_NAMES, st.none() | st.lists(LITERALS)
        ),
        "requirements": st.just("pyproject.toml"),
        "install.[]": st.sampled_from(["pymysql>=1.1", ".[database, mail]", "group:production", "."]),
        "build_secrets.name": values(KEYS["build_secrets"]["propertyNames"], {}).filter(
            lambda name: not re.fullmatch(RESERVED_IN_BUILDS, name)
        ),
        "files.*": st.one_of(*(st.fixed_dictionaries(file) for file in files)),
        "static.[].path": st.just("src/harbour/static"),
        # A secret is a file of this name, of at most 255 bytes. site_errors accepts longer names.
        "secrets.name": values(KEYS["secrets"]["propertyNames"], {}).map(lambda name: name[:255]),
        "secrets.*": secrets.filter(lambda text: not text.startswith(("ssm:", "kms:")))
        | st.sampled_from(["ssm:/staging/KEY", "kms:" + "AQIC" * 12]),
        # systemd ignores a variable with another control character. site_errors accepts it.
        "env.*": values(KEYS["env"]["additionalProperties"], {}).filter(
            lambda text: not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
        ),
        "database.scheme": st.sampled_from(["mysql+pymysql", "mysql+mysqldb"]),
        # With auth `password`, a variable becomes a secret.
        "database.variables.name": values(
            KEYS["database"]["properties"]["variables"]["propertyNames"], {}
        ).map(lambda name: name[:255]),
        "database.variables.*": st.sampled_from(["url", "host", "name", "user"]),
        # site_errors accepts calendars that systemd rejects.
        "timers.*.calendar": st.sampled_from(
            ["hourly", "Mon..Fri 06:30", "*-*-* 00/2:00:00", "*:*:0/5", "Mon *-*-1..7 06:30:00 Europe/Berlin"]
        ),
        "tls.certificate": st.just(certificate),
        "tls.key": st.just(key),
        # A password that begins with $ or { is a hash.
        "nginx.basic_auth.*": st.from_regex(r"[ -#%-z|}~][ -~]{7,127}", fullmatch=True),
        "outbound.*.to.[]": NETWORKS,
        "build_outbound.*.to.[]": NETWORKS,
        "sandbox": st.dictionaries(
            st.sampled_from(sorted(SANDBOX)), st.tuples(st.integers(0, 11), because), max_size=4
        ).map(sandbox),
    }


@st.composite
def server_names(draw: st.DrawFn, number: int) -> list[str]:
    """Return the names of one site of an inventory: host names of all lengths, wildcards and addresses."""
    lengths = st.sampled_from([12, 12, 12, 40, 64, 135, 253])
    names = []
    for index in range(draw(st.sampled_from([1, 1, 2, 3, 100]))):
        first = f"n{number}-{index}"
        labels = ".".join([first, *["a" * 63] * 4])
        length = draw(lengths) if index < 3 else len(names[-1])
        names.append(f"{labels[: length - 5].rstrip('.-')}.test")
    if draw(st.booleans()):
        names.append(f"*.w{number}.test")
    if draw(st.booleans()):
        address = draw(st.sampled_from([f"10.1.{number}.1", f"fd00::{number:x}"]))
        names.insert(draw(st.integers(0, len(names))), address)
    return names


class Inventory(Case):
    """A case that Hypothesis prints by its sites' names, because a text of an inventory has up to 100 kB."""

    def __repr__(self) -> str:
        return f"Inventory({list(self.sites)})"

    def text(self) -> str:
        return json.dumps([self.sites, dict(self.settings), self.groups, self.balancers], indent=1)


@st.composite
def inventories(draw: st.DrawFn, root: Path) -> Inventory:
    """Return an accepted inventory. Paths of files are below `root`, the fixture of that name."""
    case = CASES[draw(st.sampled_from(TOPOLOGIES))]
    database_host = case.settings.get("mysql_host", "")
    count = draw(st.sampled_from([1, 1, 2, 3]))
    ids = draw(st.lists(IDS, min_size=count, max_size=count, unique=True))
    sites = {}
    for number, site_id in enumerate(ids):
        site = draw(site_values(root))
        site["server_names"] = draw(server_names(number))
        sites[site_id] = consistent(site, number, database_host)
    # Templates of a balancer need at least one site. site_errors accepts an inventory without one.
    sites[ids[0]].pop("state", None)
    if errors := site_errors(sites, str(root), database_host):
        event(f"rejected: {errors[0]}")
        reject()
    return Inventory(*case._replace(sites=sites))
