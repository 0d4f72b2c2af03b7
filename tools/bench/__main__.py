"""Measure Decanter against a shell script that does the bare minimum: tools/bench/baseline.sh.

Plain Ansible and Ansible with Mitogen each get two new Debian 13 hosts: one for Decanter, one to do the same
by hand. Both are measured in turn, because the speed of a machine changes within minutes. By hand comes
second, so that caches on the way to the packages, if any, speed up what is divided by. Nothing else runs
meanwhile. It takes some fifteen minutes. A missed target is no failure; a page without listings is, or a
second converge that changes something. See .lab/bench/ for all of it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from tools.bench import environments, report
from tools.bench.clients import await_listings, clients, p99, time_until_page
from tools.bench.machine import machine, others_percent
from tools.library import (
    ACCELERATED,
    BIN,
    MITOGEN,
    PLAIN,
    ROOT,
    Failure,
    Lab,
    Record,
    exit_on_sigterm,
    inventory_options,
    playbook_command,
    run_step,
    ssh_command,
)

WORK = ROOT / ".lab/bench"
INVENTORIES = [ROOT / "tools/bench/inventory", WORK / "hosts.yml"]
TARGETS = [  # the figure, which run of which set-up, and how many times by hand it may take
    ("first converge, with Mitogen", "first", "mitogen", 1.6),
    ("first converge, without", "first", "plain", 1.9),
    ("nothing to change, with Mitogen", "idle", "mitogen", 0.35),
    ("nothing to change, without", "idle", "plain", 1.0),
]
RELEASES = [  # the same of a release, divided by `git pull` and a restart
    ("deploy of code, with Mitogen", "deploy", "mitogen", 4.0),
    ("deploy of code, without", "deploy", "plain", 8.0),
    ("rollback, with Mitogen", "rollback", "mitogen", 2.0),
    ("rollback, without", "rollback", "plain", 4.0),
]
SETTLE = 10  # seconds between the last request and the look at the memory
ROUNDS = 3  # deploys, rollbacks and pulls
HOW = f"""\
Each set-up on new Debian 13 containers of this machine, with systemd, reached over ssh: one for Decanter, one
by hand. First converge, once: the wall clock from the command, copying the code included, to a page of
listings over HTTPS. By hand: tools/bench/baseline.sh, likewise. Nothing to change: the same command again,
over a new ssh connection. Deploy: one line of code changed, from the command to an answer that shows it;
rollback: to one that does not. By hand: `git pull && systemctl restart` over ssh, the repository being on the
host. These three in turn, {ROUNDS} times, the median of each.
p99: 30 requests a second over 4 connections that are kept, 20 s quiet, then during three deploys. Memory: all
processes {SETTLE} s after the last request; see tools/bench/memory.py."""

BY_HAND = "by-hand"
STOPPING = {signal.SIGINT, signal.SIGTERM}


@contextlib.contextmanager
def new_hosts(setup: str) -> Iterator[tuple[Record, Record]]:
    """Create two new hosts, yield their variables in the inventory, and remove the hosts.

    The first is for Decanter, the second for the baseline by hand.
    """
    lab = Lab(
        "bench",
        [
            {"name": setup, "suite": "trixie", "groups": ["web", "database"]},
            {"name": BY_HAND, "suite": "trixie", "groups": ["hand"]},
        ],
    )
    lab.remove("removing the hosts of an earlier run")
    try:
        lab.create("new hosts")
        command = [f"{BIN}/ansible-inventory", *inventory_options(INVENTORIES), "--host"]
        one, other = (
            json.loads(subprocess.check_output([*command, name], cwd=ROOT, env=PLAIN))
            for name in (setup, BY_HAND)
        )
        yield one, other
    finally:
        # A second Ctrl-C must not interrupt the removal of the hosts.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        lab.remove()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def changed_source() -> tuple[Path, str]:
    """A copy of Harbour with a new header in all answers, and the value of the header."""
    # Not below WORK, which git ignores: a release is what git would track.
    source, line = Path(tempfile.gettempdir(), f"decanter-bench-{os.getpid()}"), secrets.token_hex(8)
    shutil.rmtree(source, ignore_errors=True)
    # What git does not track: environments, caches, a developer's database.
    shutil.copytree(ROOT / "app", source, ignore=shutil.ignore_patterns(".*", "__pycache__", "instance"))
    # Code, which a process that runs does not read again; it may read a template that it has not shown yet.
    with (source / "harbour/security.py").open("a") as file:
        file.write(f'HEADERS["X-Bench"] = "{line}"\n')
    return source, line


def release(setup: str, host: Record, hand: Record) -> Record:
    """Seconds of deploys, rollbacks and pulls, and the p99 of a quiet site and of one in a deploy."""
    env = MITOGEN if setup == "mitogen" else PLAIN
    sites = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/sites.yml").read_text())
    deploy, rollback = (
        playbook_command(INVENTORIES, "-e", f"@{WORK}/sites.json", f"decanter.stack.{name}")
        for name in ("deploy", "rollback")
    )
    taken: dict[str, list[float]] = {"deploy": [], "rollback": [], "pull": []}
    for _ in range(ROUNDS):
        source, line = changed_source()
        sites["sites"]["harbour"] |= {"source": {"path": str(source)}, "server_names": [host["ansible_host"]]}
        (WORK / "sites.json").write_text(json.dumps(sites))
        for what, run, present in (("deploy", deploy, True), ("rollback", rollback, False)):
            page = (host, "/", line, present)
            taken[what].append(time_until_page(what, WORK / f"{setup}-{what}.log", run, env, page))
        taken["pull"].append(pull(hand, source, line))
    with clients(host) as quiet:
        time.sleep(20)
    with clients(host) as busy:
        for _ in range(3):
            source, line = changed_source()
            time_until_page("deploy under load", WORK / f"{setup}-load.log", deploy, env, (host, "/", line))
    shutil.rmtree(source)
    medians = {what: statistics.median(seconds) for what, seconds in taken.items()}
    return medians | {"taken": taken, "p99_quiet_ms": p99(quiet), "p99_deploy_ms": p99(busy)}


def environment_figures(host: Record) -> Record:
    """Measure deploys of an application of many packages, in Harbour's place."""
    source = Path(tempfile.gettempdir(), f"decanter-bench-pins-{os.getpid()}")
    environments.write_source(source, "flask")
    (source / "requirements.txt").write_text("flask\n")
    (source / "app.py").write_text(
        "import flask\n\napp = flask.Flask(__name__)\napp.get('/health')(lambda: 'ok')\n"
    )
    sites = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/sites.yml").read_text())["sites"]
    sites["harbour"]["state"] = "absent"
    pins = {"server_names": [host["ansible_host"]], "source": {"path": str(source)}, "wsgi": "app:app"}
    # The watch after a release went live is not what is measured.
    sites[environments.SITE] = pins | {"tls": {"mode": "ca"}, "health": {"path": "/health", "watch": 0}}
    (WORK / "sites.json").write_text(json.dumps({"sites": sites}))
    command = playbook_command(INVENTORIES, "-e", f"@{WORK}/sites.json")
    site = [*command, "--limit", "web", "decanter.stack.site"]
    run_step("another application", WORK / "pins.log", site, MITOGEN)

    def deploy(log: str, pattern: str) -> float:
        what = "deploy with an empty cache" if log.endswith("-0") else "deploy that changes one pin"
        run = [*command, "-e", f"site={environments.SITE}", "decanter.stack.deploy"]
        return time_until_page(what, WORK / f"{log}.log", run, MITOGEN, (host, "/", pattern))

    def root(remote: str) -> str:
        return subprocess.check_output(ssh_command(host, remote, root=True), text=True)

    try:
        return environments.measure(deploy, root, lambda pin: environments.write_source(source, pin))
    finally:
        shutil.rmtree(source)


