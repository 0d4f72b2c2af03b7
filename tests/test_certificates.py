"""The program that gets, renews and watches a host's certificates, with a certbot that does as it is told."""

from __future__ import annotations

import base64
import contextlib
import errno
import http.client
import http.server
import importlib.util
import json
import os
import socket
import sys
import threading
import time
import types
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.action import certificates as certificates_action
from certificate_pair import DAY, lineage, pair

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "roles/certbot/files/certificates.py"
spec = importlib.util.spec_from_file_location("certificates_program", PROGRAM)
program = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = program  # dataclasses look there
spec.loader.exec_module(program)
ASK_WINDOW, ASK_TIME = program.window, program.authority_time  # which most tests replace

# Makes what certbot would, notes how it was called, and fails where a file says how.
CERTBOT = """#!{python}
import datetime, json, os, pathlib, sys
arguments = sys.argv[1:]
value = lambda name: arguments[arguments.index(name) + 1]
account = pathlib.Path(value("--config-dir"), "accounts/ca.test/dir")
log = pathlib.Path(value("--logs-dir"), "letsencrypt.log")
log.parent.mkdir(exist_ok=True)
log.write_text("")
names = [arguments[i + 1] for i, one in enumerate(arguments) if one in ("--domain", "--ip-address")]
root = pathlib.Path({root!r})
with open(root / "calls", "a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
if (account / "lost").exists():
    log.write_text("acme.messages.Error: urn:ietf:params:acme:error:accountDoesNotExist :: no such account")
    sys.exit(print("Account not found.") or 1)
account.mkdir(parents=True, exist_ok=True)
if arguments[0] == "update_account":
    sys.exit(print((root / "fault-account").read_text()) or 1 if (root / "fault-account").exists() else 0)
(root / "environment").write_text(json.dumps(dict(os.environ)))
fault = root / f"fault-{{value('--cert-name')}}"
if fault.exists():
    sys.exit(print(fault.read_text()) or 1)
if "--dry-run" in arguments:
    sys.exit(0)
sys.path.insert(0, {tests!r})
from certificate_pair import lineage
lineage(pathlib.Path(value("--config-dir")), value("--cert-name"), names, value("--key-type"))
"""


class Host:
    """A host's folders, and what its program does there."""

    def __init__(self, root: Path) -> None:
        self.root, self.state, self.tls = root, root / "state", root / "tls"
        for folder in (self.state, self.tls, root / "challenges", root / "bin"):
            folder.mkdir()
        self.settings: dict[str, Any] = {}
        text = CERTBOT.format(python=sys.executable, root=str(root), tests=str(ROOT / "tests"))
        (root / "bin/certbot").write_text(text)
        (root / "bin/certbot").chmod(0o755)

    def run(self, request: dict[str, Any] | None = None, **sites: dict[str, Any]) -> Any:
        configuration = {
            **{"server": "https://ca.test/dir", "ca_bundle": "", "email": "", "probe": False, "reloads": []},
            "shared": False,
            "aws": {"region": "us-east-1", "endpoint": ""},
            "challenges": str(self.root / "challenges"),
            "directory": str(self.tls),
            "state": str(self.state),
            "certbot": str(self.root / "bin/certbot"),
            "metrics": str(self.root / "certificates.prom"),
            "sites": [
                {
                    "name": name,
                    "mode": "acme",
                    "profile": "",
                    "key_type": "ecdsa",
                    "server_names": [f"{name}.test"],
                }
                | site
                for name, site in sites.items()
            ],
        } | self.settings
        run = program.Run(configuration, self.state, request)
        run.well = run.rehearse() if (request or {}).get("dry_run") else run.go()
        return run

    def orders(self) -> list[list[str]]:
        """How certbot was called since this was last asked."""
        calls = self.root / "calls"
        told = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
        calls.unlink(missing_ok=True)
        return told

    def ordered(self) -> list[str]:
        """For what certificates were asked, each as its names."""
        return [
            " ".join(call[i + 1] for i, one in enumerate(call) if one in ("--domain", "--ip-address"))
            for call in self.orders()
        ]

    def serial_file(self, name: str) -> bytes:
        return (self.tls / name / "fullchain.pem").read_bytes()

    def note(self, name: str) -> dict[str, Any]:
        return json.loads((self.state / "sites" / f"{name}.json").read_text())


@pytest.fixture
def host(tmp_path, monkeypatch) -> Host:
    # The authority says nothing of renewals, unless a test has it say something.
    monkeypatch.setattr(program, "window", lambda *_: {"again": 0})
    monkeypatch.setattr(program, "authority_time", lambda *_: None)
    return Host(tmp_path)


# --- What is asked for, and when ---------------------------------------------------------------


