"""Send requests at a steady rate and print a summary as JSON: client.py URL SECONDS RATE PATH… [--cookie C]

Latency counts from the scheduled time of a request, so that a slow response also delays the following ones. A
connection is used for ten requests, and then replaced with a new handshake.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import ssl
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

CONNECTIONS = 4
USED = 10  # requests of a connection


def visit(place: str, given: argparse.Namespace, paths, responses: list[tuple[str, float]]) -> None:
    """Request the paths in turn on one connection; append the status and the seconds of each response."""
    context = ssl.create_default_context(cafile=given.ca)
    headers = {"Accept-Encoding": "gzip"} | ({"Cookie": given.cookie} if given.cookie else {})
    connection, rate = None, given.rate / CONNECTIONS
    start = time.monotonic()
    for number in range(round(given.seconds * rate)):
        due = start + number / rate
        time.sleep(max(0, due - time.monotonic()))
        if number % USED == 0 and connection:
            connection.close()
            connection = None
        try:
            connection = connection or http.client.HTTPSConnection(place, timeout=10, context=context)
            connection.request("GET", next(paths), headers=headers)
            response = connection.getresponse()
            response.read()
            outcome = str(response.status)
        except (OSError, http.client.HTTPException) as error:
            outcome, connection = type(error).__name__, None
        responses.append((outcome, time.monotonic() - due))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("seconds", type=float)
    parser.add_argument("rate", type=float)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--cookie")
    parser.add_argument("--ca", default="/opt/onlooker/ca.crt")
    given = parser.parse_args()
    responses: list[tuple[str, float]] = []
    place, paths = urlsplit(given.url).netloc, itertools.cycle(given.paths)
    threads = [
        threading.Thread(target=visit, args=(place, given, paths, responses)) for _ in range(CONNECTIONS)
    ]
    for number, thread in enumerate(threads):
        thread.start()
        # Start the connections at different times.
        time.sleep(1 / given.rate if number < CONNECTIONS - 1 else 0)
    for thread in threads:
        thread.join()
    latencies = sorted(seconds for _, seconds in responses)
    print(
        json.dumps(
            {
                "requests": len(responses),
                "outcomes": Counter(outcome for outcome, _ in responses),
                "p50_ms": round(latencies[len(latencies) // 2] * 1000, 1),
                "p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 1),
                "worst_ms": round(latencies[-1] * 1000, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
