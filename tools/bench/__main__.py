"""Measure Decanter against a shell script that does the bare minimum: tools/bench/baseline.sh.

Plain Ansible and Ansible with Mitogen each get two new Debian 13 hosts: one for Decanter, one to do the same
by hand. Both are measured in turn, because the speed of a machine changes within minutes. By hand comes
second, so that caches on the way to the packages, if any, speed up what is divided by. Nothing else runs
meanwhile. It takes some fifteen minutes. A missed target is no failure; a page without listings is, or a
second converge that changes something. See .lab/bench/ for all of it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import re
import secrets
import shlex
import shutil
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from tests.hosts.ansible_environment import ACCELERATED, MITOGEN, PLAIN
from tools.bench import environments

ROOT = Path(__file__).resolve().parents[2]

BIN = ROOT / ".venv/bin"
WORK = ROOT / ".lab/bench"
INVENTORY = ["-i", str(ROOT / "tools/bench/inventory"), "-i", str(WORK / "hosts.yml")]
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
Record = dict[str, Any]  # a host's variables, or something measured


class Failure(Exception):
    """A step failed; the text is what to show."""


def step(
    what: str, log: str, command: list[str], env: Record = PLAIN, until: Record | None = None
) -> tuple[float, str]:
    """The seconds that a command takes, and until Harbour answers on a given host; and its output."""
    print(f"  {what}… ", end="", flush=True)
    path = WORK / f"{log}.log"
    begun = time.monotonic()
    with path.open("w") as file:
        done = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    output = path.read_text(errors="replace")
    if done.returncode:
        print("failed")
        tail = "\n".join(output.splitlines()[-40:])
        raise Failure(f"{tail}\n{what} failed; all of its output is in {path}")
    if until:
        await_listings(until)
    took = time.monotonic() - begun
    print(f"{took:.1f} s")
    return round(took, 2), output


def lab(what: str, playbook: str, setup: str) -> None:
    """Run one of the lab's playbooks on the bench's own lab: a host named for the set-up, and one by hand."""
    variables = {
        "lab_name": "bench",
        "lab_directory": str(WORK / "lab"),
        "lab_inventory": str(WORK / "hosts.yml"),
        "lab_images_kept": True,
        "lab_hosts": [
            {"name": setup, "suite": "trixie", "groups": ["web", "database"]},
            {"name": BY_HAND, "suite": "trixie", "groups": ["hand"]},
        ],
    }
    command = [f"{BIN}/ansible-playbook", "-i", "localhost,", f"decanter.stack.{playbook}"]
    step(what, playbook, [*command, "-e", json.dumps(variables)])


@contextlib.contextmanager
def new_hosts(setup: str) -> Iterator[tuple[Record, Record]]:
    """Two hosts that have never been touched, by their variables in the inventory; they are gone afterwards.

    The first is the set-up's, the second is for what is done by hand.
    """
    lab("removing what an earlier run left", "lab_down", setup)
    try:
        lab("new hosts", "lab_up", setup)
        command = [f"{BIN}/ansible-inventory", *INVENTORY, "--host"]
        one, other = (
            json.loads(subprocess.check_output([*command, name], cwd=ROOT, env=PLAIN))
            for name in (setup, BY_HAND)
        )
        yield one, other
    finally:
        # Whoever stops the bench, once or in a hurry, has the hosts removed first.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        lab("removing the hosts", "lab_down", setup)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def ssh(host: Record, remote: str) -> list[str]:
    """The command that runs a shell command on a host, as Ansible's user."""
    options = [*shlex.split(host["ansible_ssh_common_args"]), "-i", host["ansible_ssh_private_key_file"]]
    target = f"{host['ansible_user']}@{host['ansible_host']}"
    return ["ssh", *options, "-p", str(host.get("ansible_port", 22)), target, remote]


def await_page(host: Record, path: str, pattern: str, present: bool = True) -> None:
    """Return when a page over HTTPS, or one of its headers, has what a pattern says, or has it no more.

    Raises Failure after 60 s.
    """
    url = f"https://{host['ansible_host']}:{host['lab_https_port']}{path}"
    # The certificate is self-signed, or the lab's own; what is measured is the answer.
    https = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
    visitor = urllib.request.build_opener(urllib.request.ProxyHandler({}), https)
    found, end = "", time.monotonic() + 60
    while time.monotonic() < end:
        try:
            answer = visitor.open(url, timeout=10)
            found = f"{answer.headers}{answer.read().decode()}"
            if bool(re.search(pattern, found)) is present:
                return
        except OSError as error:
            found = str(error)
        time.sleep(0.05)
    raise Failure(f"{url} answers {'without' if present else 'with'} {pattern}: {found[:300]}")


