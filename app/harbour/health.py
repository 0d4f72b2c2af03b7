"""Is the process alive, and can it do its work?"""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from .extensions import db
from .models import Listing

CHECKS = {
    "database": text("SELECT 1"),
    "listings": select(Listing.id).limit(1),
}

bp = Blueprint("health", __name__)


@bp.after_request
def never_stored(response: Response) -> Response:
    """Keep answers out of caches: each holds for its moment only."""
    response.headers["Cache-Control"] = "private, no-store"
    return response


@bp.get("/healthz")
def alive() -> Response:
    """Answer as long as the process can, whatever the database does."""
    return Response("ok\n", mimetype="text/plain")


@bp.get("/readyz")
def ready() -> tuple[Response, int]:
    """Answer 200 when pages can be served, or 503 with the name of the check that failed.

    Why it failed is for the log: anybody can read this answer.
    """
    for name, statement in CHECKS.items():
        try:
            db.session.execute(statement)
        except SQLAlchemyError:
            current_app.logger.warning("Not ready: the check %r failed", name, exc_info=True)
            return jsonify(status="unavailable", failed=name), 503
    return jsonify(status="ok"), 200
