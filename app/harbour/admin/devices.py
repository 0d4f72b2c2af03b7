"""Known devices: browsers in which a moderator has logged in before.

Their signed cookie exempts them from the limits per address, so that strangers at the same address
cannot keep the moderator out. Each has a limit of its own.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

from flask import current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from ..models import Moderator

MAX_AGE = timedelta(days=400)  # the maximum of browsers
PATH = "/admin/"


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="harbour device")


def _cookie() -> str:
    # __Host- requires the path /, and caches do not share pages of requests with unknown cookies.
    return "__Secure-device" if current_app.config["SESSION_COOKIE_SECURE"] else "device"


def _read() -> tuple[int, str] | None:
    """Return the moderator's number and the device's name in the cookie, or None."""
    try:
        value = _signer().loads(request.cookies.get(_cookie(), ""), max_age=int(MAX_AGE.total_seconds()))
    except BadSignature:
        return None
    return int(value[0]), str(value[1])


def is_known() -> bool:
    """Return whether the request comes from a known device of any moderator."""
    return _read() is not None


def find(moderator: Moderator | None) -> str | None:
    """Return the name of the device if the moderator has logged in with it before."""
    content = _read()
    return content[1] if content and moderator and content[0] == moderator.id else None


def set_cookie(moderator: Moderator, response: Response) -> Response:
    """Set the cookie of a known device."""
    name = find(moderator) or secrets.token_hex(16)
    response.set_cookie(
        _cookie(),
        str(_signer().dumps([moderator.id, name])),
        max_age=MAX_AGE,
        path=PATH,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Strict",
    )
    return response
