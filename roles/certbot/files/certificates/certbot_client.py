"""Run certbot: renewal decisions, orders and the account."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from failures import CertificateError, DnsProviderError, certbot_reason, route53_reason
from shared.addresses import parse_address
from shared.files import read_json, write_file
from shared.journal import log
from state import CA_BUNDLE, Site, State

TIMEOUT = 600.0  # seconds
# certbot decides before it loads the account, so a missing account prevents the order.
DECISION_ONLY = ("--account", "none")
DUE = "Certificate is due for renewal"


class Certbot:
    """certbot with the folders of this host."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.account_changed = False
        self._registering = not self.account_folder.is_dir()
        self._account_replaced = False

    @property
    def account_folder(self) -> Path:
        return self.state.certbot / "accounts" / self.state.server.split("://", 1)[-1]

    def due(self) -> set[str]:
        """Return the sites that certbot wants to renew.

        certbot decides by the CA's renewal information (ARI, RFC 9773), by OCSP and by the lifetime. No
        command of certbot only decides, and `renew` would order before the names are probed.
        """
        try:
            done = self._run("renew", "-v", "--no-random-sleep-on-renew", "--no-directory-hooks",
                             *DECISION_ONLY, logs="logs/decision")  # fmt: skip
        except CertificateError as error:
            log(f"renewals wait for the last third of the lifetime: {error}")
            return set()
        sections = re.split(r"^Processing \S*/([^/\s]+)\.conf$", done.stdout, flags=re.M)
        return {name for name, text in zip(sections[1::2], sections[2::2], strict=True) if DUE in text}

    def order(self, site: Site, names: Iterable[str], *, dry_run: bool = False) -> None:
        """Order a certificate, due or not. Raise CertificateError if that fails."""
        arguments = [
            *("--no-directory-hooks", *self._contact()),
            *("--cert-name", site.name, "--key-type", site.key_type),
            *("--force-renewal", "--renew-with-new-domains", "--break-my-certs"),
        ]
        if site.challenge == "route53":
            arguments.append("--dns-route53")
        else:
            arguments += ["--webroot", "--webroot-path", self.state.configuration["challenges"]]
        if site.profile:
            arguments += ["--preferred-profile", site.profile]
        if dry_run:
            arguments.append("--dry-run")
        for name in names:
            arguments += ["--ip-address" if parse_address(name) else "--domain", name]
        environment = self._aws_environment() if site.challenge == "route53" else {}
        done = self._run("certonly", *arguments, environment=environment)
        if self._rejects_account(done) and self._set_account_aside():
            done = self._run("certonly", *arguments, environment=environment)
        if self._registering and self.account_folder.is_dir():
            self._record_contact()
            self._registering = False
        if done.returncode != 0:
            if reason := route53_reason(done.stdout):
                raise DnsProviderError(f"Route 53: {reason}")
            raise CertificateError(
                f"{self.state.server} issued no certificate: {certbot_reason(done.stdout)}"
            )

    def update_contact(self) -> None:
        """Update the contact address of the account if it differs from the configuration."""
        contact = self._account_settings()
        if self._registering or read_json(self.state.folder / "account.json") == contact:
            return
        done = self._run("update_account", *self._contact())
        if self._rejects_account(done):
            return  # The next order registers another account.
        if done.returncode != 0:
            reason = certbot_reason(done.stdout)
            raise CertificateError(f"{self.state.server}: the contact address was not changed: {reason}")
        log(f"{self.state.server}: the contact address is now {contact['email'] or 'empty'}")
        self.account_changed = True
        self._record_contact()

    def _run(
        self, action: str, *arguments: str, environment: dict[str, str] | None = None, logs: str = "logs"
    ) -> subprocess.CompletedProcess[str]:
        command = [
            *(self.state.configuration["certbot"], action, "--non-interactive", "--agree-tos"),
            *("--config-dir", str(self.state.certbot), "--work-dir", str(self.state.folder / "work")),
            *("--logs-dir", str(self.state.folder / logs), "--max-log-backups", "20"),
            *("--server", self.state.server, *arguments),
        ]
        # Unbuffered, lines of stdout and stderr are in the order in which certbot prints them.
        variables = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
        variables["HOME"] = str(self.state.folder)
        if os.path.exists(self.state.ca_bundle):
            variables["REQUESTS_CA_BUNDLE"] = self.state.ca_bundle
        try:
            return subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=variables | (environment or {}), text=True, errors="replace", timeout=TIMEOUT,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise CertificateError(f"certbot did not finish within {TIMEOUT:.0f} seconds") from error

    def _aws_environment(self) -> dict[str, str]:
        """Return the settings of boto3, which uses the instance's role if it has no key."""
        aws = self.state.configuration["aws"]
        variables = {
            "AWS_DEFAULT_REGION": aws["region"],
            "AWS_ENDPOINT_URL_ROUTE_53": aws["endpoint"],
            # The bundle of a private ACME server does not include Amazon's CAs.
            "AWS_CA_BUNDLE": CA_BUNDLE,
        }
        if folder := os.environ.get("CREDENTIALS_DIRECTORY"):
            variables["AWS_SHARED_CREDENTIALS_FILE"] = f"{folder}/aws"
        return {name: value for name, value in variables.items() if value}

    def _rejects_account(self, done: subprocess.CompletedProcess[str]) -> bool:
        """Return whether the CA does not have the account. Only certbot's log has the type of an error."""
        path = self.state.folder / "logs/letsencrypt.log"
        if done.returncode == 0 or not path.exists():
            return False
        return "accountDoesNotExist" in path.read_text(errors="replace")

    def _set_account_aside(self) -> bool:
        """Move the account away, so that certbot registers another one. Return whether it was moved.

        Once in a run, because a CA that rejects each account must not get many registrations.
        """
        folder, aside = self.account_folder, self.state.folder / "accounts-gone" / str(time.time_ns())
        if self._account_replaced or not folder.is_dir():
            return False
        aside.parent.mkdir(mode=0o700, exist_ok=True)
        folder.rename(aside)
        self._registering = self._account_replaced = True
        log(f"{self.state.server} rejects this host's account. certbot registers another (old: {aside}).")
        return True

    def _contact(self) -> list[str]:
        email = self.state.configuration["email"]
        return ["--email", email] if email else ["--register-unsafely-without-email"]

    def _account_settings(self) -> dict[str, str]:
        return {"server": self.state.server, "email": self.state.configuration["email"]}

    def _record_contact(self) -> None:
        write_file(self.state.folder / "account.json", json.dumps(self._account_settings()), 0o600)
