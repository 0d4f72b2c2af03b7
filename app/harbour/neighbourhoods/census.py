"""Client of the Census Bureau's API: one-year data profiles of all states.

Each year takes five requests: the variables of four groups, and the values. The number of a line
changes between years (median home value was DP04_0088E up to 2014 and is DP04_0089E since), so `find`
identifies variables by their labels, which change less.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from .analysis import Estimate, clean_estimate
from .measures import MEASURES, Measure, areas
from .store import Row

GROUPS = ("DP02", "DP03", "DP04", "DP05")
ATTEMPTS = 4
PAUSE = 1.0  # seconds before the second attempt; doubles for each further attempt
TIMEOUT = 30  # seconds without data
DEADLINE = 120  # seconds for a complete response
MAX_BYTES = 50_000_000  # a group's variables take a tenth of that
MIN_AREAS = 51  # fewer areas mean an incomplete response


class CensusError(Exception):
    """The API did not respond, or with an invalid response."""


class NotPublishedError(CensusError):
    """The API has no profiles of this year."""


class _TransientError(CensusError):
    """A failure after which the client retries."""


class Client:
    """Client with retries.

    Args:
        url: base URL of the API.
        key: API key, never part of a message; without one the API allows fewer requests a day.
        report: called with each failure that is followed by another attempt.
    """

    def __init__(
        self, url: str, key: str | None = None, report: Callable[[str], object] = lambda _: None
    ) -> None:
        if not url.startswith(("https://", "http://")):
            raise CensusError("HARBOUR_CENSUS_URL: expected a URL that starts with https://")
        self.url = url.rstrip("/")
        self.key = key
        self.report = report

    def figures(self, year: int) -> tuple[list[Row], list[str]]:
        """Return a year's figures, and the measures without a matching variable.

        Raises:
            NotPublishedError: the API has no profiles of this year.
            CensusError: the API did not respond, or with an invalid response.
        """
        profile = f"/{year}/acs/acs1/profile"
        labels: dict[str, str] = {}
        for group in GROUPS:
            labels.update(_labels(self.get(f"{profile}/groups/{group}.json")))
        variables = {key: find(measure, labels) for key, measure in MEASURES.items() if measure.section}
        names = {key: name for key, name in variables.items() if name}
        if not names:
            raise CensusError("no variable has an expected label")
        columns = [column for name in names.values() for column in (name, _margin(name))]
        table = self.get(profile, {"get": ",".join(("NAME", *columns)), "for": "state:*"})
        return list(_rows(table, year, names)), [key for key, name in variables.items() if not name]

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 (JSON)
        """Return the JSON of the first successful attempt.

        Raises:
            NotPublishedError: the API responds with 404.
            CensusError: all attempts failed, or the API rejected the request.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._get_once(path, query or {})
            except _TransientError as error:
                if attempt == ATTEMPTS:
                    raise CensusError(f"{path}: {error}, {ATTEMPTS} attempts") from error
                wait = PAUSE * 2 ** (attempt - 1)
                self.report(f"{path}: {error}; retrying in {wait:g} s")
                time.sleep(wait)
        raise AssertionError("unreachable")

    def _get_once(self, path: str, query: Mapping[str, str]) -> Any:  # noqa: ANN401 (JSON)
        parameters = {**query, **({"key": self.key} if self.key else {})}
        address = f"{self.url}{path}" + (f"?{urlencode(parameters, safe=',:*')}" if parameters else "")
        request = Request(address, headers={"Accept": "application/json"})  # noqa: S310 (checked)
        deadline = time.monotonic() + DEADLINE
        try:
            with urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310 (checked)
                content = _read(response.read1, deadline)
        except HTTPError as error:
            error.close()
            if error.code == 404:
                raise NotPublishedError(f"{path}: not found") from None
            if error.code == 429 or error.code >= 500:
                raise _TransientError(f"status {error.code}") from None
            raise CensusError(f"{path}: status {error.code}") from None
        except TimeoutError:
            raise _TransientError(f"no response for {TIMEOUT:g} s") from None
        except URLError as error:
            raise _TransientError(f"connection failed ({error.reason})") from None
        except (OSError, HTTPException) as error:
            raise _TransientError(f"connection lost ({type(error).__name__})") from None
        try:
            return json.loads(content)
        except ValueError:
            # The API responds with an HTML page if the key is invalid.
            kind = "HTML" if content.lstrip()[:1] == b"<" else "incomplete JSON"
            raise _TransientError(f"found {kind}, expected JSON") from None