def test_the_first_and_then_none(host):
    run = host.run(a={"server_names": ["a.test", "www.a.test", "10.1.2.3"]})
    assert run.well and run.done == {"a": {"installed": True, "error": ""}}, run.done
    assert host.ordered() == ["a.test www.a.test 10.1.2.3"]
    for name in ("fullchain.pem", "privkey.pem"):
        served = host.tls / "a" / name
        assert served.read_bytes() == (host.state / "certbot/live/a" / name).read_bytes()
        assert served.stat().st_mode & 0o777 == 0o600, f"expected root alone to read {name}"
    run = host.run(a={"server_names": ["www.a.test", "a.test", "10.1.2.3"]})  # names are a set
    assert (run.well, host.orders(), run.done["a"]["installed"]) == (True, [], False), run.done


@pytest.mark.parametrize(
    ("site", "settings"),
    [
        ({"server_names": ["a.test", "b.test"]}, {}),
        ({"server_names": ["b.test"]}, {}),
        ({"profile": "shortlived"}, {}),
        ({"key_type": "rsa"}, {}),
        ({}, {"server": "https://another.test/dir"}),
    ],
)
def test_what_was_changed_is_asked_for_anew_once(host, site, settings):
    host.run(a={})
    host.orders()
    host.settings = settings
    assert host.run(a=site).done["a"]["installed"], "expected another certificate in its place"
    (order,) = host.orders()
    for value in [*site.get("server_names", []), *site.values(), *settings.values()]:
        assert isinstance(value, list) or value in order, f"expected {value} in {order}"
    assert not host.run(a=site).done["a"]["installed"] and not host.orders(), "expected no second order"


def test_one_is_renewed_in_its_last_third_and_not_before(host):
    host.run(a={})
    host.orders()
    for left, expected in ((31 * DAY, []), (29 * DAY, ["a.test"])):
        lineage(host.state / "certbot", "a", ["a.test"], begins=left - 90 * DAY, ends=left)
        host.run(a={})
        assert host.ordered() == expected, f"{left / DAY:.0f} of 90 days left"


def test_the_authority_decides_when(host, monkeypatch):
    host.run(a={})
    host.orders()
    asked = []

    def window(made, server, authorities, now):
        asked.append(made.identifier)
        return {"start": now - 10, "end": now - 5, "because": "https://ca.test/why", "again": now + 60}

    lineage(host.state / "certbot", "a", ["a.test"])
    monkeypatch.setattr(program, "window", window)
    run = host.run(a={})
    assert (run.well, host.ordered(), len(asked)) == (True, ["a.test"], 2), asked
    key, serial = asked[0].split(".")
    assert base64.urlsafe_b64decode(serial + "=") == b"\0\x87\x65\x43\x21", (
        "expected the number as ASN.1 has it"
    )
    assert len(base64.urlsafe_b64decode(key + "=")) == 20, key


def test_an_authority_that_says_nothing_stops_no_renewal(host, monkeypatch):
    host.run(a={})
    host.orders()

    def window(*_):
        raise OSError("refused")

    monkeypatch.setattr(program, "window", window)
    lineage(host.state / "certbot", "a", ["a.test"], begins=-80 * DAY, ends=10 * DAY)
    host.run(a={})
    assert host.ordered() == ["a.test"]


@pytest.mark.parametrize(
    ("pause", "expected"),
    [("21600", 21600), ("1", 60), ("999999", DAY), ("", DAY / 4), ("Sat, 21 Nov", DAY / 4)],
)
def test_the_authority_is_asked_by_the_certificates_number(tmp_path, monkeypatch, pause, expected):
    asked = []

    def ask(url, authorities):
        asked.append(url)
        if url == "https://ca.test/dir":
            return {"renewalInfo": "https://ca.test/renewal/"}, ""
        return {"suggestedWindow": {"start": "2026-11-21T00:00:00Z", "end": "2026-11-22T00:00:00Z"}}, pause

    monkeypatch.setattr(program, "ask", ask)
    pair(tmp_path, ["a.test"])
    made = program.read_certificate(tmp_path / "fullchain.pem")
    told = ASK_WINDOW(made, "https://ca.test/dir", "", 1000.0)
    assert asked[1] == f"https://ca.test/renewal/{made.identifier}", asked
    assert (told["end"] - told["start"], told["again"] - 1000) == (DAY, expected), told


def test_an_authority_without_suggestions_is_left_alone_for_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr(program, "ask", lambda *_: ({"newOrder": "https://ca.test/order"}, ""))
    pair(tmp_path, ["a.test"])
    made = program.read_certificate(tmp_path / "fullchain.pem")
    assert ASK_WINDOW(made, "https://ca.test/dir", "", 1000.0) == {"again": 1000 + DAY}
    assert program.renewal_time(made, {"again": 1000 + DAY}) == made.ends - 30 * DAY


def test_a_moment_of_its_own_before_any_alarm(tmp_path):
    now, moments = time.time(), []
    for _ in range(5):
        pair(tmp_path, ["a.test"])
        made = program.read_certificate(tmp_path / "fullchain.pem")
        start, end = made.last_third - DAY, made.last_third + DAY
        moment = program.renewal_time(made, {"start": start, "end": end})
        assert start <= moment <= made.last_third, f"expected it in time, got {moment - start}"
        assert moment == program.renewal_time(made, {"start": start, "end": end}), "expected the same twice"
        moments.append(program.renewal_time(made, {"start": now, "end": now + DAY}))
    assert len(set(moments)) == 5, moments


