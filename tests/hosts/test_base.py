"""What role base promises, asked of a host that it has set up."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def sshd(host) -> dict[str, list[str]]:
    """sshd's configuration as sshd itself reads it: each keyword's values."""
    values: dict[str, list[str]] = {}
    with host.sudo():
        for line in host.check_output("/usr/sbin/sshd -T").splitlines():
            keyword, _, value = line.partition(" ")
            values.setdefault(keyword, []).append(value)
    return values


@pytest.mark.parametrize(
    ("keyword", "expected"),
    [
        ("passwordauthentication", ["no"]),
        ("kbdinteractiveauthentication", ["no"]),
        ("x11forwarding", ["no"]),
        ("logingracetime", ["30"]),
    ],
)
def test_sshd_has_no_passwords(sshd, keyword, expected) -> None:
    assert sshd[keyword] == expected, f"sshd's {keyword}: expected {expected}, got {sshd[keyword]}"


def test_root_logs_in_by_key_at_most(host, sshd) -> None:
    expected = "without-password" if host.check_output("id -un") == "root" else "no"
    assert sshd["permitrootlogin"] == [expected], f"expected {expected}, got {sshd['permitrootlogin']}"


def test_a_password_is_not_even_asked_for(host) -> None:
    """sshd answers a client without a key with the methods that it takes."""
    port = host.check_output("echo $SSH_CONNECTION").split()[3]
    # It is refused, as it should be, with ssh's 255, which testinfra takes for a lost connection: what
    # is asserted is the answer.
    answer = host.run(
        "ssh -o BatchMode=yes -o PreferredAuthentications=none -o StrictHostKeyChecking=no "
        f"-o UserKnownHostsFile=/dev/null -p {port} nobody@127.0.0.1 true || true"
    ).stderr
    assert "Permission denied (publickey)" in answer, f"expected publickey only, got: {answer}"


def test_sshd_listens_where_it_says(host, sshd) -> None:
    for port in sshd["port"]:
        assert host.socket(f"tcp://0.0.0.0:{port}").is_listening, (
            f"expected sshd on port {port}, got nothing there"
        )


def test_sudo_says_nothing(host) -> None:
    """Neither a password is asked for, nor does the host not know its own name."""
    result = host.run("sudo -n true")
    assert (result.rc, result.stderr) == (0, ""), f"expected a silent 0, got {result.rc}: {result.stderr}"


def test_the_journal_is_kept_and_bounded(host) -> None:
    with host.sudo():
        kept = host.run("journalctl --header --directory=/var/log/journal --lines=1")
        limit = host.run(
            "journalctl --unit=systemd-journald --output=cat --grep='System Journal.*max' --lines=1"
        ).stdout
    assert kept.rc == 0, f"expected a journal in /var/log/journal, got: {kept.stderr}"
    assert "max 500" in limit, f"expected at most 500M, got: {limit}"


def test_security_updates_are_taken(host) -> None:
    values = host.check_output("apt-config dump")
    for expected in (
        'APT::Periodic::Unattended-Upgrade "1";',
        'APT::Periodic::Update-Package-Lists "1";',
        'Unattended-Upgrade::Automatic-Reboot "false";',
    ):
        assert expected in values, f"expected {expected} in apt-config dump, got none"
    with host.sudo():
        dry = host.run("unattended-upgrade --dry-run --verbose")
    assert dry.rc == 0, f"expected 0, got {dry.rc}: {dry.stdout}{dry.stderr}"
    origins = next(line for line in dry.stdout.splitlines() if line.startswith("Allowed origins"))
    codename = host.system_info.codename
    assert f"{codename}-security" in origins, f"expected {codename}-security, got {origins}"
    assert "label=Debian," not in origins, f"expected security updates only, got {origins}"
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        assert host.service(timer).is_enabled, f"expected {timer} to be enabled, got disabled"


def test_dpkg_has_nothing_left_to_do(host) -> None:
    left = host.run("dpkg --audit").stdout
    assert left == "", f"expected nothing, got: {left}"


def test_time_is_kept(host) -> None:
    assert host.service("chrony").is_enabled, "expected chrony to be enabled, got disabled"
    zone = host.check_output("date +%Z")
    assert zone == "UTC", f"expected UTC, got {zone}"


def test_kernel_settings(host) -> None:
    rendered = host.file("/etc/sysctl.d/90-decanter.conf").content_string.splitlines()
    container = host.run("systemd-detect-virt --container").rc == 0
    for name, value in (("vm.swappiness", 10), ("fs.protected_regular", 2), ("kernel.dmesg_restrict", 1)):
        expected = f"# -{name} = {value}" if container else f"-{name} = {value}"
        assert expected in rendered, f"expected {expected!r} to be written, got none"
        if not container:
            got = host.sysctl(name)
            assert got == value, f"{name}: expected {value}, got {got}"
    for name, value in (("net.core.somaxconn", 4096), ("net.ipv4.tcp_syncookies", 1)):
        got = host.sysctl(name)
        assert got == value, f"{name}: expected {value}, got {got}"


def test_locale(host) -> None:
    default = host.file("/etc/default/locale").content_string
    assert "LANG=C.UTF-8" in default, f"expected LANG=C.UTF-8, got: {default}"
