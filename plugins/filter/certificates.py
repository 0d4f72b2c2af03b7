"""Filters of the role certbot: what its modules and its host program read about each site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import parse_address
from ansible_collections.decanter.stack.plugins.plugin_utils.pem import is_pem
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import with_defaults
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.sources import controller_path

Resolved = Sequence[Mapping[str, Any]]


def provided_certificates(sites: Mapping[str, Any], root: str) -> dict[str, dict[str, str]]:
    """Return `certificate` and `key` of each site with the mode `provided`: PEM text, or an absolute path."""
    return {
        name: {
            key: value if is_pem(value) else controller_path(value, root)
            for key, value in ((key, site["tls"][key]) for key in ("certificate", "key"))
        }
        for name, site in with_defaults(sites).items()
        if site["state"] == "present" and site["tls"]["mode"] == "provided"
    }


def certificate_files(
    resolved: Resolved, directory: str, provided: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """Return the folder of each site's certificate, and provided certificates, as entries of `files`."""
    files: list[dict[str, Any]] = [
        {"path": str(Path(directory).parent), "state": "directory"},
        {"path": directory, "state": "directory", "mode": "0700"},
    ]
    for site in resolved:
        folder = f"{directory}/{site['name']}"
        files.append({"path": folder, "state": "directory", "mode": "0700"})
        for file, key in (("privkey", "key"), ("fullchain", "certificate")):
            if given := provided.get(site["name"], {}).get(key):
                text = {"content": given} if is_pem(given) else {"copy": given}
                files.append({"path": f"{folder}/{file}.pem", "mode": "0600", **text})
    return files


def created_certificates(resolved: Resolved, authority: str) -> list[dict[str, Any]]:
    """Return the sites with a key that the host creates, as the module `certificates_due` reads them.

    `authority` is the certificate of the private CA. A certificate of an ACME server replaces the first one.
    """
    return [
        {
            "name": site["name"],
            "server_names": site["tls"]["names"],
            "authority": authority if site["tls"]["mode"] == "ca" else "",
            "temporary": site["tls"]["mode"] == "acme",
        }
        for site in resolved
        if site["tls"]["mode"] != "provided"
    ]


def monitored_certificates(resolved: Resolved, profile: str, key_type: str) -> list[dict[str, Any]]:
    """Return what the host program reads: it renews certificates of an ACME server and monitors all.

    `profile` and `key_type` are those of sites that name none.
    """
    defaults = {"challenge": "http", "profile": profile, "key_type": key_type}
    return [
        defaults
        | {"name": site["name"], "server_names": site["tls"]["names"]}
        | {key: site["tls"][key] for key in ("mode", *defaults) if key in site["tls"]}
        for site in resolved
    ]


def without_acme(resolved: Resolved) -> list[Mapping[str, Any]]:
    """Return sites with self-signed certificates in place of those of an ACME server."""
    return [
        {**site, "tls": {**site["tls"], "mode": "self-signed"}} if site["tls"]["mode"] == "acme" else site
        for site in resolved
    ]


def subject_alternative_names(names: Sequence[str]) -> list[str]:
    """Return the names of a certificate as OpenSSL writes them."""
    return [f"{'IP' if parse_address(name) else 'DNS'}:{name}" for name in names]


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            function.__name__: function
            for function in (
                *(provided_certificates, certificate_files, created_certificates, monitored_certificates),
                *(without_acme, subject_alternative_names),
            )
        }
