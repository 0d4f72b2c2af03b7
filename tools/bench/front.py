"""Measure the front door: Harbour's page of listings out of the micro-cache against the same bytes from a
file, and against the set-up that most people copy from a tutorial; its page for a visitor who is logged in
against the same; and what a visitor waits while somebody floods the site.

One host serves all of it, another asks (wrk), one after the other in rounds, so that what else the machine
does meets all alike. A missed target is no failure; an answer that is not what is measured is. docs/audit.md
has how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import time

from tools.audit.lab import CA, SITE, AuditLab
from tools.bench.machine import others_percent
from tools.library import ROOT, Failure, Record, exit_on_sigterm

PAGE = "/listings/"
# As long as Harbour's, for a page may have its own address in it.
TUTORIAL, FILE = "by-hand.test", "file.test"
SCRIPT = "/run/tutorial.sh"  # on the host, while it is measured
ROUNDS = 5
SECONDS = 4  # a measurement
CONNECTIONS = 32  # kept alive, in one thread: a core is left for the host
FLOOD_SECONDS = 20
RATE = 10  # requests of the client a second
HOW = f"""\
One run on one host and one load generator, containers of this machine that share its cores. wrk, one
thread, {CONNECTIONS} connections that are kept alive over TLS, {SECONDS} s each, once for nothing and then
{ROUNDS} rounds; a figure is the median of the rounds' ratios. The tutorial's set-up is
tools/bench/tutorial.sh. Logged in: with the session's cookie, which the cache lets pass. The visitor:
{RATE} pages and files a second, a new handshake for every tenth; the flood: 200 connections of another
address as fast as they are let in, with the lowest priority of this machine, because they stand for another's
processor."""


class Front:
    """The host and who asks it."""

    def __init__(self, lab: AuditLab) -> None:
        self.lab = lab

    def fetch(self, name: str, path: str, *options: str) -> tuple[str, str]:
        """The headers and the body of an answer that must be 200."""
        command = ["curl", "-sS", "--max-time", "10", "--cacert", CA, *options]
        # The lab's certificate is for Harbour's name; the others are asked for with it.
        known = [] if name == SITE else ["--insecure"]
        answer = self.lab.output(
            "auditor", shlex.join([*command, *known, "--include", "--http1.1", f"https://{name}{path}"])
        )
        headers, _, body = answer.partition("\r\n\r\n" if "\r\n\r\n" in answer else "\n\n")
        if " 200" not in headers.splitlines()[0]:
            raise Failure(f"https://{name}{path}: found {headers.splitlines()[0]}, expected 200")
        return headers, body

    def cookie(self, name: str) -> str:
        """The cookie of a session that a site has begun for a visitor who opened a form."""
        headers, _ = self.fetch(name, "/submit")
        found = re.search(r"^set-cookie: ([^;\r\n]+)", headers, re.I | re.M)
        if not found:
            raise Failure(f"https://{name}/submit sets no cookie; found {headers}")
        return found[1]

    def rate(self, name: str, path: str, cookie: str = "") -> Record:
        """What wrk measured; all answers must be 200."""
        given = ["-H", f"Cookie: {cookie}"] if cookie else []
        command = [
            *("wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", str(SECONDS), "-s", "/opt/onlooker/wrk.lua"),
            *(*given, f"https://{name}{path}"),
        ]
        measured = json.loads(self.lab.output("auditor", shlex.join(command)).splitlines()[-1])
        if measured["failed"] or measured["broken"] or not measured["requests"]:
            raise Failure(f"https://{name}{path}: expected answers of 200 alone, got {measured}")
        return measured | {"a_second": round(measured["requests"] / measured["seconds"], 1)}

    def visit(self, seconds: float) -> Record:
        """Return the measurements of an ordinary client."""
        return json.loads(self.lab.output("auditor", self.lab.client_command(seconds, RATE)))


def measure(front: Front) -> Record:
    """What each of the sites serves a second, round by round; and what a visitor met."""
    _, page = front.fetch(SITE, PAGE)
    front.lab.output("web1", f"cat > {SCRIPT}", stdin=(ROOT / "tools/bench/tutorial.sh").read_text())
    front.lab.output("web1", f"sh {SCRIPT} up", stdin=page)
    time.sleep(3)
    sessions = {name: front.cookie(name) for name in (SITE, TUTORIAL)}
    asked = {
        "cached": (SITE, PAGE),
        "file": (FILE, PAGE),
        "tutorial": (TUTORIAL, PAGE),
        "logged in": (SITE, PAGE, sessions[SITE]),
        "tutorial, logged in": (TUTORIAL, PAGE, sessions[TUTORIAL]),
    }
    bodies = {name: front.fetch(*what[:2])[1] for name, what in asked.items()}
    odd = [name for name, body in bodies.items() if len(body) != len(page)]
    if odd:
        raise Failure(
            f"expected the same page of {len(page)} bytes from all, got others from {', '.join(odd)}"
        )
    front.fetch(SITE, PAGE)
    status = re.search(r"^x-cache: (\w+)", front.fetch(SITE, PAGE)[0], re.I | re.M)
    # Each has been asked for a while: compiled its queries, opened its connections.
    for what in asked.values():
        front.rate(*what)
    rounds = []
    for number in range(ROUNDS):
        print(f"  round {number + 1} of {ROUNDS}… ", end="", flush=True)
        rounds.append({name: front.rate(*what) for name, what in asked.items()})
        print(", ".join(f"{name} {one['a_second']:.0f}/s" for name, one in rounds[-1].items()))
    print("  a visitor, quiet and in a flood… ", end="", flush=True)
    quiet = front.visit(FLOOD_SECONDS)
    command = (
        f"nice -n 19 wrk -t 1 -c 200 -d {FLOOD_SECONDS + 2} -s /opt/onlooker/wrk.lua https://{SITE}{PAGE}"
    )
    running = front.lab.start("flooder", f"{command} -- count")
    time.sleep(1)
    flooded = front.visit(FLOOD_SECONDS)
    crowd = json.loads(running.communicate(timeout=60)[0].splitlines()[-1])
    print("done")
    return {
        "page_bytes": len(page.encode()),
        "x_cache": status[1] if status else None,
        "rounds": rounds,
        "quiet": quiet,
        "flooded": flooded,
        "flood": crowd,
    }


def figures(results: Record) -> list[Record]:
    """The figures with their targets."""

    def ratio(one: str, other: str) -> tuple[float, str]:
        rates = [(row[one]["a_second"], row[other]["a_second"]) for row in results["rounds"]]
        middle = [statistics.median(column) for column in zip(*rates, strict=True)]
        return statistics.median(a / b for a, b in rates), f"{middle[0]:.0f}/s, {middle[1]:.0f}/s"

    rows = [
        ("page out of the cache, by the same file", 0.8, *ratio("cached", "file")),
        ("page out of the cache, by the tutorial's", 15.0, *ratio("cached", "tutorial")),
        ("page of who is logged in, by the tutorial's", 1.2, *ratio("logged in", "tutorial, logged in")),
    ]
    table = [
        {"figure": name, "value": round(value, 2), "least": least, "met": value >= least, "note": note}
        for name, least, value, note in rows
    ]
    quiet, flooded, crowd = results["quiet"], results["flooded"], results["flood"]
    value = flooded["p99_ms"] / quiet["p99_ms"]
    lost = flooded["requests"] - flooded["outcomes"].get("200", 0)
    note = (
        f"{flooded['p99_ms']} ms, {quiet['p99_ms']} ms; {lost} of {flooded['requests']} failed; "
        f"{crowd['refused']} of {crowd['requests']} of the flood refused"
    )
    met = value <= 2 and not lost
    table.append(
        {"figure": "a visitor's p99 in a flood, by quiet", "value": round(value, 2), "most": 2.0, "met": met}
        | {"note": note}
    )
    return table


def report(data: Record) -> None:
    print(f"\n{'figure':<45}{'value':>7}{'target':>9}         how much")
    for row in data["figures"]:
        target = f"≥ {row['least']}" if "least" in row else f"≤ {row['most']}"
        met = "met" if row["met"] else "MISSED"
        print(f"{row['figure']:<45}{row['value']:>7}{target:>9}  {met:<6} {row['note']}")
    results = data["results"]
    print(f"\nThe page has {results['page_bytes']} bytes; X-Cache when asked again: {results['x_cache']}.")
    print(f"{data['how']}\n{data['cores']} cores, {data['others_percent']} % of them taken by others before.")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the front door.")
    parser.add_argument("--keep", action="store_true", help="leave the hosts for the next run")
    given = parser.parse_args()
    exit_on_sigterm()
    lab = AuditLab("bench-front")
    try:
        others = others_percent()
        lab.create()
        lab.converge(
            {
                "nginx_cache_status_shown": True,
                # Who measures is let in as often as it asks; who floods is not.
                "nginx_admin_networks": ["127.0.0.0/8", "::1/128", lab.address("auditor")],
            },
            names=(TUTORIAL, FILE),
            scanners=False,
        )
        front = Front(lab)
        try:
            results = measure(front)
        finally:
            lab.output("web1", f"sh {SCRIPT} down && rm {SCRIPT}")
        data: Record = {"how": HOW, "cores": os.cpu_count(), "others_percent": others}
        data |= {"results": results, "figures": figures(results)}
        (lab.work / "results.json").write_text(json.dumps(data, indent=2) + "\n")
        report(data)
        return 0
    except (Failure, subprocess.TimeoutExpired) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    finally:
        if not given.keep:
            lab.remove()


if __name__ == "__main__":
    sys.exit(main())
