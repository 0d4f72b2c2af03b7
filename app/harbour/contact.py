"""Where people write to whoever looks after the portal. What they write is stored, and mailed."""

from __future__ import annotations

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from . import logs, mail
from .extensions import db, limiter, row_count
from .forms import ContactForm
from .models import Listing, Message, now
from .search import published
from .security import keep_private

bp = Blueprint("contact", __name__, url_prefix="/contact")
bp.after_request(keep_private)
log = logs.get(__name__)


@bp.get("")
def form() -> str:
    """Show the empty form, about a listing where one is asked about."""
    return render_template("contact/form.html", form=ContactForm(), listing=_listing())


@bp.post("")
@limiter.limit("10 per hour")
def send() -> ResponseReturnValue:
    """Store the message and mail it, or show the form again with what is wrong with it."""
    form = ContactForm()
    listing = _listing()
    if not form.validate():
        return render_template("contact/form.html", form=form, listing=listing), 422
    if not form.website.data:
        _store(form, listing)
    return redirect(url_for("contact.thanks"), 303)


@bp.get("/thanks")
def thanks() -> str:
    """Say thank you."""
    return render_template("contact/thanks.html")


def _listing() -> Listing | None:
    """Return the public listing that the visitor asks about, if any."""
    number = request.args.get("listing", "")
    if not number.isdecimal() or len(number) > 9:
        return None
    return db.session.scalar(published().where(Listing.id == int(number)))


def _store(form: ContactForm, listing: Listing | None) -> None:
    message = Message(
        listing_id=listing.id if listing else None,
        name=form.name.data,
        email=form.email.data,
        text=form.text.data,
        submission=form.sent_as,
    )
    db.session.add(message)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        if form.sent_as is None or not db.session.scalar(
            select(Message.id).where(Message.submission == form.sent_as)
        ):
            raise
        return  # the same form, sent twice
    log.info("message_stored", message=message.id)
    if mail.configured():
        send_by_mail(message.id)


def send_by_mail(message_id: int) -> bool:
    """Mail a message that was not mailed yet, and return whether it was now.

    Whoever sets mailed_at is the one who mails: two that try at once send one mail. It is taken
    back when the server did not accept the message; `flask messages send` tries again.
    """
    claim = update(Message).where(Message.id == message_id, Message.mailed_at.is_(None))
    claimed = db.session.execute(claim.values(mailed_at=now()))
    db.session.commit()
    if not row_count(claimed):
        return False
    message = db.session.get_one(Message, message_id)
    town = current_app.config["HARBOUR_TOWN"]
    about = f" about H-{message.listing_id:04d}" if message.listing_id else ""
    try:
        mail.send(
            subject=f"{town} homes: {message.name}{about}",
            text=f"{message.text}\n\n-- \n{message.name} <{message.email}>\n",
            reply_to=message.email,
            identity=f"message-{message.id}",
        )
    except mail.MailError as error:
        log.warning("message_not_mailed", message=message_id, reason=str(error))
        message.mailed_at = None
        db.session.commit()
        return False
    return True
