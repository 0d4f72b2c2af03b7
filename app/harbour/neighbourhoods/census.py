"""A client of the Census Bureau's API: one-year data profiles, all states at once.

A year takes five questions: what the variables of four groups are called, and their values. The
same line of a profile has another number in other years (a median home value was DP04_0088E up to
2014 and is DP04_0089E since), so that variables are found by their labels. Those change too, but
less: see `find`.
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
TRIES = 4
PAUSE = 1.0  # seconds before the second try, twice as long before each that follows
TIMEOUT = 30  # seconds until the next part of an answer
DEADLINE = 120  # seconds for a whole answer
LARGEST = 50_000_000  # bytes; a group's variables are a tenth of that
FEWEST_AREAS = 51  # fewer is an answer that lost some on the way


class CensusError(Exception):
    """The service did not answer, or not as it should."""


class NotPublishedError(CensusError):
    """There are no profiles of this year."""


class _PassingError(CensusError):
    """What may be gone at the next try."""


class Client:
    """Asks the service, again if need be.

    Args:
        url: where the API is.
        key: a key for it, which no message repeats; without one it answers fewer questions a day.
        say: told of each failure that is followed by another try.
    """

    def __init__(
        self, url: str, key: str | None = None, say: Callable[[str], object] = lambda _: None
    ) -> None:
        if not url.startswith(("https://", "http://")):
            raise CensusError("HARBOUR_CENSUS_URL does not begin with https://")
        self.url = url.rstrip("/")
        self.key = key
        self.say = say

    def figures(self, year: int) -> tuple[list[Row], list[str]]:
        """Return a year's figures, and the measures of which no variable was found.

        Raises:
            NotPublishedError: there are no profiles of this year.
            CensusError: the service did not answer, or not as it should.
        """
        profile = f"/{year}/acs/acs1/profile"
        labels: dict[str, str] = {}
        for group in GROUPS:
            labels.update(_labels(self.ask(f"{profile}/groups/{group}.json")))
        wanted = {key: find(measure, labels) for key, measure in MEASURES.items() if measure.section}
        names = {key: name for key, name in wanted.items() if name}
        if not names:
            raise CensusError("no variable has a label that is known here")
        columns = [column for name in names.values() for column in (name, _margin(name))]
        table = self.ask(profile, {"get": ",".join(("NAME", *columns)), "for": "state:*"})
        return list(_rows(table, year, names)), [key for key, name in wanted.items() if not name]

    def ask(self, path: str, query: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 (JSON)
        """Return an answer's JSON, of the first try that brings any.

        Raises:
            NotPublishedError: there is nothing at this path.
            CensusError: four tries failed, or the service refuses.
        """
        for attempt in range(1, TRIES + 1):
            try:
                return self._ask_once(path, query or {})
            except _PassingError as error:
                if attempt == TRIES:
                    raise CensusError(f"{path}: {error}, {TRIES} times") from error
                wait = PAUSE * 2 ** (attempt - 1)
                self.say(f"{path}: {error}; trying again in {wait:g} s")
                time.sleep(wait)
        raise AssertionError("unreachable")

    def _ask_once(self, path: str, query: Mapping[str, str]) -> Any:  # noqa: ANN401 (JSON)
        full = {**query, **({"key": self.key} if self.key else {})}
        address = f"{self.url}{path}" + (f"?{urlencode(full, safe=',:*')}" if full else "")
        request = Request(address, headers={"Accept": "application/json"})  # noqa: S310 (checked)
        until = time.monotonic() + DEADLINE
        try:
            with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 (checked)
                content = _read(answer.read1, until)
        except HTTPError as error:
            error.close()
            if error.code == 404:
                raise NotPublishedError(f"{path}: not found") from None
            if error.code == 429 or error.code >= 500:
                raise _PassingError(f"status {error.code}") from None
            raise CensusError(f"{path}: status {error.code}") from None
        except TimeoutError:
            raise _PassingError(f"no answer for {TIMEOUT:g} s") from None
        except URLError as error:
            raise _PassingError(f"not reached ({error.reason})") from None
        except (OSError, HTTPException) as error:
            raise _PassingError(f"broken off ({type(error).__name__})") from None
        try:
            return json.loads(content)
        except ValueError:
            # An invalid key is answered with a page in HTML.
            kind = "a page" if content.lstrip()[:1] == b"<" else "no whole JSON"
            raise _PassingError(f"the answer is {kind}") from None


def _read(read: Callable[[int], bytes], until: float) -> bytes:
    """Return all that there is to read, if it is not too much and does not take too long."""
    content = bytearray()
    while part := read(65536):
        content += part
        if len(content) > LARGEST:
            raise CensusError(f"the answer has more than {LARGEST:,} bytes")
        if time.monotonic() > until:
            raise _PassingError("the answer did not end")
    return bytes(content)


def _labels(answer: object) -> dict[str, str]:
    """Return the labels of a group's variables."""
    variables = answer.get("variables") if isinstance(answer, dict) else None
    if not isinstance(variables, dict):
        raise CensusError("expected an object with variables")
    found = {}
    for name, described in variables.items():
        label = described.get("label") if isinstance(described, dict) else None
        if not isinstance(label, str):
            raise CensusError(f"expected a label of {name!r:.40}")
        found[name] = label
    return found


