#!/usr/bin/env python3
"""Gets and renews this host's certificates from an ACME server, and watches how long all are good for.

decanter-certificates.timer runs it twice a day, a converge when something is missing. For each site of mode
acme it asks itself whether a certificate is due: there is none, its names, profile, key type or server are
others now, or the authority says so (ARI, RFC 9773; else at a third of the lifetime). Each name is first
fetched from here, as the authority would: what does not arrive is left out and said, so that no rate limit is
burnt. certbot, which knows the protocol, then makes one order.

What nginx reads, TLS/SITE/{fullchain,privkey}.pem, is exchanged as a pair; nginx is reloaded once at the end,
if one of them is newer than what it has read. Whatever a run leaves undone is found by the next, for files
decide. No site's failure keeps another from its turn.

    STATE/certbot/            certbot's own: accounts, keys, chains
    STATE/sites/SITE.json     what a certificate was asked for, when it is renewed, what failed
    STATE/account.json        what the authority knows of whoever asks
    STATE/unread.json         units that could not read what is new
    STATE/request.json        what an operator asks of the next run: force, dry_run, site
    STATE/last.json           what the last run did

    certificates.py           a run
    certificates.py install   as certbot's hook: put in place what it has got, and reload
    certificates.py list      print what there is, as JSON
    certificates.py pack      print the account, certificates and keys, for another machine
    certificates.py unpack    take in what another has packed, where there is no account yet

Standard library of Python 3.10, cryptography and certbot.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import email.utils
import errno
import fcntl
import hashlib
import http.client
import json
import os
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from shared.addresses import canonical, parse_address
from shared.certificate import DAY, Certificate, fits, read_certificate
from shared.files import read_json, write_file
from shared.journal import iso, say
from shared.systemd import SystemdError, show, systemctl, timestamp_seconds

CONFIGURATION = Path("/etc/decanter/certificates.json")
# The distribution's authorities have security updates; certbot's own list has none.
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
CHALLENGE = "/.well-known/acme-challenge/"
PORT = 80  # the authority asks there and nowhere else

TIMEOUT = 10.0  # seconds for an answer to a probe, and of the authority about a renewal
ORDER_TIMEOUT = 600.0
HOPS = 5  # redirects that are followed
# Let's Encrypt lets an account fail five times an hour for a name.
PATIENCE = 3600.0
# Once is bad luck. After so many orders that fail, or after so long, somebody has to look.
FAILURES = 3
# By how much a clock may be off: more than any network's delay, less than matters to a certificate.
CLOCK_TOLERANCE = 3600.0
NO_CHECK_TIME = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which Python has no name
UNKNOWN_ACCOUNT = "accountDoesNotExist"
OTHER_NAMES = "its names are others now"
# This host has no way to such addresses at all, which says nothing about the name.
NO_WAY = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


class Refused(Exception):
    """A site gets no certificate in this run; the message says why."""


class Silent(str):
    """What is wrong at an address where nobody answers."""


class NotAsked(Refused):
    """What failed is on the way to the authority, which has not looked at a name."""


class Half(Refused):
    """A certificate is new, and not for all names."""


def words(error: BaseException) -> str:
    """An error as people read it: the system's own without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def span(seconds: float) -> str:
    """How long that is, in the largest unit that says it."""
    for name, size in (("years", 365 * DAY), ("days", DAY)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds / 3600:.0f} hours"


# --- Whether names lead here -------------------------------------------------------------------


def addresses(name: str) -> list[str]:
    """What DNS says of a name. Raises Refused where it says nothing."""
    if parse_address(name):
        return [name]
    try:
        found = socket.getaddrinfo(name, PORT, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Refused(f"DNS has no address for {name} ({error.strerror})") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def own_addresses() -> list[str]:
    """By which this host sends to others; nothing is sent to find out."""
    found = []
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, PORT))
            found.append(probe.getsockname()[0])
    return found


def bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def get(name: str, address: str, path: str) -> tuple[int, str]:
    """Ask an address for a path of a name, and follow where it leads, as authorities do."""
    parts = urllib.parse.urlsplit(f"http://{bracketed(name)}{path}")
    host, port = address, PORT
    for _ in range(HOPS):
        if parts.scheme == "https":
            # Authorities do not verify it either: there may be no certificate yet.
            unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=TIMEOUT, context=unverified
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
        with contextlib.closing(connection):
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target or "/", headers={"Host": parts.netloc, "Connection": "close"})
            answer = connection.getresponse()
            body = answer.read(1024).decode(errors="replace")
            if answer.status not in (301, 302, 303, 307, 308) or not answer.getheader("Location"):
                return answer.status, body
            parts = urllib.parse.urlsplit(urllib.parse.urljoin(parts.geturl(), answer.getheader("Location")))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise http.client.HTTPException(f"leads to {parts.geturl()}")
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else PORT)
    raise http.client.HTTPException(f"redirects more than {HOPS} times")


