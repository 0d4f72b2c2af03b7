#!/usr/bin/env python3
"""Send the samples in the *.prom files of a folder to Amazon's CloudWatch agent, with the protocol of statsd.

    metrics.py FOLDER [PORT]

Programs of this host write the files in the format of Prometheus. A label becomes a dimension. Alarms of
CloudWatch cannot compare a time with the current time, so a time becomes the number of days until then, which
is negative in the past: x_not_after_seconds becomes x_not_after_days.

Uses the standard library of Python 3.10.
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
# A larger number of seconds is a time since 1970.
MINIMUM_TIME = 1e9


def lines(text: str, now: float) -> Iterator[str]:
    """Return a line of statsd for each sample, with the tags of Datadog's extension."""
    for line in text.splitlines():
        if not (found := SAMPLE.fullmatch(line.strip())):
            continue  # A comment.
        name, labels, value = found[1], LABEL.findall(found[2] or ""), float(found[3])
        if name.endswith("_seconds") and value > MINIMUM_TIME:
            name, value = name.removesuffix("seconds") + "days", (value - now) / DAY
        tags = ",".join(f"{key}:{label}" for key, label in labels)
        # In statsd, a signed value changes a gauge, so a 0 precedes a negative value.
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
