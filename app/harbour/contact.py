"""Contact form for messages to the moderators, which are stored and mailed."""

from __future__ import annotations

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from . import logs, mail
from .extensions import db, limiter, row_count
from .forms import ContactForm
from .models import Listing, Message, now
from .outages import is_outage
from .search import published
from .security import keep_private

bp = Blueprint("contact", __name__, url_prefix="/contact")
bp.after_request(keep_private)
log = logs.get(__name__)


@bp.get("")
def form() -> str:
    """Show the empty form. If the query names a listing, the message refers to it."""
    return render_template("contact/form.html", form=ContactForm(), listing=_listing())


@bp.post("")
@limiter.limit("10 per hour")
def send() -> ResponseReturnValue:
    """Store and mail the message, or show the form again with its errors."""
    form = ContactForm()
    listing = _listing()
    if not form.validate():
        return render_template("contact/form.html", form=form, listing=listing), 422
    if not form.website.data:
        _store(form, listing)
    return redirect(url_for("contact.thanks"), 303)


@bp.get("/thanks")
def thanks() -> str:
    """Confirm the message."""
    return render_template("contact/thanks.html")


def _listing() -> Listing | None:
    """Return the published listing in the query, or None."""
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
        submission=form.submission_id,
    )
    db.session.add(message)
    try:
        db.session.flush()
        message_id = message.id  # a commit expires it, and a stored message needs no further query
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        if form.submission_id is None or not db.session.scalar(
            select(Message.id).where(Message.submission == form.submission_id)
        ):
            raise
        return  # the form was submitted twice
    log.info("message_stored", message=message_id)
    if mail.configured():
        _send_now(message_id)


def _send_now(message_id: int) -> None:
    """Mail a stored message. During an outage of the database, `flask messages send` mails it later."""
    try:
        send_by_mail(message_id)
    except SQLAlchemyError as error:
        if not is_outage(error):
            raise
        log.warning("message_not_mailed", message=message_id, reason=str(error.__cause__))


def send_by_mail(message_id: int) -> bool:
    """Mail a message that is not mailed yet. Return whether it was sent.

    Setting mailed_at claims the message, so that concurrent callers send one mail. If the server
    does not accept the mail, the claim is reset and `flask messages send` retries.
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
