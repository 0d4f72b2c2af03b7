#!/usr/bin/env python3
"""Tells Amazon's CloudWatch agent, by statsd, what the *.prom files of a folder say.

    metrics.py FOLDER [PORT]

They are written for Prometheus by whatever on this host knows something: how long certificates are good for,
when a backup was made. A label becomes a dimension. A moment, which no alarm can compare with now, becomes
the days that are left until then, less than none where it has passed: x_not_after_seconds becomes
x_not_after_days.

Standard library of Python 3.10.
"""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", re.ASCII)
LABEL = re.compile(r'(\w+)="([^"\\]*)"', re.ASCII)
DAY = 86400
# What is larger, and in seconds, is a moment: since 1970.
MOMENT = 1e9


def lines(text: str, now: float) -> Iterator[str]:
    """A line of statsd, with Datadog's tags, for each sample."""
    for line in text.splitlines():
        if not (found := SAMPLE.fullmatch(line.strip())):
            continue  # a comment
        name, labels, value = found[1], LABEL.findall(found[2] or ""), float(found[3])
        if name.endswith("_seconds") and value > MOMENT:
            name, value = name.removesuffix("seconds") + "days", (value - now) / DAY
        tags = ",".join(f"{key}:{label}" for key, label in labels)
        # To statsd a sign is a change of what was, so that what is below nothing is said after a 0.
        if value < 0:
            yield f"{name}:0|g" + (f"|#{tags}" if tags else "")
        yield f"{name}:{value:.6g}|g" + (f"|#{tags}" if tags else "")


def main() -> None:
    folder, port = Path(sys.argv[1]), int((*sys.argv, "8125")[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        for path in sorted(folder.glob("*.prom")):
            for line in lines(path.read_text(), time.time()):
                statsd.sendto(line.encode(), ("127.0.0.1", port))


if __name__ == "__main__":
    main()
