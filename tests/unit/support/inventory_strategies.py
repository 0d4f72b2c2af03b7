"""Strategies of Hypothesis for whole inventories that `site_errors` accepts."""

from __future__ import annotations

import datetime
import functools
import json
import keyword
import re
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.filter.sites_check import site_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.calendars import (
    SHORTHANDS,
    is_calendar,
    occurs,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.sandbox import (
    ALONE,
    BOOLEAN,
    BOOLEANS,
    LISTS,
    NOT_INVERTIBLE,
    SINGLE,
    system_calls,
)
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
# The words of each sandbox directive, of which some read a list.
WORDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(BOOLEAN, BOOLEANS),
    **SINGLE,
    **LISTS,
    "ReadWritePaths": ("/var/lib/maps", "-/opt/data", "+/mnt/x"),
    "SystemCallFilter": tuple(sorted(set.union(*system_calls()))),
}
HASHES = (
    "$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g.",
    "$apr1$salt$MjHvNm8pSB1wB2QzkHRcQ.",
)
TODAY = datetime.datetime.now(datetime.timezone.utc).date()
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


@st.composite
def sandbox_values(draw: st.DrawFn, name: str) -> str | bool:
    """Return a value of a sandbox directive: one word, or several where systemd reads a list."""
    words = draw(st.lists(st.sampled_from(WORDS[name]), min_size=1, max_size=4, unique=True))
    if name in BOOLEAN:
        return draw(st.sampled_from([True, False, words[0]]))
    if name in SINGLE:
        return words[0]
    never_inverted = name == "ReadWritePaths" or name in NOT_INVERTIBLE
    inverted = "" if never_inverted else draw(st.sampled_from(["", "~"]))
    return draw(st.sampled_from([inverted + " ".join(words), *ALONE.get(name, ())]))


@st.composite
def sandboxes(draw: st.DrawFn, because: Strategy) -> dict[str, dict[str, Any]]:
    names = draw(st.lists(st.sampled_from(sorted(WORDS)), max_size=4, unique=True))
    return {name: {"value": draw(sandbox_values(name)), "because": draw(because)} for name in names}


def spans(least: int, most: int) -> Strategy:
    """Return a strategy for a component of a calendar: numbers, ranges, repetitions and lists."""
    numbers = st.integers(least, most).map("{:02}".format)
    steps = st.integers(1, most - least).map("/{}".format)
    ranges = st.builds("{}..{}".format, numbers, numbers)
    item = st.builds("{}{}".format, numbers | ranges, st.just("") | steps)
    return st.just("*") | item | st.lists(item, min_size=2, max_size=9).map(",".join)


def calendars() -> Strategy:
    """Return a strategy for calendars that is_calendar accepts and that occur."""
    days = st.builds("{}..{} ".format, *[st.sampled_from(["Mon", "tuesday", "FRI", "Sunday"])] * 2)
    dates = st.builds(
        "{}-{}{}{} ".format, spans(1970, 2199), spans(1, 12), st.sampled_from("-~"), spans(1, 31)
    )
    times = st.builds("{}:{}{}".format, spans(0, 23), spans(0, 59), st.just("") | st.just(":00/2.5"))
    zones = st.sampled_from(["", " UTC", " Europe/Berlin", " America/Argentina/Buenos_Aires"])
    texts = st.builds("{}{}{}{}".format, st.just("") | days, st.just("") | dates, times, zones)
    accepted = texts.filter(lambda text: is_calendar(text) and occurs(text, TODAY))
    return accepted | st.sampled_from(sorted(SHORTHANDS))


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
        "secrets.*": secrets.filter(lambda text: not text.startswith(("ssm:", "kms:")))
        | st.sampled_from(["ssm:/staging/KEY", "kms:" + "AQIC" * 12]),
        "database.scheme": st.sampled_from(["mysql+pymysql", "mysql+mysqldb"]),
        "database.variables.*": st.sampled_from(["url", "host", "name", "user"]),
        "timers.*.calendar": calendars(),
        "tls.certificate": st.just(certificate),
        "tls.key": st.just(key),
        # A password that begins with $ or { is a hash.
        "nginx.basic_auth.*": st.from_regex(r"[ -#%-z|}~][ -~]{7,127}", fullmatch=True)
        | st.sampled_from(HASHES),
        "outbound.*.to.[]": NETWORKS,
        "build_outbound.*.to.[]": NETWORKS,
        "sandbox": sandboxes(because),
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