def _read(read: Callable[[int], bytes], deadline: float) -> bytes:
    """Return the complete response, limited in size and time."""
    content = bytearray()
    while part := read(65536):
        content += part
        if len(content) > MAX_BYTES:
            raise CensusError(f"the response has more than {MAX_BYTES:,} bytes")
        if time.monotonic() > deadline:
            raise _TransientError("the response was not complete in time")
    return bytes(content)


def _labels(response: object) -> dict[str, str]:
    """Return the labels of a group's variables, by name."""
    variables = response.get("variables") if isinstance(response, dict) else None
    if not isinstance(variables, dict):
        raise CensusError("expected an object with variables")
    labels = {}
    for name, variable in variables.items():
        label = variable.get("label") if isinstance(variable, dict) else None
        if not isinstance(label, str):
            raise CensusError(f"expected a label for {name!r:.40}")
        labels[name] = label
    return labels


def find(measure: Measure, labels: Mapping[str, str]) -> str | None:
    """Return the name of a measure's variable by its label, or None unless exactly one matches.

    A label is ``Estimate!!SECTION!!…!!Line``. Between years the middle parts change, sections have
    the year in brackets, some parts end with colons, and percentages start with ``Percent`` or
    ``Percent Estimate``. Section and last part are stable.
    """
    candidates = []
    for name, label in labels.items():
        kind = re.fullmatch(r"DP\d\d_\d{4}(P?)E", name)
        parts = [re.sub(r"\s*:?\s*$", "", part).strip().lower() for part in label.split("!!")]
        parts = [part.replace("\u2019", "'") for part in parts]
        if (
            kind
            and bool(kind[1]) == measure.percent
            and len(parts) > 2
            and re.sub(r" \(.*", "", parts[1]) == measure.section
            and parts[-1] in measure.label_ends
        ):
            candidates.append((name, parts))
    within = [name for name, parts in candidates if measure.within in parts]
    names = within or [name for name, _ in candidates]
    return names[0] if len(names) == 1 else None


def _margin(name: str) -> str:
    return f"{name[:-1]}M"


def _rows(table: object, year: int, names: Mapping[str, str]) -> Iterable[Row]:
    """Yield the figures of a response: a list of rows, the first with the names of the columns."""
    if not (isinstance(table, list) and len(table) > 1 and all(isinstance(row, list) for row in table)):
        raise CensusError("expected a list of rows")
    header = table[0]
    missing = [
        column for column in ("state", *names.values(), *map(_margin, names.values())) if column not in header
    ]
    if missing:
        raise CensusError(f"column {missing[0]} is missing")
    states = set()
    for cells in table[1:]:
        if len(cells) != len(header):
            raise CensusError(f"found {len(cells)} cells in a row, expected {len(header)}")
        row = dict(zip(header, cells, strict=True))
        fips = row["state"]
        if not isinstance(fips, str) or fips in states:
            raise CensusError(f"found state {fips!r:.20} again, expected each state once")
        if fips not in areas():
            continue
        states.add(fips)
        for key, name in names.items():
            yield Row(key, year, fips, _value(row, name, MEASURES[key]), "acs1")
    if len(states) < MIN_AREAS:
        raise CensusError(f"found {len(states)} areas, expected at least {MIN_AREAS}")


def _value(row: Mapping[str, object], name: str, measure: Measure) -> Estimate | None:
    column = name
    try:
        value = clean_estimate(row[name])
        if value is not None and measure.unit == "%" and value > 100:
            raise ValueError(f"found {value:g}, expected a percentage")  # noqa: TRY301 (caught below)
        column = _margin(name)
        # Totals that are controlled to the census have no margin (-555555555).
        moe = clean_estimate(row[column])
    except ValueError as error:
        raise CensusError(f"{column} of state {row['state']}: {error}") from None
    return None if value is None else Estimate(value, moe)
