"""Measure the cost of one, two and four web hosts behind a balancer.

A rolling deploy, and a converge with nothing to change, each with Mitogen and without.
"""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
from pathlib import Path

import yaml

from tools.bench.machine import others_percent
from tools.bench.report import figure
from tools.library import ACCELERATED, MITOGEN, PLAIN, ROOT, Failure, Lab, Record, playbook_command

__all__ = ["HOW", "NAME", "details", "figures", "measure"]

NAME = "bench-hosts"
SIZES = (1, 2, 4)
HOSTS: list[Record] = [
    *({"name": f"web{number}", "suite": "trixie", "groups": ["web"]} for number in (1, 2, 3, 4)),
    {"name": "balancer1", "suite": "trixie", "groups": ["balancer"]},
]
TARGETS = {"converge, Mitogen": 1.5}  # the largest ratio of four web hosts to one
SETUPS = {"Mitogen": MITOGEN, "plain": PLAIN} if ACCELERATED else {"plain": PLAIN}
HOW = """\
One, two and four web hosts behind a balancer, containers of this machine that share its cores. Converge: with
nothing to change. Deploy: of a changed file, rolling. Each is measured once."""


def create_inventory(lab: Lab, size: int) -> Path:
    """Write an inventory with `size` web hosts, and return its folder."""
    folder = lab.work / str(size)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "tools/bench/hosts", folder)
    hosts = yaml.safe_load(lab.hosts_file.read_text())
    for number in range(size + 1, 5):
        del hosts["all"]["hosts"][f"web{number}"], hosts["all"]["children"]["web"]["hosts"][f"web{number}"]
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
    return folder


def measure_size(lab: Lab, size: int, source: Path) -> dict[str, float]:
    """Return the seconds of converges and deploys of `size` web hosts."""
    print(f"{size} web host{'s' if size > 1 else ''}")
    command = playbook_command([create_inventory(lab, size)], "-e", f"bench_source={source}")
    site, deploy = ([*command, f"decanter.stack.{name}"] for name in ("site", "deploy"))
    lab.step("first converge", f"{size}-first", site, next(iter(SETUPS.values())))
    measured: dict[str, float] = {}
    for name, env in SETUPS.items():
        log = f"{size}-idle-{name}"
        measured[f"converge, {name}"], output = lab.step(f"nothing to change, {name}", log, site, env)
        if set(re.findall(r"changed=(\d+)", output)) != {"0"}:
            raise Failure(f"{lab.work}/{log}.log: found changes of the second converge, expected none")
        with (source / "whoami.py").open("a") as file:
            file.write(f"# {secrets.token_hex(8)}\n")
        log = f"{size}-deploy-{name}"
        measured[f"deploy, {name}"] = lab.step(f"deploy, {name}", log, deploy, env)[0]
    return measured


def measure(keep: bool) -> Record:
    """Return the seconds of each measurement by the number of web hosts.

    The hosts are removed even if `keep` is true, because the number of web hosts only grows.
    """
    lab = Lab(NAME, HOSTS)
    results: Record = {"others_percent": [others_percent()], "seconds": {}}
    with lab.temporary_hosts(new=True), tempfile.TemporaryDirectory(prefix="decanter-bench-") as folder:
        source = Path(folder) / "whoami"
        shutil.copytree(ROOT / "molecule/cluster/whoami", source)
        for size in SIZES:
            results["seconds"][str(size)] = measure_size(lab, size, source)
    return results


def _ratio(results: Record, name: str) -> float:
    """Return the ratio of four web hosts to one."""
    first, *_, last = (results["seconds"][str(size)][name] for size in SIZES)
    return float(last / first)


def figures(results: Record) -> list[Record]:
    """Return the figures with their targets."""
    rows = []
    for name, target in TARGETS.items():
        if name in results["seconds"]["1"]:
            seconds = (f"{results['seconds'][str(size)][name]:.1f} s" for size in SIZES)
            rows.append(figure(name, _ratio(results, name), target, ", ".join(seconds), unit="x one host"))
    return rows


def details(results: Record) -> str:
    """Return the table of seconds by the number of web hosts."""
    lines = [f"{'seconds':<20}" + "".join(f"{size:>8}" for size in SIZES) + f"{'4 by 1':>10}"]
    for name in sorted(results["seconds"]["1"]):
        seconds = "".join(f"{results['seconds'][str(size)][name]:>8.1f}" for size in SIZES)
        lines.append(f"{name:<20}{seconds}{_ratio(results, name):>10.2f}")
    return "\n".join(lines)
