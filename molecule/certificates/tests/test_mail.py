"""Mails to the operator about failures of the unit."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ALARM, METRICS, ROOT, UNIT, output_of_run
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SECRET = "pass'w\"ord"


def write_pair(folder: Path, directory: Path) -> None:
    """Write a key, and a certificate for 127.0.0.1 that the lab's CA has signed."""
    authority = x509.load_pem_x509_certificate((directory / "ca.crt").read_bytes())
    authority_key = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    certificate = (
        x509.CertificateBuilder(authority.subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        # Python 3.13 requires this extension.
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "mail.crt").write_bytes(certificate.public_bytes(encoding))
    (folder / "mail.key").write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))


@pytest.fixture
def mails(host, play, sites, variables, tmp_path) -> Iterator[Callable[[], list[str]]]:
    """Start a mail server on the host, and configure the host to use it with STARTTLS and a password.

    Return a function that returns the mails since its last call.
    """
    directory, folder = Path(variables["lab_directory"]), "/run/mail-server"
    write_pair(tmp_path, directory)
    files = {name: (tmp_path / name).read_text() for name in ("mail.crt", "mail.key")}
    files["password"] = secret = SECRET
    files["server.py"] = (ROOT / "tests/unit/support/mail_server.py").read_text()
    login = {"server": "127.0.0.1", "port": 2525, "user": "decanter", "password": secret}
    mail = {"to": ["ops@web.test"], "ca": str(directory / "ca.crt"), **login}
    (tmp_path / "mail.json").write_text(json.dumps({"base_mail": mail}))
    with host.sudo():
        host.check_output(f"mkdir -p {folder}/mails")
        host.check_output("rm -f /var/lib/decanter-alarm/*")
        for name, content in files.items():  # sudo writes each command to the journal
            encoded = base64.b64encode(content.encode()).decode()
            host.check_output("echo %s | base64 -d > %s", encoded, f"{folder}/{name}")
        arguments = " ".join(f"{folder}/{name}" for name in ("mails", "mail.crt", "mail.key", "password"))
        command = f"/usr/bin/python3 {folder}/server.py 2525 {arguments}"
        host.check_output(f"systemd-run --unit mail-server --quiet {command}")
    result = play("site.yml", sites, "--tags", "base", "--diff", "-e", f"@{tmp_path}/mail.json")
    assert result.returncode == 0, result.stdout + result.stderr
    assert secret not in result.stdout.replace("\\", ""), "expected no password in the output"

    def received() -> list[str]:
        with host.sudo():
            # The alarm is a unit that starts a moment after the other unit has failed.
            state = f"systemctl show --property ActiveState --value {ALARM}"
            host.check_output(f"sleep 0.5; while [ $({state}) = activating ]; do sleep 0.2; done")
            names = host.run(f"ls {folder}/mails").stdout.split()
            texts = [host.check_output(f"cat {folder}/mails/{name}") for name in names]
            host.run(f"rm -f {folder}/mails/*")
        return [text.replace("\r\n", "\n") for text in texts]

    yield received
    with host.sudo():
        host.run("systemctl stop mail-server.service")
        host.check_output(f"rm -r {folder}")
    play("site.yml", sites, "--tags", "base")
    with host.sudo():
        status = host.run("ls /etc/decanter/alarm.json").rc
    assert status != 0, "expected no configuration of mail"


def test_failure_and_recovery_are_mailed_once(
    host, run_unit, force_renewal, mails, authority_down, other_names, host_name
):
    with authority_down():
        for _ in range(2):
            force_renewal()
        (mail,) = mails()
        for expected in ("To: ops@web.test", f"{UNIT} failed", "plain: https://", "Auto-Submitted"):
            assert expected in mail, f"expected {expected!r}, got {mail}"
        assert "renewals have failed" in force_renewal()
        (mail,) = mails()
        assert "plain: renewals have failed since 20" in mail, mail
        with host.sudo():
            metrics = host.check_output(f"cat {METRICS}")
        assert 'decanter_certificate_alarm{site="plain"} 1' in metrics, metrics
    output_of_run(host, run_unit, fails=False)
    (mail,) = mails()
    assert f"{UNIT} recovered" in mail, mail
    with host.sudo():
        mode = host.check_output("stat --format='%a %U' /etc/decanter/alarm.json")
        output = host.check_output(f"systemctl show {ALARM}; journalctl --boot --output cat")
        # A server that is down is reported once, without retries.
        host.check_output("systemctl stop mail-server.service")
    assert mode == "600 root", f"expected only root to read the password, got {mode}"
    assert SECRET not in output, "expected the password in no unit and no journal"
    with authority_down():
        force_renewal()
        assert mails() == []
    with host.sudo():
        log = host.check_output(f"journalctl --unit {ALARM} --lines 5 --output cat")
        restarts = host.check_output(f"systemctl show {ALARM} --property NRestarts --value")
    assert "no mail could be sent: [Errno 111] Connection refused" in log and restarts == "0", log
