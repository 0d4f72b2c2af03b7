"""Measure Decanter against a shell script that does the bare minimum: tools/bench/baseline.sh.

Plain Ansible and Ansible with Mitogen each get two new hosts: one for Decanter, one for the script. Both are
measured in turn, because the speed of a machine changes within minutes. The script runs second, so that
caches of packages make it faster, and not Decanter.
"""

from __future__ import annotations

import functools
import json
import re
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

from tools.bench import environments, releases
from tools.bench.clients import await_listings
from tools.bench.lab import INVENTORIES, NAME, SETUPS, TITLES, UNTRACKED, WORK
from tools.bench.machine import others_percent
from tools.bench.report import figure
from tools.library import (
    BIN,
    PLAIN,
    ROOT,
    Failure,
    Lab,
    Record,
    inventory_options,
    playbook_command,
    run_step,
    ssh_command,
)

__all__ = ["HOW", "NAME", "details", "figures", "measure"]

TARGETS = [  # the figure, the measurement, the set-up, and the largest ratio to the script
    ("first converge, with Mitogen", "first", "mitogen", 1.6),
    ("first converge, without", "first", "plain", 1.9),
    ("nothing to change, with Mitogen", "idle", "mitogen", 0.35),
    ("nothing to change, without", "idle", "plain", 1.0),
]
BY_HAND = "by-hand"
SETTLE = 10  # seconds between the last request and the measurement of the memory
HOW = f"""\
Each set-up has two new Debian 13 containers of this machine with systemd, reached over ssh: one for Decanter,
one for tools/bench/baseline.sh ("by hand"). First converge: once, from the command, which copies the code, to
a page of listings over HTTPS. Nothing to change: the same command again, over a new ssh connection. Deploy:
from the command to a response with the new line of code. Rollback: to a response without it. By hand: `git
pull && systemctl restart` over ssh, from a repository on the host. Deploy, rollback and pull take turns; the
figure is the median of {releases.ROUNDS} rounds. p99: 30 requests a second over 4 keep-alive connections,
{releases.QUIET_SECONDS} s without a deploy, then during {releases.ROUNDS} deploys. Memory: all processes
{SETTLE} s after the last request; see tools/bench/memory.py."""


def create_lab(setup: str) -> Lab:
    """Return the lab of one host for Decanter and one for the script."""
    hosts: list[Record] = [
        {"name": setup, "suite": "trixie", "groups": ["web", "database"]},
        {"name": BY_HAND, "suite": "trixie", "groups": ["hand"]},
    ]
    return Lab(NAME, hosts)


def host_variables(name: str) -> Record:
    """Return the variables of a host in the inventory."""
    command = [f"{BIN}/ansible-inventory", *inventory_options(INVENTORIES), "--host", name]
    variables: Record = json.loads(subprocess.check_output(command, cwd=ROOT, env=PLAIN))
    return variables


def run_script(host: Record) -> float:
    """Return the seconds of tools/bench/baseline.sh and the copy of its files, over one ssh connection."""
    files = ["app", "-C", "tools/bench", "baseline.sh", "-C", "../../roles/release/files", "gunicorn.txt"]
    tar = ["tar", "-cz", *(f"--exclude={pattern}" for pattern in UNTRACKED), *files]
    command = f"{shlex.join(tar)} | {shlex.join(ssh_command(host, 'tar -xz && sudo sh baseline.sh'))}"
    served = functools.partial(await_listings, host)
    return run_step("by hand", WORK / "by-hand.log", ["sh", "-c", command], until=served)[0]


