"""The guide for buyers and sellers."""

from __future__ import annotations

from flask import Blueprint, render_template

bp = Blueprint("resources", __name__)


# Both /resources and /resources/ exist, because printed material has both. The page declares the first
# as canonical, so that search engines index it once.
@bp.get("/resources", strict_slashes=False)
def index() -> str:
    """Show the guide."""
    return render_template("resources.html")
