"""Listings and messages of the moderators."""

from __future__ import annotations

import math

from flask import Response, abort, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select
from sqlalchemy.orm import defer, selectinload

from .. import logs, photos
from ..extensions import db
from ..models import Listing, Message, Photo, Status, now
from ..security import PRIVATE
from . import bp

PER_PAGE = 50

log = logs.get(__name__)


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
