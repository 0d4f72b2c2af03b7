"""Certificates of an ACME server, as visitors see them and as an operator asks for them."""

from __future__ import annotations

import copy
import ssl

import pytest
from conftest import STATE
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def names(made: x509.Certificate) -> set[str]:
    alternatives = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(each.value) for each in alternatives}


def issuer(made: x509.Certificate) -> str:
    return made.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


def days(made: x509.Certificate) -> int:
    return (made.not_valid_after_utc - made.not_valid_before_utc).days


def test_visitors_trust_what_is_shown(authority, visitor, me, tmp_path):
    root = tmp_path / "root.pem"
    root.write_text(authority.root())
    visitor.session.verify = str(root)
    answer = visitor.get(f"https://plain.{me}.test/")
    assert answer.status_code == 200, answer
    assert visitor.get(f"https://www.plain.{me}.test/").status_code == 308
    assert visitor.get(f"https://{visitor.address}/").status_code == 200, (
        "expected its address to be asked for"
    )


def test_each_is_as_it_was_asked_for(shown, me, variables):
    plain = shown(f"plain.{me}.test")
    assert "Pebble" in issuer(plain), issuer(plain)
    assert names(plain) == {f"plain.{me}.test", f"www.plain.{me}.test"}
    assert isinstance(plain.public_key(), ec.EllipticCurvePublicKey)
    assert 89 <= days(plain) <= 90, days(plain)
    short = shown(f"short.{me}.test")
    assert names(short) == {f"short.{me}.test", variables["ansible_host"]}
    assert isinstance(short.public_key(), rsa.RSAPublicKey)
    assert 5 <= days(short) <= 6, days(short)


def test_443_answers_before_there_is_one(play, sites, shown, me):
    made = shown(f"early.{me}.test")
    assert made.issuer == made.subject, f"expected one that stands in, got {issuer(made)}"
    assert names(made) == {f"early.{me}.test"}
    told = play("certs.yml", sites).stdout
    assert "self-signed, until" in told, f"expected a report of the self-signed certificate, got {told}"


def test_one_bad_name_among_good_ones(host, authority, shown, me):
    made = shown(f"partly.{me}.test")
    assert names(made) == {f"partly.{me}.test"} and "Pebble" in issuer(made), names(made)
    with host.sudo():
        said = host.check_output("journalctl --unit decanter-certificates.service --priority 3 --output cat")
    expected = f"partly: astray.{me}.test does not reach this host: {authority.address} "
    assert expected in said, f"expected {expected!r}, got {said}"
    assert f"early: DNS has no address for early.{me}.test" in said, said


def test_the_timer_is_ours_and_there_is_no_other(host):
    with host.sudo():
        timers = host.check_output("systemctl list-timers --all --output json")
        assert "decanter-certificates.timer" in timers and "certbot.timer" not in timers, timers
        assert (
            host.check_output("systemctl show decanter-certificates.timer --property Persistent --value")
            == "yes"
        )


def test_certbot_is_new_enough_and_apart(host):
    with host.sudo():
        version = host.check_output("/opt/decanter/certbot/current/bin/certbot --version 2>&1").split()[1]
        assert tuple(map(int, version.split(".")[:2])) >= (5, 4), version
        assert host.run("python3 -c 'import certbot'").rc != 0, "expected the system to know nothing of it"


def test_secrets_are_roots(host):
    for path in ("/etc/decanter/tls/plain/privkey.pem", f"{STATE}/certbot/live/plain/privkey.pem"):
        assert host.run(f"cat {path}").rc != 0, f"expected {path} to be read by root alone"