def test_time_is_read_as_authorities_write_it():
    expected = program.seconds("2026-11-21T03:27:43Z")
    for text in ("2026-11-21T03:27:43.123456789Z", "2026-11-21T05:27:43+02:00", "2026-11-21t03:27:43z"):
        assert program.seconds(text) == expected, text


def test_force_and_a_rehearsal(host):
    host.run(a={}, b={})
    host.orders()
    before = host.serial_file("a"), host.note("a")
    run = host.run({"dry_run": True, "site": "a"}, a={}, b={})
    (order,) = host.orders()
    assert run.well and "--dry-run" in order, order
    assert (host.serial_file("a"), host.note("a")) == before, "expected a rehearsal to keep nothing"
    host.run({"force": True, "site": "a"}, a={}, b={})
    assert host.ordered() == ["a.test"]
    assert host.serial_file("a") != before[0]


# --- Proofs in DNS -----------------------------------------------------------------------------

WILD = {"server_names": ["wild.test", "*.wild.test"], "challenge": "route53"}


def test_a_proof_in_dns_needs_no_name_to_lead_here(host):
    host.settings = {"probe": True}
    run = host.run(wild=WILD)
    assert run.well and run.done == {"wild": {"installed": True, "error": ""}}, run.done
    (order,) = host.orders()
    assert "--dns-route53" in order and "--webroot" not in order, order
    run = host.run({"dry_run": True}, wild=WILD)
    assert run.well and "--dns-route53" in host.orders()[0], run.faults
    assert host.run(wild=WILD).well and not host.orders(), "expected none that is not due"


def test_how_certbot_finds_route_53(host, monkeypatch):
    def told() -> dict[str, str]:
        found = json.loads((host.root / "environment").read_text())
        return {name: value for name, value in found.items() if name.startswith("AWS_")}

    monkeypatch.setenv("AWS_PROFILE", "somebody's")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/unit")
    host.run(a={})
    assert told() == {}, "expected nothing to be said where nobody asks"
    everybody = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_CA_BUNDLE": program.AUTHORITIES}
    key = {"AWS_SHARED_CREDENTIALS_FILE": "/run/credentials/unit/aws"}
    host.run(wild=WILD)
    assert told() == everybody | key
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    host.settings = {"aws": {"region": "cn-north-1", "endpoint": "http://dns.test"}}
    host.run({"force": True}, wild=WILD)
    assert told() == everybody | {
        "AWS_DEFAULT_REGION": "cn-north-1",
        "AWS_ENDPOINT_URL_ROUTE_53": "http://dns.test",
    }


HINT = "To use certbot-dns-route53, configure credentials as described at https://boto3.test and so on."
OPERATION = "An error occurred ({}) when calling the {} operation{}: {}"
ROUTE_53_SAYS = [
    (
        f"{OPERATION.format('AccessDenied', 'ListHostedZones', '', 'User: arn may not')}\n{HINT}\nAsk",
        "AccessDenied: ListHostedZones: User: arn may not",
    ),
    (
        OPERATION.format(
            "Throttling", "ChangeResourceRecordSets", " (reached max retries: 4)", "Rate exceeded"
        ),
        "Throttling: ChangeResourceRecordSets: Rate exceeded",
    ),
    (f"Unable to locate credentials\n{HINT}\n", "Unable to locate credentials, and the instance has no role"),
    (
        "Unable to find a Route53 hosted zone for _acme-challenge.wild.test\nAsk for help\n",
        "Unable to find a Route53 hosted zone for _acme-challenge.wild.test",
    ),
    (
        "An unexpected error occurred:\nbotocore.exceptions.EndpointConnectionError: Could not connect\nAsk",
        "Could not connect",
    ),
]


@pytest.mark.parametrize(("log", "expected"), ROUTE_53_SAYS)
def test_what_route_53_says_is_said_in_one_line(host, log, expected):
    (host.root / "fault-wild").write_text(log)
    run = host.run(wild=WILD)
    assert run.done["wild"]["error"] == f"Route 53: {expected}", run.done


def test_what_the_authority_says_of_a_proof_in_dns_is_its_own(host):
    said = "Identifier: *.wild.test\n  Type:   unauthorized\n  Detail: Incorrect TXT record\n"
    (host.root / "fault-wild").write_text(said)
    run = host.run(wild=WILD)
    error = "https://ca.test/dir gives none: *.wild.test: Incorrect TXT record"
    assert run.done["wild"]["error"] == error, run.done


def test_an_authority_that_was_not_asked_is_asked_once_it_is_mended(host):
    (host.root / "fault-wild").write_text("Unable to locate credentials")
    host.run(wild=WILD)
    host.run(wild=WILD)
    assert len(host.orders()) == 2, "expected Route 53 to be asked each time"
    assert host.note("wild")["failed"]["times"] == 2
    (host.root / "fault-wild").unlink()
    assert host.run(wild=WILD).well


# --- One site is not another -------------------------------------------------------------------


