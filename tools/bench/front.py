"""Measure the responses of nginx for Harbour: cached, of a session, during a flood, with idle WebSockets.

The cached page is compared with the same bytes from a file and with the set-up of a tutorial. One host serves
all of them. Another host requests them with wrk one after the other, so that the load of the machine affects
all of them alike. See docs/audit.md.
"""

from __future__ import annotations

import json
import re
import shlex
import statistics
import time

from tools.audit.lab import CA, SITE, AuditLab
from tools.bench import report
from tools.bench.machine import others_percent
from tools.library import ROOT, Failure, Record

__all__ = ["HOW", "NAME", "details", "figures", "measure"]

NAME = "bench-front"
PAGE = "/listings/"
# The names have the same length as Harbour's, because a page may contain its own address.
TUTORIAL, FILE = "by-hand.test", "file.test"
SCRIPT = "/run/tutorial.sh"  # on the host during the measurements
ROUNDS = 5
SECONDS = 4  # of one measurement
CONNECTIONS = 32  # keep-alive, in one thread: one core is left for the host
FLOOD_SECONDS = 20
WEBSOCKETS = 200  # idle
WEBSOCKETS_SITE = {
    "server_names": ["sockets.test"],
    "source": {"path": str(ROOT / "molecule/releases/sockets/sock")},
    "wsgi": "app:app",
    "gunicorn": {"workers": 2, "threads": 150},
    "nginx": {"websockets": ["/ws"]},
    "tls": {"mode": "ca"},
}
IDLE = "/run/idle_websockets.py"  # on the flooder during the measurements
RATE = 10  # requests of the client per second
TARGETS = [  # the figure, the smallest ratio, and the targets of wrk that are compared
    ("page out of the cache, by the same file", 0.8, "cached", "file"),
    ("page out of the cache, by the tutorial's", 15.0, "cached", "tutorial"),
    ("page of a session, by the tutorial's", 1.2, "logged in", "tutorial, logged in"),
]
HOW = f"""\
One host and one load generator, containers of this machine that share its cores. wrk, one thread,
{CONNECTIONS} keep-alive connections over TLS, {SECONDS} s each, once to warm up and then {ROUNDS} rounds; a
figure is the median of the rounds' ratios. The tutorial's set-up is tools/bench/tutorial.sh. Logged in: with
the session's cookie, which bypasses the cache. The visitor: {RATE} pages and files per second, a new
handshake for every tenth. The flood: 200 connections from another address with the lowest CPU priority of
this machine, because an attacker has a machine of its own. The WebSockets: {WEBSOCKETS}, of a second site on
the host with flask-sock and gthread, opened from another address, without messages."""


class Front:
    """The host and its load generator."""

    def __init__(self, lab: AuditLab) -> None:
        self.lab = lab

    def fetch(self, name: str, path: str, *options: str) -> tuple[str, str]:
        """Return the headers and the body of a response. Raise Failure if the status is not 200."""
        command = ["curl", "-sS", "--max-time", "10", "--cacert", CA, *options]
        # The certificate is issued for Harbour's names only.
        known = [] if name == SITE else ["--insecure"]
        response = self.lab.output(
            "auditor", shlex.join([*command, *known, "--include", "--http1.1", f"https://{name}{path}"])
        )
        headers, _, body = response.partition("\r\n\r\n" if "\r\n\r\n" in response else "\n\n")
        if " 200" not in headers.splitlines()[0]:
            raise Failure(f"https://{name}{path}: found {headers.splitlines()[0]}, expected 200")
        return headers, body

    def cookie(self, name: str) -> str:
        """Return the session cookie that a site sets with a form."""
        headers, _ = self.fetch(name, "/submit")
        found = re.search(r"^set-cookie: ([^;\r\n]+)", headers, re.I | re.M)
        if not found:
            raise Failure(f"https://{name}/submit sets no cookie; found {headers}")
        return found[1]

    def rate(self, name: str, path: str, cookie: str = "") -> Record:
        """Return the measurements of wrk; the status of each response must be 200."""
        given = ["-H", f"Cookie: {cookie}"] if cookie else []
        command = [
            *("wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", str(SECONDS), "-s", "/opt/onlooker/wrk.lua"),
            *(*given, f"https://{name}{path}"),
        ]
        measured = json.loads(self.lab.output("auditor", shlex.join(command)).splitlines()[-1])
        if measured["failed"] or measured["broken"] or not measured["requests"]:
            raise Failure(f"https://{name}{path}: found {measured}, expected status 200 only")
        return measured | {"a_second": round(measured["requests"] / measured["seconds"], 1)}

    def visit(self, seconds: float) -> Record:
        """Return the measurements of an ordinary client."""
        return json.loads(self.lab.output("auditor", self.lab.client_command(seconds, RATE)))


def targets(front: Front) -> tuple[dict[str, tuple[str, ...]], str]:
    """Return the name, path and cookie of each target of wrk, and the page that they serve."""
    _, page = front.fetch(SITE, PAGE)
    front.lab.output("web1", f"cat > {SCRIPT}", stdin=(ROOT / "tools/bench/tutorial.sh").read_text())
    front.lab.output("web1", f"sh {SCRIPT} up", stdin=page)
    time.sleep(3)
    sessions = {name: front.cookie(name) for name in (SITE, TUTORIAL)}
    found: dict[str, tuple[str, ...]] = {
        "cached": (SITE, PAGE),
        "file": (FILE, PAGE),
        "tutorial": (TUTORIAL, PAGE),
        "logged in": (SITE, PAGE, sessions[SITE]),
        "tutorial, logged in": (TUTORIAL, PAGE, sessions[TUTORIAL]),
    }
    lengths = {name: len(front.fetch(target[0], target[1])[1]) for name, target in found.items()}
    if set(lengths.values()) != {len(page)}:
        raise Failure(f"{PAGE}: found lengths {lengths}, expected {len(page)} for each")
    return found, page


