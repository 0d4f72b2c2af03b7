"""Health checks: /healthz (process) and /readyz (process and database)."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from .extensions import db
from .models import Listing
from .outages import RETRY_AFTER

CHECKS = {
    "database": text("SELECT 1"),
    "listings": select(Listing.id).limit(1),
}

bp = Blueprint("health", __name__)


@bp.after_request
def disable_caching(response: Response) -> Response:
    """Forbid caching, because health changes at any time."""
    response.headers["Cache-Control"] = "private, no-store"
    return response


@bp.get("/healthz")
def alive() -> Response:
    """Return 200 while the process runs, independent of the database."""
    return Response("ok\n", mimetype="text/plain")


@bp.get("/readyz")
def ready() -> ResponseReturnValue:
    """Return 200, or 503 with the name of the failed check.

    The cause is only logged, because the response is public.
    """
    for name, statement in CHECKS.items():
        try:
            db.session.execute(statement)
        except SQLAlchemyError:
            current_app.logger.warning("Not ready: the check %r failed", name, exc_info=True)
            unavailable = jsonify(status="unavailable", failed=name)
            return unavailable, 503, {"Retry-After": str(RETRY_AFTER)}
    return jsonify(status="ok"), 200