def test_ones_failure_is_not_anothers(host):
    (host.root / "fault-b").write_text("Domain: b.test\n  Type:   dns\n  Detail: no such name\n")
    run = host.run(a={}, b={}, c={})
    assert not run.well
    assert [run.done[name]["installed"] for name in "abc"] == [True, False, True], run.done
    assert run.done["b"]["error"] == "https://ca.test/dir gives none: b.test: no such name"


def test_an_authority_that_has_refused_is_not_asked_again_at_once(host):
    fault = host.root / "fault-a"
    fault.write_text("too many\n")
    for _ in range(2):
        run = host.run(a={})
        assert "gives none: too many" in run.done["a"]["error"], run.done
    assert len(host.orders()) == 1, "expected one order within an hour"
    host.run({"force": True}, a={})
    assert len(host.orders()) == 1, "expected an operator to be obeyed"
    fault.unlink()
    host.run(a={"server_names": ["a.test", "b.test"]})
    assert host.ordered() == ["a.test b.test"], "expected something else to be asked for"


def test_an_account_that_is_lost_is_made_anew_once(host):
    host.run(a={}, b={})
    host.orders()
    account = host.state / "certbot/accounts/ca.test/dir"
    (account / "lost").touch()
    run = host.run({"force": True}, a={}, b={})
    assert run.well and host.ordered() == ["a.test", "a.test", "b.test"], run.done
    (aside,) = (host.state / "accounts-gone").iterdir()
    assert (aside / "lost").exists() and not (account / "lost").exists(), "expected the old one to be kept"
    # One that takes nobody's word is not to be flooded with accounts.
    (host.root / "bin/certbot").write_text(
        (host.root / "bin/certbot").read_text().replace('(account / "lost").exists()', "True")
    )
    run = host.run({"force": True}, a={}, b={})
    calls = [call[0] for call in host.orders()]
    assert not run.well and calls == ["certonly"] * 3, f"expected one more try in a run, got {calls}"


def test_an_address_to_write_to_is_told_once(host):
    host.settings = {"email": "ops@a.test"}
    host.run(a={})
    host.run(a={})
    assert [call[0] for call in host.orders()] == ["certonly"], "expected what was said at first to be known"
    host.settings = {"email": "others@a.test"}
    (host.root / "fault-account").write_text("down\n")
    run = host.run(a={})
    assert run.faults == ["https://ca.test/dir is not told who it writes to: down"], run.faults
    (host.root / "fault-account").unlink()
    assert host.run(a={}).account_changed and not host.run(a={}).account_changed
    calls = host.orders()
    assert [call[0] for call in calls] == ["update_account"] * 2 and "others@a.test" in calls[1], calls
    host.settings = {}
    host.run(a={})
    assert "--register-unsafely-without-email" in host.orders()[0]


@pytest.mark.parametrize(("off", "which"), [(3, "behind"), (-3, "ahead of")])
def test_a_wrong_clock_is_said_and_asks_for_nothing(host, monkeypatch, off, which):
    host.run(a={})
    host.orders()
    theirs = time.time() + off * 365 * DAY
    pair(host.tls / "b", ["b.test"], begins=theirs - time.time() - DAY, ends=theirs - time.time() + 89 * DAY)
    for name in ("fullchain.pem", "privkey.pem"):
        for folder in (host.tls / "a", host.state / "certbot/live/a"):
            (folder / name).write_bytes((host.tls / "b" / name).read_bytes())
    monkeypatch.setattr(program, "authority_time", lambda *_: theirs)
    run = host.run(a={}, b={"mode": "provided"})
    (said,) = run.faults
    assert said.startswith("this host's clock is wrong: it says 20") and "3 years " + which in said, said
    assert host.orders() == [], "expected nothing to be asked for"
    metrics = (host.root / "certificates.prom").read_text()
    for site in "ab":  # by this host's clock it has ended, or has not begun
        assert f'alarm{{site="{site}"}} 0' in metrics, metrics
    assert "decanter_clock_wrong 1" in metrics and host.note("a")["error"] == said, metrics
    monkeypatch.setattr(program, "authority_time", lambda *_: time.time() + 60)
    assert program.span(3 * 3600.0) == "3 hours"
    assert not host.run(a={}).clock, "expected a minute to be let pass"


def test_the_time_is_the_authoritys(monkeypatch):
    answer = types.SimpleNamespace(headers=http.client.HTTPMessage())
    monkeypatch.setattr(
        urllib.request.OpenerDirector, "open", lambda *_, **__: contextlib.nullcontext(answer)
    )
    assert ASK_TIME("https://ca.test/dir", "") is None, "expected an authority to be let say nothing"
    answer.headers["Date"] = "Sat, 21 Nov 2026 03:27:43 GMT"
    assert ASK_TIME("https://ca.test/dir", "") == program.seconds("2026-11-21T03:27:43Z")


