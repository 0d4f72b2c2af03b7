"""The front page."""

from __future__ import annotations

from flask import Blueprint, render_template

from .extensions import db
from .search import Search

NEWEST = 6

bp = Blueprint("home", __name__)


@bp.get("/")
def index() -> str:
    """Greet, offer a short search, and show the newest listings."""
    search = Search()
    newest = db.session.scalars(search.select().order_by(*search.order()).limit(NEWEST)).all()
    return render_template("home.html", newest=newest)
