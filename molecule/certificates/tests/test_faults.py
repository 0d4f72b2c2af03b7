"""Faults during renewals: nginx keeps the old certificates, and the unit reports the reason."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
from conftest import ALARM, METRICS, STATE, UNIT, eventually, output_of_run

from tests.unit.support.certificate_pair import pair

DAY = 86400
DROP_IN = f"/run/systemd/system/{UNIT}.d"


@pytest.mark.parametrize(("offset", "error"), [("+3y", "3 years ahead of"), ("-3y", "3 years behind")])
def test_wrong_clock_is_reported_without_certificate_alarm(
    host, run_unit, certificate, host_name, offset, error
):
    before = certificate(f"plain.{host_name}.test")
    with host.sudo():
        host.check_output("dpkg -s libfaketime >/dev/null 2>&1 || apt-get install --yes --quiet libfaketime")
        library = host.check_output("dpkg -L libfaketime | grep /libfaketime.so.1")
        environment = f"LD_PRELOAD={library} FAKETIME={offset} FAKETIME_DONT_FAKE_MONOTONIC=1"
        host.check_output(f"mkdir -p {DROP_IN}")
        host.check_output(
            "printf '[Service]\\nEnvironment=%s\\n' %s > %s/clock.conf", "%s", environment, DROP_IN
        )
        host.check_output("systemctl daemon-reload")
    try:
        log = output_of_run(host, run_unit, fails=True)
    finally:
        with host.sudo():
            host.check_output(f"rm -r {DROP_IN} && systemctl daemon-reload")
    (line,) = log.splitlines()
    assert line.startswith("this host's clock is wrong: 20") and error in line, log
    assert certificate(f"plain.{host_name}.test") == before
    with host.sudo():
        metrics = host.check_output(f"cat {METRICS}")
    assert 'decanter_certificate_alarm{site="plain"} 0' in metrics and "decanter_clock_wrong 1" in metrics


def test_full_disk_keeps_certificate_and_orders_nothing(host, force_renewal, certificate, host_name):
    before = certificate(f"plain.{host_name}.test")
    with host.sudo():
        host.check_output(f"cp -a {STATE} {STATE}.kept && mount -t tmpfs -o size=4m,mode=700 tmpfs {STATE}")
        try:
            host.check_output(f"cp -a {STATE}.kept/. {STATE}")
            request = '{"force": true, "site": "plain"}'
            host.check_output("printf %%s %s > %s/request.json", request, STATE)
            host.run(f"dd if=/dev/zero of={STATE}/full bs=64k 2>/dev/null")
            host.run(f"dd if=/dev/zero of={STATE}/full2 bs=1k 2>/dev/null")
            result = host.run(f"systemctl start {UNIT}")
            log = host.check_output(f"journalctl --unit {UNIT} --lines 20 --output cat")
        finally:
            host.check_output(f"umount {STATE} && rm -r {STATE}.kept")
    assert result.rc != 0, "expected the unit to fail"
    assert f"plain: {STATE}/sites/plain.json: No space left on device" in log, log
    assert certificate(f"plain.{host_name}.test") == before
    assert (
        "issued a certificate for" in force_renewal(fails=False)
        and certificate(f"plain.{host_name}.test") != before
    )


def test_account_unknown_to_ca_is_registered_again_once(host, force_renewal, certificate, host_name):
    before = certificate(f"plain.{host_name}.test")
    with host.sudo():
        file = host.check_output(f"find {STATE}/certbot/accounts -name regr.json")
        host.check_output(r"sed -i 's|my-account/[^\"]*|my-account/gone|' %s", file)
        old = Path(file).parent.name
    log = force_renewal(fails=False)
    assert "rejects this host's account. certbot registers another" in log, log
    assert certificate(f"plain.{host_name}.test") != before, "expected a new certificate"
    with host.sudo():
        backups = host.check_output(f"ls {STATE}/accounts-gone/*")
        assert old in backups, f"expected a backup of {old}, got {backups}"
        host.check_output(f"rm -r {STATE}/accounts-gone")
    assert "registers another" not in force_renewal(fails=False), "expected one registration"


def test_changed_contact_address_is_sent_to_ca(host, converge, sites):
    converge(sites, "-e", "certbot_email=others@web.test")
    with host.sudo():
        account = json.loads(host.check_output(f"cat {STATE}/account.json"))
        log = host.check_output(f"journalctl --unit {UNIT} --lines 40 --output cat")
    assert account["email"] == "others@web.test" and "the contact address is now others@web.test" in log, log
    converge(sites)


def test_failed_reload_is_reported_and_repeated_by_next_run(
    host, force_renewal, run_unit, certificate, host_name
):
    before, broken = certificate(f"plain.{host_name}.test"), "/etc/nginx/sites-enabled/99-broken.conf"
    with host.sudo():
        host.check_output(f"echo 'nonsense on;' > {broken}")
    try:
        # The second run repeats the reload.
        for log in (force_renewal(), output_of_run(host, run_unit, fails=True)):
            assert "nginx.service still serves the old" in log and 'unknown directive "nonsense"' in log, log
        assert certificate(f"plain.{host_name}.test") == before, "expected the old certificate"
    finally:
        with host.sudo():
            host.check_output(f"rm {broken}")
    log = output_of_run(host, run_unit, fails=True)
    assert "nginx.service: reloaded" in log and "plain: orders" not in log, log
    assert certificate(f"plain.{host_name}.test") != before


def test_stopped_nginx_fails_preflight_before_order(host, force_renewal, run_unit, certificate, host_name):
    before = certificate(f"plain.{host_name}.test")
    with host.sudo():
        host.check_output("systemctl stop nginx.service")
    try:
        log = force_renewal()
    finally:
        with host.sudo():
            host.check_output("systemctl start nginx.service")
    assert (
        f"plain: plain.{host_name}.test does not reach this host: " in log and "(Connection refused)" in log
    ), log
    assert certificate(f"plain.{host_name}.test") == before


def test_killed_run_is_completed_by_next_run(host, force_renewal, run_unit, certificate, host_name):
    before, file = certificate(f"plain.{host_name}.test"), "/etc/decanter/certificates.json"
    with host.sudo():
        certbot = json.loads(host.check_output(f"cat {file}"))["certbot"]
        script = f'#!/bin/sh\n{certbot} "$@"\nkill -KILL $PPID\n'
        host.check_output("printf %%s %s > %s/killer && chmod 755 %s/killer", script, STATE, STATE)
        host.check_output(f"cp -p {file} {STATE}/kept.json && sed -i 's|{certbot}|{STATE}/killer|' {file}")
    try:
        force_renewal()
        assert certificate(f"plain.{host_name}.test") == before, "expected the old certificate"
    finally:
        with host.sudo():
            host.check_output(f"cp -p {STATE}/kept.json {file} && rm {STATE}/kept.json {STATE}/killer")
    log = output_of_run(host, run_unit, fails=True)
    assert "plain: orders" not in log and "nginx.service: reloaded" in log, log
    assert certificate(f"plain.{host_name}.test") != before


@pytest.mark.parametrize(("unit", "limit"), [(UNIT, 1.6), (ALARM, 1.6)])
def test_units_are_sandboxed(host, unit, limit):
    with host.sudo():
        line = host.check_output(f"systemd-analyze security --no-pager {unit} | grep 'Overall exposure'")
    got = float(re.search(r": ([0-9.]+)", line)[1])
    assert got <= limit, f"{unit}: expected an exposure of at most {limit}, got {got}"


def test_certificate_renewed_by_manual_certbot_is_served(host, certificate, host_name):
    before = certificate(f"plain.{host_name}.test")
    folders = f"--config-dir {STATE}/certbot --work-dir {STATE}/work --logs-dir {STATE}/logs"
    with host.sudo():
        host.check_output(
            "REQUESTS_CA_BUNDLE=/etc/decanter/acme-authorities.pem /opt/decanter/certbot/current/bin/certbot "
            f"renew --quiet --no-random-sleep-on-renew --force-renewal --cert-name plain {folders}"
        )
    eventually(lambda: certificate(f"plain.{host_name}.test") != before)


def test_expiring_provided_certificate_is_reported(
    host, converge, run_unit, sites, certificate, host_name, tmp_path
):
    changed = copy.deepcopy(sites)
    names = changed["plain"]["server_names"] = [f"plain.{host_name}.test"]
    pair(tmp_path / "tls", names, begins=-70 * DAY, ends=20 * DAY)
    files = {"certificate": f"{tmp_path}/tls/fullchain.pem", "key": f"{tmp_path}/tls/privkey.pem"}
    changed["plain"]["tls"] = {"mode": "provided", **files}
    output = " ".join(converge(changed).split())
    assert "sites.plain.tls.certificate: expires 20" in output and "provide a new one" in output, output
    assert certificate(f"plain.{host_name}.test").serial_number == 0x87654321
    log = output_of_run(host, run_unit, fails=True)
    assert "plain: its certificate expires 20" in log and "in 20.0 days. Provide another" in log, log
    converge(sites)


def test_sites_without_acme_are_not_renewed_and_can_be_purged(host, converge, play, sites):
    changed = copy.deepcopy(sites)
    for site in changed.values():
        site["tls"] = {"mode": "self-signed"}
    changed["short"]["state"] = "absent"
    converge(changed)
    with host.sudo():
        files = host.run(f"ls {STATE}/sites {STATE}/certbot/renewal {STATE}/certbot/live").stdout
        assert not re.search("plain|short|partly|early", files), (
            f"expected no files for renewals, got {files}"
        )
        assert host.run("ls /etc/decanter/tls/short/privkey.pem").rc == 0, "expected the served key to stay"
    result = play("purge.yml", changed, "-e", "purge_site=short", "-e", "purge_confirm=short")
    assert result.returncode == 0, result.stdout + result.stderr
    with host.sudo():
        files = host.run(f"find {STATE} /etc/decanter/tls -name '*short*'").stdout
    assert files == "", f"expected no keys, got {files}"
    converge(sites)


def test_verify_playbook_reports_untrusted_certificates(authority, play, sites, tmp_path, host_name):
    """Depends on the test above, which leaves each site with a first or a self-signed certificate."""
    root = tmp_path / "root.pem"
    root.write_text(authority.root())
    result = play("verify.yml", sites, "-e", f"verify_acme_ca={root}")
    output = " ".join((result.stdout + result.stderr).split())
    assert result.returncode == 0, output
    early, partly, astray = (f"{name}.{host_name}.test" for name in ("early", "partly", "astray"))
    for expected in (
        f"sites.early: {early}: self-signed certificate, because DNS has no address for early",
        f"sites.partly: {astray}: the certificate is for {partly}, because {astray}",
    ):
        assert expected in output, f"expected {expected!r}, got {output}"
    # Without verify_acme_ca, the controller does not trust the root certificate of Pebble.
    result = play("verify.yml", sites, "-e", "site=plain")
    output = " ".join((result.stdout + result.stderr).split())
    assert result.returncode != 0 and "the controller does not trust the issuer" in output, output
