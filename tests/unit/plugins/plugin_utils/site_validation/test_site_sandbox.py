"""The sandbox of a site, and its access to the network."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation import sandbox
from sites_examples import changed, minimal
from sites_tables import accepted

VALID = [
    ("outbound", False),
    ("outbound", True),
]
test_valid_value_is_accepted = accepted(VALID)

DIRECTIVE = "a directive that the unit's sandbox sets, such as MemoryDenyWriteExecute"
EXCEPTION = "a dictionary such as {value: false, because: numba compiles}"
REASON = "the reason, on one line"
# Values that systemd ignores with a warning, or that an older version ignores.
IGNORED = [
    ("MemoryDenyWriteExecute", ("perhaps", "2"), "true or false"),
    ("ProtectControlGroups", ("strict", "private"), "true or false"),
    ("ProtectHostname", ("private",), "true or false"),
    ("DevicePolicy", ("open", False), "one of: auto, closed, strict"),
    ("ProcSubset", ("some", True), "one of: all, pid"),
    ("ProtectProc", ("no", False), "one of: noaccess, invisible, ptraceable, default"),
    (
        *("SystemCallErrorNumber", ("EFOO", "eperm", "0")),
        "one of: EPERM, EACCES, EINVAL, ENODEV, ENOENT, ENOSYS, ENOTSUP, EOPNOTSUPP, EROFS, EUCLEAN",
    ),
    (
        *(
            "RestrictAddressFamilies",
            ("AF_FOO", "AF_UNIX, AF_INET", "none AF_UNIX", "AF_UNIX ~AF_INET", False),
        ),
        "none, some of: AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_ALG, AF_BLUETOOTH, AF_CAN, "
        "AF_KEY, AF_RDS, AF_TIPC, AF_VSOCK, AF_XDP",
    ),
    (
        *("RestrictNamespaces", ("users", "user time")),
        "yes, no, some of: cgroup, ipc, net, mnt, pid, user, uts",
    ),
    ("SystemCallArchitectures", ("amd64", "~x86", True), "some of: native, x86, x86-64, x32, arm, arm64"),
    (
        *("SystemCallFilter", ("nosuch", "@nosuch", "mbind ~mount", "mbind,mount", "~", False)),
        "names of system calls, or some of: @aio, @basic-io, @chown, @clock, @cpu-emulation, @debug, "
        "@default, @file-system, @io-event, @ipc, @keyring, @known, @memlock, @module, @mount, @network-io, "
        "@obsolete, @pkey, @privileged, @process, @raw-io, @reboot, @resources, @setuid, @signal, @swap, "
        "@sync, @system-service, @timer",
    ),
]
SANDBOX = [
    ("Nice", {"value": "5", "because": "x"}, "", 'the name "Nice"', DIRECTIVE),
    *(
        (
            name,
            {"value": "no", "because": "x"},
            "",
            f'the name "{name}"',
            "another directive, because this one isolates sites",
        )
        for name in ("User", "NoNewPrivileges", "ProtectSystem", "PrivateUsers", "CapabilityBoundingSet")
    ),
    (
        *("PrivateNetwork", {"value": "no", "because": "x"}, "", 'the name "PrivateNetwork"'),
        "outbound, which lists the networks that the application may connect to",
    ),
    ("ProtectProc", {"value": "default"}, ".because", "nothing", REASON),
    ("ProtectProc", {"value": "default", "because": " "}, ".because", '" "', REASON),
    ("ProtectProc", {"value": "default", "because": "a\nUser=root"}, ".because", '"a\\nUser=root"', REASON),
    ("ProtectProc", {"value": "default", "because": "a\\"}, ".because", '"a\\\\"', REASON),
    ("ProtectProc", "default", "", "a string", EXCEPTION),
    *(
        (
            *("ProtectProc", {"value": value, "because": "x"}, ".value", found),
            "true, false or a value that systemd accepts, on one line",
        )
        for value, found in (
            ("a\nUser=root", '"a\\nUser=root"'),
            ("a\\", '"a\\\\"'),
            (5, "5"),
            ("", "an empty string"),
        )
    ),
    *(
        (name, {"value": value, "because": "x"}, ".value", json.dumps(value), expected)
        for name, values, expected in IGNORED
        for value in values
    ),
    *(
        (
            *("ReadWritePaths", {"value": path, "because": "x"}, ".value", f'"{path}"'),
            "folders of the application's own, such as /var/lib/myproject",
        )
        for path in (
            *("/var/lib/%n", "/var/lib/'a'", "+-/var/lib/a"),
            *("/", "/var", "/etc/nginx", "-/usr/lib", "relative/path", "/var/lib/a /srv/other/shared"),
            *("/srv/harbour", "/srv/harbour/releases", "/srv/harbour/../x", "/srv/harbour/venvs/1"),
        )
    ),
]


@pytest.mark.parametrize(("name", "value", "at", "found", "expected"), SANDBOX)
def test_sandbox_invalid_exception_is_rejected(name, value, at, found, expected, root) -> None:
    assert sites_check.site_errors(changed(minimal(), "sandbox", {name: value}), root) == [
        f"sites.harbour.sandbox.{name}{at}: found {found}, expected {expected}"
    ]


OUTBOUND = "true, false or a dictionary such as {payments: {to: [192.0.2.0/24], because: it takes cards}}"
NETWORK = "a network or an address, such as 192.0.2.0/24"
INVALID_OUTBOUND = [
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


@pytest.mark.parametrize(("value", "at", "found", "expected"), INVALID_OUTBOUND)
def test_outbound_invalid_value_is_rejected(value, at, found, expected, root) -> None:
    assert sites_check.site_errors(changed(minimal(), "outbound", value), root) == [
        f"sites.harbour.outbound{at}: found {found}, expected {expected}"
    ]


ACCEPTED = [
    *(
        (name, value)
        for name in sorted(sandbox.BOOLEAN)
        for value in (*sandbox.BOOLEANS, "True", True, False)
    ),
    *((name, value) for name, values in sandbox.SINGLE.items() for value in values),
    *((name, value) for name, values in sandbox.LISTS.items() for value in (*values, " ".join(values))),
    *((name, value) for name, values in sandbox.ALONE.items() for value in values),
    ("RestrictNamespaces", False),
    ("RestrictNamespaces", "~user pid"),
    ("RestrictAddressFamilies", "~AF_PACKET"),
    ("SystemCallFilter", "@resources mbind"),
    ("SystemCallFilter", "~@pkey set_mempolicy"),
    ("SystemCallFilter", " ".join(sorted(set.union(*sandbox.system_calls())))),
    ("ReadWritePaths", "/var/lib/myproject -/mnt/data -+/srv/harbour/cache"),
]


@pytest.mark.parametrize(("name", "value"), ACCEPTED)
def test_sandbox_value_is_accepted(name: str, value: str | bool, root: str) -> None:
    sites = changed(minimal(), "sandbox", {name: {"value": value, "because": "x"}})
    assert sites_check.site_errors(sites, root) == []


def test_systemd_ignores_no_accepted_value(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("this machine has no systemd-analyze")
    values = (
        (name, value if isinstance(value, str) else "yes" if value else "no") for name, value in ACCEPTED
    )
    lines = [f"{name}={value}\n" for name, value in values]
    unit = tmp_path / "harbour.service"
    unit.write_text("[Service]\nExecStart=/bin/true\n" + "".join(lines))
    command = ["systemd-analyze", "verify", "--man=no", "--generators=no", str(unit)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr) == (0, "")
