"""What helps somebody who buys or sells a home."""

from __future__ import annotations

from flask import Blueprint, render_template

bp = Blueprint("resources", __name__)


# Both /resources and /resources/ answer: people have this address on paper, in either form. The
# page names the first as the one to remember, or a search engine would take it for two.
@bp.get("/resources", strict_slashes=False)
def index() -> str:
    """Show the guide and where to ask."""
    return render_template("resources.html")
