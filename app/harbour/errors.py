"""Error pages for visitors, and problem documents for API clients."""

from __future__ import annotations

from typing import cast

from flask import Flask, Response, g, json, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from werkzeug.exceptions import BadRequest, HTTPException, ServiceUnavailable

from . import logs, outages
from .extensions import db
from .models import Listing

# Status code: heading, explanation.
MESSAGES = {
    400: (
        "That did not quite arrive",
        "Something about the request was not as we expected. Please go back and try once more.",
    ),
    404: (
        "Nothing moored here",
        "The page may have moved, or the home may have been sold. The rest of the harbour is"
        " still where it was.",
    ),
    403: (
        "Not through this door",
        "This page is for others. If you think that it is for you, please log in once more.",
    ),
    405: (
        "Not that way in",
        "This page does not accept this kind of request. Please start again from one of the links below.",
    ),
    413: (
        "More than we can carry",
        "What you sent is too large. Please go back and send less, or smaller photos.",
    ),
    429: (
        "One at a time, please",
        "That was more than we can take from one visitor. Please wait a little, and try again.",
    ),
    500: (
        "We have run aground",
        "Something went wrong on our side, and it has been noted. Please try again in a moment.",
    ),
    503: (
        "Fog on the water",
        "We cannot reach our records at the moment. Please try again in a minute.",
    ),
}
log = logs.get(__name__)
OTHER = ("Rough water", "We could not do that. Please go back and try once more.")
CSRF_MESSAGE = (
    "The form came without its key",
    "Either your browser keeps no cookies for this site, or the form was opened in an earlier"
    " session. Please go back, reload the form and send it again.",
)


class QueryError(BadRequest):
    """The query of an API client is invalid. The description is sent to the client."""


def init_app(app: Flask) -> None:
    """Register the error pages."""
    app.register_error_handler(HTTPException, show_error)
    app.register_error_handler(SQLAlchemyError, show_database_error)


def show_error(error: HTTPException) -> ResponseReturnValue:
    """Return an error page with the error's status and headers."""
    response = cast(Response, error.get_response())
    if response.status_code < 400:
        return error  # a redirect raised as an exception
    heading, message = (
        CSRF_MESSAGE if isinstance(error, CSRFError) else MESSAGES.get(response.status_code, OTHER)
    )
    if response.status_code == 503 and request.method not in {"GET", "HEAD", "OPTIONS"}:
        message = f"We cannot reach our records at the moment. {outages.outcome()}"
    if request.path.startswith("/api/") or request.path.endswith(".json"):
        detail = error.description if isinstance(error, QueryError) else None
        return problem(response, heading, detail or message)
    response.data = render_template(
        "error.html",
        code=response.status_code,
        heading=heading,
        message=message,
        # Only for server errors, which are in the log and never cached.
        request_id=g.get("request_id") if response.status_code >= 500 else None,
    )
    response.content_type = "text/html; charset=utf-8"
    return response


def problem(response: Response, title: str, detail: str) -> Response:
    """Replace the body with a problem document (RFC 9457)."""
    response.data = json.dumps(
        {"type": "about:blank", "title": title, "status": response.status_code, "detail": detail}
    )
    response.content_type = "application/problem+json"
    return response


def show_database_error(error: SQLAlchemyError) -> ResponseReturnValue:
    """Return 503 during an outage of the database and without tables. Otherwise raise the error again."""
    if outages.is_outage(error):
        # Without a traceback, because an outage fails every request.
        log.warning("database_unavailable", reason=str(getattr(error, "orig", error)))
        return show_error(ServiceUnavailable(retry_after=outages.RETRY_AFTER))
    if isinstance(error, DBAPIError):
        return show_missing_tables(error)
    raise error


def show_missing_tables(error: DBAPIError) -> ResponseReturnValue:
    """Show how to create the tables if they are missing. Otherwise raise the error again."""
    db.session.rollback()
    try:
        missing = not inspect(db.engine).has_table(Listing.__tablename__)
    except DBAPIError:
        raise error from None
    if not missing:
        raise error
    return render_template("no_tables.html"), 503, {"Cache-Control": "private, no-store"}
