"""The preflight of a converge rejects a host before any host is changed.

Bind mounts replace files of a host, so its disk stays unchanged. Each run sets a time zone that no host
has: a host with this time zone shows that the run did not end in the preflight.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest
import testinfra
import yaml

from tests.hosts.fixtures.lab import run_playbook
from tools.library import ROOT

Hosts = Iterable[tuple[str, testinfra.host.Host]]
ZONE = "Pacific/Chatham"
PLATFORMS = [yaml.safe_load(path.read_text()) for path in sorted(ROOT.glob("vars/platform/*.yml"))]
SUPPORTED = f"expected one of: {', '.join(platform['release'] for platform in PLATFORMS)}"
AMAZON = """NAME="Amazon Linux"
VERSION="2023"
ID="amzn"
ID_LIKE="fedora"
VERSION_ID="2023"
PLATFORM_ID="platform:al2023"
PRETTY_NAME="Amazon Linux 2023"
"""
OS_RELEASE = "/etc/os-release"
PETABYTE_MB = 10**9  # more than any host has
MEMORY_LIMIT = ("-e", json.dumps({"base_memory_min_mb": PETABYTE_MB}))
DISK_LIMIT = ("-e", json.dumps({"base_disk_min_mb": PETABYTE_MB}))
START_MARKER = "/run/decanter-test-begun"
# Folders that a converge changes and that a running host does not change by itself.
FOLDERS = "/etc /usr /opt /srv /root /var/lib/dpkg /var/lib/misc"
OLD_PYTHON = "/run/decanter-test-python"


@pytest.fixture
def target(host, variables) -> tuple[str, testinfra.host.Host]:
    """Return the name and connection of the last host. The tests skip the others."""
    name = variables["inventory_hostname"]
    if name != variables["groups"]["all"][-1]:
        pytest.skip("runs on the last host only: it takes a minute, and the first host has other slow tests")
    return name, host


@contextmanager
def mount_file(host: testinfra.host.Host, path: str, content: str) -> Iterator[None]:
    """Mount a file with other content over a file of the host."""
    with host.sudo():
        host.check_output(
            "printf %%s %s > /run/decanter-test && mount --bind /run/decanter-test %s", content, path
        )
    try:
        yield
    finally:
        with host.sudo():
            host.check_output("umount %s && rm /run/decanter-test", path)


@contextmanager
def simulate_new_host(host: testinfra.host.Host) -> Iterator[None]:
    """Hide the file by which the preflight recognises a converged host."""
    with host.sudo():
        host.check_output("mount -t tmpfs none /etc/apt/apt.conf.d")
    try:
        yield
    finally:
        with host.sudo():
            host.check_output("umount /etc/apt/apt.conf.d")


@pytest.fixture
def expect_failure(target, inventory) -> Callable[..., str]:
    """Return a function that converges hosts, asserts a failed preflight and returns the output."""

    def run(*arguments: str, others: Hosts = ()) -> str:
        hosts = dict([target, *others])
        for host in hosts.values():
            with host.sudo():
                host.check_output(f"touch {START_MARKER}")
        options = ("--limit", ",".join(hosts), "-e", f"base_timezone={ZONE}", *arguments)
        result = run_playbook("site.yml", inventory, *options)
        assert result.returncode != 0, f"expected a failure, got {result.stdout}"
        assert_preflight_failed(result)
        for name, host in hosts.items():
            assert_unchanged(name, host)
        return " ".join(result.stdout.split())

    return run


def assert_unchanged(name: str, host: testinfra.host.Host) -> None:
    zone = host.check_output("readlink /etc/localtime")
    assert not zone.endswith(ZONE), f"expected no change on {name}, got the time zone {zone}"
    with host.sudo():
        changed = host.check_output(f"find {FOLDERS} -xdev -newercm {START_MARKER}; rm {START_MARKER}")
    assert changed == "", f"expected nothing to change on {name}, got {changed}"


def assert_preflight_failed(result: subprocess.CompletedProcess) -> None:
    count = result.stdout.count("Nothing was changed.")
    # Ansible 2.19 prints the message twice: as an error, and as the result of the task.
    assert result.stdout.count("FAILED!") == 1 and count >= 1, f"expected one message, got {result.stdout}"
    assert "changed=0" in result.stdout and "Prepare every host" not in result.stdout, (
        f"expected the end of the run before the first change, got {result.stdout}"
    )
    assert "Traceback" not in result.stdout and "rendering template" not in result.stdout, result.stdout


@pytest.mark.parametrize(
    ("release", "found"),
    [
        (AMAZON, "Amazon Linux 2023"),
        ('NAME="Debian GNU/Linux"\nVERSION_ID="11"\n', "Debian GNU/Linux 11"),
        ('NAME="Debian GNU/Linux"\nVERSION_CODENAME=forky\n', "Debian GNU/Linux without a version"),
        ("# no fields\n", "Linux without a version"),
        ('NAME="Ubuntu"\nVERSION_ID="20.04"\n', "Ubuntu 20.04"),
    ],
)
def test_unsupported_distribution_fails_before_changes(target, expect_failure, release, found):
    name, host = target
    with mount_file(host, OS_RELEASE, release):
        output = expect_failure()
    expected = f"{name}: found {found}, {SUPPORTED}. Nothing was changed."
    assert expected in output, f"expected {expected!r}, got {output}"


def test_outdated_python_fails_before_changes(target, expect_failure):
    name, host = target
    with host.sudo():
        host.check_output(f"printf '#!/bin/sh\\necho 3.9\\n' > {OLD_PYTHON} && chmod 755 {OLD_PYTHON}")
    try:
        output = expect_failure("-e", f"ansible_python_interpreter={OLD_PYTHON}")
    finally:
        with host.sudo():
            host.check_output(f"rm {OLD_PYTHON}")
    expected = f"{name}: found Python 3.9 at {OLD_PYTHON}, expected Python 3.10 or newer."
    assert expected in output, f"expected {expected!r}, got {output}"


def test_missing_python_fails_before_changes(target, expect_failure):
    """The message is the same with Mitogen, which cannot log in without Python."""
    output = expect_failure("-e", "ansible_python_interpreter=/nowhere/python3")
    expected = f"{target[0]}: found no Python at /nowhere/python3, expected Python 3.10 or newer."
    assert expected in output, f"expected {expected!r}, got {output}"


def test_other_init_system_fails_before_changes(target, expect_failure):
    name, host = target
    with mount_file(host, "/proc/1/comm", "runit\n"):
        output = expect_failure()
    expected = f"{name}: found runit as process 1, expected systemd."
    assert expected in output, f"expected {expected!r}, got {output}"


def test_new_host_with_full_disk_fails_before_changes(target, expect_failure):
    name, host = target
    free = "found %s MiB free on /, expected at least %s on a new host (base_disk_min_mb)."
    with simulate_new_host(host):
        output = expect_failure(*DISK_LIMIT)
    # Read the value from the message, because other programs write to the same disk.
    found = output.split(f"{name}: found ")[-1].split()[0]
    expected = f"{name}: {free % (found, PETABYTE_MB)}"
    assert found.isdigit() and expected in output, f"expected {expected!r}, got {output}"


def test_several_problems_are_reported_at_once(target, expect_failure):
    """The free disk of a converged host is not checked, because data may fill the disk."""
    name, host = target
    memory = int(host.check_output("awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo"))
    with mount_file(host, OS_RELEASE, AMAZON):
        output = expect_failure(*MEMORY_LIMIT, *DISK_LIMIT, "-e", "ansible_python_interpreter=/nowhere")
    expected = (
        f"{name}: found Amazon Linux 2023, {SUPPORTED}; "
        "found no Python at /nowhere, expected Python 3.10 or newer; "
        f"found {memory} MiB of memory, expected at least {PETABYTE_MB} (base_memory_min_mb). "
        "Nothing was changed."
    )
    assert expected in output, f"expected {expected!r}, got {output}"


@pytest.mark.alone
def test_unsupported_host_leaves_other_hosts_unchanged(target, peer, expect_failure):
    name, host = target
    other = peer.backend.host
    with mount_file(host, OS_RELEASE, AMAZON):
        output = expect_failure(others=[(other, peer)])
    assert f"{name}: found Amazon Linux 2023" in output, f"expected a problem of {name}, got {output}"
    assert f"{other}: found" not in output, f"expected no problem of {other}, got {output}"
