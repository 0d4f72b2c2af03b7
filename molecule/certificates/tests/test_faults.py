"""What goes wrong with certificates: what is served goes on being served, and somebody is told why."""

from __future__ import annotations

import base64
import copy
import datetime
import ipaddress
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, STATE, eventually
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.support.certificate_pair import pair

UNIT = "decanter-certificates.service"
ALARM = f"decanter-alarm@{UNIT}.service"
DAY = 86400
SECRET = "pass'w\"ord"
DROP_IN = f"/run/systemd/system/{UNIT}.d"
METRICS = "/var/lib/decanter/metrics/certificates.prom"


@pytest.fixture
def me(variables) -> str:
    return variables["inventory_hostname"]


@pytest.fixture
def forced(host, turn) -> Callable[..., str]:
    """Have one site's certificate renewed now; what the unit said. It fails where that is expected."""

    def run(site: str = "plain", fails: bool = True) -> str:
        request = json.dumps({"force": True, "site": site})
        with host.sudo():
            host.check_output("printf %%s %s > %s/request.json", request, STATE)
            since = host.check_output("date +%s")
        return said(host, turn, fails, since)

    return run


def said(host, turn, fails: bool, since: str = "") -> str:
    """What the unit says in a run."""
    with host.sudo():
        since = since or host.check_output("date +%s")
        finished = turn()
        invocation = host.check_output(f"systemctl show {UNIT} --property InvocationID --value")
        log = host.check_output(f"journalctl _SYSTEMD_INVOCATION_ID={invocation} --output cat")
    assert (finished.rc != 0) == fails, f"expected it {'to fail' if fails else 'to be well'}, got {log}"
    return log


@pytest.fixture
def authority_down(host) -> Callable[[], AbstractContextManager[None]]:
    rule = "OUTPUT -p tcp --dport 14000 -j REJECT --reject-with tcp-reset"

    @contextmanager
    def down() -> Iterator[None]:
        with host.sudo():
            host.check_output(f"iptables -I {rule}")
        try:
            yield
        finally:
            with host.sudo():
                host.check_output(f"iptables -D {rule}")

    return down


@pytest.fixture
def other_names(host, authority, variables, me) -> Iterator[None]:
    """Every name of every site leads here, so that a unit that fails does so for the fault of a test."""
    names = [f"{name}.{me}.test" for name in ("astray", "early")]
    for name in names:
        authority.lead(name, "")
        authority.lead(name, variables["ansible_host"])
    yield
    for name in names:
        authority.lead(name, "")
    authority.lead(names[0], authority.address)


@pytest.mark.parametrize(("by", "which"), [("+3y", "3 years ahead of"), ("-3y", "3 years behind")])
def test_a_wrong_clock_is_said_and_alarms_nobody_for_nothing(host, turn, shown, me, by, which):
    before = shown(f"plain.{me}.test")
    with host.sudo():
        host.check_output("dpkg -s libfaketime >/dev/null 2>&1 || apt-get install --yes --quiet libfaketime")
        library = host.check_output("dpkg -L libfaketime | grep /libfaketime.so.1")
        words = f"LD_PRELOAD={library} FAKETIME={by} FAKETIME_DONT_FAKE_MONOTONIC=1"
        host.check_output(f"mkdir -p {DROP_IN}")
        host.check_output("printf '[Service]\\nEnvironment=%s\\n' %s > %s/clock.conf", "%s", words, DROP_IN)
        host.check_output("systemctl daemon-reload")
    try:
        log = said(host, turn, fails=True)
    finally:
        with host.sudo():
            host.check_output(f"rm -r {DROP_IN} && systemctl daemon-reload")
    (line,) = log.splitlines()
    assert line.startswith("this host's clock is wrong: it says 20") and which in line, log
    assert shown(f"plain.{me}.test") == before
    with host.sudo():
        metrics = host.check_output(f"cat {METRICS}")
    assert 'decanter_certificate_alarm{site="plain"} 0' in metrics and "decanter_clock_wrong 1" in metrics