def converge(what: str, setup: str, host: Record) -> Record:
    """Return the seconds of a converge, and the numbers of its tasks that ran, changed and were skipped."""
    log = WORK / f"{setup}-{what}.log"
    command = playbook_command(INVENTORIES, "--limit", setup, "decanter.stack.site")
    served = functools.partial(await_listings, host)
    # Each converge opens a connection of its own.
    with tempfile.TemporaryDirectory(prefix="bench-") as sockets:
        env = SETUPS[setup] | {"ANSIBLE_SSH_CONTROL_PATH_DIR": sockets}
        seconds, output = run_step(f"{what} converge", log, command, env, served)
        for socket in Path(sockets).iterdir():
            end = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "_"]
            subprocess.run(end, stderr=subprocess.DEVNULL)
    recap = rf"^{setup}\s.*?ok=(?P<ran>\d+)\s+changed=(?P<changed>\d+).*?skipped=(?P<skipped>\d+)"
    counts = re.search(recap, output, re.M)
    if counts is None:
        raise Failure(f"{log}: found no recap of {setup}")
    return {"seconds": seconds} | {name: int(count) for name, count in counts.groupdict().items()}


def measure_memory(host: Record) -> Record:
    """Return the memory of the host's processes by unit, in KiB; see tools/bench/memory.py."""
    time.sleep(SETTLE)
    script = shlex.quote((ROOT / "tools/bench/memory.py").read_text())
    command = ssh_command(host, f"sudo python3 -c {script}")
    measured: Record = json.loads(run_step("memory", WORK / "memory.log", command)[1])
    sizes = ("mysql_buffer_pool_max_mb", "mysql_performance_schema_enabled", "python_app_workers")
    return measured | {"sized_by": {name: host[name] for name in sizes}}


def measure(keep: bool) -> Record:
    """Return the seconds and tasks by set-up, and the memory and environments of the last set-up.

    The hosts are removed even if `keep` is true, because a first converge requires new ones.
    """
    results: Record = {"others_percent": []}
    for setup in SETUPS:
        print(TITLES[setup])
        results["others_percent"].append(others_percent())
        with create_lab(setup).temporary_hosts(new=True):
            host, hand = host_variables(setup), host_variables(BY_HAND)
            first, script = converge("first", setup, host), run_script(hand)
            idle = converge("idle", setup, host)
            if idle["changed"]:
                raise Failure(f"{WORK}/{setup}-idle.log: found changes of the second converge, expected none")
            results[setup] = {BY_HAND: script, "first": first, "idle": idle}
            results[setup] |= releases.measure(setup, host, hand)
            if setup == list(SETUPS)[-1]:
                results["memory"] = measure_memory(host)
                results["environments"] = environments.measure(host)
    return results


def figures(results: Record) -> list[Record]:
    """Return the figures with their targets: ratios of seconds, and MiB."""
    rows = []
    for name, run, setup, target in TARGETS:
        if setup in results:
            measured, script = results[setup][run], results[setup][BY_HAND]
            seconds = f"{measured['seconds']:.1f} s, {script:.1f} s by hand"
            note = f"{seconds}; {measured['ran']} tasks run, {measured['skipped']} skipped"
            rows.append(figure(name, measured["seconds"] / script, target, note, unit="x by hand"))
    rows += releases.figures({setup: results[setup] for setup in TITLES if setup in results})
    units = results["memory"]["units"]
    total = sum(row["kib"] for name, row in units.items() if not name.startswith("(")) / 1024
    note = f"idle with one site, {results['memory']['kind']}; the target is half of 1 GiB"
    rows.append(figure("memory", round(total), 512, note, unit="MiB"))
    return rows + environments.figures(results["environments"])


def details(results: Record) -> str:
    """Return the memory by unit."""
    memory = results["memory"]
    lines = ["Memory by unit, in MiB:"]
    for name, row in sorted(memory["units"].items(), key=lambda item: -item[1]["kib"]):
        excluded = "  not counted" if name.startswith("(") else ""
        lines.append(f"  {name:<40}{row['kib'] / 1024:7.1f}  {row['processes']:>2} processes{excluded}")
    sizes = ", ".join(f"{name}: {value}" for name, value in memory["sized_by"].items())
    return "\n".join([*lines, f"Sized for 1 GiB and two vCPUs: {sizes}"])
