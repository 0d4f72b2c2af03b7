"""The settings of a site on its host, and an archive of those that the live release runs with.

Settings are the environment, the credentials, gunicorn's configuration and the units. They belong to the
site and not to a release, so a release that fails would leave settings that the live release may not start
with.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.decanter.stack.plugins.module_utils.shared.files import write_file
from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import systemctl
from ansible_collections.decanter.stack.plugins.module_utils.site import Site

UNITS = Path("/etc/systemd/system")
# Names are not stored, because the archive is restored on the same host, at boot before users are known.
TAR = ("tar", "--numeric-owner", "--absolute-names")


def paths(site: Site) -> list[str]:
    """Return the files, the symlinks and the folders of drop-ins of the settings."""
    found = [path for path in site.configuration.rglob("*") if path.name != "build.conf"]
    for pattern in (f"{site.name}@*", f"{site.name}@*/*", f"{site.name}.*@.*"):
        found += UNITS.glob(pattern)
    # A unit is restarted if the time of a folder has changed (companions.unit_reason).
    return sorted(str(path) for path in found if path.is_file() or path.is_symlink() or path.suffix == ".d")


def archive(site: Site) -> bytes:
    """Return an archive of the settings. Settings with the same content, modes and times have the same."""
    names = "\0".join(paths(site)).encode()
    arguments = [*TAR, "--create", "--null", "--no-recursion", "--files-from=-"]
    return subprocess.run(arguments, input=names, check=True, capture_output=True).stdout


def stored(site: Site) -> bytes | None:
    """Return the archive of the live release's settings, or None before the first release."""
    return site.settings.read_bytes() if site.settings.is_file() else None


def are_kept(site: Site) -> bool:
    """Return whether the archive has the current settings."""
    return stored(site) == archive(site)


def keep(site: Site) -> None:
    """Archive the settings, because the live release runs with them. They contain secrets."""
    current = archive(site)
    if stored(site) != current:
        site.settings.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(site.settings, current, 0o600)


def restore(site: Site) -> bool:
    """Restore the settings of the live release. Return whether there were others."""
    if stored(site) in (None, archive(site)):
        return False
    subprocess.run([*TAR, "--extract", "--file", str(site.settings)], check=True, capture_output=True)
    systemctl("daemon-reload")
    return True