def fault_at(name: str, address: str, token: str) -> str | None:
    """What is wrong with a token that is fetched; None where this host has no way to the address."""
    try:
        status, body = get(name, address, f"{CHALLENGE}{token}")
    except OSError as error:
        if error.errno in NO_WAY:
            return None
        return Silent(f"{address} does not answer ({error.strerror or error})")
    except http.client.HTTPException as error:
        return f"{address} {error}"
    if status != 200:
        return f"{address} answers {status}"
    return "" if body.strip() == token else f"{address} answers something else"


def does_not_arrive(name: str, token: str, shared: bool = False) -> str:
    """Why an authority would not find the token by this name; nothing where it would, or where one of several
    hosts that share the name would be found dead.
    """
    try:
        found = addresses(name)
    except Refused as refused:
        return str(refused)
    faults = [fault_at(name, address, token) for address in found]
    wrong = [fault for fault in faults if fault]
    if "" in faults and (not wrong or (shared and all(isinstance(fault, Silent) for fault in wrong))):
        if wrong:
            say(f"{name} leads here, and to who is not there: {'; '.join(wrong)}")
        return ""
    told = "; ".join(wrong) or "this host has no way there"
    return (
        f"{name} does not lead here: {told} "
        f"(DNS says {', '.join(found)}, this host is {', '.join(own_addresses()) or 'without an address'})"
    )


def probe(names: list[str], challenges: Path, shared: bool = False) -> dict[str, str]:
    """Which of the names do not lead here, and why."""
    folder, token = challenges / CHALLENGE.strip("/"), f"decanter-{secrets.token_urlsafe(24)}"
    for path in (folder.parent, folder):
        path.mkdir(mode=0o755, exist_ok=True)
        path.chmod(0o755)
    write_file(folder / token, token)
    try:
        with ThreadPoolExecutor(8) as pool:
            faults = pool.map(lambda name: does_not_arrive(name, token, shared), names)
            return {name: fault for name, fault in zip(names, faults, strict=True) if fault}
    finally:
        (folder / token).unlink()


# --- When the authority wants a renewal --------------------------------------------------------


def ask(url: str, authorities: str) -> tuple[dict[str, Any], str]:
    """JSON of the authority's, and when to ask again."""
    context = ssl.create_default_context(cafile=authorities if os.path.exists(authorities) else None)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    with opener.open(url, timeout=TIMEOUT) as answer:
        return json.loads(answer.read(1 << 20)), answer.headers.get("Retry-After", "")


def authority_time(url: str, authorities: str) -> float | None:
    """What time it is by the authority, in seconds since 1970; None where it does not say.

    Whoever has a wrong clock takes every certificate for one that has ended or not begun, so that alone is
    not looked at.
    """
    context = ssl.create_default_context(cafile=authorities if os.path.exists(authorities) else None)
    context.verify_flags |= NO_CHECK_TIME
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=TIMEOUT) as answer:
            return email.utils.parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (OSError, http.client.HTTPException, TypeError, ValueError):
        return None  # an authority that is down is found out when it is asked for something


def seconds(text: str) -> float:
    """Seconds since 1970 of RFC 3339's `2026-11-21T03:27:43.123Z`, of which Python 3.10 reads less."""
    whole = re.sub(r"\.\d+", "", text.upper()).replace("Z", "+00:00")
    moment = datetime.fromisoformat(whole)
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def window(made: Certificate, server: str, authorities: str, now: float) -> dict[str, Any]:
    """What the authority suggests (RFC 9773), and when to ask it again; no `start` where it does not say."""
    directory, _ = ask(server, authorities)
    if not directory.get("renewalInfo") or not made.identifier:
        return {"again": now + DAY}
    told, again = ask(f"{directory['renewalInfo'].rstrip('/')}/{made.identifier}", authorities)
    suggested = told["suggestedWindow"]
    # At most a day, and not more often than in a minute, whatever it says.
    pause = min(max(float(again), 60.0), DAY) if again.isdigit() else DAY / 4
    return {
        "start": seconds(suggested["start"]),
        "end": seconds(suggested["end"]),
        "because": str(told.get("explanationURL", "")),
        "again": now + pause,
    }


