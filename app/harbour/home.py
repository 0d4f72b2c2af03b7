"""The front page."""

from __future__ import annotations

from flask import Blueprint, render_template

from .listings import slice_of
from .search import Search

NEWEST = 6

bp = Blueprint("home", __name__)


@bp.get("/")
def index() -> str:
    """Show the newest listings and a short search form."""
    return render_template("home.html", newest=slice_of(Search(), NEWEST))