@pytest.mark.parametrize("first", [True, False])
def test_what_certbot_got_for_a_run_that_was_cut_off(host, monkeypatch, first):
    if not first:
        host.run(a={"profile": "classic"})
    host.orders()
    real = program.subprocess.run

    def killed(command, **options):
        done = real(command, **options)
        if "certonly" in command:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(program.subprocess, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        host.run(a={})
    monkeypatch.setattr(program.subprocess, "run", real)
    assert len(host.orders()) == 1
    run = host.run(a={})
    assert run.well and run.done["a"]["installed"], run.done
    assert "certonly" not in {call[0] for call in host.orders()}, "expected no second order"
    assert "asked" not in host.note("a"), host.note("a")


def test_what_is_served_goes_on_when_there_is_no_other(host):
    host.run(a={})
    before = host.serial_file("a")
    (host.root / "fault-a").write_text("down\n")
    assert not host.run(a={"server_names": ["b.test"]}).well
    assert host.serial_file("a") == before


def test_a_site_that_is_gone_is_no_longer_renewed(host):
    host.run(a={}, b={})
    host.run(a={}, b={"mode": "self-signed"})
    assert not list(host.state.glob("**/b*")), list(host.state.glob("**/b*"))
    assert (host.tls / "b/fullchain.pem").exists(), "expected what is served to stay"
    assert (host.state / "certbot/live/a/fullchain.pem").exists()


def test_what_was_cut_off_is_put_in_place_by_the_next(host):
    host.run(a={})
    host.orders()
    (host.tls / "a/privkey.pem").unlink()
    assert host.run(a={}).done["a"]["installed"] and not host.orders()


def test_a_key_of_another_is_never_put_in_place(host):
    host.run(a={}, b={})
    before = host.serial_file("a")
    live = host.state / "certbot/live/a"
    lineage(host.state / "certbot", "a", ["a.test"])
    key = host.state / "certbot/live/b/privkey.pem"
    with pytest.raises(program.Refused, match="is not the key of"):
        program.put(live / "fullchain.pem", key, host.tls / "a")
    assert host.serial_file("a") == before
    assert [path.name for path in host.tls.iterdir() if path.name[0] == "."] == []


def test_a_full_disk_leaves_what_is_served(host, monkeypatch):
    host.run(a={}, b={})
    host.orders()
    before, real = host.serial_file("a"), program.write_file

    def write(path: Path, *rest: Any) -> None:
        if path.is_relative_to(host.full):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, *rest)

    monkeypatch.setattr(program, "write_file", write)
    for full, expected in ((host.state, []), (host.tls, ["a.test", "b.test"])):
        host.full = full
        run = host.run({"force": True}, a={}, b={})
        assert {site["error"] for site in run.done.values()} == {"No space left on device"}, run.done
        assert host.ordered() == expected, "expected no order whose outcome cannot be noted"
        assert host.serial_file("a") == before
    host.full = Path("/nowhere")
    run = host.run(a={}, b={})
    assert run.well and run.done["a"]["installed"], "expected the next run to do what was left undone"
    assert host.orders() == [], "expected no second order"


def test_a_folder_is_exchanged_as_a_whole(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "what").write_text(name)
    (tmp_path / "old/request.pem").touch()
    program.exchange(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old/what").read_text() == "new"


# --- Names that do not lead here ---------------------------------------------------------------


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.hosts.append(self.headers["Host"])
        match self.headers["Host"].split(".")[0]:
            case "gone":
                self.send_error(404)
            case "other":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"<html>parked</html>")
            case "moved":
                self.send_response(301)
                self.send_header("Location", f"http://127.0.0.1:{program.PORT}{self.path}")
                self.end_headers()
            case _:
                super().do_GET()


@contextlib.contextmanager
def answering(folder: Path) -> Iterator[http.server.HTTPServer]:
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *given: Handler(*given, directory=str(folder))
    )
    server.hosts = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def probed(host, monkeypatch) -> Iterator[Host]:
    """Names are probed, at a port of this machine; DNS says what `host.dns` says."""
    host.dns, host.settings = {}, {"probe": True}

    def addresses(name: str) -> list[str]:
        if "unknown" in name:
            raise program.Refused(f"DNS has no address for {name} (Name or service not known)")
        return host.dns.get(name, ["127.0.0.1"])

    monkeypatch.setattr(program, "addresses", addresses)
    with answering(host.root / "challenges") as server:
        monkeypatch.setattr(program, "PORT", server.server_address[1])
        host.server = server
        yield host


def test_names_that_lead_here(probed):
    run = probed.run(a={"server_names": ["a.test", "moved.test"]})
    assert run.well and probed.ordered() == ["a.test moved.test"], run.done
    assert "a.test" in {asked.split(":")[0] for asked in probed.server.hosts}, probed.server.hosts
    left = [path for path in (probed.root / "challenges").rglob("*") if path.is_file()]
    assert left == [], f"expected no token to stay, got {left}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "gone.test",
            "gone.test does not lead here: 127.0.0.1 answers 404 (DNS says 127.0.0.1, this host is ",
        ),
        ("other.test", "other.test does not lead here: 127.0.0.1 answers something else (DNS says 127.0.0.1"),
        (
            "refused.test",
            "refused.test does not lead here: 127.0.0.2 does not answer (Connection refused) (DNS",
        ),
        (
            "half.test",
            "half.test does not lead here: 127.0.0.2 does not answer (Connection refused) (DNS says ",
        ),
        ("unknown.test", "DNS has no address for unknown.test (Name or service not known)"),
    ],
)
def test_a_name_that_does_not_is_left_out_and_said(probed, name, expected):
    probed.dns |= {"refused.test": ["127.0.0.2"], "half.test": ["127.0.0.1", "127.0.0.2"]}
    run = probed.run(a={"server_names": ["a.test", name]}, b={"server_names": [name]})
    assert probed.ordered() == ["a.test"], "expected an order for what arrives, and none for what does not"
    assert not run.well and run.done["a"]["installed"], run.done
    for site in "ab":
        assert run.done[site]["error"].startswith(expected), run.done
    probed.run(a={"server_names": ["a.test", name]})
    assert probed.orders() == [], "expected no second order for the same"


