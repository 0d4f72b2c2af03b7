"""How numbers, money and dates are written on a page, and read from what people type."""

from __future__ import annotations

import re
from datetime import date

from flask import Flask

_TOO_LONG = 15  # digits: far more than any field takes, far fewer than make int() slow


def init_app(app: Flask) -> None:
    """Give the templates their filters."""
    app.add_template_filter(money)
    app.add_template_filter(plural)
    app.add_template_filter(thousands)
    app.add_template_filter(long_date)


def thousands(number: int) -> str:
    """Return a whole number with its thousands apart: 1234567 is "1,234,567"."""
    return f"{number:,}"


def money(amount: int) -> str:
    """Return an amount in whole units of the currency: 425000 is "$425,000"."""
    return f"${amount:,}"


def plural(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: "1 bedroom", "no bedrooms", "3 bedrooms".

    Args:
        number: how many, zero or more.
        one: the noun for one.
        many: the noun for any other number, when it is not the first with an "s".
    """
    noun = one if number == 1 else many or f"{one}s"
    return f"{number:,} {noun}" if number else f"no {noun}"


def long_date(moment: date) -> str:
    """Return the day, in words that every reader takes the same way: "4 May 2025"."""
    return f"{moment.day} {moment:%B %Y}"


def parse_whole_number(text: str) -> int | None:
    """Return the whole number that a person typed, or None when it is none.

    Currency signs and thousands separators are understood ("$425,000", "425 000"), a fraction is
    cut off ("425000.00"). Zero or more; a number with more than 15 digits comes back as the
    largest with 15, since all that long are out of any range.
    """
    plain = re.sub(r"[\s,'\u2019$€£]", "", text)
    match = re.fullmatch(r"0*([0-9]+)(\.[0-9]*)?", plain)
    if not match:
        return None
    digits = match.group(1)
    return int(digits) if len(digits) <= _TOO_LONG else 10**_TOO_LONG - 1


def clean_line(text: str) -> str:
    """Return the text as one line: control characters go, each run of whitespace is one space."""
    return " ".join(_without_controls(text).split())


def clean_text(text: str) -> str:
    """Return the text with Unix line breaks and no other control characters."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(_without_controls(line).rstrip() for line in lines).strip()


def _without_controls(text: str) -> str:
    # Lone surrogates cannot be written as UTF-8, so no database takes them.
    return re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]", "", text)