def measure_rounds(front: Front, compared: dict[str, tuple[str, ...]]) -> list[Record]:
    """Return the measurements of wrk by target, for each round."""
    # Warm up: queries are compiled, connections are open.
    for target in compared.values():
        front.rate(*target)
    rounds = []
    for number in range(ROUNDS):
        print(f"  round {number + 1} of {ROUNDS}… ", end="", flush=True)
        rounds.append({name: front.rate(*target) for name, target in compared.items()})
        print(", ".join(f"{name} {one['a_second']:.0f}/s" for name, one in rounds[-1].items()))
    return rounds


def measure_flood(front: Front) -> Record:
    """Return the measurements of a client without and during a flood, and those of the flood."""
    print("  a visitor, quiet and in a flood… ", end="", flush=True)
    quiet = front.visit(FLOOD_SECONDS)
    command = (
        f"nice -n 19 wrk -t 1 -c 200 -d {FLOOD_SECONDS + 2} -s /opt/onlooker/wrk.lua https://{SITE}{PAGE}"
    )
    running = front.lab.start("flooder", f"{command} -- count")
    time.sleep(1)
    flooded = front.visit(FLOOD_SECONDS)
    flood = json.loads(running.communicate(timeout=60)[0].splitlines()[-1])
    print("done")
    return {"quiet": quiet, "flooded": flooded, "flood": flood}


def measure_websockets(front: Front) -> Record:
    """Return the measurements of a client without and with idle WebSockets to another site of the host."""
    print("  a visitor, without and with idle WebSockets… ", end="", flush=True)
    front.lab.output("flooder", f"cat > {IDLE}", stdin=(ROOT / "tools/bench/idle_websockets.py").read_text())
    without = front.visit(FLOOD_SECONDS)
    command = [
        "python3",
        IDLE,
        *WEBSOCKETS_SITE["server_names"],
        CA,
        str(WEBSOCKETS),
        str(FLOOD_SECONDS + 10),
    ]
    running = front.lab.start("flooder", shlex.join(command))
    opened = running.stdout.readline().strip() if running.stdout else ""
    if opened != str(WEBSOCKETS):
        raise Failure(f"found {opened} WebSockets, expected {WEBSOCKETS}: {running.communicate()}")
    idle = front.visit(FLOOD_SECONDS)
    still_open = int(running.communicate(timeout=60)[0])
    print("done")
    return {"without": without, "idle": idle, "open": still_open}


def measure(keep: bool) -> Record:
    """Return the requests per second of each target by round, and the measurements of a flood."""
    lab = AuditLab(NAME)
    load = others_percent()
    with lab.temporary_hosts(keep=keep):
        settings = {
            "nginx_cache_status_shown": True,
            # The load generator has no rate limit, the flood has one.
            "nginx_admin_networks": ["127.0.0.0/8", "::1/128", lab.address("auditor")],
        }
        lab.converge(
            settings,
            names=(TUTORIAL, FILE, *WEBSOCKETS_SITE["server_names"]),
            scanners=False,
            others={"sockets": WEBSOCKETS_SITE},
        )
        front = Front(lab)
        try:
            compared, page = targets(front)
            front.fetch(SITE, PAGE)
            status = re.search(r"^cache-status: .*detail=(\w+)", front.fetch(SITE, PAGE)[0], re.I | re.M)
            results: Record = {
                "others_percent": [load],
                "page_bytes": len(page.encode()),
                "cache_status": status[1] if status else None,
                "rounds": measure_rounds(front, compared),
            }
            # Before the flood, after which the host may still be busy.
            return results | {"websockets": measure_websockets(front)} | measure_flood(front)
        finally:
            lab.output("web1", f"sh {SCRIPT} down && rm {SCRIPT}")


def figures(results: Record) -> list[Record]:
    """Return the figures with their targets."""
    rows = []
    for name, least, one, other in TARGETS:
        rates = [(row[one]["a_second"], row[other]["a_second"]) for row in results["rounds"]]
        middle = [statistics.median(column) for column in zip(*rates, strict=True)]
        value = statistics.median(a / b for a, b in rates)
        note = f"{middle[0]:.0f}/s, {middle[1]:.0f}/s"
        rows.append(report.figure(name, value, least, note, minimum=True))
    quiet, flooded, flood = results["quiet"], results["flooded"], results["flood"]
    lost = flooded["requests"] - flooded["outcomes"].get("200", 0)
    note = (
        f"{flooded['p99_ms']} ms, {quiet['p99_ms']} ms; {lost} of {flooded['requests']} failed; "
        f"{flood['refused']} of {flood['requests']} of the flood refused"
    )
    value = flooded["p99_ms"] / quiet["p99_ms"]
    rows.append(report.figure("a visitor's p99 in a flood, by quiet", value, 2.0, note, valid=not lost))
    sockets = results["websockets"]
    without, idle = sockets["without"], sockets["idle"]
    failed = idle["requests"] - idle["outcomes"].get("200", 0)
    is_valid = not failed and sockets["open"] == WEBSOCKETS
    note = f"{idle['p99_ms']} ms, {without['p99_ms']} ms; {failed} failed; {sockets['open']} still open"
    value = idle["p99_ms"] / without["p99_ms"]
    rows.append(
        report.figure("a visitor's p99 with idle WebSockets, by without", value, 1.2, note, valid=is_valid)
    )
    return rows


def details(results: Record) -> str:
    """Return the size of the page and the state of the cache."""
    return f"The page has {results['page_bytes']} bytes; second Cache-Status: {results['cache_status']}."
