"""Names that are proven in DNS, by certbot's own plugin: a wildcard, served to whomever it stands for."""

from __future__ import annotations

import json

import pytest
from conftest import STATE
from test_certificates import days, issuer, names


@pytest.fixture
def endpoint(authority) -> str:
    return f"http://{authority.address}:5000"


@pytest.fixture
def ask_for(host, turn):
    """Have one site's certificate renewed or rehearsed; what was said of it."""

    def run(**request) -> str:
        with host.sudo():
            request = json.dumps({"site": "wild", **request})
            host.check_output("python3 -c %s", f"open('{STATE}/request.json', 'w').write({request!r})")
            finished = turn()
            unit = "decanter-certificates.service"
            invocation = host.check_output("systemctl show %s --property InvocationID --value", unit)
            said = host.check_output("journalctl _SYSTEMD_INVOCATION_ID=%s --output cat", invocation)
        return f"{finished.rc}: {said}"

    return run


def test_a_visitor_of_any_name_below_is_served(authority, visitor, shown, me, tmp_path):
    made = shown(f"any.wild.{me}.test")
    assert names(made) == {f"wild.{me}.test", f"*.wild.{me}.test"}
    assert "Pebble" in issuer(made) and 89 <= days(made) <= 90, (issuer(made), days(made))
    root = tmp_path / "root.pem"
    root.write_text(authority.root())
    visitor.session.verify = str(root)
    for name in (f"wild.{me}.test", f"any.wild.{me}.test", f"other.wild.{me}.test"):
        answer = visitor.get(f"https://{name}/")
        assert answer.status_code == 200, f"expected {name} to be served, got {answer.status_code}"
        assert answer.json()["Host"] == [name], (
            f"expected the application to be told {name}, got {answer.text}"
        )
        answer = visitor.get(f"http://{name}/page?a=b")
        assert answer.headers["Location"] == f"https://{name}/page?a=b", answer.headers


def test_no_name_has_to_lead_here(host, me):
    # DNS has no address for them, and nothing is fetched.
    assert host.run(f"getent hosts wild.{me}.test").rc != 0
    with host.sudo():
        said = host.check_output("journalctl --unit decanter-certificates.service --output cat")
    assert "wild: DNS has no address" not in said, said


def test_a_renewal_and_a_rehearsal(host, ask_for, shown, reloads, me):
    before, count = shown(f"wild.{me}.test"), reloads()
    said = ask_for(dry_run=True)
    assert (
        said.startswith("0: ") and f"wild: would be renewed for wild.{me}.test, *.wild.{me}.test" in said
    ), said
    assert shown(f"wild.{me}.test") == before, "expected a rehearsal to keep nothing"
    said = ask_for(force=True)
    assert f"wild: issued a certificate for wild.{me}.test, *.wild.{me}.test" in said, said
    assert shown(f"wild.{me}.test").serial_number != before.serial_number, "expected another certificate"
    assert reloads() == count + 1, "expected one reload"


def test_an_operator_sees_it(play, sites, me):
    finished = play("certs.yml", sites, "-e", "site=wild")
    assert f"*.wild.{me}.test, wild.{me}.test" in finished.stdout, finished.stdout + finished.stderr


def test_proofs_are_cleaned_up(authority, endpoint, me):
    # What speaks as Route 53 says what is left, to whoever asks on its own path.
    left = json.loads(authority.ask(f"{endpoint}/proofs"))
    assert not [name for name in left if f".{me}.test" in name], f"expected no record to be left, got {left}"


def test_the_key_is_roots_alone(host, variables):
    assert host.run("cat /etc/decanter/certbot-aws").rc != 0, "expected it to be read by root alone"
    with host.sudo():
        for place in (STATE, "/etc/systemd", "/etc/decanter/certificates.json", "/var/log"):
            # Not in the command, which sudo notes.
            found = host.run("grep --recursive --files-with-matches --text 'of-the-lab-[a]lone' %s", place)
            assert found.stdout == "", f"expected the secret nowhere, got {found.stdout}"
        assert host.file("/etc/decanter/certbot-aws").mode == 0o600
        unit = host.check_output(
            "systemctl show decanter-certificates.service --property Environment --value"
        )
    assert unit == "", f"expected no environment, got {unit}"


