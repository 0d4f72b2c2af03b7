"""Login, logout, and the check of passwords."""

from __future__ import annotations

import hmac
import secrets
import time

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from .. import logs
from ..extensions import db, limiter, visitor
from ..forms import LoginForm
from ..models import Moderator
from . import attempts, bp, devices, totp

# OWASP's minimum for argon2id: 19 MiB and two passes. A small host can afford it per login.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# The hash of a random password with the parameters above, which is verified for unknown names.
UNKNOWN_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$GAs0Tb943Z3epfJplPMF9w$72IzJZt6fw4GVWVoKlo9FrigVIgip9UnM9mcBX9CY7E"
)
MAX_SESSION_AGE = 12 * 60 * 60  # seconds
# For all failures, so that the response does not reveal which part was wrong.
INVALID_LOGIN = (
    "Name, password and code do not belong together, or there were too many attempts. After several"
    " attempts, please wait some minutes."
)

log = logs.get(__name__)


@bp.before_request
def require_login() -> ResponseReturnValue | None:
    """Redirect to the login unless a moderator is logged in."""
    g.moderator = _moderator()
    if g.moderator or request.endpoint == "admin.login":
        return None
    target = {"next": request.full_path.rstrip("?")} if request.method == "GET" else {}
    return redirect(url_for("admin.login", **target), 303)


def _moderator() -> Moderator | None:
    """Return the moderator of this session, or None."""
    number, key, since = (session.get(name) for name in ("moderator", "key", "since"))
    if not number or not key or not since or time.time() - since > MAX_SESSION_AGE:
        return None
    moderator = db.session.get(Moderator, number)
    if moderator and hmac.compare_digest(moderator.session_key, key):
        return moderator
    return None


@bp.route("/login", methods=["GET", "POST"])
@limiter.limit("20 per 5 minutes", methods=["POST"], exempt_when=devices.is_known)
def login() -> ResponseReturnValue:
    """Check name, password and code, and start a session."""
    form = LoginForm()
    if request.method == "GET":
        if g.moderator:
            return redirect(url_for("admin.index"))
        return render_template("admin/login.html", form=form)
    moderator = _verify(form.name.data, form.password.data, form.code.data or "") if form.validate() else None
    if moderator is None:
        if not form.errors:
            form.password.errors = [INVALID_LOGIN]
        return render_template("admin/login.html", form=form), 422
    # Discard the previous session, because an attacker may have set it (session fixation).
    session.clear()
    session.update(moderator=moderator.id, key=moderator.session_key, since=int(time.time()))
    return devices.set_cookie(moderator, redirect(_login_target(), 303))


def _login_target() -> str:
    """Return the moderation page requested before the login, or the index."""
    target = request.args.get("next", "")
    index_url = url_for("admin.index")
    return target if target.startswith(index_url) and "\\" not in target else index_url


def _verify(name: str, password: str, code: str) -> Moderator | None:
    """Return the moderator if password and code are correct.

    Unknown names take the same steps as known ones with a wrong password, so that the response time
    does not reveal which names exist.
    """
    moderator = db.session.scalar(select(Moderator).where(Moderator.name == name))
    account = str(moderator.id) if moderator else name.casefold()
    hashed = moderator.password_hash if moderator else UNKNOWN_HASH
    # Only known names are logged, because people type passwords into this field by mistake.
    known_name = moderator.name if moderator else None
    if device := devices.find(moderator):
        keys = [attempts.Key("device", device)]
    else:
        keys = [attempts.Key("address", visitor()), attempts.Key("account", account, visitor())]
    allowed = all(attempts.reserve(key) for key in keys)
    correct = allowed and matches(hashed, password)
    if moderator is None or not correct or not totp.accept(moderator, code):
        log.warning("login_failed", moderator=known_name, allowed=allowed)
        return None
    attempts.reset(keys)
    if HASHER.check_needs_rehash(hashed):
        moderator.password_hash = HASHER.hash(password)
    db.session.commit()
    log.info("login", moderator=known_name)
    return moderator


def matches(hashed: str, password: str) -> bool:
    """Return whether a password has this hash."""
    try:
        return HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


@bp.post("/logout")
def logout() -> ResponseReturnValue:
    """End all sessions of this moderator, so that a copied cookie becomes invalid."""
    g.moderator.session_key = secrets.token_hex(16)
    db.session.commit()
    session.clear()
    return redirect(url_for("admin.login"), 303)