def renewal_time(made: Certificate, suggested: dict[str, Any]) -> float:
    """When a certificate is renewed: at its own moment of what is suggested, and before an alarm is due."""
    if "start" not in suggested:
        return made.renewal
    start, end = suggested["start"], max(suggested["end"], suggested["start"])
    share = int(hashlib.sha256(made.public_key.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    chosen = start + share * (end - start)
    return min(chosen, max(start, made.last_third))


# --- What is served ----------------------------------------------------------------------------


def exchange(new: Path, old: Path) -> None:
    """Let two folders trade places at once, so that nobody ever finds a key beside another's chain."""
    here, at_once = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(here, os.fsencode(new), here, os.fsencode(old), at_once) == 0:
        return
    if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(old))
    # A file system that cannot: one file after the other.
    for file in new.iterdir():
        file.replace(old / file.name)


def put(chain: Path, key: Path, folder: Path) -> bool:
    """Have a folder hold the pair; whether it did not before."""
    wanted = {"fullchain.pem": chain.read_bytes(), "privkey.pem": key.read_bytes()}
    if all((folder / name).exists() and (folder / name).read_bytes() == wanted[name] for name in wanted):
        return False
    if not fits(chain, key):
        raise Refused(f"{key} is not the key of {chain}")
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    try:
        for name, content in wanted.items():
            write_file(new / name, content, 0o600)
        if folder.exists():
            exchange(new, folder)
        else:
            new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return True


def refusal(unit: str, begun: float) -> str:
    """Why a unit did not reload, in its own words."""
    time.sleep(0.2)  # what was said a moment ago may not be written yet
    command = ["journalctl", "--unit", unit, "--since", f"@{int(begun)}", "--output", "cat", "--quiet"]
    said = subprocess.run(command, capture_output=True, text=True, errors="replace").stdout.splitlines()
    # nginx: 2026/11/21 13:39:54 [emerg] 5660#5660: unknown directive …
    return next((re.sub(r".*\[emerg\] (\d+#\d+: )?", "", line) for line in said if "[emerg]" in line), "")


# --- A run -------------------------------------------------------------------------------------


class Run:
    """One run, of all sites or of one."""

    def __init__(self, configuration: dict[str, Any], state: Path, request: dict[str, Any] | None = None):
        self.configuration, self.state, self.request = configuration, state, request or {}
        self.directory = Path(configuration["directory"])
        self.server, self.authorities = configuration["server"], configuration["ca_bundle"] or AUTHORITIES
        self.certbot = state / "certbot"
        self.sites = configuration["sites"]
        self.now = time.time()
        self.clock = ""  # what is wrong with it
        self.new_account = self.account_changed = self.account_gone = False
        self.done: dict[str, dict[str, Any]] = {}  # of each acme site: installed, error
        self.faults: list[str] = []

    # What is known of a site

    def acme_sites(self) -> list[dict[str, Any]]:
        return [site for site in self.sites if site["mode"] == "acme"]

    def note(self, site: dict[str, Any]) -> Path:
        return self.state / "sites" / f"{site['name']}.json"

    def lineage(self, site: dict[str, Any]) -> Path:
        return self.certbot / "live" / site["name"]

    def wanted(self, site: dict[str, Any]) -> dict[str, Any]:
        """What else than names makes another certificate of it."""
        return {"server": self.server, "profile": site["profile"], "key_type": site["key_type"]}

    def present(self, site: dict[str, Any]) -> Certificate | None:
        """What certbot has got for a site, if that can be used."""
        chain, key = (self.lineage(site) / name for name in ("fullchain.pem", "privkey.pem"))
        try:
            return read_certificate(chain) if fits(chain, key) else None
        except (ValueError, OSError):
            return None

    def renewal(self, site: dict[str, Any], made: Certificate, note: dict[str, Any]) -> float:
        """When the certificate is renewed, asked of the authority where it is time to ask."""
        known = note.get("suggested", {})
        if known.get("of") != made.identifier or known.get("again", 0) <= self.now:
            try:
                known = {**window(made, self.server, self.authorities, self.now), "of": made.identifier}
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                # Nothing that stops a renewal: its time is known without the authority.
                say(f"{site['name']}: the authority does not say when to renew ({error})")
                known = known if known.get("of") == made.identifier else {}
            note["suggested"] = known
        return renewal_time(made, known)

    def compare_clocks(self) -> None:
        """Go by the authority's time where this host's is wrong, and ask for nothing until it is right: no
        certificate that is offered could be verified."""
        theirs = authority_time(self.server, self.authorities) if self.acme_sites() else None
        if theirs is None or abs(theirs - self.now) <= CLOCK_TOLERANCE:
            return
        which = "ahead of" if self.now > theirs else "behind"
        self.clock = (
            f"this host's clock is wrong: it says {iso(self.now)}, {span(abs(theirs - self.now))} {which} "
            f"{self.server}; no certificate is asked for until it is right"
        )
        self.now = theirs

    # The account

    def account(self) -> Path:
        """Where certbot keeps that of the server."""
        return self.certbot / "accounts" / self.server.split("://", 1)[-1]

    def unknown_account(self, done: subprocess.CompletedProcess[str]) -> bool:
        """Whether certbot failed for want of an account; the kind of an error is in its log alone."""
        log = self.state / "logs/letsencrypt.log"
        return done.returncode != 0 and log.exists() and UNKNOWN_ACCOUNT in log.read_text(errors="replace")

    def put_account_aside(self) -> bool:
        """Have certbot register anew, once in a run; whether there was an account."""
        account, aside = self.account(), self.state / "accounts-gone" / str(time.time_ns())
        if self.account_gone or not account.is_dir():
            return False
        aside.parent.mkdir(mode=0o700, exist_ok=True)
        account.rename(aside)
        self.new_account = self.account_gone = True
        say(f"{self.server} does not know this host's account any more; another is made (old: {aside})")
        return True

    def update_account(self) -> None:
        """Tell the authority of another address to write to, once."""
        wanted = self.known_of_account()
        self.new_account = not self.account().is_dir()
        if self.new_account or self.clock or read_json(self.state / "account.json") == wanted:
            return
        done = self.certbot_run("update_account", *self.contact())
        if self.unknown_account(done):
            return  # the next order sees to that
        if done.returncode != 0:
            raise Refused(f"{self.server} is not told who it writes to: {explained(done.stdout)}")
        say(f"{self.server} knows that it writes to {wanted['email'] or 'nobody'} now")
        self.account_changed = True
        write_file(self.state / "account.json", json.dumps(wanted), 0o600)

    def known_of_account(self) -> dict[str, str]:
        return {"server": self.server, "email": self.configuration["email"]}

    def contact(self) -> list[str]:
        email = self.configuration["email"]
        return ["--email", email] if email else ["--register-unsafely-without-email"]

    # One site

    def due(self, site: dict[str, Any], made: Certificate | None, note: dict[str, Any]) -> str:
        """Why a certificate is asked for; nothing where all is well."""
        if self.request.get("force"):
            return "somebody asked for it"
        if made is None:
            return "there is none"
        for key, value in self.wanted(site).items():
            if note.get("got", {}).get(key) != value:
                return f"{key} is {value or 'nothing'} now"
        when = note["renewal"] = self.renewal(site, made, note)
        because = note.get("suggested", {}).get("because")
        if when <= self.now:
            return f"its renewal is due since {iso(when)}" + (f" ({because})" if because else "")
        # Last, for it may be so for long: a name that does not lead here must not be in a renewal's way.
        names = {canonical(name) for name in site["server_names"]}
        return OTHER_NAMES if set(made.names) != names else ""

    def astray(self, site: dict[str, Any]) -> dict[str, str]:
        """The names that do not lead here, and why, where that matters and is to be found out."""
        if site.get("challenge") == "route53" or not self.configuration["probe"]:
            return {}
        return probe(
            site["server_names"], Path(self.configuration["challenges"]), self.configuration["shared"]
        )

    def leading_here(
        self, site: dict[str, Any], made: Certificate | None, because: str
    ) -> tuple[list[str], list[str]]:
        """The names to ask for, and what is wrong with the others. No names: what there is will do."""
        names = site["server_names"]
        faults = self.astray(site)
        left = [name for name in names if name not in faults]
        wrong = list(faults.values())
        if not left:
            raise Refused("; ".join(wrong))
        if made:
            lost = set(made.names) & {canonical(name) for name in faults}
            # A name that fails for an hour must not be lost for a month; but not at the price of all.
            if lost and made.ends - self.now > made.lifetime / 6:
                raise Refused("; ".join(wrong))
            if because == OTHER_NAMES and set(made.names) == {canonical(name) for name in left}:
                return [], wrong
        return left, wrong

    def order(self, site: dict[str, Any], names: list[str], *, rehearsal: bool = False) -> None:
        """Have certbot get one certificate. Raises Refused with the authority's words."""
        command = [
            *("certonly", "--no-directory-hooks", *self.contact()),
            *("--cert-name", site["name"], "--key-type", site["key_type"]),
            # Whether it is due was decided here.
            *("--force-renewal", "--renew-with-new-domains", "--break-my-certs"),
        ]
        by_route53 = site.get("challenge") == "route53"
        if by_route53:
            command.append("--dns-route53")
        else:
            command += ["--webroot", "--webroot-path", self.configuration["challenges"]]
        if site["profile"]:
            command += ["--preferred-profile", site["profile"]]
        if rehearsal:
            command.append("--dry-run")
        for name in names:
            command += ["--ip-address" if parse_address(name) else "--domain", name]
        variables = self.aws() if by_route53 else {}
        done = self.certbot_run(*command, variables=variables)
        if self.unknown_account(done) and self.put_account_aside():
            done = self.certbot_run(*command, variables=variables)
        if self.new_account and self.account().is_dir():
            write_file(self.state / "account.json", json.dumps(self.known_of_account()), 0o600)
            self.new_account = False
        if done.returncode != 0:
            if told := said_by_route53(done.stdout):
                raise NotAsked(f"Route 53: {told}")
            raise Refused(f"{self.server} gives none: {explained(done.stdout)}")

    def certbot_run(
        self, action: str, *arguments: str, variables: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Have certbot do something. Raises Refused where it does not end."""
        command = [
            *(self.configuration["certbot"], action, "--non-interactive", "--agree-tos"),
            *("--config-dir", str(self.certbot), "--work-dir", str(self.state / "work")),
            *("--logs-dir", str(self.state / "logs"), "--max-log-backups", "20"),
            *("--server", self.server, *arguments),
        ]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.state), "LC_ALL": "C.UTF-8"}
        if os.path.exists(self.authorities):
            environment["REQUESTS_CA_BUNDLE"] = self.authorities
        environment |= variables or {}
        try:
            return subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=environment, text=True, errors="replace", timeout=ORDER_TIMEOUT,
            )  # fmt: skip
        except subprocess.TimeoutExpired as expired:
            raise Refused(f"{self.server} has not finished in {ORDER_TIMEOUT:.0f} seconds") from expired

    def aws(self) -> dict[str, str]:
        """What boto3 reads. Without a key it asks the instance for its role's."""
        told = {
            "AWS_DEFAULT_REGION": self.configuration["aws"]["region"],
            "AWS_ENDPOINT_URL_ROUTE_53": self.configuration["aws"]["endpoint"],
            # Those of a private ACME server say nothing of Amazon.
            "AWS_CA_BUNDLE": AUTHORITIES,
        }
        if folder := os.environ.get("CREDENTIALS_DIRECTORY"):
            told["AWS_SHARED_CREDENTIALS_FILE"] = f"{folder}/aws"
        return {name: value for name, value in told.items() if value}

    def look_after(self, site: dict[str, Any]) -> bool:
        """Get a site's certificate if one is due, and put in place what there is; whether that is new."""
        path = self.note(site)
        note, made = read_json(path), self.present(site)
        before = json.dumps(note)
        refused = ""
        asked = note.pop("asked", None)
        if asked and made and made.identifier != asked.pop("before"):
            note["got"] = asked  # by a run that was cut off
        try:
            if self.clock:
                raise Refused(self.clock)
            if because := self.due(site, made, note):
                say(f"{site['name']}: needs a certificate: {because}")
                names, wrong = self.leading_here(site, made, because)
                if names:
                    self.order_patiently(site, names, note, made)
                    made = self.present(site)
                    if made is None:
                        raise Refused("certbot has got one that cannot be read")
                    note["got"], note["suggested"] = {**self.wanted(site), "names": sorted(names)}, {}
                    note["renewal"] = self.renewal(site, made, note)
                    until = f"by {made.issuer}, until {iso(made.ends)}"
                    say(f"{site['name']}: got one for {', '.join(names)}, {until}")
                refused = "; ".join(wrong)
            note.pop("failed", None)
        except Refused as error:
            refused = str(error)
            if made is None:
                note.pop("renewal", None)
        note["error"] = refused
        if not refused:
            note.pop("failing", None)
        elif not self.clock:
            note.setdefault("failing", self.now)
        if json.dumps(note) != before:
            write_file(path, json.dumps(note), 0o600)
        new = made is not None and self.put(site)
        if refused:
            raise (Half if new else Refused)(refused)
        return new

    def order_patiently(
        self, site: dict[str, Any], names: list[str], note: dict[str, Any], made: Certificate | None
    ) -> None:
        """Order, unless the authority has just refused the same."""
        what = {**self.wanted(site), "names": names}
        failed = note.get("failed", {})
        waited = self.now - failed.get("at", 0)
        if failed.get("what") == what and 0 <= waited < PATIENCE and not self.request.get("force"):
            raise Refused(
                f"{failed['why']} (asked {waited / 60:.0f} minutes ago, and not again within an hour)"
            )
        # A disk that is full is found out before the authority is asked, or it would be asked each time.
        # And a run that is cut off leaves a note of what certbot may have got by then.
        asked = {**self.wanted(site), "names": sorted(names), "before": made.identifier if made else ""}
        write_file(self.note(site), json.dumps({**note, "asked": asked}), 0o600)
        try:
            self.order(site, names)
        except Refused as refused:
            times = failed.get("times", 0) + 1
            # Who was not asked may be asked as soon as it is mended.
            refusal = None if isinstance(refused, NotAsked) else what
            note["failed"] = {"at": self.now, "what": refusal, "why": str(refused), "times": times}
            raise

    # All of them

    def chosen(self) -> list[dict[str, Any]]:
        only = self.request.get("site")
        return [site for site in self.acme_sites() if only in (None, "", site["name"])]

    def go(self) -> bool:
        """Look after all sites, whatever befalls one of them; whether all is well."""
        for folder in (self.state / "sites", self.certbot):
            folder.mkdir(mode=0o700, exist_ok=True)
        self.prune()
        self.compare_clocks()
        if self.clock:  # once, not for each site
            self.fault(self.clock)
        self.attempt(self.update_account)
        for site in self.chosen():
            done = self.done[site["name"]] = {"installed": False, "error": ""}
            try:
                done["installed"] = self.look_after(site)
            except Half as half:
                done.update(installed=True, error=str(half))
            except Exception as error:  # one site's is not to be another's
                done["error"] = words(error)
            if done["error"] and done["error"] != self.clock:
                self.fault(f"{site['name']}: {done['error']}")
        self.attempt(self.reload)
        for fault in self.watched():
            self.fault(fault)
        self.attempt(self.measure)
        return not self.faults

    def rehearse(self) -> bool:
        """Do all that a renewal does, and keep nothing."""
        for site in self.chosen():
            done = self.done[site["name"]] = {"installed": False, "error": ""}
            try:
                faults = self.astray(site)
                if names := [name for name in site["server_names"] if name not in faults]:
                    self.order(site, names, rehearsal=True)
                    say(f"{site['name']}: would be renewed for {', '.join(names)}")
                done["error"] = "; ".join(faults.values())
            except Exception as error:  # as above
                done["error"] = words(error)
            if done["error"]:
                self.fault(f"{site['name']}: {done['error']}")
        return not self.faults

    def fault(self, text: str) -> None:
        self.faults.append(text)
        say(text, fault=True)

    def attempt(self, part: Any) -> None:
        try:
            part()
        except (OSError, Refused, SystemdError, ValueError) as error:
            self.fault(words(error))

    def prune(self) -> None:
        """End the renewal of sites that are absent, or have their certificates from elsewhere now."""
        known = {site["name"] for site in self.acme_sites()}
        found = {path.stem for path in (self.certbot / "renewal").glob("*.conf")}
        found |= {path.stem for path in (self.state / "sites").glob("*.json")}
        for name in sorted(found - known):
            for path in (self.certbot / "renewal" / f"{name}.conf", self.state / "sites" / f"{name}.json"):
                path.unlink(missing_ok=True)
            for folder in ("live", "archive"):
                shutil.rmtree(self.certbot / folder / name, ignore_errors=True)
            say(f"{name}: its certificate is no longer renewed")

    def put(self, site: dict[str, Any]) -> bool:
        """Copy a site's chain and key from certbot's folder; return whether they are new."""
        lineage = self.lineage(site)
        return put(lineage / "fullchain.pem", lineage / "privkey.pem", self.directory / site["name"])

    def install(self) -> None:
        """Put in place what certbot has got, whoever has asked for it, and reload."""
        for site in self.acme_sites():
            if self.present(site):
                self.put(site)
        self.reload()

    def reload(self) -> None:
        """Have those who serve read what is newer than they."""
        paths = [self.directory / site["name"] for site in self.sites]
        paths += [path / name for path in paths for name in ("fullchain.pem", "privkey.pem")]
        newest = max((path.stat().st_ctime for path in paths if path.exists()), default=0.0)
        # A reload that fails is a change of a unit's state like one that does not.
        file = self.state / "unread.json"
        unread = set(read_json(file).get("units", []))
        before, faults = set(unread), []
        for unit in self.configuration["reloads"]:
            state = show(unit)
            if state["ActiveState"] != "active":
                unread.discard(unit)
                continue  # it reads them when it starts
            moment = state["ActiveEnterTimestamp" if unit in unread else "StateChangeTimestamp"]
            if newest > timestamp_seconds(moment):
                begun = time.time()
                try:
                    systemctl("reload", unit)
                except SystemdError as error:
                    unread.add(unit)
                    # The next lines name commands that show the log.
                    reason = refusal(unit, begun) or str(error).partition("\n")[0]
                    faults.append(f"{unit} goes on with the old: {reason}")
                    continue
                say(f"{unit} has read what is new")
            unread.discard(unit)
        if unread != before:
            write_file(file, json.dumps({"units": sorted(unread)}), 0o600)
        if faults:
            raise Refused("; ".join(faults))

    # Who watches

    def watched(self) -> list[str]:
        """What is wrong with the certificates that are served, of whatever mode."""
        remedies = {"acme": "see above", "provided": "provide another"}
        faults = []
        for site in self.sites:
            try:
                served = read_certificate(self.directory / site["name"] / "fullchain.pem")
            except (ValueError, OSError) as error:
                faults.append(f"{site['name']}: {error}")
                continue
            if self.now >= served.last_third:
                left = (served.ends - self.now) / DAY
                ends = (
                    f"ends {iso(served.ends)}, in {left:.1f} days"
                    if left > 0
                    else f"has ended {iso(served.ends)}"
                )
                remedy = remedies.get(site["mode"], "a converge makes another")
                faults.append(f"{site['name']}: its certificate {ends}; {remedy}")
            elif self.keeps_failing(site):
                since = iso(read_json(self.note(site))["failing"])
                faults.append(f"{site['name']}: it keeps failing, since {since}; see above")
        return faults

    def keeps_failing(self, site: dict[str, Any]) -> bool:
        """Whether what is wrong with a site will not pass by itself, as it seems."""
        note = read_json(self.note(site)) if site["mode"] == "acme" else {}
        times = note.get("failed", {}).get("times", 0)
        return "failing" in note and (times >= FAILURES or self.now - note["failing"] >= DAY)

    def listed(self) -> list[dict[str, Any]]:
        """What there is, for people."""
        rows = []
        for site in self.sites:
            row = {"name": site["name"], "mode": site["mode"], "server_names": site["server_names"]}
            note = read_json(self.note(site)) if site["mode"] == "acme" else {}
            try:
                served = read_certificate(self.directory / site["name"] / "fullchain.pem")
            except (ValueError, OSError) as error:
                rows.append(row | {"error": str(error)})
                continue
            row["names"] = sorted(served.names)
            row["issuer"] = "itself" if served.self_issued else served.issuer
            row["key_type"] = served.key_type
            row["profile"] = note.get("got", {}).get("profile", "")
            row["ends"], row["days"] = iso(served.ends), round((served.ends - self.now) / DAY, 1)
            row["renewal"] = iso(note["renewal"]) if "renewal" in note else ""
            row["alarm"] = self.now >= served.last_third
            row["failing"] = iso(note["failing"]) if self.keeps_failing(site) else ""
            rows.append(row | {"error": note.get("error", "")})
        return rows

    def measure(self) -> None:
        """Write a file for node_exporter's textfile collector."""
        if not self.configuration["metrics"]:
            return
        names = {
            "decanter_certificate_not_after_seconds": "When the certificate that is served ends.",
            "decanter_certificate_alarm": "Whether less is left than should be, or renewals keep failing.",
            "decanter_certificate_failures": "How often in a row no certificate was given.",
        }
        values: dict[str, list[str]] = {name: [] for name in names}
        for site in self.sites:
            label = f'{{site="{site["name"]}"}}'
            times = read_json(self.note(site)).get("failed", {}).get("times", 0)
            if self.done.get(site["name"], {}).get("error") not in (None, "", self.clock) and not times:
                times = 1
            try:
                served = read_certificate(self.directory / site["name"] / "fullchain.pem")
            except (ValueError, OSError):
                ends, alarm = 0.0, True
            else:
                ends, alarm = served.ends, self.now >= served.last_third or self.keeps_failing(site)
            for name, value in zip(names, (f"{ends:.0f}", int(alarm), times), strict=True):
                values[name].append(f"{name}{label} {value}")
        lines = [
            line
            for name, text in names.items()
            for line in (f"# HELP {name} {text}", f"# TYPE {name} gauge", *values[name])
        ]
        last = "decanter_certificates_last_run_seconds"
        lines += [f"# HELP {last} When this was written.", f"# TYPE {last} gauge", f"{last} {self.now:.0f}"]
        wrong = "decanter_clock_wrong"
        lines += [f"# HELP {wrong} Whether the authority has another time.", f"# TYPE {wrong} gauge"]
        lines.append(f"{wrong} {int(bool(self.clock))}")
        path = Path(self.configuration["metrics"])
        if not path.parent.exists():  # ours; another's is there
            path.parent.mkdir()
            path.parent.chmod(0o755)
        write_file(path, "\n".join(lines) + "\n")


# --- From one machine to the next --------------------------------------------------------------


def packed(run: Run) -> dict[str, dict[str, Any]]:
    """The account and each site's certificates and keys; links are such again where it is unpacked."""

    def entries(*patterns: str) -> dict[str, dict[str, str]]:
        found = sorted(path for pattern in patterns for path in run.state.glob(pattern))
        return {
            str(path.relative_to(run.state)): {"link": os.readlink(path)}
            if path.is_symlink()
            else {"content": base64.b64encode(path.read_bytes()).decode()}
            for path in found
            if path.is_symlink() or path.is_file()
        }

    if not (account := entries("certbot/accounts/**/*")):
        raise Refused("this host has no account with an ACME server")
    sites = {
        site["name"]: entries(*(pattern.format(site["name"]) for pattern in OF_A_SITE))
        for site in run.acme_sites()
        if run.present(site)
    }
    return {"account": account, "sites": sites}


OF_A_SITE = ("certbot/archive/{}/*", "certbot/live/{}/*", "certbot/renewal/{}.conf", "sites/{}.json")


def unpack(run: Run, text: str) -> None:
    """Make a host the heir of another: its account, and the certificates of the sites that both have."""
    if any((run.certbot / "accounts").rglob("regr.json")):
        raise Refused(f"this host has an account of its own already, in {run.certbot}/accounts")
    try:
        given = json.loads(text)
        account, sites = given["account"], given["sites"]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused("what has come is not whole, and nothing was taken in") from error
    names = {site["name"] for site in run.acme_sites()}
    for name in sorted(names & sites.keys()):
        place(run.state, sites[name])
        say(f"{name}: carried over")
    for name in sorted(names ^ sites.keys()):
        say(f"{name}: is not here" if name in sites else f"{name}: the other machine has none")
    # Last, for it decides whether this was done.
    place(run.state, account)
    run.install()


def place(root: Path, entries: dict[str, dict[str, str]]) -> None:
    """Write files and links, root's alone, below a folder and nowhere else."""
    for name, entry in entries.items():
        path = root / name
        target = path.parent / entry.get("link", "")
        for each in (path, target):
            if not Path(os.path.normpath(each)).is_relative_to(root):
                raise Refused(f"{name} would lead out of {root}")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if "link" in entry:
            path.unlink(missing_ok=True)
            path.symlink_to(entry["link"])
        else:
            write_file(path, base64.b64decode(entry["content"]), 0o600)


NOISE = (
    "Saving debug log",
    "Ask for help",
    "Some challenges have failed",
    "Hint:",
    "If you like",
    "Account registered",
)


def explained(log: str) -> str:
    """What certbot was told by the authority, in one line."""
    problems = re.findall(r"(?:Domain|Identifier): (\S+)\s+Type: +\S+\s+Detail: (.+)", log)
    if problems:
        return "; ".join(f"{name}: {detail}" for name, detail in problems)
    lines = [line.strip() for line in log.splitlines() if line.strip() and not line.strip().startswith(NOISE)]
    return lines[-1][:500] if lines else "certbot does not say why"


ROUTE_53 = (
    r"An error occurred \((\w+)\) when calling the (\w+) operation(?: \([^)]*\))?: (.+)",
    r"(Unable to locate credentials)",
    r"(Unable to find a Route53 hosted zone for \S+)",
    r"(Timed out waiting for Route53 change.*)",
    r"botocore\.exceptions\.\w+: (.+)",
)


def said_by_route53(log: str) -> str:
    """What kept certbot from writing a proof there, in one line; nothing where it was something else."""
    for words in ROUTE_53:
        if found := re.search(words, log):
            said = ": ".join(found.groups())[:500]
            return f"{said}, and the instance has no role" if "locate credentials" in said else said
    return ""


@contextlib.contextmanager
def alone(state: Path) -> Iterator[None]:
    """Hold off another run, such as one by hand."""
    with open(state / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    configuration = json.loads(CONFIGURATION.read_text())
    state = Path(configuration["state"])
    if arguments == ["list"]:
        print(json.dumps(Run(configuration, state).listed()))
        return 0
    with alone(state):
        if arguments == ["install"]:
            Run(configuration, state).install()
            return 0
        if arguments in (["pack"], ["unpack"]):
            os.umask(0o077)
            try:
                if arguments == ["pack"]:
                    if sys.stdout.isatty():
                        raise Refused("keys are not for a screen")
                    print(json.dumps(packed(Run(configuration, state))))
                else:
                    unpack(Run(configuration, state), sys.stdin.read())
            except Refused as refused:
                sys.exit(f"{socket.gethostname()}: {refused}")
            return 0
        asked = state / "request.json"
        request = read_json(asked)
        asked.unlink(missing_ok=True)
        run, begun = Run(configuration, state, request), time.time()
        try:
            well = run.rehearse() if request.get("dry_run") else run.go()
        except OSError as error:
            well = False
            run.fault(words(error))
        last = {
            "request": request,
            "begun": begun,
            "account": run.account_changed,
            "ended": time.time(),
            "sites": run.done,
            "faults": run.faults,
        }
        try:
            write_file(state / "last.json", json.dumps(last), 0o600)
        except OSError as error:
            well = False
            say(words(error), fault=True)
        return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
