"""Install certificates where nginx reads them, and reload services."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

from failures import CertificateError
from shared.certificate import fits
from shared.files import exchange, read_json, write_file
from shared.journal import log
from shared.systemd import SystemdError, show, systemctl, timestamp_seconds
from state import Site, State

FILES = ("fullchain.pem", "privkey.pem")


def install_all(state: State) -> None:
    """Install the certificates that certbot has, and reload services."""
    for site in state.acme_sites:
        if state.issued(site):
            install(state, site)
    reload_services(state)


def install(state: State, site: Site) -> bool:
    """Install a site's chain and key. Return whether they have changed."""
    lineage = state.lineage(site)
    return install_pair(lineage / "fullchain.pem", lineage / "privkey.pem", state.tls / site.name)


def install_pair(chain: Path, key: Path, folder: Path) -> bool:
    """Replace chain and key in a folder. Return whether the folder had others.

    Raise CertificateError if the key does not fit.
    """
    contents = dict(zip(FILES, (chain.read_bytes(), key.read_bytes()), strict=True))
    if all((folder / name).exists() and (folder / name).read_bytes() == contents[name] for name in FILES):
        return False
    if not fits(chain, key):
        raise CertificateError(f"{key} is not the key of {chain}")
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    try:
        for name, content in contents.items():
            write_file(new / name, content, 0o600)
        if not folder.exists():
            new.rename(folder)
        # In one step, because the folder must never contain the key of another chain.
        elif not exchange(new, folder):
            for name in FILES:
                (new / name).replace(folder / name)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return True


def reload_services(state: State) -> None:
    """Reload the services that have not read the newest certificate.

    Files decide, so the next run reloads what a killed run has not. Raise CertificateError if a reload fails.
    """
    paths = [state.tls / site.name for site in state.sites]
    paths += [folder / name for folder in paths for name in FILES]
    newest = max((path.stat().st_ctime for path in paths if path.exists()), default=0.0)
    # A failed reload changes the state's timestamp, too.
    file = state.folder / "unread.json"
    unread = set(read_json(file).get("units", []))
    before, faults = set(unread), []
    for unit in state.configuration["reloads"]:
        properties = show(unit)
        timestamp = "ActiveEnterTimestamp" if unit in unread else "StateChangeTimestamp"
        unread.discard(unit)
        # A service that is not active reads the certificates when it starts.
        if properties["ActiveState"] != "active" or newest <= timestamp_seconds(properties[timestamp]):
            continue
        begun = time.time()
        try:
            systemctl("reload", unit)
        except SystemdError as error:
            unread.add(unit)
            # Later lines of the error only name commands that show the log.
            reason = emergency(unit, begun) or str(error).partition("\n")[0]
            faults.append(f"{unit} still serves the old certificates, because its reload failed: {reason}")
        else:
            log(f"{unit}: reloaded")
    if unread != before:
        write_file(file, json.dumps({"units": sorted(unread)}), 0o600)
    if faults:
        raise CertificateError("; ".join(faults))


def emergency(unit: str, begun: float) -> str:
    """Return the first emergency that nginx has logged since a time, or an empty string.

    nginx logs `2026/11/21 13:39:54 [emerg] 5660#5660: unknown directive …`.
    """
    time.sleep(0.2)  # journald may not have written it yet
    command = ["journalctl", "--unit", unit, "--since", f"@{int(begun)}", "--output", "cat", "--quiet"]
    lines = subprocess.run(command, capture_output=True, text=True, errors="replace").stdout.splitlines()
    return next((re.sub(r".*\[emerg\] (\d+#\d+: )?", "", line) for line in lines if "[emerg]" in line), "")
