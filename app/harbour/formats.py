"""Formatting and parsing of numbers, money, dates and text."""

from __future__ import annotations

import re
from datetime import date

from flask import Flask

_TOO_LONG = 15  # digits: more than any field accepts, few enough for a fast int()


def init_app(app: Flask) -> None:
    """Register the template filters."""
    app.add_template_filter(money)
    app.add_template_filter(plural)
    app.add_template_filter(thousands)
    app.add_template_filter(long_date)


def thousands(number: int) -> str:
    """Format a whole number with thousands separators: 1234567 becomes "1,234,567"."""
    return f"{number:,}"


def money(amount: int) -> str:
    """Format an amount in whole units of the currency: 425000 becomes "$425,000"."""
    return f"${amount:,}"


def plural(number: int, one: str, many: str | None = None) -> str:
    """Format a number with its noun: "1 bedroom", "no bedrooms", "3 bedrooms".

    Args:
        number: zero or more.
        one: singular.
        many: plural, if it is not the singular with an "s".
    """
    noun = one if number == 1 else many or f"{one}s"
    return f"{number:,} {noun}" if number else f"no {noun}"


def long_date(moment: date) -> str:
    """Format a date without ambiguity: "4 May 2025"."""
    return f"{moment.day} {moment:%B %Y}"


def parse_whole_number(text: str) -> int | None:
    """Return the whole number in a text, or None if the text is not a number.

    Accepts currency signs and thousands separators ("$425,000", "425 000") and drops fractions
    ("425000.00"). Numbers with more than 15 digits return the largest one with 15 digits, which is
    out of range for every field.
    """
    plain = re.sub(r"[\s,'\u2019$€£]", "", text)
    match = re.fullmatch(r"0*([0-9]+)(\.[0-9]*)?", plain)
    if not match:
        return None
    digits = match.group(1)
    return int(digits) if len(digits) <= _TOO_LONG else 10**_TOO_LONG - 1


def clean_line(text: str) -> str:
    """Return the text as one line, without control characters and with single spaces."""
    return " ".join(_without_controls(text).split())


def clean_text(text: str) -> str:
    """Return the text with Unix line breaks and no other control characters."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(_without_controls(line).rstrip() for line in lines).strip()


def _without_controls(text: str) -> str:
    # Lone surrogates cannot be encoded as UTF-8, so databases reject them.
    return re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]", "", text)
