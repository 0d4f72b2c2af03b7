"""Security headers, and the default of Cache-Control."""

from __future__ import annotations

from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin

# Only resources of this origin and nothing inline, so that no nonces are needed.
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
    # The CSRF check of HTTPS requests needs the referrer of our own pages.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    # For browsers without frame-ancestors.
    "X-Frame-Options": "DENY",
}
# One second, so that a cache in front sends one request for all visitors.
PUBLIC = "public, max-age=1"
PRIVATE = "private, no-store"
# Status codes that caches may share. Other errors are transient.
SHARED = {200, 301, 304, 308, 404, 410}


def keep_private(response: Response) -> Response:
    """Forbid caching of forms, which contain a CSRF token and personal data."""
    response.headers["Cache-Control"] = PRIVATE
    return response


class Sessions(SecureCookieSessionInterface):
    """Cookie sessions that set Cache-Control depending on their use."""

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Save the session and set Cache-Control.

        Flask calls this last. A response that accessed the session may be personal, so caches must
        not share it.
        """
        super().save_session(app, session, response)
        if "Cache-Control" not in response.headers:
            shareable = (
                request.method in {"GET", "HEAD"} and response.status_code in SHARED and not session.accessed
            )
            response.headers["Cache-Control"] = PUBLIC if shareable else PRIVATE


def init_app(app: Flask) -> None:
    """Add the headers to every response that does not set them itself."""
    app.session_interface = Sessions()

    @app.after_request
    def protect(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response
