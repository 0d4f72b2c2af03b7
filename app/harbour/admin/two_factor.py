"""Pages to turn the codes of an app on and off."""

from __future__ import annotations

import base64
import secrets

import segno
from flask import g, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy import func, select

from .. import logs
from ..extensions import db
from ..forms import TurnOffForm, TurnOnForm
from ..models import RecoveryCode
from . import attempts, bp, totp
from .login import matches

INVALID = "Password and code do not belong together, or there were too many attempts."

log = logs.get(__name__)


@bp.get("/two-factor")
def two_factor() -> ResponseReturnValue:
    """Show whether the login requires a code, and the form to change it."""
    return _page(TurnOffForm() if g.moderator.totp_secret else TurnOnForm())


def _page(form: TurnOnForm | TurnOffForm, status: int = 200) -> ResponseReturnValue:
    if isinstance(form, TurnOffForm):
        query = select(func.count(RecoveryCode.id)).where(RecoveryCode.moderator_id == g.moderator.id)
        return render_template("admin/two_factor_on.html", form=form, left=db.session.scalar(query)), status
    # The form returns the secret encrypted, so that no host has to store it before it is confirmed.
    sealed = form.sealed.data or ""
    secret = totp.unseal(g.moderator, sealed, totp.ENROLMENT) or totp.new_secret()
    form.sealed.data = totp.seal(g.moderator, secret)
    code = segno.make(totp.uri(g.moderator, secret), error="m", micro=False)
    svg = code.svg_inline(scale=4, border=4, light="#fff", svgclass="qr", lineclass=None, omitsize=True)
    key = base64.b32encode(secret).decode()
    drawing = Markup(svg)  # noqa: S704 (segno draws squares; no text of a user is in it)
    return render_template("admin/two_factor_off.html", form=form, svg=drawing, key=key), status


@bp.post("/two-factor/on")
def turn_on() -> ResponseReturnValue:
    """Require a code at the login from now on, and show the recovery codes once."""
    if g.moderator.totp_secret:
        return redirect(url_for("admin.two_factor"), 303)
    form = TurnOnForm()
    if not form.validate():
        return _page(form, 422)
    secret = totp.unseal(g.moderator, form.sealed.data or "", totp.ENROLMENT)
    step = totp.step_of(secret, form.code.data.replace(" ", "")) if secret else None
    if not _is_password_correct(form.password.data) or secret is None or step is None:
        form.password.errors = [INVALID]
        return _page(form, 422)
    codes = totp.enable(g.moderator, secret, step)
    _end_other_sessions()
    log.info("totp_enabled", moderator=g.moderator.name)
    return render_template("admin/recovery_codes.html", codes=codes)


@bp.post("/two-factor/off")
def turn_off() -> ResponseReturnValue:
    """Require no code at the login from now on."""
    if not g.moderator.totp_secret:
        return redirect(url_for("admin.two_factor"), 303)
    form = TurnOffForm()
    if not form.validate():
        return _page(form, 422)
    if not _is_password_correct(form.password.data) or not totp.accept(g.moderator, form.code.data):
        form.password.errors = [INVALID]
        return _page(form, 422)
    totp.disable(g.moderator)
    _end_other_sessions()
    log.info("totp_disabled", moderator=g.moderator.name)
    return redirect(url_for("admin.two_factor"), 303)


def _is_password_correct(password: str) -> bool:
    """Return whether the password of this session's moderator is correct, within the limit."""
    key = attempts.Key("session", str(g.moderator.id))
    if not attempts.reserve(key) or not matches(g.moderator.password_hash, password):
        return False
    attempts.reset([key])
    return True


def _end_other_sessions() -> None:
    """Commit, and end all sessions of this moderator except this one."""
    g.moderator.session_key = session["key"] = secrets.token_hex(16)
    db.session.commit()
