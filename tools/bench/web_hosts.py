"""Measure what one, two and four web hosts behind a balancer cost: a rolling deploy, and a converge with
nothing to change, each with Mitogen and without. The hosts are containers of this machine, which they share.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tools.library import ACCELERATED, MITOGEN, PLAIN, ROOT, Failure, Lab, exit_on_sigterm, playbook_command

SIZES = (1, 2, 4)
HOSTS = [
    *({"name": f"web{number}", "suite": "trixie", "groups": ["web"]} for number in (1, 2, 3, 4)),
    {"name": "balancer1", "suite": "trixie", "groups": ["balancer"]},
]
RATIO = 1.5  # with nothing to change: four web hosts by one, with Mitogen
SETUPS = {"Mitogen": MITOGEN, "plain": PLAIN} if ACCELERATED else {"plain": PLAIN}


def inventory(lab: Lab, size: int) -> Path:
    """Return the folder of an inventory with `size` web hosts."""
    folder = lab.work / str(size)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "tools/bench/hosts", folder)
    hosts = yaml.safe_load(lab.hosts_file.read_text())
    for number in range(size + 1, 5):
        del hosts["all"]["hosts"][f"web{number}"], hosts["all"]["children"]["web"]["hosts"][f"web{number}"]
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
    return folder


def measure(lab: Lab, source: Path) -> dict[int, dict[str, float]]:
    """Seconds by the number of web hosts, of each thing that is measured."""
    results: dict[int, dict[str, float]] = {}
    for size in SIZES:
        print(f"{size} web host{'s' if size > 1 else ''}")
        command = playbook_command([inventory(lab, size)], "-e", f"bench_source={source}")
        site, deploy = ([*command, f"decanter.stack.{name}"] for name in ("site", "deploy"))
        lab.step("first converge", f"{size}-first", site, next(iter(SETUPS.values())))
        results[size] = {}
        for name, env in SETUPS.items():
            seconds, output = lab.step(f"nothing to change, {name}", f"{size}-idle-{name}", site, env)
            if set(re.findall(r"changed=(\d+)", output)) != {"0"}:
                raise Failure(f"the second converge changed something:\n{output}")
            results[size][f"converge, {name}"] = seconds
            with (source / "whoami.py").open("a") as file:
                file.write(f"# {secrets.token_hex(8)}\n")
            results[size][f"deploy, {name}"] = lab.step(
                f"deploy, {name}", f"{size}-deploy-{name}", deploy, env
            )[0]
    return results


def report(results: dict[int, dict[str, Any]]) -> None:
    print(f"\n{'seconds':<20}" + "".join(f"{size:>8}" for size in SIZES) + f"{'4 by 1':>10}")
    for name in sorted(results[1]):
        row = [results[size][name] for size in SIZES]
        wanted = f"  (target {RATIO})" if name == "converge, Mitogen" else ""
        print(
            f"{name:<20}" + "".join(f"{value:>8.1f}" for value in row) + f"{row[-1] / row[0]:>10.2f}{wanted}"
        )


def main() -> int:
    exit_on_sigterm()
    lab = Lab("bench-hosts", HOSTS)
    try:
        lab.remove("removing the hosts of an earlier run")
        lab.create()
        with tempfile.TemporaryDirectory(prefix="decanter-bench-") as folder:
            source = Path(folder) / "whoami"
            shutil.copytree(ROOT / "molecule/cluster/whoami", source)
            results = measure(lab, source)
    except (Failure, KeyboardInterrupt) as error:
        print(str(error) or "\nstopped", file=sys.stderr)
        return 1
    finally:
        lab.remove()
    (lab.work / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    report(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
