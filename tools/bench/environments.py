"""Measure environments of an application of many packages, one of which changes in each deploy."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

PINS = Path(__file__).with_name("pins")
SITE = "pins"
Record = dict[str, Any]


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


def measure(
    deploy: Callable[[str, str], float], root: Callable[[str], str], write: Callable[[str], None]
) -> Record:
    """Return the seconds of deploys and the disk usage of environments, in KiB.

    `deploy` releases the application and returns the seconds until a page has a pattern, `root` runs a
    command on the host, `write` writes the application with a pin. The first deploy has an empty cache and
    no earlier environment with the same packages; the others change one pin.
    """
    pins = variants()
    seconds = []
    root(f"rm -rf /var/cache/decanter/{SITE}")
    for number, pin in enumerate(pins):
        write(pin)
        version = pin.partition("==")[2].split()[0]
        seconds.append(deploy(f"pins-{number}", rf"humanize {re.escape(version)}"))
    # The environments of the pins, not that of the first release, which has Flask alone. du counts a file
    # with several links once.
    newest = f"$(ls -d /srv/{SITE}/venvs/*/ | tail -n {len(pins)})"
    total = int(root(f"du -ck {newest} | tail -n 1 | cut -f 1"))
    one = int(root(f"du -sk {newest.replace(f'-n {len(pins)}', '-n 1')} | cut -f 1"))
    disk = {"one": one, "all": total}
    packages = len(re.findall("==", (PINS / "requirements.txt").read_text()))
    return {"empty": seconds[0], "one_pin": seconds[1:], "disk": disk, "packages": packages}


def figures(measured: Record) -> list[Record]:
    """Return the figures with their targets."""
    pin, disk = sorted(measured["one_pin"])[len(measured["one_pin"]) // 2], measured["disk"]
    return [
        {
            "figure": "deploy that changes one pin",
            "value": round(pin / measured["empty"], 2),
            "target": 0.4,
            "unit": "x empty cache",
            "note": f"{pin:.1f} s (median), {measured['empty']:.1f} s with nothing cached",
        },
        {
            "figure": "disk of five environments",
            "value": round(disk["all"] / disk["one"], 2),
            "target": 1.5,
            "unit": "x one",
            "note": f"{disk['all'] >> 10} MiB; one: {disk['one'] >> 10} MiB, {measured['packages']} packages",
        },
    ]
