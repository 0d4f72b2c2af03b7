"""The front page."""

from __future__ import annotations

from flask import Blueprint, render_template

from .listings import slice_of
from .search import Search

NEWEST = 6

bp = Blueprint("home", __name__)


@bp.get("/")
def index() -> str:
    """Greet, offer a short search, and show the newest listings."""
    return render_template("home.html", newest=slice_of(Search(), NEWEST))
