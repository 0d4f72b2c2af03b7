"""The form to offer a home. Moderators review each listing before it is public."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from . import logs, photos
from .extensions import db, limiter
from .forms import ListingForm
from .models import Listing, Photo
from .outages import is_outage
from .pictures import PhotoError
from .security import keep_private

bp = Blueprint("submit", __name__, url_prefix="/submit")
bp.after_request(keep_private)
log = logs.get(__name__)


# Without a trailing slash; /submit/ responds with 404.
@bp.get("")
def form() -> str:
    """Show the empty form."""
    return render_template("submit/form.html", form=ListingForm())


@bp.post("")
@limiter.limit("30 per hour")
def send() -> ResponseReturnValue:
    """Store a pending listing, or show the form again with its errors."""
    form = ListingForm()
    photo_rows: list[Photo] = []
    # Validate the photos last, because decoding is expensive.
    if valid := form.validate():
        try:
            photo_rows = photos.save_files(photos.prepare_all(form.photos.data or []))
        except PhotoError as error:
            form.photos.errors = [str(error)]
            valid = False
    if not valid:
        return render_template("submit/form.html", form=form), 422
    session["submitted"] = _store(form, photo_rows)
    return redirect(url_for("submit.thanks"), 303)


def _find_stored(form: ListingForm) -> Listing | None:
    """Return the listing that an earlier request stored for this form, or None.

    Visitors may press the button twice, or send the form again after a connection error.
    """
    if form.submission_id is None:
        return None
    return db.session.scalar(select(Listing).where(Listing.submission == form.submission_id))


def _store(form: ListingForm, photo_rows: list[Photo]) -> str:
    """Store the listing unless it is stored already, and return its reference."""
    names = [photo.name for photo in photo_rows]
    try:
        if earlier := _find_stored(form):
            photos.discard(names)
            return earlier.reference
        listing = Listing()
        form.fill(listing)
        listing.photos = photo_rows
        db.session.add(listing)
        db.session.flush()
        listing_id, reference = listing.id, listing.reference  # a commit expires them
    except IntegrityError:
        # Another request stored the same form at the same time.
        db.session.rollback()
        photos.discard(names)
        first = _find_stored(form)
        if first is None:
            raise
        return first.reference
    except BaseException:
        photos.discard(names)
        raise
    try:
        db.session.commit()
    except BaseException as error:
        # If the connection is lost, the listing may be stored. Then its page needs the files.
        if isinstance(error, SQLAlchemyError) and is_outage(error):
            log.warning("photos_kept", listing=listing_id, photos=names)
        else:
            photos.discard(names)
        raise
    log.info("listing_submitted", listing=listing_id, photos=len(names))
    return reference


@bp.get("/thanks")
def thanks() -> ResponseReturnValue:
    """Confirm the submission with the reference of the visitor's last listing."""
    if "submitted" not in session:
        return redirect(url_for("submit.form"))
    return render_template("submit/thanks.html", reference=session["submitted"])
