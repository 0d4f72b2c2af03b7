"""Certificates by the DNS-01 challenge with certbot's plugin for Route 53: a wildcard and its names."""

from __future__ import annotations

import json

import pytest
from conftest import STATE
from test_certificates import days, issuer, names


@pytest.fixture
def endpoint(authority) -> str:
    return f"http://{authority.address}:5000"


@pytest.fixture
def run_request(host, run_unit):
    """Return a function that renews or rehearses a site, and returns the unit's exit status and log."""

    def run(**options) -> str:
        with host.sudo():
            request = json.dumps({"site": "wild", **options})
            host.check_output("python3 -c %s", f"open('{STATE}/request.json', 'w').write({request!r})")
            result = run_unit()
            unit = "decanter-certificates.service"
            invocation = host.check_output("systemctl show %s --property InvocationID --value", unit)
            log = host.check_output("journalctl _SYSTEMD_INVOCATION_ID=%s --output cat", invocation)
        return f"{result.rc}: {log}"

    return run


def test_wildcard_certificate_serves_any_subdomain(authority, visitor, certificate, host_name, tmp_path):
    wild = certificate(f"any.wild.{host_name}.test")
    assert names(wild) == {f"wild.{host_name}.test", f"*.wild.{host_name}.test"}
    assert "Pebble" in issuer(wild) and 89 <= days(wild) <= 90, (issuer(wild), days(wild))
    root = tmp_path / "root.pem"
    root.write_text(authority.root())
    visitor.session.verify = str(root)
    for name in (f"wild.{host_name}.test", f"any.wild.{host_name}.test", f"other.wild.{host_name}.test"):
        response = visitor.get(f"https://{name}/")
        assert response.status_code == 200, f"{name}: expected 200, got {response.status_code}"
        assert response.json()["Host"] == [name], (
            f"expected the application to receive Host: {name}, got {response.text}"
        )
        response = visitor.get(f"http://{name}/page?a=b")
        assert response.headers["Location"] == f"https://{name}/page?a=b", response.headers


def test_names_without_address_pass_preflight(host, host_name):
    # DNS-01 needs no address, and the preflight sends no requests.
    assert host.run(f"getent hosts wild.{host_name}.test").rc != 0
    with host.sudo():
        log = host.check_output("journalctl --unit decanter-certificates.service --output cat")
    assert "wild: DNS has no address" not in log, log


def test_rehearsal_keeps_and_renewal_replaces_certificate(host, run_request, certificate, reloads, host_name):
    before, count = certificate(f"wild.{host_name}.test"), reloads()
    log = run_request(dry_run=True)
    assert (
        log.startswith("0: ")
        and f"wild: would be renewed for wild.{host_name}.test, *.wild.{host_name}.test" in log
    ), log
    assert certificate(f"wild.{host_name}.test") == before, "expected the old certificate after a rehearsal"
    log = run_request(force=True)
    assert f"wild: issued a certificate for wild.{host_name}.test, *.wild.{host_name}.test" in log, log
    assert certificate(f"wild.{host_name}.test").serial_number != before.serial_number, (
        "expected another certificate"
    )
    assert reloads() == count + 1, "expected one reload"


def test_certs_playbook_lists_wildcard_names(play, sites, host_name):
    result = play("certs.yml", sites, "-e", "site=wild")
    assert f"*.wild.{host_name}.test, wild.{host_name}.test" in result.stdout, result.stdout + result.stderr


def test_challenge_records_are_deleted(authority, endpoint, host_name):
    # The stub of Route 53 lists its TXT records at /proofs.
    records = json.loads(authority.request(f"{endpoint}/proofs"))
    assert not [name for name in records if f".{host_name}.test" in name], (
        f"expected no record, got {records}"
    )


def test_aws_key_is_readable_by_root_only_and_in_no_log(host, variables):
    assert host.run("cat /etc/decanter/certbot-aws").rc != 0, "expected the key to be readable by root only"
    with host.sudo():
        for path in (STATE, "/etc/systemd", "/etc/decanter/certificates.json", "/var/log"):
            # The brackets keep the secret out of the command, which sudo logs.
            result = host.run("grep --recursive --files-with-matches --text 'of-the-lab-[a]lone' %s", path)
            assert result.stdout == "", f"expected no file with the secret, got {result.stdout}"
        assert host.file("/etc/decanter/certbot-aws").mode == 0o600
        unit = host.check_output(
            "systemctl show decanter-certificates.service --property Environment --value"
        )
    assert unit == "", f"expected no environment, got {unit}"


