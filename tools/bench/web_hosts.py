"""Measure what one, two and four web hosts behind a balancer cost: a rolling deploy, and a converge with
nothing to change, each with Mitogen and without. The hosts are containers of this machine, which they share.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from tests.hosts.ansible_environment import ACCELERATED, MITOGEN, PLAIN

ROOT = Path(__file__).resolve().parents[2]

BIN = ROOT / ".venv/bin"
WORK = ROOT / ".lab/bench-hosts"
SIZES = (1, 2, 4)
RATIO = 1.5  # with nothing to change: four web hosts by one, with Mitogen
SETUPS = {"Mitogen": MITOGEN, "plain": PLAIN} if ACCELERATED else {"plain": PLAIN}


def run(what: str, command: list[str], env: dict[str, str] = PLAIN) -> tuple[float, str]:
    """The seconds that a command takes, and its output. Ends the bench when it fails."""
    print(f"  {what}… ", end="", flush=True)
    begun = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"failed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    took = round(time.monotonic() - begun, 1)
    print(f"{took} s")
    return took, done.stdout


def lab(playbook: str) -> None:
    hosts = [{"name": f"web{number}", "suite": "trixie", "groups": ["web"]} for number in (1, 2, 3, 4)]
    variables = {
        "lab_name": "bench-hosts",
        "lab_directory": str(WORK / "lab"),
        "lab_inventory": str(WORK / "hosts.yml"),
        "lab_images_kept": True,
        "lab_hosts": [*hosts, {"name": "balancer1", "suite": "trixie", "groups": ["balancer"]}],
    }
    command = [f"{BIN}/ansible-playbook", "-i", "localhost,", f"decanter.stack.{playbook}"]
    run(playbook, [*command, "-e", json.dumps(variables)])


def inventory(size: int) -> Path:
    """The inventory of so many web hosts."""
    folder = WORK / str(size)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "tools/bench/hosts", folder)
    hosts = yaml.safe_load((WORK / "hosts.yml").read_text())
    for number in range(size + 1, 5):
        del hosts["all"]["hosts"][f"web{number}"], hosts["all"]["children"]["web"]["hosts"][f"web{number}"]
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
    return folder


def measure(source: Path) -> dict[int, dict[str, float]]:
    """Seconds by the number of web hosts, of each thing that is measured."""
    results: dict[int, dict[str, float]] = {}
    for size in SIZES:
        print(f"{size} web host{'s' if size > 1 else ''}")
        command = [f"{BIN}/ansible-playbook", "-i", str(inventory(size)), "-e", f"bench_source={source}"]
        run("first converge", [*command, "decanter.stack.site"], next(iter(SETUPS.values())))
        results[size] = {}
        for name, env in SETUPS.items():
            took, output = run(f"nothing to change, {name}", [*command, "decanter.stack.site"], env)
            if set(re.findall(r"changed=(\d+)", output)) != {"0"}:
                sys.exit(f"it changed something:\n{output}")
            results[size][f"converge, {name}"] = took
            with (source / "whoami.py").open("a") as file:
                file.write(f"# {secrets.token_hex(8)}\n")
            results[size][f"deploy, {name}"], _ = run(
                f"deploy, {name}", [*command, "decanter.stack.deploy"], env
            )
    return results


def report(results: dict[int, dict[str, Any]]) -> None:
    print(f"\n{'seconds':<20}" + "".join(f"{size:>8}" for size in SIZES) + f"{'4 by 1':>10}")
    for name in sorted(results[1]):
        row = [results[size][name] for size in SIZES]
        wanted = f"  (target {RATIO})" if name == "converge, Mitogen" else ""
        print(
            f"{name:<20}" + "".join(f"{value:>8.1f}" for value in row) + f"{row[-1] / row[0]:>10.2f}{wanted}"
        )


def main() -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    lab("lab_down")
    lab("lab_up")
    try:
        with tempfile.TemporaryDirectory(prefix="decanter-bench-") as folder:
            source = Path(folder) / "whoami"
            shutil.copytree(ROOT / "molecule/cluster/whoami", source)
            results = measure(source)
    finally:
        lab("lab_down")
    (WORK / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    report(results)


if __name__ == "__main__":
    main()
