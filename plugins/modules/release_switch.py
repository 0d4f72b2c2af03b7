"""Put a release of a site live without losing a request."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.site import COLOURS, Site, replace_symlink, write_file
from ansible.module_utils.units import log, newest, own_files, seconds, show, systemctl

DOCUMENTATION = r"""
module: release_switch
short_description: Put a release live without losing a request
description:
  - Starts the release as the instance that is idle, asks it for its health on its own socket, renames
    C(live.sock) onto that socket, and lets the instance that was live drain and end.
  - nginx resolves C(live.sock) at every connection, so it needs no reload, and no request sees a moment
    without an instance.
  - A release that does not become healthy is stopped and marked; what was live stays live.
  - An instance that runs the right release with files that have changed since it started is replaced
    in the same way.
options:
  site: {description: The site., type: str, required: true}
  release: {description: The release's ID., type: str, required: true}
  host: {description: The Host that the health check asks for., type: str, required: true}
  health_path: {description: The path that the health check asks for., type: str, default: /}
  health_timeout: {description: Seconds within which the release must be healthy., type: int, default: 30}
  reads: {description: Files and folders that an instance reads., type: list, elements: path, default: []}
  static: {description: "Folders that nginx serves: url, path.", type: list, elements: dict, default: []}
  keep: {description: How many releases are kept., type: int, default: 5}
"""
RETURN = r"""
live: {description: The release that is live., type: str, returned: always}
because: {description: Why the release was put live., type: str, returned: when it was}
"""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def ask(path: Path, host: str, url: str) -> str:
    """What is wrong with the instance behind a socket; an empty string when it is healthy."""
    connection = UnixConnection(path, timeout=10)
    try:
        headers = {"Host": host, "X-Forwarded-Proto": "https", "User-Agent": "decanter-health"}
        connection.request("GET", url, headers=headers)
        response = connection.getresponse()
        body = response.read(500).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({error!r})"
    finally:
        connection.close()
    return "" if response.status < 400 else f"{response.status} {response.reason}: {body.strip()}"


def reason_to_switch(site: Site, identifier: str, reads: list[str]) -> str:
    """Why the release has to be put live; an empty string when it is, and runs what is on disk."""
    colour = site.live_colour()
    if not colour:
        return "nothing was live"
    live = site.release_of(colour)
    if live != identifier:
        return f"{live} was live"
    name = site.unit(colour)
    unit = show(name)
    if unit["ActiveState"] != "active":
        return f"{name} was {unit['ActiveState']}"
    changed, path = newest([*own_files(name, unit), *reads])
    return f"{path} has changed" if changed > seconds(unit["ActiveEnterTimestamp"]) else ""


def stop(site: Site, colour: str) -> None:
    """Stop an instance. The socket in the same call, or a late connection would start it again."""
    systemctl("stop", site.unit(colour, "socket"), site.unit(colour))


def start(site: Site, colour: str, identifier: str, host: str, url: str, timeout: int) -> str:
    """Start a release as the idle instance; what is wrong with it, an empty string when it is healthy."""
    systemctl("daemon-reload")
    stop(site, colour)
    replace_symlink(site.slot(colour), f"releases/{identifier}")
    try:
        systemctl("start", site.unit(colour, "socket"), site.unit(colour))
    except RuntimeError as error:
        return str(error)
    deadline = time.monotonic() + timeout
    fault = "it was not asked"
    while time.monotonic() < deadline:
        unit = show(site.unit(colour))
        if unit["NRestarts"] not in ("", "0") or unit["ActiveState"] == "failed":
            return "it ended"
        fault = ask(site.socket(colour), host, url)
        if not fault:
            return ""
        time.sleep(0.1)
    return f"it was not healthy within {timeout} s: {fault}"


def publish(site: Site, identifier: str, static: list[dict], check: bool) -> bool:
    """Copy a release's static files beside those of the release before; whether any was missing.

    Plain files only: a symlink in a release must not lead nginx anywhere.
    """
    changed = False
    os.umask(0o022)  # nginx reads the folders that are made here
    for folder in static:
        source = site.release(identifier) / folder["path"]
        target = site.assets / folder["url"].strip("/")
        for here, _, names in os.walk(source):
            for name in names:
                file, copy = Path(here, name), target / Path(here, name).relative_to(source)
                if file.is_symlink():
                    continue
                if copy.is_file() and same(file, copy):
                    continue
                changed = True
                if not check:
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    new = copy.with_name(f".{name}.new")
                    shutil.copy2(file, new)
                    new.chmod(0o644)
                    new.rename(copy)
    return changed


def same(one: Path, other: Path) -> bool:
    return (one.stat().st_size, int(one.stat().st_mtime)) == (
        other.stat().st_size,
        int(other.stat().st_mtime),
    )


def flip(site: Site, colour: str) -> None:
    """Send new connections to an instance."""
    replace_symlink(site.live_socket, f"{colour}.sock")
    replace_symlink(site.current, os.readlink(site.slot(colour)))


def note(site: Site, colour: str) -> tuple[Path, str]:
    """/run is empty after a reboot: tmpfiles makes live.sock again, before nginx starts."""
    path = Path(f"/etc/tmpfiles.d/decanter-{site.name}-live.conf")
    return (
        path,
        f"# Which instance is live; written by each release.\nL {site.live_socket} - - - - {colour}.sock\n",
    )


def remember(site: Site, colour: str) -> None:
    write_file(*note(site, colour))
    systemctl("--quiet", "enable", site.unit(colour, "socket"), site.unit(colour))
    other = idle(colour)
    systemctl("--quiet", "disable", site.unit(other, "socket"), site.unit(other))


def unfinished(site: Site, colour: str) -> bool:
    """Whether a run was cut off between the flip and the end of the instance that was live before."""
    path, line = note(site, colour)
    other = show(site.unit(idle(colour)))
    return (
        not path.exists()
        or path.read_text() != line
        or show(site.unit(colour))["UnitFileState"] != "enabled"
        or other["UnitFileState"] == "enabled"
        or other["ActiveState"] == "active"
    )


def idle(colour: str) -> str:
    return "green" if colour == "blue" else "blue"


def drain(site: Site, colour: str, timeout: float = 10) -> None:
    """Let an instance that is no longer live end what it has; what waits in its socket is taken first."""
    if show(site.unit(colour))["ActiveState"] != "active":
        return
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        arguments = ["ss", "--no-header", "--listening", "--unix", "src", str(site.socket(colour))]
        out = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split()
        if not out or out[2] == "0":
            break
        time.sleep(0.05)
    # A connection that was just taken from the socket may not be with a thread yet.
    time.sleep(0.5)
    systemctl("stop", "--no-block", site.unit(colour, "socket"), site.unit(colour))


def prune(site: Site, keep: int) -> None:
    """Remove what is no longer kept: old releases, and environments that none of the others needs."""
    live = {site.release_of(colour) for colour in COLOURS}
    for identifier in site.identifiers()[:-keep]:
        if identifier not in live:
            shutil.rmtree(site.release(identifier))
            (site.releases / f"{identifier}.json").unlink(missing_ok=True)
    needed = {(site.release(identifier) / ".venv").resolve().name for identifier in site.identifiers()}
    for environment in site.venvs.iterdir():
        if environment.name not in needed:
            shutil.rmtree(environment)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "str", "required": True},
            "release": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "health_path": {"type": "str", "default": "/"},
            "health_timeout": {"type": "int", "default": 30},
            "reads": {"type": "list", "elements": "path", "default": []},
            "static": {"type": "list", "elements": "dict", "default": []},
            "keep": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )
    params = module.params
    site, identifier = Site(params["site"]), params["release"]
    reason = reason_to_switch(site, identifier, params["reads"])
    old = site.live_colour()
    interrupted = bool(old) and not reason and unfinished(site, old)
    if module.check_mode:
        assets = site.release(identifier).is_dir() and publish(site, identifier, params["static"], check=True)
        module.exit_json(changed=bool(reason) or interrupted or assets, live=identifier, because=reason)

    assets = publish(site, identifier, params["static"], check=False)
    if reason:
        new = idle(old)
        begun = time.time()
        fault = start(site, new, identifier, params["host"], params["health_path"], params["health_timeout"])
        if fault:
            stop(site, new)
            if site.release_of(old) != identifier:
                site.write_record(identifier, site.record(identifier) | {"state": "failed", "fault": fault})
            module.fail_json(
                msg=f"{site.name}: release {identifier} did not go live, {fault}. "
                f"{'Still live is ' + site.release_of(old) if old else 'Nothing is live'}. Its log ends:\n"
                + log(site.unit(new), begun)
            )
        flip(site, new)
    else:
        new = old
    if reason or interrupted:
        remember(site, new)
        drain(site, idle(new))
        site.write_record(identifier, site.record(identifier) | {"state": "good"})
        prune(site, params["keep"])
    module.exit_json(changed=bool(reason) or interrupted or assets, live=identifier, because=reason)


if __name__ == "__main__":
    main()