def test_a_full_disk_leaves_what_is_served_and_asks_for_nothing(host, forced, shown, me):
    before = shown(f"plain.{me}.test")
    with host.sudo():
        host.check_output(f"cp -a {STATE} {STATE}.kept && mount -t tmpfs -o size=4m,mode=700 tmpfs {STATE}")
        try:
            host.check_output(f"cp -a {STATE}.kept/. {STATE}")
            request = '{"force": true, "site": "plain"}'
            host.check_output("printf %%s %s > %s/request.json", request, STATE)
            host.run(f"dd if=/dev/zero of={STATE}/full bs=64k 2>/dev/null")
            host.run(f"dd if=/dev/zero of={STATE}/full2 bs=1k 2>/dev/null")
            finished = host.run(f"systemctl start {UNIT}")
            log = host.check_output(f"journalctl --unit {UNIT} --lines 20 --output cat")
        finally:
            host.check_output(f"umount {STATE} && rm -r {STATE}.kept")
    assert finished.rc != 0, "expected the unit to fail"
    assert f"plain: {STATE}/sites/plain.json: No space left on device" in log, log
    assert shown(f"plain.{me}.test") == before
    assert "got one for" in forced(fails=False) and shown(f"plain.{me}.test") != before


def test_an_account_that_is_gone_is_made_anew_once(host, forced, shown, me):
    before = shown(f"plain.{me}.test")
    with host.sudo():
        file = host.check_output(f"find {STATE}/certbot/accounts -name regr.json")
        host.check_output(r"sed -i 's|my-account/[^\"]*|my-account/gone|' %s", file)
        old = Path(file).parent.name
    log = forced(fails=False)
    assert "does not know this host's account any more; another is made" in log, log
    assert shown(f"plain.{me}.test") != before, "expected a new certificate all the same"
    with host.sudo():
        aside = host.check_output(f"ls {STATE}/accounts-gone/*")
        assert old in aside, f"expected {old} to be kept, got {aside}"
        host.check_output(f"rm -r {STATE}/accounts-gone")
    assert "another is made" not in forced(fails=False), "expected that once"


def test_another_address_is_told_once(host, converge, sites):
    converge(sites, "-e", "certbot_email=others@web.test")
    with host.sudo():
        known = json.loads(host.check_output(f"cat {STATE}/account.json"))
        log = host.check_output(f"journalctl --unit {UNIT} --lines 40 --output cat")
    assert known["email"] == "others@web.test" and "writes to others@web.test now" in log, log
    converge(sites)


def test_a_reload_that_fails_is_said_and_done_by_the_next(host, forced, turn, shown, me):
    before, broken = shown(f"plain.{me}.test"), "/etc/nginx/sites-enabled/99-broken.conf"
    with host.sudo():
        host.check_output(f"echo 'nonsense on;' > {broken}")
    try:
        for log in (forced(), said(host, turn, fails=True)):  # and it is not forgotten
            assert "nginx.service goes on with the old: " in log and 'unknown directive "nonsense"' in log, (
                log
            )
        assert shown(f"plain.{me}.test") == before, "expected the old one to be served"
    finally:
        with host.sudo():
            host.check_output(f"rm {broken}")
    log = said(host, turn, fails=True)
    assert "nginx.service has read what is new" in log and "plain: needs" not in log, log
    assert shown(f"plain.{me}.test") != before


def test_nginx_that_does_not_run_costs_no_order(host, forced, turn, shown, me):
    before = shown(f"plain.{me}.test")
    with host.sudo():
        host.check_output("systemctl stop nginx.service")
    try:
        log = forced()
    finally:
        with host.sudo():
            host.check_output("systemctl start nginx.service")
    assert f"plain: plain.{me}.test does not lead here: " in log and "(Connection refused)" in log, log
    assert shown(f"plain.{me}.test") == before


def test_a_run_that_is_killed_is_finished_by_the_next(host, forced, turn, shown, me):
    before, file = shown(f"plain.{me}.test"), "/etc/decanter/certificates.json"
    with host.sudo():
        certbot = json.loads(host.check_output(f"cat {file}"))["certbot"]
        script = f'#!/bin/sh\n{certbot} "$@"\nkill -KILL $PPID\n'
        host.check_output("printf %%s %s > %s/killer && chmod 755 %s/killer", script, STATE, STATE)
        host.check_output(f"cp -p {file} {STATE}/kept.json && sed -i 's|{certbot}|{STATE}/killer|' {file}")
    try:
        forced()
        assert shown(f"plain.{me}.test") == before, "expected the old one to be served"
    finally:
        with host.sudo():
            host.check_output(f"cp -p {STATE}/kept.json {file} && rm {STATE}/kept.json {STATE}/killer")
    log = said(host, turn, fails=True)
    assert "plain: needs" not in log and "nginx.service has read what is new" in log, log
    assert shown(f"plain.{me}.test") != before


