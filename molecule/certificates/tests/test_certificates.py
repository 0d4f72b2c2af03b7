"""Certificates of an ACME CA: what nginx serves, renewals, and the operator's commands."""

from __future__ import annotations

import copy
import ssl

import pytest
from conftest import STATE
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def names(certificate: x509.Certificate) -> set[str]:
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(each.value) for each in alternatives}


def issuer(certificate: x509.Certificate) -> str:
    return certificate.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


def days(certificate: x509.Certificate) -> int:
    return (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days


def test_served_certificates_are_trusted_by_visitors(authority, visitor, host_name, tmp_path):
    root = tmp_path / "root.pem"
    root.write_text(authority.root())
    visitor.session.verify = str(root)
    response = visitor.get(f"https://plain.{host_name}.test/")
    assert response.status_code == 200, response
    assert visitor.get(f"https://www.plain.{host_name}.test/").status_code == 308
    assert visitor.get(f"https://{visitor.address}/").status_code == 200, (
        "expected the IP address to be a name of a certificate"
    )


def test_certificates_match_names_profile_and_key_type(certificate, host_name, variables):
    plain = certificate(f"plain.{host_name}.test")
    assert "Pebble" in issuer(plain), issuer(plain)
    assert names(plain) == {f"plain.{host_name}.test", f"www.plain.{host_name}.test"}
    assert isinstance(plain.public_key(), ec.EllipticCurvePublicKey)
    assert 89 <= days(plain) <= 90, days(plain)
    short = certificate(f"short.{host_name}.test")
    assert names(short) == {f"short.{host_name}.test", variables["ansible_host"]}
    assert isinstance(short.public_key(), rsa.RSAPublicKey)
    assert 5 <= days(short) <= 6, days(short)


def test_self_signed_certificate_is_served_until_first_issue(play, sites, certificate, host_name):
    early = certificate(f"early.{host_name}.test")
    assert early.issuer == early.subject, f"expected a self-signed certificate, got {issuer(early)}"
    assert names(early) == {f"early.{host_name}.test"}
    output = play("certs.yml", sites).stdout
    assert "self-signed, until" in output, f"expected the self-signed certificate in the list, got {output}"


def test_unreachable_name_is_left_out_and_reported(host, authority, certificate, host_name):
    partly = certificate(f"partly.{host_name}.test")
    assert names(partly) == {f"partly.{host_name}.test"} and "Pebble" in issuer(partly), names(partly)
    with host.sudo():
        log = host.check_output("journalctl --unit decanter-certificates.service --priority 3 --output cat")
    expected = f"partly: astray.{host_name}.test does not reach this host: {authority.address} "
    assert expected in log, f"expected {expected!r}, got {log}"
    assert f"early: DNS has no address for early.{host_name}.test" in log, log


def test_timer_of_decanter_is_active_and_certbots_is_not(host):
    with host.sudo():
        timers = host.check_output("systemctl list-timers --all --output json")
        assert "decanter-certificates.timer" in timers and "certbot.timer" not in timers, timers
        assert (
            host.check_output("systemctl show decanter-certificates.timer --property Persistent --value")
            == "yes"
        )


def test_certbot_is_recent_and_in_its_own_environment(host):
    with host.sudo():
        version = host.check_output("/opt/decanter/certbot/current/bin/certbot --version 2>&1").split()[1]
        assert tuple(map(int, version.split(".")[:2])) >= (5, 4), version
        assert host.run("python3 -c 'import certbot'").rc != 0, (
            "expected no certbot in the Python of the system"
        )


def test_private_keys_are_readable_by_root_only(host):
    for path in ("/etc/decanter/tls/plain/privkey.pem", f"{STATE}/certbot/live/plain/privkey.pem"):
        assert host.run(f"cat {path}").rc != 0, f"expected {path} to be readable by root only"


def test_renewal_window_of_the_ca_starts_a_renewal(
    host, authority, certificate, run_unit, reloads, host_name
):
    before, count = certificate(f"plain.{host_name}.test"), reloads()
    run_unit()
    assert certificate(f"plain.{host_name}.test") == before, "expected no renewal before it is due"
    assert reloads() == count, "expected no reload without a change"
    configuration = f"{STATE}/certbot/renewal/plain.conf"
    with host.sudo():
        chain = host.check_output("cat /etc/decanter/tls/plain/fullchain.pem")
        # certbot has just requested the window, and would not request it again for hours.
        host.check_output("grep ari_retry_after %s", configuration)
        host.check_output("sed -i /ari_retry_after/d %s", configuration)
    authority.suggest(chain, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    run_unit()
    after = certificate(f"plain.{host_name}.test")
    assert after.serial_number != before.serial_number, "expected another certificate"
    assert names(after) == names(before)
    assert reloads() == count + 1, "expected one reload"


def test_changed_names_profile_and_key_type_are_issued(
    authority, converge, certificate, sites, host_name, variables
):
    changed = copy.deepcopy(sites)
    changed["plain"]["server_names"] = [f"plain.{host_name}.test", f"new.{host_name}.test"]
    authority.add_address(f"new.{host_name}.test", variables["ansible_host"])
    converge(changed)
    assert names(certificate(f"new.{host_name}.test")) == {f"plain.{host_name}.test", f"new.{host_name}.test"}
    serial = certificate(f"new.{host_name}.test").serial_number
    changed["plain"]["tls"] = {"mode": "acme", "profile": "shortlived", "key_type": "rsa"}
    converge(changed)
    short = certificate(f"plain.{host_name}.test")
    assert short.serial_number != serial and days(short) <= 6, f"expected six days, got {days(short)}"
    assert isinstance(short.public_key(), rsa.RSAPublicKey)
    converge(sites)
    assert names(certificate(f"plain.{host_name}.test")) == {
        f"plain.{host_name}.test",
        f"www.plain.{host_name}.test",
    }


def test_name_that_becomes_reachable_gets_certificate(authority, run_unit, certificate, host_name, variables):
    authority.add_address(f"early.{host_name}.test", variables["ansible_host"])
    try:
        run_unit()
        assert "Pebble" in issuer(certificate(f"early.{host_name}.test"))
    finally:
        authority.clear_addresses(f"early.{host_name}.test")


def test_unreachable_ca_fails_unit_and_keeps_certificate(host, certificate, run_unit, host_name, inventory):
    # The firewall of the host rejects connections to the CA.
    before = certificate(f"plain.{host_name}.test")
    with host.sudo():
        host.check_output(
            "python3 -c %s",
            f"open('{STATE}/request.json', 'w').write('{{\"force\": true, \"site\": \"plain\"}}')",
        )
        host.check_output("iptables -I OUTPUT -p tcp --dport 14000 -j REJECT --reject-with tcp-reset")
        try:
            result = run_unit()
        finally:
            host.check_output("iptables -D OUTPUT -p tcp --dport 14000 -j REJECT --reject-with tcp-reset")
        assert result.rc != 0, "expected the unit to fail"
        log = host.check_output("journalctl --unit decanter-certificates.service --lines 40 --output cat")
        metrics = host.check_output("cat /var/lib/decanter/metrics/certificates.prom")
    assert "plain: https://" in log and "issued no certificate" in log, log
    assert 'decanter_certificate_failures{site="plain"} 1' in metrics, metrics
    assert certificate(f"plain.{host_name}.test") == before


def test_certs_playbook_lists_rehearses_and_renews(play, sites, certificate, host_name):
    before = certificate(f"plain.{host_name}.test")
    result = play("certs.yml", sites)
    for expected in (
        f"plain.{host_name}.test, www.plain.{host_name}.test",
        "by Pebble Intermediate CA",
        "days left",
    ):
        assert expected in result.stdout, f"expected {expected!r}, got {result.stdout}{result.stderr}"
    result = play("certs.yml", sites, "-e", "site=plain", "-e", "dry_run=true")
    assert result.returncode == 0 and "plain: would be renewed for" in result.stdout, result.stdout
    assert certificate(f"plain.{host_name}.test") == before
    result = play("certs.yml", sites, "-e", "site=plain", "-e", "force=true")
    assert result.returncode == 0, result.stdout + result.stderr
    assert certificate(f"plain.{host_name}.test").serial_number != before.serial_number


def test_absent_site_is_no_longer_renewed(host, converge, run_unit, sites):
    changed = copy.deepcopy(sites)
    changed["short"]["state"] = "absent"
    converge(changed)
    with host.sudo():
        files = host.run(f"find {STATE} -path '*short*'").stdout
    assert files == "", f"expected no files for renewals, got {files}"
    converge(sites)


def test_handshake_with_unknown_name_fails(visitor, host_name):
    with pytest.raises(ssl.SSLError):
        visitor.handshake("elsewhere.test")
