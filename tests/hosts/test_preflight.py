"""The preflight of a converge rejects a host before any host is changed.

What a host is told to be is mounted over what it is, which leaves nothing on its disk. Each run has a
time zone to set that no host has: where it is refused, no host gets it.
"""

from __future__ import annotations

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
# Nobody has a petabyte.
MUCH = "1000000000"
LITTLE_MEMORY = ("-e", f"base_memory_min_mb={MUCH}")
LITTLE_DISK = ("-e", f"base_disk_min_mb={MUCH}")
BEGUN = "/run/decanter-test-begun"
# What a converge writes to, without what a running host writes by itself.
FOLDERS = "/etc /usr /opt /srv /root /var/lib/dpkg /var/lib/misc"
OLD_PYTHON = "/run/decanter-test-python"


@pytest.fixture
def one(host, variables) -> tuple[str, testinfra.host.Host]:
    """The one that is refused, which shows it for all."""
    name = variables["inventory_hostname"]
    if name != variables["groups"]["all"][-1]:
        pytest.skip("it takes a minute, and the first host has others that do")
    return name, host


@contextmanager
def mounted(host: testinfra.host.Host, path: str, content: str) -> Iterator[None]:
    """Have a file of the host say something else."""
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
def new(host: testinfra.host.Host) -> Iterator[None]:
    """Have the host look like one that was never converged."""
    with host.sudo():
        host.check_output("mount -t tmpfs none /etc/apt/apt.conf.d")
    try:
        yield
    finally:
        with host.sudo():
            host.check_output("umount /etc/apt/apt.conf.d")


@pytest.fixture
def refuse(one, inventory) -> Callable[..., str]:
    """Converge the one host, and others that are given, expect a refusal; the one message of it."""

    def run(*arguments: str, others: Hosts = ()) -> str:
        hosts = dict([one, *others])
        for host in hosts.values():
            with host.sudo():
                host.check_output(f"touch {BEGUN}")
        given = ("--limit", ",".join(hosts), "-e", f"base_timezone={ZONE}", *arguments)
        done = run_playbook("site.yml", inventory, *given)
        assert done.returncode != 0, f"expected a refusal, got {done.stdout}"
        assert_refused(done)
        for name, host in hosts.items():
            assert_left_alone(name, host)
        return " ".join(done.stdout.split())

    return run


def assert_left_alone(name: str, host: testinfra.host.Host) -> None:
    zone = host.check_output("readlink /etc/localtime")
    assert not zone.endswith(ZONE), f"expected {name} to be left alone, got the time zone {zone}"
    with host.sudo():
        changed = host.check_output(f"find {FOLDERS} -xdev -newercm {BEGUN}; rm {BEGUN}")
    assert changed == "", f"expected nothing to change on {name}, got {changed}"


def assert_refused(done: subprocess.CompletedProcess) -> None:
    said = done.stdout.count("Nothing was changed.")
    # Once where the task fails; Ansible 2.19 says it once more as an error above it.
    assert done.stdout.count("FAILED!") == 1 and said >= 1, f"expected one message, got {done.stdout}"
    assert "changed=0" in done.stdout and "Prepare every host" not in done.stdout, (
        f"expected to end before the first change, got {done.stdout}"
    )
    assert "Traceback" not in done.stdout and "rendering template" not in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("release", "found"),
    [
        (AMAZON, "Amazon Linux 2023"),
        ('NAME="Debian GNU/Linux"\nVERSION_ID="11"\n', "Debian GNU/Linux 11"),
        ('NAME="Debian GNU/Linux"\nVERSION_CODENAME=forky\n', "Debian GNU/Linux without a version"),
        ("# says nothing\n", "Linux without a version"),
        ('NAME="Ubuntu"\nVERSION_ID="20.04"\n', "Ubuntu 20.04"),
    ],
)
def test_another_distribution(one, refuse, release, found):
    name, host = one
    with mounted(host, OS_RELEASE, release):
        told = refuse()
    expected = f"{name}: found {found}, {SUPPORTED}. Nothing was changed."
    assert expected in told, f"expected {expected!r}, got {told}"


def test_a_python_that_is_too_old(one, refuse):
    name, host = one
    with host.sudo():
        host.check_output(f"printf '#!/bin/sh\\necho 3.9\\n' > {OLD_PYTHON} && chmod 755 {OLD_PYTHON}")
    try:
        told = refuse("-e", f"ansible_python_interpreter={OLD_PYTHON}")
    finally:
        with host.sudo():
            host.check_output(f"rm {OLD_PYTHON}")
    expected = f"{name}: found Python 3.9 at {OLD_PYTHON}, expected Python 3.10 or newer."
    assert expected in told, f"expected {expected!r}, got {told}"


def test_no_python(one, refuse):
    """With Mitogen, too, which could not even log in there."""
    told = refuse("-e", "ansible_python_interpreter=/nowhere/python3")
    expected = f"{one[0]}: found no Python at /nowhere/python3, expected Python 3.10 or newer."
    assert expected in told, f"expected {expected!r}, got {told}"


def test_no_systemd(one, refuse):
    name, host = one
    with mounted(host, "/proc/1/comm", "runit\n"):
        told = refuse()
    expected = f"{name}: found runit as process 1, expected systemd."
    assert expected in told, f"expected {expected!r}, got {told}"


def test_less_disk_than_a_new_host_needs(one, refuse):
    name, host = one
    free = "found %s MiB free on /, expected at least %s on a new host (base_disk_min_mb)."
    with new(host):
        told = refuse(*LITTLE_DISK)
    # As it was then: others use this machine's disk.
    found = told.split(f"{name}: found ")[-1].split()[0]
    expected = f"{name}: {free % (found, MUCH)}"
    assert found.isdigit() and expected in told, f"expected {expected!r}, got {told}"


def test_several_things_are_told_at_once(one, refuse):
    """The disk of a finished host, whose data may fill it, is none of them."""
    name, host = one
    memory = int(host.check_output("awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo"))
    with mounted(host, OS_RELEASE, AMAZON):
        told = refuse(*LITTLE_MEMORY, *LITTLE_DISK, "-e", "ansible_python_interpreter=/nowhere")
    expected = (
        f"{name}: found Amazon Linux 2023, {SUPPORTED}; "
        "found no Python at /nowhere, expected Python 3.10 or newer; "
        f"found {memory} MiB of memory, expected at least {MUCH} (base_memory_min_mb). Nothing was changed."
    )
    assert expected in told, f"expected {expected!r}, got {told}"


@pytest.mark.alone
def test_one_host_of_two_spares_the_other(one, peer, refuse):
    name, host = one
    other = peer.backend.host
    with mounted(host, OS_RELEASE, AMAZON):
        told = refuse(others=[(other, peer)])
    assert f"{name}: found Amazon Linux 2023" in told, f"expected {name} to be named, got {told}"
    assert f"{other}: found" not in told, f"expected {other} not to be, got {told}"
