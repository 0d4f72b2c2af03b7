"""Stub of the Census API: one-year profiles with the labels and numbers of several years, and faults."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from harbour.neighbourhoods.measures import areas

# Number and label of each line of the profile, as published up to 2014 and since 2015.
EARLY = {
    "DP02_0066": "EDUCATIONAL ATTAINMENT!!Percent high school graduate or higher",
    "DP02_0067": "EDUCATIONAL ATTAINMENT!!Percent bachelor's degree or higher",
    "DP03_0062": "INCOME AND BENEFITS (IN {year} INFLATION-ADJUSTED DOLLARS)!!Median household"
    " income (dollars)",
    "DP03_0128": "PERCENTAGE OF FAMILIES AND PEOPLE WHOSE INCOME IN THE PAST 12 MONTHS IS BELOW"
    " THE POVERTY LEVEL!!All people",
    "DP04_0045": "HOUSING TENURE!!Owner-occupied",
    "DP04_0088": "VALUE!!Median (dollars)",
    "DP04_0100": "SELECTED MONTHLY OWNER COSTS (SMOC)!!Median (dollars)",
    "DP04_0132": "GROSS RENT!!Median (dollars)",
    "DP04_0140": "GROSS RENT AS A PERCENTAGE OF HOUSEHOLD INCOME (GRAPI)!!Median (dollars)",
    "DP05_0001": "SEX AND AGE!!Total population",
    "DP05_0017": "SEX AND AGE!!Median age (years)",
    "DP05_0032": "RACE!!One race!!White",
    "DP05_0033": "RACE!!One race!!Black or African American",
    "DP05_0059": "RACE!!White",
    "DP05_0066": "HISPANIC OR LATINO AND RACE!!Hispanic or Latino (of any race)",
}
LATE = {
    "DP02_0067": "EDUCATIONAL ATTAINMENT!!Population 25 years and over!!High school graduate or higher",
    "DP02_0068": "EDUCATIONAL ATTAINMENT!!Population 25 years and over!!Bachelor's degree or higher",
    "DP03_0062": "INCOME AND BENEFITS (IN {year} INFLATION-ADJUSTED DOLLARS)!!Total"
    " households!!Median household income (dollars)",
    "DP03_0128": EARLY["DP03_0128"],
    "DP04_0046": "HOUSING TENURE!!Occupied housing units!!Owner-occupied",
    "DP04_0089": "VALUE!!Owner-occupied units!!Median (dollars)",
    "DP04_0101": "SELECTED MONTHLY OWNER COSTS (SMOC)!!Housing units with a mortgage!!Median (dollars)",
    "DP04_0134": "GROSS RENT!!Occupied units paying rent:!!Median (dollars)",
    "DP05_0001": "SEX AND AGE!!Total population",
    "DP05_0018": "SEX AND AGE!!Total population!!Median age (years)",
    "DP05_0037": "RACE!!Total population!!One race!!White",
    "DP05_0038": "RACE!!Total population!!One race!!Black or African American",
    "DP05_0064": "RACE ALONE OR IN COMBINATION WITH ONE OR MORE OTHER RACES!!Total population!!White",
    "DP05_0071": "HISPANIC OR LATINO AND RACE!!Total population!!Hispanic or Latino (of any race)",
}


def lines(year: int) -> dict[str, str]:
    """Return the labels of a year, by number."""
    return {name: label.format(year=year) for name, label in (EARLY if year < 2015 else LATE).items()}


def value(name: str, fips: str, year: int) -> str:
    """Return a figure that depends on line, state and year; a percentage for percentage variables."""
    line = sum(map(ord, name[2:9])) % 40
    if name.endswith("M"):
        return "-555555555" if name.startswith("DP05_0001") else "1.5"
    if "PE" in name:
        return f"{10 + line + int(fips) / 10:.1f}"
    return str(line * 1000 + int(fips) * 10 + year - 2000)


class FakeCensus:
    """The stub, with its requests and configured responses.

    Attributes:
        url: base URL.
        requests: path and query of each request.
        faults: next faults, by a pattern of the path: ``500``, ``404``, ``slow``, ``drip``,
            ``truncated``, ``page``, ``reset``, or JSON to send.
        changes: values to send, by variable and state.
        years: published years.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []
        self.faults: dict[str, list[Any]] = {}
        self.changes: dict[tuple[str, str], Any] = {}
        self.years = {year for year in range(2010, 2025) if year != 2020}

    def response(self, path: str, query: dict[str, list[str]]) -> Any:
        """Return the JSON of a path, or None."""
        parts = path.strip("/").split("/")
        if parts[1:4] != ["acs", "acs1", "profile"] or int(parts[0]) not in self.years:
            return None
        year = int(parts[0])
        if len(parts) == 6:
            group = parts[5].removesuffix(".json")
            kinds = ("Estimate", "Percent Estimate" if 2015 <= year < 2019 else "Percent")
            variables = {"NAME": {"label": "Geographic Area Name"}}
            for name, label in lines(year).items():
                if name.startswith(group):
                    variables[f"{name}E"] = {"label": f"{kinds[0]}!!{label}"}
                    variables[f"{name}PE"] = {"label": f"{kinds[1]}!!{label}"}
                    variables[f"{name}M"] = {"label": f"Margin of Error!!{label}"}
                    variables[f"{name}PEA"] = {"label": f"Annotation of Percent!!{label}"}
            return {"variables": variables}
        columns = query["get"][0].split(",")
        assert query["for"] == ["state:*"]
        rows = []
        for fips, area in areas().items():
            cells = {name: cell for (name, state), cell in self.changes.items() if state == fips}
            cells["NAME"] = area.name
            rows.append([*(cells[n] if n in cells else value(n, fips, year) for n in columns), fips])
        return [[*columns, "state"], *rows]


@contextmanager
def run_census() -> Iterator[FakeCensus]:
    """Run the stub on a local port."""
    fake = FakeCensus()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.requests.append(self.path)
            url = urlsplit(self.path)
            fault = next(
                (
                    remaining.pop(0)
                    for part, remaining in fake.faults.items()
                    if re.search(part, url.path) and remaining
                ),
                None,
            )
            content = fake.response(url.path, parse_qs(url.query))
            if fault == "500" or fault == "404" or content is None:
                self.send_error(500 if fault == "500" else 404)
                return
            if fault == "reset":
                self.connection.close()
                return
            body = json.dumps(content).encode()
            if fault == "slow":
                time.sleep(1)
            elif fault == "page":
                body = b"<html><body>Invalid Key</body></html>"
            elif fault == "truncated":
                body = body[: len(body) // 2]
            elif fault not in (None, "drip"):
                body = json.dumps(fault).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            # Content-Length of a truncated response is larger than its body.
            self.send_header("Content-Length", str(len(body) * (2 if fault == "truncated" else 1)))
            self.end_headers()
            with suppress(OSError):  # the client has closed the connection
                while fault == "drip" and body:
                    self.wfile.write(body[:1])
                    body = body[1:]
                    time.sleep(0.05)
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
