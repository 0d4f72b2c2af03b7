"""Transfer the account, certificates and keys to another host."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from failures import CertificateError
from installation import install_all
from shared.files import write_file
from shared.journal import log
from state import State

Entries = dict[str, dict[str, str]]  # by path below the state folder: {link: target} or {content: base64}
ACCOUNTS = "certbot/accounts/**/*"
SITE_FILES = ("certbot/archive/{}/*", "certbot/live/{}/*", "certbot/renewal/{}.conf", "sites/{}.json")


def pack(state: State) -> dict[str, Any]:
    """Return the account, and each site's certificates and keys."""
    if not (account := read_entries(state.folder, ACCOUNTS)):
        raise CertificateError("this host has no account with an ACME server")
    sites = {
        site.name: read_entries(state.folder, *(pattern.format(site.name) for pattern in SITE_FILES))
        for site in state.acme_sites
        if state.issued(site)
    }
    return {"account": account, "sites": sites}


def unpack(state: State, text: str) -> None:
    """Import the account of another host, and the certificates of the sites that both have."""
    if any((state.certbot / "accounts").rglob("regr.json")):
        raise CertificateError(f"this host already has an account, in {state.certbot}/accounts")
    try:
        given = json.loads(text)
        account, sites = given["account"], given["sites"]
    except (ValueError, KeyError, TypeError) as error:
        raise CertificateError("the data is incomplete. Nothing was imported.") from error
    names = {site.name for site in state.acme_sites}
    for name in sorted(names & sites.keys()):
        write_entries(state.folder, sites[name])
        log(f"{name}: imported")
    for name in sorted(names ^ sites.keys()):
        log(f"{name}: {'not a site of this host' if name in sites else 'the other host has no certificate'}")
    # Last, because the account marks a complete import.
    write_entries(state.folder, account)
    install_all(state)


def read_entries(root: Path, *patterns: str) -> Entries:
    """Return files and symlinks below a folder."""
    found = sorted(path for pattern in patterns for path in root.glob(pattern))
    return {
        str(path.relative_to(root)): {"link": os.readlink(path)}
        if path.is_symlink()
        else {"content": base64.b64encode(path.read_bytes()).decode()}
        for path in found
        if path.is_symlink() or path.is_file()
    }


def write_entries(root: Path, entries: Entries) -> None:
    """Write files and symlinks for root only. Raise CertificateError if one is outside the folder."""
    for name, entry in entries.items():
        path = root / name
        for each in (path, path.parent / entry.get("link", "")):
            if not Path(os.path.normpath(each)).is_relative_to(root):
                raise CertificateError(f"{name} is outside {root}")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if "link" in entry:
            path.unlink(missing_ok=True)
            path.symlink_to(entry["link"])
        else:
            write_file(path, base64.b64decode(entry["content"]), 0o600)
