"""What a visitor sees when something is not right."""

from __future__ import annotations

from flask import Flask, render_template
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

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
    405: (
        "Not that way in",
        "This page cannot be asked for like that. Please start again from one of the links below.",
    ),
    500: (
        "We have run aground",
        "Something went wrong on our side, and it has been noted. Please try again in a moment.",
    ),
}
OTHER = ("Rough water", "We could not do that. Please go back and try once more.")
CSRF_MESSAGE = (
    "The form came without its key",
    "Either your browser keeps no cookies for this site, or the form was opened in an earlier"
    " session. Please go back, reload the form and send it again.",
)


def init_app(app: Flask) -> None:
    """Register the error pages."""
    app.register_error_handler(HTTPException, show_error)
    app.register_error_handler(DBAPIError, show_missing_tables)


def show_error(error: HTTPException) -> ResponseReturnValue:
    """Answer with the error's own status and headers, and a page in the portal's style."""
    response = error.get_response()
    if response.status_code < 400:
        return error  # a redirect that was raised
    heading, message = (
        CSRF_MESSAGE if isinstance(error, CSRFError) else MESSAGES.get(response.status_code, OTHER)
    )
    response.data = render_template(
        "error.html", code=response.status_code, heading=heading, message=message
    )
    response.content_type = "text/html; charset=utf-8"
    return response


def show_missing_tables(error: DBAPIError) -> ResponseReturnValue:
    """Tell whoever has just installed this which command is missing; else, fail as usual."""
    db.session.rollback()
    try:
        missing = not inspect(db.engine).has_table(Listing.__tablename__)
    except DBAPIError:
        raise error from None
    if not missing:
        raise error
    return render_template("no_tables.html"), 503, {"Cache-Control": "no-store"}