def signed(folder: Path, directory: Path) -> None:
    """A key, and a certificate of the lab's authority for this host's loopback."""
    authority = x509.load_pem_x509_certificate((directory / "ca.crt").read_bytes())
    authority_key = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    made = (
        x509.CertificateBuilder(authority.subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        # Python 3.13 takes none without.
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "mail.crt").write_bytes(made.public_bytes(encoding))
    (folder / "mail.key").write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))


@pytest.fixture
def mails(host, play, sites, variables, tmp_path) -> Iterator[Callable[[], list[str]]]:
    """A mail server on the host with STARTTLS and a password, which the host is told of; the mails that have
    come since this was last asked."""
    directory, folder = Path(variables["lab_directory"]), "/run/mail-server"
    signed(tmp_path, directory)
    files = {name: (tmp_path / name).read_text() for name in ("mail.crt", "mail.key")}
    files["password"] = secret = SECRET
    files["server.py"] = (ROOT / "tests/unit/support/mail_server.py").read_text()
    login = {"server": "127.0.0.1", "port": 2525, "user": "decanter", "password": secret}
    mail = {"to": ["ops@web.test"], "ca": str(directory / "ca.crt"), **login}
    (tmp_path / "mail.json").write_text(json.dumps({"base_mail": mail}))
    with host.sudo():
        host.check_output(f"mkdir -p {folder}/mails")
        host.check_output("rm -f /var/lib/decanter-alarm/*")
        for name, content in files.items():  # sudo notes each command in the journal
            encoded = base64.b64encode(content.encode()).decode()
            host.check_output("echo %s | base64 -d > %s", encoded, f"{folder}/{name}")
        arguments = " ".join(f"{folder}/{name}" for name in ("mails", "mail.crt", "mail.key", "password"))
        command = f"/usr/bin/python3 {folder}/server.py 2525 {arguments}"
        host.check_output(f"systemd-run --unit mail-server --quiet {command}")
    finished = play("site.yml", sites, "--tags", "base", "--diff", "-e", f"@{tmp_path}/mail.json")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert secret not in finished.stdout.replace("\\", ""), "expected the password to be shown to nobody"

    def come() -> list[str]:
        with host.sudo():
            # The alarm is a unit of its own, which begins a moment after the other has failed.
            state = f"systemctl show --property ActiveState --value {ALARM}"
            host.check_output(f"sleep 0.5; while [ $({state}) = activating ]; do sleep 0.2; done")
            names = host.run(f"ls {folder}/mails").stdout.split()
            found = [host.check_output(f"cat {folder}/mails/{name}") for name in names]
            host.run(f"rm -f {folder}/mails/*")
        return [text.replace("\r\n", "\n") for text in found]

    yield come
    with host.sudo():
        host.run("systemctl stop mail-server.service")
        host.check_output(f"rm -r {folder}")
    play("site.yml", sites, "--tags", "base")
    with host.sudo():
        left = host.run("ls /etc/decanter/alarm.json").rc
    assert left != 0, "expected nobody to be mailed where nothing says who"


def test_somebody_is_mailed(host, turn, forced, mails, authority_down, other_names, me):
    with authority_down():
        for _ in range(2):
            forced()
        (mail,) = mails()
        for expected in ("To: ops@web.test", f"{UNIT} fails", "plain: https://", "Auto-Submitted"):
            assert expected in mail, f"expected {expected!r}, got {mail}"
        assert "keeps failing" in forced()
        (mail,) = mails()
        assert "plain: it keeps failing, since 20" in mail, mail
        with host.sudo():
            metrics = host.check_output(f"cat {METRICS}")
        assert 'decanter_certificate_alarm{site="plain"} 1' in metrics, metrics
    said(host, turn, fails=False)
    (mail,) = mails()
    assert f"{UNIT} is well again" in mail, mail
    with host.sudo():
        kept = host.check_output("stat --format='%a %U' /etc/decanter/alarm.json")
        shown = host.check_output(f"systemctl show {ALARM}; journalctl --boot --output cat")
        # A server that is down is said, and nothing is tried again and again.
        host.check_output("systemctl stop mail-server.service")
    assert kept == "600 root", f"expected root alone to read the password, got {kept}"
    assert SECRET not in shown, "expected the password in no unit and no journal"
    with authority_down():
        forced()
        assert mails() == []
    with host.sudo():
        log = host.check_output(f"journalctl --unit {ALARM} --lines 5 --output cat")
        restarts = host.check_output(f"systemctl show {ALARM} --property NRestarts --value")
    assert "no mail could be sent: [Errno 111] Connection refused" in log and restarts == "0", log