def test_one_of_several_hosts_that_is_dead_keeps_nobody_from_asking(probed, capsys):
    probed.settings |= {"shared": True}
    probed.dns |= {"a.test": ["127.0.0.2", "127.0.0.1"], "dead.test": ["127.0.0.2"]}
    probed.dns["gone.test"] = ["127.0.0.1", "127.0.0.2"]
    run = probed.run(a={"server_names": ["a.test", "dead.test", "gone.test"]})
    assert probed.ordered() == ["a.test"], "expected the living to be asked"
    assert "a.test leads here, and to who is not there: 127.0.0.2 does not answer" in capsys.readouterr().out
    for name in ("dead.test", "gone.test"):
        assert f"{name} does not lead here" in run.done["a"]["error"], run.done


def test_a_name_that_fails_once_is_not_lost(probed):
    both = {"server_names": ["a.test", "gone.test"]}
    for left, expected in ((20 * DAY, []), (10 * DAY, ["a.test"])):
        lineage(probed.state / "certbot", "a", both["server_names"], begins=left - 90 * DAY, ends=left)
        (probed.state / "sites").mkdir(exist_ok=True)
        got = {"server": "https://ca.test/dir", "profile": "", "key_type": "ecdsa"}
        (probed.state / "sites/a.json").write_text(json.dumps({"got": got}))
        run = probed.run(a=both)
        assert "gone.test does not lead here" in run.done["a"]["error"], run.done
        assert probed.ordered() == expected, f"{left / DAY:.0f} of 90 days left"


@pytest.mark.parametrize("left", [25, 10, -1])
def test_a_name_that_never_arrives_is_not_in_a_renewals_way(probed, left):
    both = {"server_names": ["a.test", "gone.test"]}
    probed.run(a=both)
    probed.orders()
    lineage(probed.state / "certbot", "a", ["a.test"], begins=(left - 90) * DAY, ends=left * DAY)
    probed.run(a=both)
    assert probed.ordered() == ["a.test"], f"{left} of 90 days left"


def test_an_address_that_this_host_has_no_way_to_is_passed_over(probed, monkeypatch):
    monkeypatch.setattr(program, "NO_WAY", {111})  # that is what 127.0.0.2 answers
    probed.dns["a.test"] = ["127.0.0.2", "127.0.0.1"]
    assert probed.run(a={}).well
    probed.dns["b.test"] = ["127.0.0.2"]
    error = probed.run(a={}, b={}).done["b"]["error"]
    assert error.startswith("b.test does not lead here: this host has no way there (DNS says 127.0.0.2"), (
        error
    )


def test_dns_is_asked():
    assert program.addresses("fd00::1") == ["fd00::1"]
    assert "127.0.0.1" in program.addresses("localhost")
    with pytest.raises(program.Refused, match=r"DNS has no address for nobody\.invalid"):
        program.addresses("nobody.invalid")


# --- Who is told -------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["acme", "provided", "self-signed", "ca"])
@pytest.mark.parametrize(
    ("begins", "ends", "expected"),
    [
        (-59, 31, ""),
        (-61, 29, "ends "),
        (-3, 3, ""),
        (-5, 1.9, "ends "),
        (-300, 65, ""),
        (-9, -1, "has ended "),
    ],
)
def test_an_alarm_says_what_ends(host, capsys, mode, begins, ends, expected):
    pair(host.tls / "a", ["a.test"], begins=begins * DAY, ends=ends * DAY)
    (host.root / "fault-a").write_text("down\n")
    host.settings = {"probe": False}
    run = host.run({"site": "nobody"}, a={"mode": mode})
    assert run.well == (not expected), run.faults
    said = capsys.readouterr().out
    assert (f"a: its certificate {expected}" if expected else "") in said, said
    metrics = (host.root / "certificates.prom").read_text()
    assert f'decanter_certificate_alarm{{site="a"}} {int(bool(expected))}' in metrics, metrics


def test_the_journal_knows_an_error(host, capsys, monkeypatch):
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    (host.root / "fault-a").write_text("down\n")
    host.run(a={})
    assert "<3>a: https://ca.test/dir gives none: down\n" in capsys.readouterr().out


