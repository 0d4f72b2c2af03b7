"""Moderation pages behind a login.

`login` checks passwords and codes, `attempts` counts failures, `devices` has the cookie of known browsers,
`two_factor` has the pages for codes of an app (`totp`), and `moderation` has the listings and messages.

A session ends after twelve hours, when the browser closes, when its moderator logs out in any
browser, and when the password changes.
"""

from __future__ import annotations

from flask import Blueprint

from ..security import keep_private

bp = Blueprint("admin", __name__, url_prefix="/admin")
bp.after_request(keep_private)

from . import login, moderation, two_factor  # noqa: E402, F401 (they add pages to the blueprint)
