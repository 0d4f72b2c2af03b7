"""Where an owner offers a home. It is shown once somebody has looked at it."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue

from .extensions import db
from .forms import ListingForm
from .models import Kind, Listing

bp = Blueprint("submit", __name__, url_prefix="/submit")


@bp.after_request
def keep_private(response: Response) -> Response:
    """Keep the form's key and what was typed out of every cache."""
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.get("")
def form() -> str:
    """Show the empty form."""
    return render_template("submit/form.html", form=ListingForm())


@bp.post("")
def send() -> ResponseReturnValue:
    """Store a pending listing, or show the form again with what is wrong with it."""
    form = ListingForm()
    if not form.validate():
        return render_template("submit/form.html", form=form), 422
    listing = Listing()
    form.populate_obj(listing)
    listing.kind = Kind(form.kind.data)
    db.session.add(listing)
    db.session.commit()
    session["submitted"] = listing.reference
    return redirect(url_for("submit.thanks"), 303)


@bp.get("/thanks")
def thanks() -> ResponseReturnValue:
    """Say thank you, with the reference of the listing this visitor submitted last."""
    if "submitted" not in session:
        return redirect(url_for("submit.form"))
    return render_template("submit/thanks.html", reference=session["submitted"])
