"""Audit the public interface of a host that serves Harbour as in production.

testssl.sh, sslyze, MDN's Observatory and gixy-ng scan the host. slowhttptest and wrk attack it with slow
connections and a flood, while an ordinary client measures its responses. The lab has the host, and two
hosts with these tools. The report is .lab/audit/report.html and .json; accepted.yml in this folder lists
accepted findings. The exit status is 1 if a check failed and 2 if a tool or the lab failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tools.audit import report, tools
from tools.audit.lab import CA, SITE, URL, AuditLab
from tools.library import ROOT, Failure, run_program

ACCEPTED = ROOT / "tools/audit/accepted.yml"
# The values of inventories/production. Those of the lab are short, and exclude search engines.
PRODUCTION = {
    "nginx_hsts_seconds": 63072000,
    "nginx_indexing_enabled": True,
    "nginx_cache_status_shown": False,
    # Exempt only the host itself from limits, because the attacker is in the lab's network.
    "nginx_admin_networks": ["127.0.0.0/8", "::1/128"],
}
RATE = 8  # requests of the client per second: more than one visitor causes, fewer than a flood
# Options of slowhttptest: slow connections, their rate, and the maximum duration.
SLOW = {
    "headers": "-H -c 1000 -r 200 -i 4 -x 8 -l 24 -p 3",
    "body": "-B -c 1000 -r 200 -i 4 -x 8 -s 8192 -l 24 -p 3",
    "reading": "-X -c 1000 -r 200 -w 10 -y 20 -n 5 -z 32 -k 3 -l 24 -p 3",
}
FLOOD_SECONDS = 15


def attack(lab: AuditLab, command: str, seconds: float) -> tuple[str, dict[str, Any]]:
    """Run an attack on `flooder` and, at the same time, the client on `auditor`, for some seconds.

    Return the output of the attack, and the measurements of the client.
    """
    client = lab.client_command(seconds, RATE)
    running = lab.start("flooder", command)
    try:
        measurements = json.loads(lab.output("auditor", client))
        output, errors = running.communicate(timeout=120)
    except BaseException:
        running.kill()
        raise
    if running.returncode:
        raise Failure(f"on flooder: {command}\n{output[-1000:]}{errors[-1000:]}")
    return output, measurements


def testssl(lab: AuditLab) -> list[tools.Check]:
    # --nodns min: DNS has no records of the lab's names. The exit status is the number of findings.
    options = f"--quiet --color 0 --warnings batch --nodns min --openssl /opt/auditor/openssl --add-ca {CA}"
    command = f"testssl {options} --jsonfile $out {URL}/ >/dev/null </dev/null"
    text = lab.output("auditor", f"out=$(mktemp -d)/out.json; {command}; cat $out")
    return tools.testssl(text)


def sslyze(lab: AuditLab) -> list[tools.Check]:
    checks = []
    for profile, option in {
        "5.7": "--mozilla_config intermediate",
        "6.0": "--custom_tls_config /opt/auditor/mozilla-intermediate-6.0.json",
    }.items():
        command = f"/opt/auditor/python/bin/sslyze --certinfo_ca_file {CA} {option} {SITE}:443"
        checks += tools.sslyze(lab.output("auditor", command, codes=(0, 1)), profile)
    return checks


def observatory(lab: AuditLab) -> list[tools.Check]:
    folder = "/opt/auditor/node/node_modules/@mdn/mdn-http-observatory"
    return tools.observatory(lab.output("auditor", f"cd {folder} && node src/scan.js {SITE}", codes=(0, 1)))


def gixy(lab: AuditLab) -> list[tools.Check]:
    # gixy checks the whole configuration on another host, so that nothing is installed on this one.
    dump = lab.output("web1", "nginx -T 2>/dev/null")
    command = 'file=$(mktemp); cat > "$file"; /opt/auditor/python/bin/gixy -f json "$file"'
    return tools.gixy(lab.output("auditor", command, stdin=dump, codes=(0, 1)))


def slow(lab: AuditLab) -> list[tools.Check]:
    checks = []
    for kind, options in SLOW.items():
        path = "/submit" if kind == "body" else "/listings/"
        text, measurements = attack(lab, f"slowhttptest {options} -u {URL}{path} 2>&1", 18)
        checks += tools.slow(text, kind, measurements)
    return checks


def flood(lab: AuditLab) -> list[tools.Check]:
    quiet = json.loads(lab.output("auditor", lab.client_command(10, RATE)))
    # nice: a real attacker has a separate machine and does not use the processor of the host.
    command = f"nice -n 19 wrk -t 1 -c 200 -d {FLOOD_SECONDS} --timeout 5 -s /opt/onlooker/wrk.lua"
    text, measurements = attack(lab, f"{command} {URL}/listings/ -- count", FLOOD_SECONDS - 2)
    return tools.flood(tools.parsed("wrk", text.splitlines()[-1]), measurements, quiet)


CHECKS: dict[str, Callable[[AuditLab], list[tools.Check]]] = {
    "testssl": testssl,
    "sslyze": sslyze,
    "observatory": observatory,
    "gixy": gixy,
    "slow": slow,
    "flood": flood,
}


def about() -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {"date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit.stdout.strip()}


def main() -> int:
    parser = argparse.ArgumentParser(description="Audit the public interface of a lab host.")
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=list(CHECKS), metavar="CHECK")
    parser.add_argument("--keep", action="store_true", help="leave the hosts for the next run")
    given = parser.parse_args()
    reasons, lab = report.accepted(ACCEPTED), AuditLab("audit")
    with lab.temporary_hosts(keep=given.keep):
        lab.converge(PRODUCTION)
        checks: list[tools.Check] = []
        for name in given.only:
            print(f"  {name}… ", end="", flush=True)
            checks += CHECKS[name](lab)
            print("done")
        result = report.Report(checks, reasons, about())
        result.write(lab.work)
        print(f"\n{result.table()}\n\nThe report: {(lab.work / 'report.html').relative_to(ROOT)}, and .json")
        return int(result.failed)


if __name__ == "__main__":
    sys.exit(run_program(main, failed=2))