def pull(host: Record, source: Path, line: str) -> float:
    """Seconds that `git pull` of a source and a restart take by hand, to an answer that shows its line."""
    # The repository is made before the first pull.
    prepare = """set -e
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
if [ ! -d /root/work ]; then
    apt-get -qq install --yes --no-install-recommends git >/dev/null
    cd /srv/harbour/app && git init -q -b main && git add . && git commit -qm one
    git clone -q --bare . /srv/repo.git && git remote add origin /srv/repo.git
    git fetch -q && git branch -q -u origin/main
    git clone -q /srv/repo.git /root/work
fi
cd /root/work && tar -xz && git add . && git commit -qm next && git push -q"""
    tar = shlex.join(["tar", "-cz", "-C", str(source), "."])
    remote = shlex.join(ssh_command(host, prepare, root=True))
    run_step("a commit", WORK / "repository.log", ["sh", "-c", f"{tar} | {remote}"])
    update = "cd /srv/harbour/app && git pull -q && systemctl restart harbour"
    command = ssh_command(host, update, root=True)
    return time_until_page("git pull and restart", WORK / "pull.log", command, PLAIN, (host, "/", line))


def by_hand(host: Record) -> Record:
    """Seconds that tools/bench/baseline.sh takes, the copying included, over one ssh connection."""
    files = ["app", "-C", "tools/bench", "baseline.sh", "-C", "../../roles/release/files", "gunicorn.txt"]
    # What git does not track: environments, caches, a developer's database.
    tar = ["tar", "-cz", "--exclude=.*", "--exclude=__pycache__", "--exclude=instance", *files]
    command = f"{shlex.join(tar)} | {shlex.join(ssh_command(host, 'tar -xz && sudo sh baseline.sh'))}"
    served = functools.partial(await_listings, host)
    return {BY_HAND: run_step("by hand", WORK / "by-hand.log", ["sh", "-c", command], until=served)[0]}


