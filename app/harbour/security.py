"""What every answer tells the browser: what it may load, and what may be kept."""

from __future__ import annotations

from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin

# Nothing but what comes from here, and nothing inline: no page needs more, or has a nonce.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "connect-src 'self'",
        "font-src 'self'",
        "img-src 'self'",
        "manifest-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    # A form's own site must see where it was sent from (it is checked), others need not.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    # For browsers that know no frame-ancestors.
    "X-Frame-Options": "DENY",
}
# One second, for a cache in front that asks once on behalf of everybody.
PUBLIC = "public, max-age=1"
PRIVATE = "private, no-store"
# What a shared cache may answer with. Other errors are of the moment.
SHARED = {200, 301, 304, 308, 404, 410}


def keep_private(response: Response) -> Response:
    """Keep a form's key and what was typed out of every cache."""
    response.headers["Cache-Control"] = PRIVATE
    return response


class Sessions(SecureCookieSessionInterface):
    """Sessions in a signed cookie, which say of each answer whether a cache may share it."""

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Set the cookie if the session has changed, and say who may keep the answer.

        This is the last that Flask does with an answer, and where it is known whether the session
        was looked into: then the answer may be one visitor's alone.
        """
        super().save_session(app, session, response)
        if "Cache-Control" not in response.headers:
            shared = (
                request.method in {"GET", "HEAD"} and response.status_code in SHARED and not session.accessed
            )
            response.headers["Cache-Control"] = PUBLIC if shared else PRIVATE


def init_app(app: Flask) -> None:
    """Add the headers to every answer that has not said them itself."""
    app.session_interface = Sessions()

    @app.after_request
    def protect(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response
