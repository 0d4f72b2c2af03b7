"""The configuration of hosts after role base: sshd, sudo, journald, updates, time, kernel, locale."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def sshd(host) -> dict[str, list[str]]:
    """Return the effective configuration of sshd: the values of each keyword."""
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
def test_sshd_disables_passwords(sshd, keyword, expected) -> None:
    assert sshd[keyword] == expected, f"sshd's {keyword}: expected {expected}, got {sshd[keyword]}"


def test_sshd_root_login_needs_key(host, sshd) -> None:
    expected = "without-password" if host.check_output("id -un") == "root" else "no"
    assert sshd["permitrootlogin"] == [expected], f"expected {expected}, got {sshd['permitrootlogin']}"


def test_sshd_offers_publickey_only(host) -> None:
    """sshd rejects a client without a key and lists the authentication methods that it accepts."""
    port = host.check_output("echo $SSH_CONNECTION").split()[3]
    # `|| true`, because ssh exits with 255, which testinfra treats as a lost connection.
    output = host.run(
        "ssh -o BatchMode=yes -o PreferredAuthentications=none -o StrictHostKeyChecking=no "
        f"-o UserKnownHostsFile=/dev/null -p {port} nobody@127.0.0.1 true || true"
    ).stderr
    assert "Permission denied (publickey)" in output, f"expected publickey only, got: {output}"


def test_sshd_listens_on_configured_ports(host, sshd) -> None:
    for port in sshd["port"]:
        assert host.socket(f"tcp://0.0.0.0:{port}").is_listening, (
            f"expected sshd on port {port}, found no listener"
        )


def test_sudo_prints_no_prompt_or_warning(host) -> None:
    """sudo needs no password, and resolves the hostname without a warning."""
    result = host.run("sudo -n true")
    assert (result.rc, result.stderr) == (0, ""), f"expected 0, no output; got {result.rc}: {result.stderr}"


def test_journal_is_persistent_and_limited(host) -> None:
    with host.sudo():
        header = host.run("journalctl --header --directory=/var/log/journal --lines=1")
        limit = host.run(
            "journalctl --unit=systemd-journald --output=cat --grep='System Journal.*max' --lines=1"
        ).stdout
    assert header.rc == 0, f"expected a journal in /var/log/journal, got: {header.stderr}"
    assert "max 500" in limit, f"expected a limit of 500M, got: {limit}"


def test_security_updates_are_installed_automatically(host) -> None:
    values = host.check_output("apt-config dump")
    for expected in (
        'APT::Periodic::Unattended-Upgrade "1";',
        'APT::Periodic::Update-Package-Lists "1";',
        'Unattended-Upgrade::Automatic-Reboot "false";',
    ):
        assert expected in values, f"expected {expected} in the output of apt-config dump"
    with host.sudo():
        dry = host.run("unattended-upgrade --dry-run --verbose")
    assert dry.rc == 0, f"expected 0, got {dry.rc}: {dry.stdout}{dry.stderr}"
    origins = next(line for line in dry.stdout.splitlines() if line.startswith("Allowed origins"))
    codename = host.system_info.codename
    assert f"{codename}-security" in origins, f"expected {codename}-security, got {origins}"
    assert "label=Debian," not in origins, f"expected security updates only, got {origins}"
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        assert host.service(timer).is_enabled, f"expected {timer} to be enabled, got disabled"


def test_dpkg_has_no_pending_packages(host) -> None:
    output = host.run("dpkg --audit").stdout
    assert output == "", f"expected no output of dpkg --audit, got: {output}"


def test_time_is_synchronized_and_utc(host) -> None:
    assert host.service("chrony").is_enabled, "expected chrony to be enabled, got disabled"
    zone = host.check_output("date +%Z")
    assert zone == "UTC", f"expected UTC, got {zone}"


def test_sysctl_settings_are_applied(host) -> None:
    rendered = host.file("/etc/sysctl.d/90-decanter.conf").content_string.splitlines()
    container = host.run("systemd-detect-virt --container").rc == 0
    for name, value in (("vm.swappiness", 10), ("fs.protected_regular", 2), ("kernel.dmesg_restrict", 1)):
        expected = f"# -{name} = {value}" if container else f"-{name} = {value}"
        assert expected in rendered, f"expected {expected!r} in 90-decanter.conf"
        if not container:
            got = host.sysctl(name)
            assert got == value, f"{name}: expected {value}, got {got}"
    for name, value in (("net.core.somaxconn", 4096), ("net.ipv4.tcp_syncookies", 1)):
        got = host.sysctl(name)
        assert got == value, f"{name}: expected {value}, got {got}"


def test_locale_is_utf8(host) -> None:
    default = host.file("/etc/default/locale").content_string
    assert "LANG=C.UTF-8" in default, f"expected LANG=C.UTF-8, got: {default}"