KEY, CONFIGURATION = "/etc/decanter/certbot-aws", "/etc/decanter/certificates.json"
WRONG = {
    "secret": (
        KEY,
        "secret_access_key = .*",
        "secret_access_key = x",
        "SignatureDoesNotMatch: ListHostedZones: ",
    ),
    "key": (KEY, "_key_id = .*", "_key_id = AKIANOBODYS000000000", "InvalidClientTokenId: ListHostedZones: "),
    "none": (KEY, ".default.", "[somebody]", "Unable to locate credentials, and the instance has no role"),
    "endpoint": (CONFIGURATION, ":5000", ":9", "Could not connect to the endpoint URL: "),
    "zone": (
        *(CONFIGURATION, r"\*.wild.*.test", "*.nowhere.test"),
        "Unable to find a Route53 hosted zone for _acme-challenge.nowhere.test",
    ),
}


@pytest.mark.parametrize(("path", "was", "then", "expected"), WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_one_line(host, ask_for, shown, path, was, then, expected, me):
    before = shown(f"wild.{me}.test")
    with host.sudo():
        host.check_output("cp --preserve %s %s.kept", path, path)
        try:
            host.check_output("sed --in-place %s %s", f"s/{was}/{then}/", path)
            said = ask_for(force=True)
        finally:
            host.check_output("mv %s.kept %s", path, path)
    lines = [line for line in said.splitlines() if line.startswith("wild: Route 53: ")]
    assert len(lines) == 1 and lines[0].startswith(f"wild: Route 53: {expected}"), (
        f"expected {expected}, got {said}"
    )
    assert said.startswith("1: "), f"expected the unit to fail loudly, got {said}"
    assert shown(f"wild.{me}.test") == before, "expected the old one to be served"
    # Nobody has to wait for an hour once it is mended.
    said = ask_for()
    assert "wild: " not in said.replace("wild: its certificate", ""), (
        f"expected nothing to be due, got {said}"
    )


# As an instance's metadata is answered, to whoever first asks for a token; the role has the lab's key.
METADATA = """
import http.server, json
PATH = "/latest/meta-data/iam/security-credentials/"
KEY = open("{key}").read().split()
ROLE = dict(AccessKeyId=KEY[-4], SecretAccessKey=KEY[-1], Token="", Expiration="2099-01-01T00:00:00Z")
class Metadata(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        self.say("token")
    def do_GET(self):
        known = self.headers["X-aws-ec2-metadata-token"] == "token"
        self.say({{PATH: "certbot", PATH + "certbot": json.dumps(ROLE)}}.get(self.path, "") if known else "")
    def say(self, text):
        self.send_response(200 if text else 404)
        self.end_headers()
        self.wfile.write(text.encode())
http.server.HTTPServer(("127.0.0.1", 8169), Metadata).serve_forever()
"""
LED = "OUTPUT -d 169.254.169.254 -p tcp --dport 80 -j REDIRECT --to-ports 8169"


def test_without_a_key_it_is_the_instances_role(host, ask_for, shown, me):
    before = shown(f"wild.{me}.test")
    with host.sudo():
        host.check_output("cp --preserve %s %s.kept", KEY, KEY)
        # nginx has the port.
        host.check_output(f"iptables -t nat -I {LED}")
        try:
            metadata = METADATA.format(key=f"{KEY}.kept")
            host.check_output("systemd-run --unit metadata --collect python3 -c %s", metadata)
            host.check_output("sed --in-place s/.default./[somebody]/ %s", KEY)
            said = ask_for(force=True)
        finally:
            host.check_output("mv %s.kept %s", KEY, KEY)
            host.run("systemctl stop metadata.service")
            host.check_output(f"iptables -t nat -D {LED}")
    assert said.startswith("0: ") and "wild: issued a certificate for" in said, said
    assert shown(f"wild.{me}.test").serial_number != before.serial_number, "expected another certificate"
