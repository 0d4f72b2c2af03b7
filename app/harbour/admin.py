"""Moderation pages behind a login.

A session ends after twelve hours, when the browser closes, when its moderator logs out in any
browser, and when the password changes.
"""

from __future__ import annotations

import hmac
import math
import secrets
import time
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import (
    Blueprint,
    Response,
    abort,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select, update
from sqlalchemy.orm import defer, selectinload

from . import logs, photos
from .extensions import db, limiter
from .forms import LoginForm
from .models import Listing, Message, Moderator, Photo, Status, now
from .security import PRIVATE, keep_private

# OWASP's minimum for argon2id: 19 MiB and two passes. A small host can afford it per login.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
MAX_SESSION_AGE = 12 * 60 * 60  # seconds
PER_PAGE = 50
# Lock the account after this many wrong passwords, because the limit per address does not stop an
# attacker with many addresses.
MAX_FAILURES = 10
LOCKOUT = timedelta(minutes=15)
INVALID_LOGIN = "That name and that password do not belong together."

bp = Blueprint("admin", __name__, url_prefix="/admin")
bp.after_request(keep_private)
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
@limiter.limit("20 per 5 minutes", methods=["POST"])
def login() -> ResponseReturnValue:
    """Check name and password, and start a session."""
    form = LoginForm()
    if request.method == "GET":
        if g.moderator:
            return redirect(url_for("admin.index"))
        return render_template("admin/login.html", form=form)
    moderator = _verify(form.name.data, form.password.data) if form.validate() else None
    if moderator is None:
        if not form.errors:
            form.password.errors = [INVALID_LOGIN]
        return render_template("admin/login.html", form=form), 422
    # Discard the previous session, because an attacker may have set it (session fixation).
    session.clear()
    session.update(moderator=moderator.id, key=moderator.session_key, since=int(time.time()))
    return redirect(_login_target(), 303)


def _login_target() -> str:
    """Return the moderation page requested before the login, or the index."""
    target = request.args.get("next", "")
    index_url = url_for("admin.index")
    return target if target.startswith(index_url) and "\\" not in target else index_url


def _verify(name: str, password: str) -> Moderator | None:
    """Return the moderator if the password is correct.

    Verifies a dummy hash for unknown names, so that the response time does not reveal which names exist.
    """
    moderator = db.session.scalar(select(Moderator).where(Moderator.name == name))
    locked = (
        moderator is not None
        and moderator.failures >= MAX_FAILURES
        and moderator.failed_at is not None
        and now() - moderator.failed_at < LOCKOUT
    )
    correct = _matches(moderator.password_hash if moderator else _dummy_hash(), password)
    if moderator is None or locked or not correct:
        # Log the name only if it exists, because people type passwords into this field by mistake.
        log.warning("login_failed", moderator=moderator.name if moderator else None, locked=locked)
        if moderator and not locked:
            db.session.execute(
                update(Moderator)
                .where(Moderator.id == moderator.id)
                .values(failures=Moderator.failures + 1, failed_at=now())
            )
            db.session.commit()
        return None
    moderator.failures = 0
    if HASHER.check_needs_rehash(moderator.password_hash):
        moderator.password_hash = HASHER.hash(password)
    db.session.commit()
    log.info("login", moderator=moderator.name)
    return moderator


def _matches(hashed: str, password: str) -> bool:
    try:
        return HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def _dummy_hash() -> str:
    """Return the hash of a random password, computed once per process."""
    global _cached_dummy
    _cached_dummy = _cached_dummy or HASHER.hash(secrets.token_hex(16))
    return _cached_dummy


_cached_dummy = ""


@bp.post("/logout")
def logout() -> ResponseReturnValue:
    """End all sessions of this moderator, so that a copied cookie becomes invalid."""
    g.moderator.session_key = secrets.token_hex(16)
    db.session.commit()
    session.clear()
    return redirect(url_for("admin.login"), 303)


@bp.get("/")
def index() -> str:
    """List the listings with one status, pending by default, one page at a time."""
    status = next((s for s in Status if s.value == request.args.get("status")), Status.PENDING)
    total = db.session.scalar(select(func.count(Listing.id)).where(Listing.status == status)) or 0
    pages = max(1, math.ceil(total / PER_PAGE))
    page = min(max(request.args.get("page", 1, type=int), 1), pages)
    # Pending listings: oldest first. Others: newest first.
    order = Listing.id.asc() if status is Status.PENDING else Listing.id.desc()
    listings = db.session.scalars(
        select(Listing)
        .where(Listing.status == status)
        .options(defer(Listing.description, raiseload=True))
        .order_by(order)
        .limit(PER_PAGE)
        .offset((page - 1) * PER_PAGE)
    ).all()
    return render_template(
        "admin/index.html", listings=listings, status=status, total=total, page=page, pages=pages
    )


@bp.get("/listings/<int(max=2147483647):listing_id>")
def show(listing_id: int) -> str:
    """Show a listing as the public will see it, with its contact and the possible decisions."""
    listing = db.one_or_404(
        select(Listing).where(Listing.id == listing_id).options(selectinload(Listing.photos))
    )
    return render_template("admin/show.html", listing=listing)


# Value of the button: required status, new status.
DECISIONS = {
    "publish": (Status.PENDING, Status.PUBLISHED),
    "turn-down": (Status.PENDING, Status.WITHDRAWN),
    "take-down": (Status.PUBLISHED, Status.WITHDRAWN),
    "reopen": (Status.WITHDRAWN, Status.PENDING),
}


@bp.post("/listings/<int(max=2147483647):listing_id>")
def decide(listing_id: int) -> ResponseReturnValue:
    """Change a listing's status, or return 409 if another moderator changed it first."""
    if request.form.get("decision") not in DECISIONS:
        abort(400)
    before, after = DECISIONS[request.form["decision"]]
    if not Listing.move(listing_id, before, after):
        listing = db.one_or_404(
            select(Listing).where(Listing.id == listing_id).options(selectinload(Listing.photos))
        )
        return render_template("admin/show.html", listing=listing, conflict=True), 409
    log.info("listing_moved", listing=listing_id, status=after.value, moderator=g.moderator.name)
    return redirect(url_for("admin.index"), 303)


@bp.get("/photos/<string(length=32):name>-<any(large, small):size>.jpg")
def photo(name: str, size: str) -> Response:
    """Return a photo, whatever the status of its listing."""
    if db.session.scalar(select(Photo.id).where(Photo.name == name)) is None:
        abort(404)
    return photos.response_for(name, size, PRIVATE)


@bp.get("/messages")
def messages() -> str:
    """List the open messages, oldest first."""
    open_messages = db.session.scalars(
        select(Message)
        .where(Message.done_at.is_(None))
        .order_by(Message.created_at, Message.id)
        .limit(PER_PAGE)
    ).all()
    return render_template("admin/messages.html", messages=open_messages)


@bp.post("/messages/<int(max=2147483647):message_id>")
def finish(message_id: int) -> ResponseReturnValue:
    """Mark a message as done."""
    message = db.get_or_404(Message, message_id)
    message.done_at = message.done_at or now()
    db.session.commit()
    return redirect(url_for("admin.messages"), 303)
