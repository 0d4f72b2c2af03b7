"""The search for listings: from a query string to a query, and back.

Whatever stands in a query string, `Search.parse` makes something sensible of it: what cannot be
understood is ignored, what is out of range is clamped. A link that somebody cut off or typed by
hand still finds homes.
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
MAX_WORDS = 8  # each is one more condition with a leading wildcard
MAX_PRICE = 2_000_000_000  # fits the column, a signed 32-bit integer
MAX_BEDROOMS = 20
MAX_PAGE = 100_000


class Sort(str, enum.Enum):
    """The order of the results."""

    NEWEST = "newest"
    CHEAPEST = "price"
    DEAREST = "-price"

    @property
    def label(self) -> str:
        """The order's name on a page."""
        return {
            Sort.NEWEST: "Newest first",
            Sort.CHEAPEST: "Price, low to high",
            Sort.DEAREST: "Price, high to low",
        }[self]


class View(str, enum.Enum):
    """How the results are shown."""

    CARDS = "cards"
    TABLE = "table"


@dataclass(frozen=True)
class Search:
    """What a visitor looks for.

    Attributes:
        text: words that must all occur in the title, the street or the neighbourhood.
        kind: the kind of home, or None for any.
        min_price: the lowest price, in whole units of the currency, or None.
        max_price: the highest price, never below the lowest, or None.
        bedrooms: how many bedrooms at least, or None.
        sort: the order.
        page: the page of the results, from 1.
        view: how they are shown.
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
        """Return the search that a query string asks for. Nothing in it is an error."""
        min_price = _number(args, "min_price", 0, MAX_PRICE)
        max_price = _number(args, "max_price", 0, MAX_PRICE)
        if min_price is not None and max_price is not None and min_price > max_price:
            # Typed into each other's box: the range that was meant is plain.
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
        """Return the shortest query arguments that mean this search.

        Args:
            page: the page of the results.
            view: how they are shown, if not as now.
        """
        shown = View(view) if view else self.view
        every = {
            "q": self.text,
            "kind": self.kind.value if self.kind else "",
            "min_price": "" if self.min_price is None else str(self.min_price),
            "max_price": "" if self.max_price is None else str(self.max_price),
            "bedrooms": "" if self.bedrooms is None else str(self.bedrooms),
            "sort": "" if self.sort is Sort.NEWEST else self.sort.value,
            "page": "" if page == 1 else str(page),
            "view": "" if shown is View.CARDS else shown.value,
        }
        return {name: value for name, value in every.items() if value}

    @property
    def narrowed(self) -> bool:
        """Whether the search leaves anything out."""
        return bool({"q", "kind", "min_price", "max_price", "bedrooms"} & self.args().keys())

    def select(self) -> Select[tuple[Listing]]:
        """Return the query for the published listings that match, in no order."""
        return published().where(*self._conditions())

    def order(self) -> tuple[UnaryExpression[object], ...]:
        """Return what to sort by. The newest comes first among equals, so pages never overlap."""
        newest = (Listing.published_at.desc(), Listing.id.desc())
        return {
            Sort.NEWEST: newest,
            Sort.CHEAPEST: (Listing.price.asc(), *newest),
            Sort.DEAREST: (Listing.price.desc(), *newest),
        }[self.sort]

    def _conditions(self) -> list[ColumnElement[bool]]:
        # autoescape: a "%" or "_" that somebody looks for is that character, no wildcard.
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
    """Return the query for all that the public may see. Every public page starts from it."""
    return select(Listing).where(Listing.status == Status.PUBLISHED)


Choice = TypeVar("Choice", bound=enum.Enum)


def _choice(args: Mapping[str, str], name: str, choices: type[Choice]) -> Choice | None:
    value = args.get(name, "").strip().lower()
    return next((choice for choice in choices if choice.value == value), None)


def _number(args: Mapping[str, str], name: str, low: int, high: int) -> int | None:
    number = parse_whole_number(re.sub(r"^\s*\+", "", args.get(name, "")))
    return None if number is None else max(low, min(number, high))