def test_failures_are_counted(host):
    (host.root / "fault-a").write_text("down\n")
    for times in (1, 2):
        host.run({"force": True}, a={})
        metrics = (host.root / "certificates.prom").read_text()
        assert f'decanter_certificate_failures{{site="a"}} {times}\n' in metrics, metrics
    (host.root / "fault-a").unlink()
    host.run({"force": True}, a={})
    assert 'decanter_certificate_failures{site="a"} 0\n' in (host.root / "certificates.prom").read_text()


def test_those_who_serve_read_what_is_new_once(host, monkeypatch, tmp_path):
    told = tmp_path / "told"
    stamp = tmp_path / "stamp"
    stamp.write_text("Sat 2020-01-01 00:00:00.000000 UTC")
    (host.root / "bin/systemctl").write_text(
        f"#!/bin/sh\n[ $1 = show ] || {{ echo $* >>{told}; date -u '+%a %F %T.%6N UTC' >{stamp}; exit; }}\n"
        f"echo ActiveState=active; echo StateChangeTimestamp=$(cat {stamp})\n"
    )
    (host.root / "bin/systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{host.root / 'bin'}:{os.environ['PATH']}")
    host.settings = {"reloads": ["nginx.service"]}
    host.run(a={}, b={})
    assert told.read_text() == "reload nginx.service\n", "expected one reload for two certificates"
    host.run(a={}, b={})
    assert told.read_text() == "reload nginx.service\n", "expected no reload for nothing"
    (host.tls / "a/privkey.pem").touch()
    time.sleep(0.01)
    host.run(a={}, b={})
    assert told.read_text().count("reload") == 2, "expected what a run has left undone to be done"


