"""Configuration of this program, and the state of each site.

STATE/certbot/          files of certbot: accounts, keys, chains
STATE/sites/SITE.json   a site's note: `got` (parameters and names of its certificate), `asked` (the same of
                        an unfinished order), `due` (the certificate that certbot wants to renew), `error`,
                        `failing` (since when), `failed` (the last failed order)
STATE/account.json      server and contact address of the account
STATE/unread.json       units with a failed last reload
STATE/request.json      options of the next run: force, dry_run, site
STATE/last.json         result of the last run
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.addresses import canonical
from shared.certificate import Certificate, fits, read_certificate
from shared.files import read_json
from shared.journal import log

# The distribution updates this list; certbot's own list gets no security updates.
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Site:
    """A site of the configuration."""

    name: str
    mode: str
    server_names: tuple[str, ...]
    challenge: str
    profile: str
    key_type: str

    @property
    def names(self) -> set[str]:
        """Return the names as a certificate has them."""
        return {canonical(name) for name in self.server_names}


class State:
    """The configuration, and the files of certbot and of this program."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        self.configuration = configuration
        self.folder = Path(configuration["state"])
        self.certbot = self.folder / "certbot"
        self.tls = Path(configuration["directory"])
        self.server: str = configuration["server"]
        self.ca_bundle: str = configuration["ca_bundle"] or CA_BUNDLE
        self.sites = [
            Site(
                name=site["name"],
                mode=site["mode"],
                server_names=tuple(site["server_names"]),
                challenge=site.get("challenge", "http"),
                profile=site["profile"],
                key_type=site["key_type"],
            )
            for site in configuration["sites"]
        ]
        self.acme_sites = [site for site in self.sites if site.mode == "acme"]

    def note_path(self, site: Site) -> Path:
        return self.folder / "sites" / f"{site.name}.json"

    def note(self, site: Site) -> dict[str, Any]:
        """Return the note of a site; an empty one for sites of other modes."""
        return read_json(self.note_path(site)) if site.mode == "acme" else {}

    def lineage(self, site: Site) -> Path:
        """Return the folder of certbot with the site's newest chain and key."""
        return self.certbot / "live" / site.name

    def parameters(self, site: Site) -> dict[str, str]:
        """Return the parameters of a certificate's order, without its names."""
        return {"server": self.server, "profile": site.profile, "key_type": site.key_type}

    def issued(self, site: Site) -> Certificate | None:
        """Return the certificate that certbot has for a site; None unless its key fits."""
        chain, key = (self.lineage(site) / name for name in ("fullchain.pem", "privkey.pem"))
        try:
            return read_certificate(chain) if fits(chain, key) else None
        except (ValueError, OSError):
            return None

    def served(self, site: Site) -> Certificate:
        """Return the certificate that nginx serves. Raise ValueError or OSError if it cannot be read."""
        return read_certificate(self.tls / site.name / "fullchain.pem")

    def prune(self) -> None:
        """Delete the state of sites that are absent or have another mode."""
        known = {site.name for site in self.acme_sites}
        found = {path.stem for path in (self.certbot / "renewal").glob("*.conf")}
        found |= {path.stem for path in (self.folder / "sites").glob("*.json")}
        for name in sorted(found - known):
            for path in (self.certbot / "renewal" / f"{name}.conf", self.folder / "sites" / f"{name}.json"):
                path.unlink(missing_ok=True)
            for folder in ("live", "archive"):
                shutil.rmtree(self.certbot / folder / name, ignore_errors=True)
            log(f"{name}: its certificate will not be renewed")
