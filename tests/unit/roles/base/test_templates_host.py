"""The files of a host: sshd, sudo, apt, the kernel and the shell."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from templates_cases import PLATFORMS
from templates_rendering import everywhere, matching, program, rendered_root, run


@pytest.fixture
def root(host: str, case: str) -> Iterator[Path]:
    yield from rendered_root(host, case)


@everywhere
def test_sshd_accepts_its_configuration(host, case, root):
    sshd, keygen, key = program("sshd"), program("ssh-keygen"), root / "key"
    run(keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    path = root / "etc/ssh/sshd_config.d/10-decanter.conf"
    code, output = run(sshd, "-t", "-h", str(key), "-f", str(path))
    # If sshd is not installed as a service, its user and folder are missing. sshd checks for them after it
    # has read a valid configuration.
    assert code == 0 or re.match("(Missing p|P)rivilege separation (directory|user)", output), output


@everywhere
def test_sudo_accepts_its_rules(host, case, root):
    path = root / "etc/sudoers.d/50-decanter"
    path.chmod(0o440)
    code, output = run(program("visudo"), "-c", "-f", str(path))
    assert code == 0, output


@everywhere
def test_apt_accepts_its_configuration(host, case, root):
    path = root / "etc/apt/apt.conf.d/52-decanter"
    code, output = run(program("apt-config"), "--config-file", str(path), "dump")
    assert code == 0, output
    expected = set(PLATFORMS[host]["apt"]["security_origins"])
    origins = re.findall(r'^Unattended-Upgrade::Origins-Pattern:: "(.*)";', output, re.M)
    assert expected <= set(origins), f"expected {expected}, got {origins}"
    assert 'DPkg::Options:: "--force-confold";' in output.replace("Dpkg", "DPkg"), output
    assert not any("Allowed-Origins::" in line for line in output.splitlines()), output


@everywhere
def test_ini_sections_have_each_key_once(host, case):
    for file in matching(host, case, r"\.cnf$|journald\.conf\.d/"):
        parser = configparser.RawConfigParser(allow_no_value=True, comment_prefixes=("#",))
        parser.read_string(file.text, file.path)
        for section in parser.sections():
            bare = {name for name, value in parser[section].items() if value in (None, "")}
            assert bare <= {"skip-networking"}, f"{file.path}: expected values, got none for {bare}"


@everywhere
def test_sysctl_lines_are_names_and_values(host, case):
    for file in matching(host, case, r"/sysctl\.d/"):
        lines = [line for line in file.text.splitlines() if line and not line.startswith("#")]
        wrong = [line for line in lines if not re.fullmatch(r"-?[a-z0-9_.]+ = [\w ]+", line)]
        assert not wrong, f"{file.path}: {wrong}"
        others = [line for line in lines if not line.lstrip("-").startswith("net.")]
        assert bool(others) == (case != "address"), f"a container sets its network only, got {others}"


@everywhere
def test_shell_reads_default_files(host, case, root):
    for name in ("etc/default/ufw", "etc/default/locale"):
        code, output = run(program("sh"), "-n", str(root / name))
        assert code == 0, output
