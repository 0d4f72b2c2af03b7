"""Send requests at a steady rate and print a summary as JSON: client.py URL SECONDS RATE PATH… [--cookie C]

Each answer counts from the moment it was due, so that waiting for a slow one is not left out of the next. A
browser's connection is used ten times; then there is another handshake.
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

CONNECTIONS = 4  # as a browser opens
USED = 10  # times


def visit(place: str, given: argparse.Namespace, paths, answers: list[tuple[str, float]]) -> None:
    """Ask for one path after the other on one connection; note what came, and after how many seconds."""
    context = ssl.create_default_context(cafile=given.ca)
    headers = {"Accept-Encoding": "gzip"} | ({"Cookie": given.cookie} if given.cookie else {})
    connection, rate = None, given.rate / CONNECTIONS
    begun = time.monotonic()
    for number in range(round(given.seconds * rate)):
        due = begun + number / rate
        time.sleep(max(0, due - time.monotonic()))
        if number % USED == 0 and connection:
            connection.close()
            connection = None
        try:
            connection = connection or http.client.HTTPSConnection(place, timeout=10, context=context)
            connection.request("GET", next(paths), headers=headers)
            answer = connection.getresponse()
            answer.read()
            outcome = str(answer.status)
        except (OSError, http.client.HTTPException) as error:
            outcome, connection = type(error).__name__, None
        answers.append((outcome, time.monotonic() - due))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("seconds", type=float)
    parser.add_argument("rate", type=float)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--cookie")
    parser.add_argument("--ca", default="/opt/onlooker/ca.crt")
    given = parser.parse_args()
    answers: list[tuple[str, float]] = []
    place, paths = urlsplit(given.url).netloc, itertools.cycle(given.paths)
    threads = [
        threading.Thread(target=visit, args=(place, given, paths, answers)) for _ in range(CONNECTIONS)
    ]
    for number, thread in enumerate(threads):
        thread.start()
        # Not all at the same moment.
        time.sleep(1 / given.rate if number < CONNECTIONS - 1 else 0)
    for thread in threads:
        thread.join()
    took = sorted(seconds for _, seconds in answers)
    print(
        json.dumps(
            {
                "requests": len(answers),
                "outcomes": Counter(outcome for outcome, _ in answers),
                "p50_ms": round(took[len(took) // 2] * 1000, 1),
                "p99_ms": round(took[int(len(took) * 0.99)] * 1000, 1),
                "worst_ms": round(took[-1] * 1000, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
