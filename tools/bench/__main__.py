"""Run benchmarks of Decanter on lab hosts, one after the other, and print their reports.

A missed target does not fail. An invalid response, or a second converge that changes something, does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Protocol

from tools.bench import baseline, front, report, web_hosts
from tools.bench.machine import machine
from tools.library import ROOT, Record, run_program


class Benchmark(Protocol):
    """A module that measures one subject."""

    NAME: str  # of the lab, and of its folder below .lab
    HOW: str  # the method

    def measure(self, keep: bool) -> Record:
        """Create the hosts, and return the results; `keep` leaves the hosts.

        `others_percent` has the load by other programs before the measurements, in percent.
        """

    def figures(self, results: Record) -> list[Record]:
        """Return the figures with their targets; see report.figure."""

    def details(self, results: Record) -> str:
        """Return the part of the report after the figures."""


BENCHMARKS: dict[str, Benchmark] = {"baseline": baseline, "front": front, "hosts": web_hosts}
DEFAULT = ["baseline", "front"]
EPILOG = """\
benchmarks:
  baseline  converges, releases and memory, against a shell script (15 minutes)
  front     responses of nginx, against a tutorial's set-up and a static file (5 minutes)
  hosts     converges and deploys of one, two and four web hosts (15 minutes)

Results are in .lab/bench/, .lab/bench-front/ and .lab/bench-hosts/."""


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the parsed arguments of the command line."""
    parser = argparse.ArgumentParser(
        prog="bench",
        description="Measure Decanter on lab hosts. Stop other programs of this machine before.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "benchmarks",
        nargs="*",
        metavar="BENCHMARK",
        help=f"{', '.join(BENCHMARKS)}; by default {' and '.join(DEFAULT)}",
    )
    parser.add_argument("--keep", action="store_true", help="leave the hosts of front for its next run")
    parsed = parser.parse_args(given)
    if unknown := [name for name in parsed.benchmarks if name not in BENCHMARKS]:
        parser.error(f"found {', '.join(unknown)}, expected {', '.join(BENCHMARKS)}")
    if parsed.keep and parsed.benchmarks != ["front"]:
        parser.error("--keep requires the benchmark front alone")
    parsed.benchmarks = parsed.benchmarks or DEFAULT
    return parsed


def run(benchmark: Benchmark, keep: bool) -> None:
    """Run one benchmark, write its results and print its report."""
    results = benchmark.measure(keep)
    data: Record = {"machine": machine(), "how": benchmark.HOW, "results": results}
    data["figures"] = benchmark.figures(results)
    path = ROOT / ".lab" / benchmark.NAME / "results.json"
    path.write_text(json.dumps(data, indent=2) + "\n")
    print(f"\n{report.text(data, benchmark.details(results), path)}")


def main() -> int:
    given = arguments()
    for name in given.benchmarks:
        print(f"Benchmark {name}")
        run(BENCHMARKS[name], given.keep)
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
