"""Areas whose pages say that they are not there yet, and what they will be.

An area that arrives is a module of its own with a blueprint of the same name; its entry here goes.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, render_template


@dataclass(frozen=True)
class Area:
    """An area that is still to come.

    Attributes:
        bp: its blueprint, with the one page.
        label: its name.
    """

    bp: Blueprint
    label: str


def _area(name: str, label: str, missing: str) -> Area:
    bp = Blueprint(name, __name__, url_prefix=f"/{name}")

    @bp.get("/")
    def index() -> str:
        """Say what is missing."""
        return render_template("soon.html", heading=label, missing=missing)

    return Area(bp, label)


AREAS = (
    _area(
        "neighbourhoods",
        "Neighbourhoods",
        "Here will be what homes cost beside what people earn, from the census. The figures have"
        " not been brought in yet.",
    ),
    _area(
        "quiz",
        "The daily film",
        "Here will be a film to guess, a new one each day. There are no films yet.",
    ),
)