def await_listings(host: Record) -> None:
    """Return when Harbour answers with a page of listings."""
    await_page(host, "/listings/", r'href="/listings/\d+"')


def until_page(
    what: str, log: str, command: list[str], env: Record, page: tuple[Any, ...]
) -> tuple[float, float]:
    """The seconds from a command to a page that it changes, and to its own end."""
    print(f"  {what}… ", end="", flush=True)
    path, fault, served = WORK / f"{log}.log", None, 0.0
    begun = time.monotonic()
    with path.open("w") as file:
        running = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        await_page(*page)
        served = round(time.monotonic() - begun, 2)
    except Failure as error:
        fault = error
    if running.wait() or fault:
        raise Failure(f"{path.read_text()[-3000:]}\n{fault or what} failed; all of its output is in {path}")
    ended = round(time.monotonic() - begun, 2)
    print(f"{served:.1f} s, ended after {ended:.1f} s")
    return served, ended


class Clients(threading.Thread):
    """Ask for a page at a steady rate over a keep-alive connection, and note how long each answer takes."""

    def __init__(self, host: Record, rate: float) -> None:
        super().__init__(daemon=True)
        self.host, self.rate, self.over = host, rate, threading.Event()
        self.took: list[float] = []

    def run(self) -> None:
        context = ssl._create_unverified_context()
        place = (self.host["ansible_host"], self.host["lab_https_port"])
        connection = http.client.HTTPSConnection(*place, context=context, timeout=30)
        while not self.over.wait(1 / self.rate):
            begun = time.monotonic()
            connection.request("GET", "/listings/")
            connection.getresponse().read()
            self.took.append(time.monotonic() - begun)
        connection.close()


@contextlib.contextmanager
def clients(host: Record) -> Iterator[list[Clients]]:
    """Thirty requests a second over four connections."""
    all_of_them = [Clients(host, 7.5) for _ in range(4)]
    for client in all_of_them:
        client.start()
    yield all_of_them
    for client in all_of_them:
        client.over.set()
        client.join()


def p99(all_of_them: list[Clients]) -> float:
    """Milliseconds that 99 of 100 answers did not exceed."""
    took = sorted(seconds for client in all_of_them for seconds in client.took)
    return round(took[int(len(took) * 0.99)] * 1000, 1)


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
    env, command = (MITOGEN if setup == "mitogen" else PLAIN), [f"{BIN}/ansible-playbook", *INVENTORY]
    sites = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/sites.yml").read_text())
    command += ["-e", f"@{WORK}/sites.json"]
    deploy, rollback = ([*command, f"decanter.stack.{name}"] for name in ("deploy", "rollback"))
    taken: dict[str, list[float]] = {"deploy": [], "rollback": [], "pull": []}
    for _ in range(ROUNDS):
        source, line = changed_source()
        sites["sites"]["harbour"] |= {"source": {"path": str(source)}, "server_names": [host["ansible_host"]]}
        (WORK / "sites.json").write_text(json.dumps(sites))
        for what, run, present in (("deploy", deploy, True), ("rollback", rollback, False)):
            page = (host, "/", line, present)
            taken[what].append(until_page(what, f"{setup}-{what}", run, env, page)[0])
        taken["pull"].append(pull(hand, source, line))
    with clients(host) as quiet:
        time.sleep(20)
    with clients(host) as busy:
        for _ in range(3):
            source, line = changed_source()
            until_page("deploy under load", f"{setup}-load", deploy, env, (host, "/", line))
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
    command = [f"{BIN}/ansible-playbook", *INVENTORY, "-e", f"@{WORK}/sites.json"]
    step("another application", "pins", [*command, "--limit", "web", "decanter.stack.site"], MITOGEN)

    def deploy(log: str, pattern: str) -> float:
        what = "deploy with an empty cache" if log.endswith("-0") else "deploy that changes one pin"
        run = [*command, "-e", f"site={environments.SITE}", "decanter.stack.deploy"]
        return until_page(what, log, run, MITOGEN, (host, "/", pattern))[0]

    def root(remote: str) -> str:
        return subprocess.check_output(ssh(host, f"sudo sh -c {shlex.quote(remote)}"), text=True)

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
    remote = shlex.join(ssh(host, f"sudo sh -c {shlex.quote(prepare)}"))
    step("a commit", "repository", ["sh", "-c", f"{tar} | {remote}"])
    command = ssh(host, "sudo sh -c 'cd /srv/harbour/app && git pull -q && systemctl restart harbour'")
    return until_page("git pull and restart", "pull", command, PLAIN, (host, "/", line))[0]


