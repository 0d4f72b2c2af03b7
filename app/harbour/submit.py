"""Where an owner offers a home. It is shown once somebody has looked at it."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from . import logs, photos
from .extensions import db, limiter
from .forms import ListingForm
from .models import Listing
from .security import keep_private

bp = Blueprint("submit", __name__, url_prefix="/submit")
bp.after_request(keep_private)
log = logs.get(__name__)


# Without a slash, as the address of a form: /submit/ is not found.
@bp.get("")
def form() -> str:
    """Show the empty form."""
    return render_template("submit/form.html", form=ListingForm())


@bp.post("")
@limiter.limit("30 per hour")
def send() -> ResponseReturnValue:
    """Store a pending listing, or show the form again with what is wrong with it."""
    form = ListingForm()
    prepared: list[photos.Prepared] = []
    # Photos are looked at last: that is work.
    if good := form.validate():
        try:
            prepared = photos.prepare_all(form.photos.data or [])
        except photos.PhotoError as error:
            form.photos.errors = [str(error)]
            good = False
    if not good:
        return render_template("submit/form.html", form=form), 422
    listing = _sent(form) or _store(form, prepared)
    session["submitted"] = listing.reference
    return redirect(url_for("submit.thanks"), 303)


def _sent(form: ListingForm) -> Listing | None:
    """Return the listing that this very form has made before, if it has.

    Who presses the button twice, or sends it again when the connection breaks, offers one home.
    """
    if form.sent_as is None:
        return None
    return db.session.scalar(select(Listing).where(Listing.submission == form.sent_as))


def _store(form: ListingForm, prepared: list[photos.Prepared]) -> Listing:
    listing = Listing()
    form.fill(listing)
    listing.photos = kept = photos.keep(prepared)
    db.session.add(listing)
    try:
        db.session.commit()
    except IntegrityError:
        # The same form has arrived twice at once, and the other was first.
        db.session.rollback()
        photos.forget(kept)
        first = _sent(form)
        if first is None:
            raise
        return first
    except BaseException:
        photos.forget(kept)
        raise
    log.info("listing_submitted", listing=listing.id, photos=len(kept))
    return listing


@bp.get("/thanks")
def thanks() -> ResponseReturnValue:
    """Say thank you, with the reference of the listing this visitor submitted last."""
    if "submitted" not in session:
        return redirect(url_for("submit.form"))
    return render_template("submit/thanks.html", reference=session["submitted"])