def converge(what: str, setup: str, host: Record) -> Record:
    """Seconds that a converge takes, and how many of its tasks ran, changed and were skipped."""
    log = WORK / f"{setup}-{what}.log"
    command = playbook_command(INVENTORIES, "--limit", setup, "decanter.stack.site")
    served = functools.partial(await_listings, host)
    # Each pays for a connection of its own, as the first of the day does.
    with tempfile.TemporaryDirectory(prefix="bench-") as sockets:
        env = (MITOGEN if setup == "mitogen" else PLAIN) | {"ANSIBLE_SSH_CONTROL_PATH_DIR": sockets}
        took, output = run_step(f"{what} converge", log, command, env, served)
        for socket in Path(sockets).iterdir():
            end = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "_"]
            subprocess.run(end, stderr=subprocess.DEVNULL)
    recap = rf"^{setup}\s.*?ok=(?P<ran>\d+)\s+changed=(?P<changed>\d+).*?skipped=(?P<skipped>\d+)"
    counts = re.search(recap, output, re.M)
    if counts is None:
        raise Failure(f"no recap in {log}")
    return {"seconds": took} | {name: int(count) for name, count in counts.groupdict().items()}


def measure_memory(host: Record) -> Record:
    """The memory of the host's processes, by unit, in KiB: see tools/bench/memory.py."""
    time.sleep(SETTLE)
    script = shlex.quote((ROOT / "tools/bench/memory.py").read_text())
    command = ssh_command(host, f"sudo python3 -c {script}")
    found = json.loads(run_step("memory", WORK / "memory.log", command)[1])
    sizes = ("mysql_buffer_pool_max_mb", "mysql_performance_schema_enabled", "python_app_workers")
    return found | {"sized_by": {name: host[name] for name in sizes}}


def measure() -> Record:
    """All that is measured: by set-up, seconds and tasks; and the memory of the last one converged."""
    results: Record = {"others_percent": []}
    for setup in ("plain", *(["mitogen"] if ACCELERATED else [])):
        print({"plain": "Plain Ansible", "mitogen": "With Mitogen"}[setup])
        results["others_percent"].append(others_percent())
        with new_hosts(setup) as (host, hand):
            first = converge("first", setup, host)
            found = by_hand(hand) | {"first": first, "idle": converge("idle", setup, host)}
            if found["idle"]["changed"]:
                raise Failure(f"the second converge changed something: see {WORK / setup}-idle.log")
            results[setup] = found | release(setup, host, hand)
            if setup == "mitogen" or not ACCELERATED:
                results["memory"] = measure_memory(host)
                results["environments"] = environment_figures(host)
    return results


def figures(results: Record) -> list[Record]:
    """The figures with their targets: ratios of seconds, and MiB."""
    rows = []
    for name, run, setup, target in TARGETS:
        if setup in results:
            measured = results[setup][run]
            value = round(measured["seconds"] / results[setup][BY_HAND], 2)
            note = (
                f"{measured['seconds']:.1f} s, {results[setup][BY_HAND]:.1f} s by hand; "
                f"{measured['ran']} tasks run, {measured['skipped']} skipped"
            )
            rows.append({"figure": name, "value": value, "target": target, "unit": "x by hand", "note": note})
    for name, run, setup, target in RELEASES:
        if setup in results:
            value = round(results[setup][run] / results[setup]["pull"], 2)
            note = f"{results[setup][run]:.1f} s, {results[setup]['pull']:.1f} s by git pull and a restart"
            rows.append(
                {"figure": name, "value": value, "target": target, "unit": "x git pull", "note": note}
            )
    measured = results["mitogen" if ACCELERATED else "plain"]
    value = round(measured["p99_deploy_ms"] / measured["p99_quiet_ms"], 2)
    note = f"{measured['p99_deploy_ms']} ms, {measured['p99_quiet_ms']} ms when nothing is deployed"
    rows.append(
        {"figure": "p99 during a deploy", "value": value, "target": 3.0, "unit": "x quiet", "note": note}
    )
    units = results["memory"]["units"]
    total = sum(row["kib"] for name, row in units.items() if not name.startswith("(")) / 1024
    note = f"idle with one site, {results['memory']['kind']}; half of 1 GiB is to be free"
    rows.append({"figure": "memory", "value": round(total), "target": 512, "unit": "MiB", "note": note})
    rows += environments.figures(results["environments"])
    return [row | {"met": row["value"] <= row["target"]} for row in rows]


def main() -> int:
    exit_on_sigterm()
    try:
        results = measure()
        data = {"machine": machine(), "how": HOW, "results": results, "figures": figures(results)}
    except (Failure, KeyboardInterrupt) as error:
        print(str(error) or "\nstopped", file=sys.stderr)
        return 1
    path = WORK / "results.json"
    path.write_text(json.dumps(data, indent=2) + "\n")
    report.show(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