def test_those_who_could_not_read_it_are_told_again(host, monkeypatch, tmp_path):
    told, stamp, broken = tmp_path / "told", tmp_path / "stamp", tmp_path / "broken"
    stamp.write_text("Sat 2020-01-01 00:00:00.000000 UTC")
    for name, text in (
        (
            "systemctl",
            f"[ $1 = show ] || {{ echo $* >>{told}; date -u '+%a %F %T.%6N UTC' >{stamp}; "
            f"[ ! -e {broken} ] || exit 1; exit 0; }}\n"
            f"echo ActiveState=active; echo StateChangeTimestamp=$(cat {stamp})\n"
            "echo 'ActiveEnterTimestamp=Sat 2020-01-01 00:00:00.000000 UTC'\n",
        ),
        ("journalctl", "echo 'nginx: [emerg] unknown directive'\n"),
    ):
        (host.root / "bin" / name).write_text(f"#!/bin/sh\n{text}")
        (host.root / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{host.root / 'bin'}:{os.environ['PATH']}")
    host.settings = {"reloads": ["nginx.service"]}
    broken.touch()
    for _ in range(2):
        run = host.run(a={})
        expected = "nginx.service goes on with the old: unknown directive"
        assert run.faults == [expected], run.faults
    broken.unlink()
    assert host.run(a={}).well and host.run(a={}).well
    assert told.read_text().count("reload") == 3, "expected it to be told until it has read what is new"


def test_what_keeps_failing_is_an_alarm_long_before_the_end(host, monkeypatch):
    host.run(a={}, b={})
    (host.root / "fault-a").write_text("down\n")
    alarms = []
    for _ in range(3):
        run = host.run({"force": True, "site": "a"}, a={}, b={})
        metrics = (host.root / "certificates.prom").read_text()
        alarms.append([int(f'alarm{{site="{site}"}} 1' in metrics) for site in "ab"])
    assert alarms == [[0, 0], [0, 0], [1, 0]], alarms
    assert run.faults[-1].startswith("a: it keeps failing, since 20"), run.faults
    told = certificates_action.table("web1", run.listed())
    assert told.count("    KEEPS FAILING since 20") == 1, told
    (host.root / "fault-a").unlink()
    assert host.run({"force": True}, a={}, b={}).well
    # Not asked often, but for long.
    (host.root / "fault-a").write_text("down\n")
    host.run({"force": True}, a={}, b={})
    later = time.time() + 1.1 * DAY
    monkeypatch.setattr(program.time, "time", lambda: later)
    run = host.run({"force": True}, a={}, b={})
    assert "keeps failing" in run.faults[-1], run.faults


def test_a_disk_that_is_full_altogether_is_said(host, monkeypatch, capsys):
    configuration = host.run(a={}).configuration
    file = host.root / "certificates.json"
    file.write_text(json.dumps(configuration))
    monkeypatch.setattr(program, "CONFIGURATION", file)

    def write(path: Path, *_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(program, "write_file", write)
    (host.state / "request.json").write_text('{"force": true}')
    assert program.main([]) == 1
    said = capsys.readouterr().out
    assert f"a: {host.state}/sites/a.json: No space left on device\n" in said, said
    assert f"{host.state}/last.json: No space left on device\n" in said, said


def test_what_there_is_is_listed(host):
    (host.root / "fault-b").write_text("down\n")
    run = host.run(a={"profile": "tlsserver", "key_type": "rsa"}, b={})
    first, second = run.listed()
    expected = {
        "names": ["a.test"],
        "issuer": "Authority R1",
        "profile": "tlsserver",
        "key_type": "rsa",
        "error": "",
    }
    assert expected.items() <= first.items(), first
    assert 88 < first["days"] < 89.1 and first["renewal"] and not first["alarm"], first
    assert second["error"].endswith("b/fullchain.pem"), second


def test_people_read_a_table(host):
    (host.root / "fault-b").write_text("down\n")
    run = host.run(a={"profile": "tlsserver"}, b={})
    pair(host.tls / "b", ["b.test"], ends=DAY / 5)
    told = certificates_action.table("web1", run.listed()).splitlines()
    assert told[:3] == [
        "web1:",
        "  a                a.test",
        f"    by Authority R1 (ecdsa tlsserver), 89 days left: until {program.iso(run.now + 89 * DAY)}",
    ], told
    assert told[3].startswith("    renewed at 20"), told
    assert "0.2 days left, TOO FEW" in told[5] and told[6:] == [
        "    it stands in until there is one",
        "    https://ca.test/dir gives none: down",
    ], told


def test_an_operator_asks_by_a_file(host, monkeypatch, capsys):
    configuration = host.run(a={}).configuration
    file = host.root / "certificates.json"
    file.write_text(json.dumps(configuration))
    monkeypatch.setattr(program, "CONFIGURATION", file)
    host.orders()
    (host.state / "request.json").write_text('{"force": true}')
    for orders in (1, 0):
        assert program.main([]) == 0
        assert len(host.orders()) == orders, "expected a request to hold for one run"
    assert json.loads((host.state / "last.json").read_text())["sites"] == {
        "a": {"installed": False, "error": ""}
    }
    capsys.readouterr()
    assert program.main(["list"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "a"


def test_this_host_is_where_it_sends_from():
    for address in program.own_addresses():
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def test_it_runs_with_the_oldest_python():
    """Of the hosts: 3.10, whose standard library it must do with."""
    import ast

    ast.parse(PROGRAM.read_text(), feature_version=(3, 10))


# --- From one machine to the next --------------------------------------------------------------


@pytest.fixture
def heir(tmp_path) -> Host:
    (tmp_path / "heir").mkdir()
    return Host(tmp_path / "heir")


def with_account(host: Host) -> Path:
    """What certbot has of an account, and of a certificate that has been renewed."""
    account = host.state / "certbot/accounts/ca.test/dir/0123"
    account.mkdir(parents=True)
    for name in ("regr.json", "private_key.json", "meta.json"):
        (account / name).write_text(f"{name} of the first")
    for name in ("privkey", "fullchain"):
        live = host.state / f"certbot/live/a/{name}.pem"
        live.parent.joinpath("../../archive/a").resolve().mkdir(parents=True, exist_ok=True)
        live.rename(live.parent / f"../../archive/a/{name}2.pem")
        live.symlink_to(f"../../archive/a/{name}2.pem")
    return account


def test_another_machine_takes_over_without_asking(host, heir):
    host.run(a={}, gone={})
    account = with_account(host)
    text = json.dumps(program.packed(host.run(a={}, gone={})))
    run = heir.run({"site": ""}, b={"mode": "self-signed"})
    run.sites = host.run(a={}).sites + heir.run(new={"mode": "acme"}).sites
    heir.orders()
    program.unpack(run, text)
    assert heir.serial_file("a") == host.serial_file("a")
    heir.run(a={}, new={})
    assert heir.ordered() == [], "expected nothing to be asked for"
    carried = heir.state / account.relative_to(host.state)
    assert (carried / "private_key.json").read_text() == "private_key.json of the first"
    assert os.readlink(heir.state / "certbot/live/a/privkey.pem") == "../../archive/a/privkey2.pem"
    assert not list(heir.state.glob("**/gone*")), "expected a site that is not here to stay where it was"
    for path in (*carried.iterdir(), *(heir.state / "certbot/archive/a").iterdir()):
        assert path.stat().st_mode & 0o777 == 0o600, f"expected {path} to be root's alone"
    with pytest.raises(program.Refused, match="has an account of its own already"):
        program.unpack(run, text)


@pytest.mark.parametrize("text", ["", '{"account": {', "[]", '{"account": {}}'])
def test_what_has_not_come_whole_is_not_taken_in(heir, text):
    run = heir.run(a={"mode": "self-signed"})
    with pytest.raises(program.Refused, match="not whole"):
        program.unpack(run, text)
    assert not (heir.state / "certbot/accounts").exists()


@pytest.mark.parametrize(
    "entries",
    [
        {"../out": {"content": ""}},
        {"/etc/out": {"content": ""}},
        {"certbot/live/a/privkey.pem": {"link": "../../../../out"}},
        {"certbot/live/a/privkey.pem": {"link": "/etc/shadow"}},
    ],
)
def test_nothing_is_written_elsewhere(tmp_path, entries):
    with pytest.raises(program.Refused, match="would lead out of"):
        program.place(tmp_path / "state", entries)
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_an_account_has_nothing_to_give(host):
    run = host.run(a={})
    with pytest.raises(program.Refused, match="has no account"):
        program.packed(run)
