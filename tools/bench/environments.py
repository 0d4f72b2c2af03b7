"""Measure deploys of an application with many packages, one of which changes in each deploy."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from tools.bench.clients import time_until_page
from tools.bench.lab import INVENTORIES, SITES_FILE, WORK, write_sites
from tools.bench.report import figure
from tools.library import MITOGEN, Record, lab_sites, playbook_command, run_step, ssh_command

PINS = Path(__file__).with_name("pins")
SITE = "pins"
APPLICATION = "import flask\n\napp = flask.Flask(__name__)\napp.get('/health')(lambda: 'ok')\n"


def variants() -> list[str]:
    """Return the pin of each version of humanize, with its hashes."""
    return re.split(r"\n(?=\S)", (PINS / "humanize.txt").read_text().strip())


def write_source(folder: Path, pin: str) -> None:
    """Write the application with one version of the package that changes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(PINS / "app.py", folder)
    text = (PINS / "requirements.txt").read_text()
    changed = re.sub(r"^humanize==.*?(?=^\S)", f"{pin}\n", text, count=1, flags=re.M | re.S)
    (folder / "requirements.txt").write_text(changed)


def write_first_source(folder: Path) -> None:
    """Write an application that requires Flask alone."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "requirements.txt").write_text("flask\n")
    (folder / "app.py").write_text(APPLICATION)


def converge(host: Record, source: Path) -> list[str]:
    """Replace Harbour on the host with the application.

    Returns the command that deploys the application.
    """
    sites = lab_sites()["sites"]
    sites["harbour"]["state"] = "absent"
    sites[SITE] = {"server_names": [host["ansible_host"]], "source": {"path": str(source)}, "wsgi": "app:app"}
    # The health checks after the activation are not measured.
    sites[SITE] |= {"tls": {"mode": "ca"}, "health": {"path": "/health", "watch": 0}}
    write_sites(sites)
    command = playbook_command(INVENTORIES, "-e", f"@{SITES_FILE}")
    site = [*command, "--limit", "web", "decanter.stack.site"]
    run_step("another application", WORK / "pins.log", site, MITOGEN)
    return [*command, "-e", f"site={SITE}", "decanter.stack.deploy"]


def measure(host: Record) -> Record:
    """Return the seconds of deploys and the disk usage of environments, in KiB.

    The first deploy has an empty cache and no earlier environment with the same packages. The others
    change one pin.
    """

    def output(remote: str) -> str:
        return subprocess.check_output(ssh_command(host, remote, root=True), text=True)

    source = Path(tempfile.gettempdir(), f"decanter-bench-pins-{os.getpid()}")
    shutil.rmtree(source, ignore_errors=True)
    pins, seconds = variants(), []
    try:
        write_first_source(source)
        deploy = converge(host, source)
        output(f"rm -rf /var/cache/decanter/{SITE}")
        for number, pin in enumerate(pins):
            write_source(source, pin)
            title = "deploy that changes one pin" if number else "deploy with an empty cache"
            page = (host, "/", rf"humanize {re.escape(pin.partition('==')[2].split()[0])}")
            seconds.append(time_until_page(title, WORK / f"pins-{number}.log", deploy, MITOGEN, page))
        # Without the environment of the first release. du counts a file with several links once.
        newest = f"$(ls -d /srv/{SITE}/venvs/*/ | tail -n {len(pins)})"
        total = int(output(f"du -ck {newest} | tail -n 1 | cut -f 1"))
        one = int(output(f"du -sk {newest.replace(f'-n {len(pins)}', '-n 1')} | cut -f 1"))
    finally:
        shutil.rmtree(source, ignore_errors=True)
    packages = len(re.findall("==", (PINS / "requirements.txt").read_text()))
    disk = {"one": one, "all": total}
    return {"empty": seconds[0], "one_pin": seconds[1:], "disk": disk, "packages": packages}


def figures(measured: Record) -> list[Record]:
    """Return the figures with their targets."""
    pin, disk = statistics.median_high(measured["one_pin"]), measured["disk"]
    return [
        figure(
            "deploy that changes one pin",
            pin / measured["empty"],
            0.4,
            f"{pin:.1f} s (median), {measured['empty']:.1f} s with an empty cache",
            unit="x empty cache",
        ),
        figure(
            "disk of five environments",
            disk["all"] / disk["one"],
            1.5,
            f"{disk['all'] >> 10} MiB; one: {disk['one'] >> 10} MiB, {measured['packages']} packages",
            unit="x one",
        ),
    ]