def others_percent() -> int:
    """How busy the machine is with something else: percent of all its cores, over one second."""
    clocks = []
    for pause in (1, 0):
        clocks.append([int(field) for field in Path("/proc/stat").read_text().split(maxsplit=9)[1:9]])
        time.sleep(pause)
    spent = [now - then for then, now in zip(*clocks, strict=True)]
    return round(100 - 100 * (spent[3] + spent[4]) / sum(spent))  # idle, and waiting for a disk


def by_hand(host: Record) -> Record:
    """Seconds that tools/bench/baseline.sh takes, the copying included, over one ssh connection."""
    files = ["app", "-C", "tools/bench", "baseline.sh", "-C", "../../roles/release/files", "gunicorn.txt"]
    # What git does not track: environments, caches, a developer's database.
    tar = ["tar", "-cz", "--exclude=.*", "--exclude=__pycache__", "--exclude=instance", *files]
    command = f"{shlex.join(tar)} | {shlex.join(ssh(host, 'tar -xz && sudo sh baseline.sh'))}"
    return {BY_HAND: step("by hand", "by-hand", ["sh", "-c", command], until=host)[0]}


def converge(what: str, setup: str, host: Record) -> Record:
    """Seconds that a converge takes, and how many of its tasks ran, changed and were skipped."""
    log = f"{setup}-{what}"
    command = [f"{BIN}/ansible-playbook", *INVENTORY, "--limit", setup, "decanter.stack.site"]
    # Each pays for a connection of its own, as the first of the day does.
    with tempfile.TemporaryDirectory(prefix="bench-") as sockets:
        env = (MITOGEN if setup == "mitogen" else PLAIN) | {"ANSIBLE_SSH_CONTROL_PATH_DIR": sockets}
        took, output = step(f"{what} converge", log, command, env, until=host)
        for socket in Path(sockets).iterdir():
            end = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "_"]
            subprocess.run(end, stderr=subprocess.DEVNULL)
    recap = rf"^{setup}\s.*?ok=(?P<ran>\d+)\s+changed=(?P<changed>\d+).*?skipped=(?P<skipped>\d+)"
    counts = re.search(recap, output, re.M)
    if counts is None:
        raise Failure(f"no recap in {WORK / log}.log")
    return {"seconds": took} | {name: int(count) for name, count in counts.groupdict().items()}


def measure_memory(host: Record) -> Record:
    """The memory of the host's processes, by unit, in KiB: see tools/bench/memory.py."""
    time.sleep(SETTLE)
    script = shlex.quote((ROOT / "tools/bench/memory.py").read_text())
    found = json.loads(step("memory", "memory", ssh(host, f"sudo python3 -c {script}"))[1])
    sizes = ("mysql_buffer_pool_max_mb", "mysql_performance_schema_enabled", "gunicorn_workers")
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


def machine() -> Record:
    """What this ran on, when, and with which versions."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    versions = {"python": platform.python_version(), "ansible-core": version("ansible-core")}
    if ACCELERATED:
        versions["mitogen"] = version("mitogen")
    for name, command in {"podman": "podman --version", "commit": "git describe --always --dirty"}.items():
        versions[name] = subprocess.getoutput(f"cd {shlex.quote(str(ROOT))} && {command}").split()[-1]
    here = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "cores": os.cpu_count()}
    return here | {"cpu": cpu[1] if cpu else platform.machine(), "versions": versions}


def main() -> int:
    # Ended from outside, it cleans up as on Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    WORK.mkdir(parents=True, exist_ok=True)
    try:
        results = measure()
        data = {"machine": machine(), "how": HOW, "results": results, "figures": figures(results)}
    except (Failure, KeyboardInterrupt) as error:
        print(str(error) or "\nstopped", file=sys.stderr)
        return 1
    path = WORK / "results.json"
    path.write_text(json.dumps(data, indent=2) + "\n")
    subprocess.run([sys.executable, ROOT / "tools/bench/report.py", path], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
