"""Faults of certificates: served certificates stay, and the unit reports the reason."""

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
        log = output_of_run(host, turn, fails=True)
    finally:
        with host.sudo():
            host.check_output(f"rm -r {DROP_IN} && systemctl daemon-reload")
    (line,) = log.splitlines()
    assert line.startswith("this host's clock is wrong: 20") and which in line, log
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
    assert "issued a certificate for" in forced(fails=False) and shown(f"plain.{me}.test") != before


def test_an_account_that_is_gone_is_made_anew_once(host, forced, shown, me):
    before = shown(f"plain.{me}.test")
    with host.sudo():
        file = host.check_output(f"find {STATE}/certbot/accounts -name regr.json")
        host.check_output(r"sed -i 's|my-account/[^\"]*|my-account/gone|' %s", file)
        old = Path(file).parent.name
    log = forced(fails=False)
    assert "rejects this host's account. certbot registers another" in log, log
    assert shown(f"plain.{me}.test") != before, "expected a new certificate all the same"
    with host.sudo():
        aside = host.check_output(f"ls {STATE}/accounts-gone/*")
        assert old in aside, f"expected {old} to be kept, got {aside}"
        host.check_output(f"rm -r {STATE}/accounts-gone")
    assert "registers another" not in forced(fails=False), "expected one registration"


def test_another_address_is_told_once(host, converge, sites):
    converge(sites, "-e", "certbot_email=others@web.test")
    with host.sudo():
        known = json.loads(host.check_output(f"cat {STATE}/account.json"))
        log = host.check_output(f"journalctl --unit {UNIT} --lines 40 --output cat")
    assert known["email"] == "others@web.test" and "the contact address is now others@web.test" in log, log
    converge(sites)


def test_a_reload_that_fails_is_said_and_done_by_the_next(host, forced, turn, shown, me):
    before, broken = shown(f"plain.{me}.test"), "/etc/nginx/sites-enabled/99-broken.conf"
    with host.sudo():
        host.check_output(f"echo 'nonsense on;' > {broken}")
    try:
        for log in (forced(), output_of_run(host, turn, fails=True)):  # and it is not forgotten
            assert "nginx.service still serves the old" in log and 'unknown directive "nonsense"' in log, log
        assert shown(f"plain.{me}.test") == before, "expected the old one to be served"
    finally:
        with host.sudo():
            host.check_output(f"rm {broken}")
    log = output_of_run(host, turn, fails=True)
    assert "nginx.service: reloaded" in log and "plain: orders" not in log, log
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
    assert f"plain: plain.{me}.test does not reach this host: " in log and "(Connection refused)" in log, log
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
    log = output_of_run(host, turn, fails=True)
    assert "plain: orders" not in log and "nginx.service: reloaded" in log, log
    assert shown(f"plain.{me}.test") != before


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
    assert "sites.plain.tls.certificate: expires 20" in told and "provide a new one" in told, told
    assert shown(f"plain.{me}.test").serial_number == 0x87654321
    log = output_of_run(host, turn, fails=True)
    assert "plain: its certificate expires 20" in log and "in 20.0 days. Provide another" in log, log
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
        f"sites.early: early.{me}.test: self-signed certificate, because DNS has no address for early",
        f"sites.partly: astray.{me}.test: the certificate is for partly.{me}.test, because astray.{me}.test",
    ):
        assert expected in told, f"expected {expected!r}, got {told}"
    # The lab's authority, whom its visitors do not know.
    finished = play("verify.yml", sites, "-e", "site=plain")
    told = " ".join((finished.stdout + finished.stderr).split())
    assert finished.returncode != 0 and "the controller does not trust the issuer" in told, told