KEY, CONFIGURATION = "/etc/decanter/certbot-aws", "/etc/decanter/certificates.json"
FAULTS = {
    "wrong_secret": (
        KEY,
        "secret_access_key = .*",
        "secret_access_key = x",
        "SignatureDoesNotMatch: ListHostedZones: ",
    ),
    "unknown_key": (
        KEY,
        "_key_id = .*",
        "_key_id = AKIANOBODYS000000000",
        "InvalidClientTokenId: ListHostedZones: ",
    ),
    "no_key": (KEY, ".default.", "[other]", "Unable to locate credentials, and the instance has no role"),
    "unreachable_endpoint": (CONFIGURATION, ":5000", ":9", "Could not connect to the endpoint URL: "),
    "missing_zone": (
        *(CONFIGURATION, r"\*.wild.*.test", "*.nowhere.test"),
        "Unable to find a Route53 hosted zone for _acme-challenge.nowhere.test",
    ),
}


@pytest.mark.parametrize(("path", "old", "new", "expected"), FAULTS.values(), ids=list(FAULTS))
def test_route53_fault_logs_one_line_and_keeps_certificate(
    host, run_request, certificate, path, old, new, expected, host_name
):
    before = certificate(f"wild.{host_name}.test")
    with host.sudo():
        host.check_output("cp --preserve %s %s.kept", path, path)
        try:
            host.check_output("sed --in-place %s %s", f"s/{old}/{new}/", path)
            log = run_request(force=True)
        finally:
            host.check_output("mv %s.kept %s", path, path)
    lines = [line for line in log.splitlines() if line.startswith("wild: Route 53: ")]
    assert len(lines) == 1 and lines[0].startswith(f"wild: Route 53: {expected}"), (
        f"expected {expected}, got {log}"
    )
    assert log.startswith("1: "), f"expected the unit to fail, got {log}"
    assert certificate(f"wild.{host_name}.test") == before, "expected the old certificate"
    # A fault of Route 53 does not delay the next order by an hour.
    log = run_request()
    assert "wild: " not in log.replace("wild: its certificate", ""), f"expected nothing to be due, got {log}"


# Stub of the metadata service of an instance, with a token as for IMDSv2. The role has the lab's key.
METADATA = """
import http.server, json
PATH = "/latest/meta-data/iam/security-credentials/"
KEY = open("{key}").read().split()
ROLE = dict(AccessKeyId=KEY[-4], SecretAccessKey=KEY[-1], Token="", Expiration="2099-01-01T00:00:00Z")
class Metadata(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        self.respond("token")
    def do_GET(self):
        valid = self.headers["X-aws-ec2-metadata-token"] == "token"
        documents = {{PATH: "certbot", PATH + "certbot": json.dumps(ROLE)}}
        self.respond(documents.get(self.path, "") if valid else "")
    def respond(self, text):
        self.send_response(200 if text else 404)
        self.end_headers()
        self.wfile.write(text.encode())
http.server.HTTPServer(("127.0.0.1", 8169), Metadata).serve_forever()
"""
REDIRECTION = "OUTPUT -d 169.254.169.254 -p tcp --dport 80 -j REDIRECT --to-ports 8169"


def test_instance_role_replaces_missing_key(host, run_request, certificate, host_name):
    before = certificate(f"wild.{host_name}.test")
    with host.sudo():
        host.check_output("cp --preserve %s %s.kept", KEY, KEY)
        # Redirect, because nginx uses port 80 of the host.
        host.check_output(f"iptables -t nat -I {REDIRECTION}")
        try:
            metadata = METADATA.format(key=f"{KEY}.kept")
            host.check_output("systemd-run --unit metadata --collect python3 -c %s", metadata)
            host.check_output("sed --in-place s/.default./[other]/ %s", KEY)
            log = run_request(force=True)
        finally:
            host.check_output("mv %s.kept %s", KEY, KEY)
            host.run("systemctl stop metadata.service")
            host.check_output(f"iptables -t nat -D {REDIRECTION}")
    assert log.startswith("0: ") and "wild: issued a certificate for" in log, log
    assert certificate(f"wild.{host_name}.test").serial_number != before.serial_number, (
        "expected another certificate"
    )
