"""systemd accepts its rendered units, and their sandboxes are strict."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import SCHEMA
from systemd_units import add_units, check_systemd, unit_names
from templates_cases import CASES, PLATFORMS
from templates_rendering import (
    directives,
    everywhere,
    matching,
    program,
    rendered_root,
    run,
)


@pytest.fixture
def root(host: str, case: str) -> Iterator[Path]:
    yield from rendered_root(host, case)


@pytest.fixture
def units(root: Path, case: str) -> Path:
    add_units(root, CASES[case].sites)
    return root


def units_of(site: str, values: Mapping[str, Any]) -> list[str]:
    """Return the names of the services that run a site's code, without their instance."""
    companions = (*values.get("processes", {}), *values.get("timers", {}))
    return [site, f"{site}.task", *(f"{site}.{name}" for name in companions)]


@everywhere
def test_systemd_accepts_its_units(host, case, units):
    names = unit_names(units)
    expected = {"nginx.service", "haproxy.service", "haproxy.socket", "ssh.socket", "swapfile.swap"}
    expected |= {"decanter-certificates.service", "decanter-certificates.timer"}
    assert expected <= set(names), names
    for site, values in CASES[case].sites.items():
        expected = {f"{site}@{colour}.socket" for colour in ("blue", "green")}
        expected |= {f"{unit}@blue.service" for unit in units_of(site, values)} | {f"{site}.build.service"}
        expected |= {f"{site}.{name}@blue.timer" for name in values.get("timers", {})}
        got = {name for name in names if re.match(rf"{site}[@.]", name)}
        assert got == expected, f"expected {sorted(expected)}, got {sorted(got)}"
    check_systemd(units, host)


# Directives that the oldest supported systemd does not have, by "Added in version" in the man pages of
# systemd 257. An older systemd logs a warning and ignores the directive.
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
def test_units_have_no_directive_newer_than_systemd(host, case):
    newer = {name: since for since, names in NEWER.items() for name in names.split()}
    for file in matching(
        host, case, r"\.(service|socket|swap)(\.d/|$)|/(unit|build)\.conf$|/journald\.conf\.d/"
    ):
        for name in re.findall(r"^(\w+)=", file.text, re.M):
            since = newer.get(name, 0)
            version = PLATFORMS[host]["systemd"]
            assert since <= version, f"{file.path}: {name}= requires systemd {since}, {host} has {version}"


# The highest permitted exposure level of `systemd-analyze security`, in tenths.
EXPOSURE = {
    **{"site": 2, "site with outbound traffic": 11, "loosened site": 15},
    **{"nginx": 25, "haproxy": 25, "challenges": 11, "certificates": 15, "database": 22, "service": 3},
    "build": 15,
}


@everywhere
def test_units_stay_below_their_exposure(host, case, units):
    allowed = {f"decanter-{name}.service": EXPOSURE[name] for name in ("certificates", "challenges")}
    allowed |= {f"{name}.service": EXPOSURE[name] for name in ("nginx", "haproxy")}
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
        code, output = run(*command, f"--threshold={threshold}", unit)
        found = re.search(r"exposure level for .*", output)
        assert code == 0, f"expected at most {threshold / 10}, got {found[0] if found else output}"


@everywhere
def test_services_listen_on_the_sockets_of_the_site(host, case):
    for site, values in CASES[case].sites.items():
        environment = matching(host, case, rf"/etc/decanter/{site}/environment$")[0].text
        shared = matching(host, case, rf"/etc/decanter/{site}/unit\.conf$")[0].text
        # The unit that fetches secrets starts before a site, too.
        after = re.findall(r"^After=(?!decanter-credentials@)(.*)", shared, re.M)
        if not values.get("services"):
            assert "REDIS_URL" not in environment and not after, f"expected no service, got {shared}"
            continue
        assert after == [" ".join(f"{name}@{site}.service" for name in sorted(values["services"]))], after
        settings = matching(host, case, rf"/etc/decanter/redis/{site}\.conf$")[0].text
        socket = re.findall(r"^unixsocket (.*)", settings, re.M)[0]
        assert f'REDIS_URL="unix://{socket}"\n' in environment, f"expected {socket} in {environment}"
        unit = matching(host, case, r"/memcached@\.service$")[0].text.replace("%i", site)
        socket = re.findall(r"--unix-socket=(\S+)", unit)[0]
        assert f'MEMCACHED_SOCKET="{socket}"\n' in environment, f"expected {socket} in {environment}"


@everywhere
def test_sandbox_exceptions_come_last_with_their_reason(host, case):
    for name, site in CASES[case].sites.items():
        got = directives(matching(host, case, rf"/etc/decanter/{name}/unit\.conf$")[0].text)
        for directive, loosened in site.get("sandbox", {}).items():
            value = {True: "yes", False: "no"}.get(loosened["value"], loosened["value"])
            assert len(got[directive]) > 1, (
                f"{directive}: expected a value before the exception, got {got[directive]}"
            )
            assert got[directive][-1] == (value, f"# {loosened['because']}"), got[directive]
        networks = site.get("outbound") if isinstance(site.get("outbound"), dict) else {}
        expected = [("localhost", "IPAddressDeny=any")] if networks else []
        for network in sorted(networks):
            rule = networks[network]
            expected.append((" ".join(rule["to"]), f"# {network}: {rule['because']}"))
        assert got.get("IPAddressAllow", []) == expected, got


def test_sandbox_directives_are_those_of_the_schema():
    """The schema permits or rejects each directive of a unit's sandbox, and has no others."""
    schema = SCHEMA["additionalProperties"]["properties"]
    known = set(schema["sandbox"]["propertyNames"]["enum"])
    texts = [matching("debian13", case, r"/unit\.conf$")[0].text for case in ("full", "elsewhere")]
    found = set().union(*(directives(text.partition("[Service]")[2]) for text in texts))
    assert known == found, f"expected {sorted(found)}, got {sorted(known)}"
    rejected = [set(rule["not"]["enum"]) for rule in schema["sandbox"]["propertyNames"]["allOf"]]
    assert set().union(*rejected) < known and not set.intersection(*rejected)


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