@pytest.mark.parametrize(("unit", "most"), [(UNIT, 1.6), (ALARM, 1.6)])
def test_units_are_sandboxed(host, unit, most):
    with host.sudo():
        line = host.check_output(f"systemd-analyze security --no-pager {unit} | grep 'Overall exposure'")
    got = float(re.search(r": ([0-9.]+)", line)[1])
    assert got <= most, f"{unit}: expected an exposure of at most {most}, got {got}"


def test_whoever_runs_certbot_by_hand_has_it_served(host, shown, me):
    before = shown(f"plain.{me}.test")
    folders = f"--config-dir {STATE}/certbot --work-dir {STATE}/work --logs-dir {STATE}/logs"
    with host.sudo():
        host.check_output(
            "REQUESTS_CA_BUNDLE=/etc/decanter/acme-authorities.pem /opt/decanter/certbot/current/bin/certbot "
            f"renew --quiet --no-random-sleep-on-renew --force-renewal --cert-name plain {folders}"
        )
    eventually(lambda: shown(f"plain.{me}.test") != before)


def test_one_that_is_provided_is_watched(host, converge, turn, sites, shown, me, tmp_path):
    changed = copy.deepcopy(sites)
    names = changed["plain"]["server_names"] = [f"plain.{me}.test"]
    pair(tmp_path / "tls", names, begins=-70 * DAY, ends=20 * DAY)
    files = {"certificate": f"{tmp_path}/tls/fullchain.pem", "key": f"{tmp_path}/tls/privkey.pem"}
    changed["plain"]["tls"] = {"mode": "provided", **files}
    told = " ".join(converge(changed).split())
    assert "sites.plain.tls.certificate: ends 20" in told and "provide another" in told, told
    assert shown(f"plain.{me}.test").serial_number == 0x87654321
    log = said(host, turn, fails=True)
    assert "plain: its certificate ends 20" in log and "in 20.0 days; provide another" in log, log
    converge(sites)


def test_the_last_one_is_no_longer_renewed_and_can_be_destroyed(host, converge, play, sites):
    changed = copy.deepcopy(sites)
    for site in changed.values():
        site["tls"] = {"mode": "self-signed"}
    changed["short"]["state"] = "absent"
    converge(changed)
    with host.sudo():
        left = host.run(f"ls {STATE}/sites {STATE}/certbot/renewal {STATE}/certbot/live").stdout
        assert not re.search("plain|short|partly|early", left), f"expected nothing to be renewed, got {left}"
        assert host.run("ls /etc/decanter/tls/short/privkey.pem").rc == 0, "expected what was served to stay"
    finished = play("purge.yml", changed, "-e", "purge_site=short", "-e", "purge_confirm=short")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    with host.sudo():
        left = host.run(f"find {STATE} /etc/decanter/tls -name '*short*'").stdout
    assert left == "", f"expected no key to be left, got {left}"
    converge(sites)


def test_visitors_certificates_are_verified(authority, play, sites, tmp_path, me):
    """After the test above, which has left each site with its first certificate or the one that stands in."""
    root = tmp_path / "root.pem"
    root.write_text(authority.root())
    finished = play("verify.yml", sites, "-e", f"verify_acme_ca={root}")
    told = " ".join((finished.stdout + finished.stderr).split())
    assert finished.returncode == 0, told
    for expected in (
        f"sites.early: early.{me}.test: still the one that stands in, because DNS has no address for early",
        f"sites.partly: astray.{me}.test: it is for partly.{me}.test, because astray.{me}.test does not lead",
    ):
        assert expected in told, f"expected {expected!r}, got {told}"
    # The lab's authority, whom its visitors do not know.
    finished = play("verify.yml", sites, "-e", "site=plain")
    told = " ".join((finished.stdout + finished.stderr).split())
    assert finished.returncode != 0 and "whom nobody trusts here" in told, told
