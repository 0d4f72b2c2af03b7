"""Paths on a host. Modules, roles and templates read them from here."""

from __future__ import annotations


def slice_name(site: str) -> str:
    """Return the slice of all units of a site.

    With hyphens, the slice of a site `a-b` would be below the one of a site `a`.
    """
    return f"decanter-{site.replace('-', '_')}.slice"


class SitePaths:
    """The paths of one site on its host, as strings; `vars()` returns them by name."""

    def __init__(self, name: str) -> None:
        self.home = f"/srv/{name}"
        # One immutable tree for each release, and files with its records.
        self.releases = f"{self.home}/releases"
        # Environments, shared by releases with the same requirements.
        self.environments = f"{self.home}/venvs"
        # Static files of the live release and of the release before it.
        self.assets = f"{self.home}/assets"
        # Uploads, which outlive releases. The site can write here only.
        self.shared = f"{self.home}/shared"
        # A symlink to the live release.
        self.current = f"{self.home}/current"
        # Sockets: blue.sock, green.sock, and live.sock, a symlink to one of them.
        self.sockets = f"/run/decanter/{name}"
        self.live_socket = f"{self.sockets}/live.sock"
        self.configuration = f"/etc/decanter/{name}"
        # Secrets of the inventory, one file each.
        self.credentials = f"{self.configuration}/credentials"
        # Secrets that the host fetches from AWS. In memory: a reboot removes them.
        self.fetched_credentials = f"/run/decanter-credentials/{name}"
        self.certificate = f"/etc/decanter/tls/{name}/fullchain.pem"
        self.certificate_key = f"/etc/decanter/tls/{name}/privkey.pem"
        # Pages that nginx has cached.
        self.page_cache = f"/var/lib/nginx/cache-{name}"
        # The cache of uv, shared by the site's builds.
        self.build_cache = f"/var/cache/decanter/{name}"
        # While the file `closed` exists here, nginx responds with the maintenance page.
        self.maintenance = f"/var/lib/decanter/maintenance/{name}"
        # The settings that the live release runs with: module_utils/settings.py.
        self.settings_archive = f"/var/lib/decanter/settings/{name}.tar"
        # One line for each release that was activated, or failed.
        self.release_log = f"/var/log/decanter/{name}.log"
