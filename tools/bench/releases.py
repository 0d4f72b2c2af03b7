"""Measure deploys and rollbacks of Harbour against `git pull` and a restart, and responses under load."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from tools.bench.clients import clients, p99, time_until_page
from tools.bench.lab import INVENTORIES, SETUPS, SITES_FILE, WORK, copy_harbour, write_sites
from tools.bench.report import figure
from tools.library import PLAIN, Record, lab_sites, playbook_command, run_step, ssh_command

ROUNDS = 3  # of one deploy, one rollback and one pull
QUIET_SECONDS = 20
TARGETS = [  # the figure, the measurement, the set-up, and the largest ratio to `git pull` and a restart
    ("deploy of code, with Mitogen", "deploy", "mitogen", 4.0),
    ("deploy of code, without", "deploy", "plain", 8.0),
    ("rollback, with Mitogen", "rollback", "mitogen", 2.0),
    ("rollback, without", "rollback", "plain", 4.0),
]
# The repository is created before the first pull.
COMMIT = """set -e
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
if [ ! -d /root/work ]; then
    apt-get -qq install --yes --no-install-recommends git >/dev/null
    cd /srv/harbour/app && git init -q -b main && git add . && git commit -qm one
    git clone -q --bare . /srv/repo.git && git remote add origin /srv/repo.git
    git fetch -q && git branch -q -u origin/main
    git clone -q /srv/repo.git /root/work
fi
cd /root/work && tar -xz && git add . && git commit -qm next && git push -q"""


def write_source(source: Path) -> str:
    """Write a copy of Harbour with a new header in all responses, and return the value of the header."""
    copy_harbour(source)
    value = secrets.token_hex(8)
    # A running process loads a module once, but a template possibly later.
    with (source / "harbour/security.py").open("a") as file:
        file.write(f'HEADERS["X-Bench"] = "{value}"\n')
    return value


def pull(host: Record, source: Path, value: str) -> float:
    """Return the seconds of `git pull` and a restart, until a response has the value."""
    tar = shlex.join(["tar", "-cz", "-C", str(source), "."])
    remote = shlex.join(ssh_command(host, COMMIT, root=True))
    run_step("a commit", WORK / "repository.log", ["sh", "-c", f"{tar} | {remote}"])
    update = "cd /srv/harbour/app && git pull -q && systemctl restart harbour"
    command = ssh_command(host, update, root=True)
    return time_until_page("git pull and restart", WORK / "pull.log", command, PLAIN, (host, "/", value))


def measure(setup: str, host: Record, hand: Record) -> Record:
    """Return the median seconds of deploys, rollbacks and pulls, and the p99 of responses.

    Args:
        host: the host of Decanter.
        hand: the host of the shell script.
    """
    env, sites = SETUPS[setup], lab_sites()["sites"]
    # Outside of WORK, which git ignores, because a release has the files that git does not ignore.
    source = Path(tempfile.gettempdir(), f"decanter-bench-{os.getpid()}")
    sites["harbour"] |= {"source": {"path": str(source)}, "server_names": [host["ansible_host"]]}
    write_sites(sites)
    deploy, rollback = (
        playbook_command(INVENTORIES, "-e", f"@{SITES_FILE}", f"decanter.stack.{name}")
        for name in ("deploy", "rollback")
    )
    taken: dict[str, list[float]] = {"deploy": [], "rollback": [], "pull": []}
    try:
        for _ in range(ROUNDS):
            value = write_source(source)
            for name, command, present in (("deploy", deploy, True), ("rollback", rollback, False)):
                page = (host, "/", value, present)
                log = WORK / f"{setup}-{name}.log"
                taken[name].append(time_until_page(name, log, command, env, page))
            taken["pull"].append(pull(hand, source, value))
        with clients(host) as quiet:
            time.sleep(QUIET_SECONDS)
        with clients(host) as busy:
            for _ in range(ROUNDS):
                page = (host, "/", write_source(source), True)
                time_until_page("deploy under load", WORK / f"{setup}-load.log", deploy, env, page)
    finally:
        shutil.rmtree(source, ignore_errors=True)
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    return medians | {"taken": taken, "p99_quiet_ms": p99(quiet), "p99_deploy_ms": p99(busy)}


def figures(measured: dict[str, Record]) -> list[Record]:
    """Return the figures with their targets.

    Args:
        measured: by set-up. The p99 is that of the last one.
    """
    rows = []
    for name, run, setup, target in TARGETS:
        if setup in measured:
            one, other = measured[setup][run], measured[setup]["pull"]
            note = f"{one:.1f} s, {other:.1f} s by git pull and a restart"
            rows.append(figure(name, one / other, target, note, unit="x git pull"))
    busy, quiet = (list(measured.values())[-1][f"p99_{name}_ms"] for name in ("deploy", "quiet"))
    note = f"{busy} ms, {quiet} ms without a deploy"
    return [*rows, figure("p99 during a deploy", busy / quiet, 3.0, note, unit="x quiet")]
