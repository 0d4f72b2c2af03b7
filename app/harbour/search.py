"""The search for listings: from a query string to a database query, and back.

`Search.parse` accepts every query string: invalid values are ignored and numbers out of range are
clamped, so that truncated and hand-typed links still find homes.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, UnaryExpression, or_, select

from .formats import clean_line, parse_whole_number
from .models import Kind, Listing, Status

MAX_TEXT = 80  # characters
MAX_WORDS = 8  # each adds a condition with a leading wildcard
MAX_PRICE = 2_000_000_000  # fits the column, a signed 32-bit integer
MAX_BEDROOMS = 20
MAX_PAGE = 100_000


class Sort(str, enum.Enum):
    """Order of the results."""

    NEWEST = "newest"
    CHEAPEST = "price"
    DEAREST = "-price"

    @property
    def label(self) -> str:
        """The label on pages."""
        return {
            Sort.NEWEST: "Newest first",
            Sort.CHEAPEST: "Price, low to high",
            Sort.DEAREST: "Price, high to low",
        }[self]


class View(str, enum.Enum):
    """Presentation of the results."""

    CARDS = "cards"
    TABLE = "table"


@dataclass(frozen=True)
class Search:
    """Conditions, order and presentation of a search.

    Attributes:
        text: words that must all occur in the title, the street or the neighbourhood.
        kind: the kind of home, or None for any.
        min_price: the lowest price, in whole units of the currency, or None.
        max_price: the highest price, never below the lowest, or None.
        bedrooms: the minimum number of bedrooms, or None.
        sort: the order.
        page: the page of the results, from 1.
        view: the presentation.
    """

    text: str = ""
    kind: Kind | None = None
    min_price: int | None = None
    max_price: int | None = None
    bedrooms: int | None = None
    sort: Sort = Sort.NEWEST
    page: int = 1
    view: View = View.CARDS

    @classmethod
    def parse(cls, args: Mapping[str, str]) -> Search:
        """Return the search for a query string. Never fails."""
        min_price = _number(args, "min_price", 0, MAX_PRICE)
        max_price = _number(args, "max_price", 0, MAX_PRICE)
        if min_price is not None and max_price is not None and min_price > max_price:
            # Prices entered in the wrong boxes: swap them.
            min_price, max_price = max_price, min_price
        return cls(
            text=clean_line(args.get("q", ""))[:MAX_TEXT].strip(),
            kind=_choice(args, "kind", Kind),
            min_price=min_price,
            max_price=max_price,
            bedrooms=_number(args, "bedrooms", 0, MAX_BEDROOMS) or None,
            sort=_choice(args, "sort", Sort) or Sort.NEWEST,
            page=_number(args, "page", 1, MAX_PAGE) or 1,
            view=_choice(args, "view", View) or View.CARDS,
        )

    def args(self, page: int = 1, view: str | None = None) -> dict[str, str]:
        """Return the shortest query arguments that produce this search.

        Args:
            page: the page of the results.
            view: the presentation, if it changes.
        """
        presentation = View(view) if view else self.view
        values = {
            "q": self.text,
            "kind": self.kind.value if self.kind else "",
            "min_price": "" if self.min_price is None else str(self.min_price),
            "max_price": "" if self.max_price is None else str(self.max_price),
            "bedrooms": "" if self.bedrooms is None else str(self.bedrooms),
            "sort": "" if self.sort is Sort.NEWEST else self.sort.value,
            "page": "" if page == 1 else str(page),
            "view": "" if presentation is View.CARDS else presentation.value,
        }
        return {name: value for name, value in values.items() if value}

    @property
    def is_filtered(self) -> bool:
        """Return whether the search has a condition."""
        return bool({"q", "kind", "min_price", "max_price", "bedrooms"} & self.args().keys())

    def select(self) -> Select[tuple[Listing]]:
        """Return the query for matching published listings, unordered."""
        return published().where(*self._conditions())

    def order(self) -> tuple[UnaryExpression[object], ...]:
        """Return the sort columns. They are unique, so that pages do not overlap."""
        newest = (Listing.published_at.desc(), Listing.id.desc())
        return {
            Sort.NEWEST: newest,
            Sort.CHEAPEST: (Listing.price.asc(), *newest),
            Sort.DEAREST: (Listing.price.desc(), *newest),
        }[self.sort]

    def _conditions(self) -> list[ColumnElement[bool]]:
        # autoescape: "%" and "_" in the text are literal.
        conditions = [
            or_(
                *(
                    column.icontains(word, autoescape=True)
                    for column in (Listing.title, Listing.street, Listing.neighbourhood)
                )
            )
            for word in self.text.split()[:MAX_WORDS]
        ]
        if self.kind:
            conditions.append(Listing.kind == self.kind)
        if self.min_price is not None:
            conditions.append(Listing.price >= self.min_price)
        if self.max_price is not None:
            conditions.append(Listing.price <= self.max_price)
        if self.bedrooms is not None:
            conditions.append(Listing.bedrooms >= self.bedrooms)
        return conditions


def published() -> Select[tuple[Listing]]:
    """Return the query for published listings, which all public pages use."""
    return select(Listing).where(Listing.status == Status.PUBLISHED)


Choice = TypeVar("Choice", bound=enum.Enum)


def _choice(args: Mapping[str, str], name: str, choices: type[Choice]) -> Choice | None:
    value = args.get(name, "").strip().lower()
    return next((choice for choice in choices if choice.value == value), None)


def _number(args: Mapping[str, str], name: str, low: int, high: int) -> int | None:
    number = parse_whole_number(re.sub(r"^\s*\+", "", args.get(name, "")))
    return None if number is None else max(low, min(number, high))