def test_renewal_window_of_the_ca_starts_a_renewal(host, authority, shown, turn, reloads, me):
    before, count = shown(f"plain.{me}.test"), reloads()
    turn()
    assert shown(f"plain.{me}.test") == before, "expected no renewal before it is due"
    assert reloads() == count, "expected no reload without a change"
    configuration = f"{STATE}/certbot/renewal/plain.conf"
    with host.sudo():
        chain = host.check_output("cat /etc/decanter/tls/plain/fullchain.pem")
        # certbot has just requested the window, and would not request it again for hours.
        host.check_output("grep ari_retry_after %s", configuration)
        host.check_output("sed -i /ari_retry_after/d %s", configuration)
    authority.suggest(chain, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    turn()
    after = shown(f"plain.{me}.test")
    assert after.serial_number != before.serial_number, "expected another certificate"
    assert names(after) == names(before)
    assert reloads() == count + 1, "expected one reload"


def test_names_come_and_go(authority, converge, shown, sites, me, variables):
    changed = copy.deepcopy(sites)
    changed["plain"]["server_names"] = [f"plain.{me}.test", f"new.{me}.test"]
    authority.lead(f"new.{me}.test", variables["ansible_host"])
    converge(changed)
    assert names(shown(f"new.{me}.test")) == {f"plain.{me}.test", f"new.{me}.test"}
    serial = shown(f"new.{me}.test").serial_number
    changed["plain"]["tls"] = {"mode": "acme", "profile": "shortlived", "key_type": "rsa"}
    converge(changed)
    made = shown(f"plain.{me}.test")
    assert made.serial_number != serial and days(made) <= 6, f"expected six days, got {days(made)}"
    assert isinstance(made.public_key(), rsa.RSAPublicKey)
    converge(sites)
    assert names(shown(f"plain.{me}.test")) == {f"plain.{me}.test", f"www.plain.{me}.test"}


def test_a_name_that_arrives_gets_its_own(authority, turn, shown, me, variables):
    authority.lead(f"early.{me}.test", variables["ansible_host"])
    try:
        turn()
        assert "Pebble" in issuer(shown(f"early.{me}.test"))
    finally:
        authority.lead(f"early.{me}.test", "")


def test_an_authority_that_is_down_harms_nobody(host, shown, turn, me, inventory):
    # Refused at the host's own door, as one that is down would be.
    before = shown(f"plain.{me}.test")
    with host.sudo():
        host.check_output(
            "python3 -c %s",
            f"open('{STATE}/request.json', 'w').write('{{\"force\": true, \"site\": \"plain\"}}')",
        )
        host.check_output("iptables -I OUTPUT -p tcp --dport 14000 -j REJECT --reject-with tcp-reset")
        try:
            finished = turn()
        finally:
            host.check_output("iptables -D OUTPUT -p tcp --dport 14000 -j REJECT --reject-with tcp-reset")
        assert finished.rc != 0, "expected the unit to fail loudly"
        said = host.check_output("journalctl --unit decanter-certificates.service --lines 40 --output cat")
        metrics = host.check_output("cat /var/lib/decanter/metrics/certificates.prom")
    assert "plain: https://" in said and "issued no certificate" in said, said
    assert 'decanter_certificate_failures{site="plain"} 1' in metrics, metrics
    assert shown(f"plain.{me}.test") == before


def test_an_operator_sees_rehearses_and_renews(play, sites, shown, me):
    before = shown(f"plain.{me}.test")
    finished = play("certs.yml", sites)
    for expected in (f"plain.{me}.test, www.plain.{me}.test", "by Pebble Intermediate CA", "days left"):
        assert expected in finished.stdout, f"expected {expected!r}, got {finished.stdout}{finished.stderr}"
    finished = play("certs.yml", sites, "-e", "site=plain", "-e", "dry_run=true")
    assert finished.returncode == 0 and "plain: would be renewed for" in finished.stdout, finished.stdout
    assert shown(f"plain.{me}.test") == before
    finished = play("certs.yml", sites, "-e", "site=plain", "-e", "force=true")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert shown(f"plain.{me}.test").serial_number != before.serial_number


def test_an_absent_site_is_no_longer_renewed(host, converge, turn, sites):
    changed = copy.deepcopy(sites)
    changed["short"]["state"] = "absent"
    converge(changed)
    with host.sudo():
        left = host.run(f"find {STATE} -path '*short*'").stdout
    assert left == "", f"expected nothing to be renewed, got {left}"
    converge(sites)


def test_nobody_is_shown_anothers(visitor, me):
    with pytest.raises(ssl.SSLError):
        visitor.handshake("elsewhere.test")