def find(measure: Measure, labels: Mapping[str, str]) -> str | None:
    """Return the name of a measure's variable by its label; None for none, or for several.

    A label is ``Estimate!!SECTION!!…!!Line``. From year to year the parts between come and go,
    sections have the year in brackets, colons follow some parts, and percentages begin with
    ``Percent`` or ``Percent Estimate``. The section and the last part are what stays.
    """
    ends_alike = []
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
            ends_alike.append((name, parts))
    within = [name for name, parts in ends_alike if measure.within in parts]
    names = within or [name for name, _ in ends_alike]
    return names[0] if len(names) == 1 else None


def _margin(name: str) -> str:
    return f"{name[:-1]}M"


def _rows(table: object, year: int, names: Mapping[str, str]) -> Iterable[Row]:
    """Yield the figures of an answer: a list of rows, the first of which names the columns."""
    if not (isinstance(table, list) and len(table) > 1 and all(isinstance(row, list) for row in table)):
        raise CensusError("expected a list of rows")
    header = table[0]
    lost = [
        column for column in ("state", *names.values(), *map(_margin, names.values())) if column not in header
    ]
    if lost:
        raise CensusError(f"expected a column {lost[0]}")
    seen = set()
    for cells in table[1:]:
        if len(cells) != len(header):
            raise CensusError(f"expected {len(header)} cells in a row, got {len(cells)}")
        row = dict(zip(header, cells, strict=True))
        fips = row["state"]
        if not isinstance(fips, str) or fips in seen:
            raise CensusError(f"expected each state once, got {fips!r:.20}")
        if fips not in areas():
            continue
        seen.add(fips)
        for key, name in names.items():
            yield Row(key, year, fips, _value(row, name, MEASURES[key]), "acs1")
    if len(seen) < FEWEST_AREAS:
        raise CensusError(f"expected {FEWEST_AREAS} areas at least, got {len(seen)}")


def _value(row: Mapping[str, object], name: str, measure: Measure) -> Estimate | None:
    column = name
    try:
        value = clean_estimate(row[name])
        if value is not None and measure.unit == "%" and value > 100:
            raise ValueError(f"expected a percentage, got {value:g}")  # noqa: TRY301 (named below)
        column = _margin(name)
        # A total that is agreed with the census itself has no margin: -555555555.
        moe = clean_estimate(row[column])
    except ValueError as error:
        raise CensusError(f"{column} of state {row['state']}: {error}") from None
    return None if value is None else Estimate(value, moe)
