"""A run: issue and renew the certificates of all sites, or of one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import monitoring
from certbot_client import Certbot
from clock import clock_fault
from failures import CertificateError, DnsProviderError, describe
from installation import install, reload_services
from probe import probe
from shared.addresses import canonical
from shared.certificate import Certificate
from shared.files import write_file
from shared.journal import iso, log
from shared.systemd import SystemdError
from state import Site, State

# Let's Encrypt accepts five failures an hour for an account and a name.
RETRY_SECONDS = 3600.0
NAMES_CHANGED = "its names have changed"
Note = dict[str, Any]


class Run:
    """One run. `request` has the options force, dry_run and site."""

    def __init__(self, state: State, request: dict[str, Any] | None = None) -> None:
        self.state, self.request = state, request or {}
        self.certbot = Certbot(state)
        self.now = time.time()
        self.clock_fault = ""
        self.results: dict[str, dict[str, Any]] = {}  # by site: installed, error
        self.faults: list[str] = []

    def renew(self) -> bool:
        """Issue and renew certificates, reload services and monitor. Return whether all is well.

        The failure of a site does not stop the others.
        """
        for folder in (self.state.folder / "sites", self.state.certbot):
            folder.mkdir(mode=0o700, exist_ok=True)
        self.state.prune()
        if self.state.acme_sites:
            self.clock_fault, self.now = clock_fault(self.state.server, self.state.ca_bundle, self.now)
        if self.clock_fault:
            self.report(self.clock_fault)
        else:
            self._attempt(self.certbot.update_contact)
        for site in self._selected_sites():
            self._record(site, *self._renew_site(site))
        self._attempt(lambda: reload_services(self.state))
        for fault in monitoring.faults(self.state, self.now):
            self.report(fault)
        results = [item for item in self.results.items() if item[1]["error"] != self.clock_fault]
        errors = {name: result["error"] for name, result in results}
        self._attempt(lambda: monitoring.write_metrics(self.state, self.now, errors, self.clock_fault))
        return not self.faults

    def rehearse(self) -> bool:
        """Order each certificate in a dry run of certbot. Return whether all is well."""
        for site in self._selected_sites():
            try:
                faults = self._probe(site)
                if names := [name for name in site.server_names if name not in faults]:
                    self.certbot.order(site, names, dry_run=True)
                    log(f"{site.name}: would be renewed for {', '.join(names)}")
                error = "; ".join(faults.values())
            except Exception as failure:
                error = describe(failure)
            self._record(site, False, error)
        return not self.faults

    def report(self, fault: str) -> None:
        """Print a fault with the priority of an error, and fail the run."""
        self.faults.append(fault)
        log(fault, fault=True)

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (OSError, CertificateError, SystemdError, ValueError) as error:
            self.report(describe(error))

    def _selected_sites(self) -> list[Site]:
        return [site for site in self.state.acme_sites if self.request.get("site") in (None, "", site.name)]

    def _record(self, site: Site, installed: bool, error: str) -> None:
        self.results[site.name] = {"installed": installed, "error": error}
        if error and error != self.clock_fault:
            self.report(f"{site.name}: {error}")

    def _renew_site(self, site: Site) -> tuple[bool, str]:
        """Issue and install a site's certificate. Return whether it is new, and the error."""
        try:
            error = self._issue_if_due(site)
            return self.state.issued(site) is not None and install(self.state, site), error
        except Exception as failure:
            return False, describe(failure)

    def _issue_if_due(self, site: Site) -> str:
        """Issue a site's certificate if it is due, and write the site's note. Return the error."""
        note, issued = self.state.note(site), self.state.issued(site)
        for key in ("renewal", "suggested"):  # of older versions
            note.pop(key, None)
        unfinished = note.pop("asked", None)
        if unfinished and issued and issued.identifier != unfinished.pop("before"):
            note["got"] = unfinished  # issued in a run that was killed
        try:
            if self.clock_fault:
                raise CertificateError(self.clock_fault)
            error = self._issue(site, note, issued)
            note.pop("failed", None)
        except CertificateError as failure:
            error = str(failure)
        note["error"] = error
        if not error:
            note.pop("failing", None)
        elif not self.clock_fault:
            note.setdefault("failing", self.now)
        if note != self.state.note(site):
            write_file(self.state.note_path(site), json.dumps(note), 0o600)
        return error

    def _issue(self, site: Site, note: Note, issued: Certificate | None) -> str:
        """Issue a certificate if it is due. Return the faults of the names that it lacks."""
        if not (reason := self._reason(site, note, issued)):
            return ""
        faults = self._probe(site)
        names = [name for name in site.server_names if name not in faults]
        lost = set(issued.names) & {canonical(name) for name in faults} if issued else set()
        # A name that fails for an hour must not be missing for months, unless the certificate expires soon.
        if not names or (issued and lost and issued.ends - self.now > issued.lifetime / 6):
            raise CertificateError("; ".join(faults.values()))
        if issued and reason == NAMES_CHANGED and set(issued.names) == {canonical(name) for name in names}:
            return "; ".join(faults.values())
        order = self.state.parameters(site) | {"names": names}
        self._check_retry(note, order)
        log(f"{site.name}: orders a certificate, because {reason}")
        self._order(site, order, note, issued)
        if not (issued := self.state.issued(site)):
            raise CertificateError("the certificate from certbot cannot be read")
        note["got"] = self.state.parameters(site) | {"names": sorted(names)}
        note.pop("due", None)
        until = f"by {issued.issuer}, valid until {iso(issued.ends)}"
        log(f"{site.name}: issued a certificate for {', '.join(names)}, {until}")
        return "; ".join(faults.values())

    def _reason(self, site: Site, note: Note, issued: Certificate | None) -> str:
        """Return why a certificate is ordered; an empty string if it is not due."""
        if self.request.get("force"):
            return "the operator requests it"
        if not issued:
            return "the site has no certificate"
        for key, value in self.state.parameters(site).items():
            if note.get("got", {}).get(key) != value:
                return f"the {key} is now {value or 'empty'}"
        # certbot chooses another random time within the CA's window at each decision, so it may decide later.
        if issued.last_third <= self.now:
            return f"the current one expires {iso(issued.ends)}"
        # certbot requests the window every few hours, so its decision is kept for this certificate.
        if note.get("due") != issued.identifier and site.name in self._due:
            note["due"] = issued.identifier
        if note.get("due") == issued.identifier:
            return "certbot finds a renewal due"
        # The last reason, because it remains while a name does not reach this host.
        return NAMES_CHANGED if set(issued.names) != site.names else ""

    @cached_property
    def _due(self) -> set[str]:
        return self.certbot.due()

    def _probe(self, site: Site) -> dict[str, str]:
        """Return the names that do not reach this host, with the reasons. DNS challenges need no probe."""
        settings = self.state.configuration
        if site.challenge == "route53" or not settings["probe"]:
            return {}
        return probe(site.server_names, Path(settings["challenges"]), settings["shared"])

    def _check_retry(self, note: Note, order: dict[str, Any]) -> None:
        """Raise CertificateError if the same order has failed within an hour, unless the run is forced."""
        failed = note.get("failed", {})
        elapsed = self.now - failed.get("at", 0)
        if failed.get("what") == order and 0 <= elapsed < RETRY_SECONDS and not self.request.get("force"):
            minutes = f"{elapsed / 60:.0f} minutes ago"
            raise CertificateError(f"{failed['why']} (ordered {minutes}, and at most once an hour)")

    def _order(self, site: Site, order: dict[str, Any], note: Note, issued: Certificate | None) -> None:
        """Order a certificate, and count failures in the note."""
        # Before the order, so that a full disk prevents it, and a killed run leaves its parameters.
        unfinished = {**order, "names": sorted(order["names"]), "before": issued.identifier if issued else ""}
        write_file(self.state.note_path(site), json.dumps({**note, "asked": unfinished}), 0o600)
        try:
            self.certbot.order(site, order["names"])
        except CertificateError as error:
            # A failure of the DNS provider does not count against the CA's rate limits.
            what = None if isinstance(error, DnsProviderError) else order
            times = note.get("failed", {}).get("times", 0) + 1
            note["failed"] = {"at": self.now, "what": what, "why": str(error), "times": times}
            raise
