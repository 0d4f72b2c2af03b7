"""Who gets the weather by e-mail: double opt-in, and one click to leave.

Whoever asks is answered alike and gets the same mail, on the list or not: nobody can find out who
is. What was chosen is in the link of that mail, and holds once it is confirmed, so that nobody
changes what another one gets.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from flask import current_app, render_template
from itsdangerous import BadData, URLSafeSerializer, URLSafeTimedSerializer
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError

from .. import logs, mail
from ..extensions import db, row_count
from ..models import now
from . import service, towns
from .models import Subscriber
from .units import Units

VALID = timedelta(days=3)  # a link that confirms
REST = timedelta(hours=1)  # between two mails to one address that ask for it
FORGOTTEN = timedelta(days=7)  # after the last of them, where nothing was confirmed

log = logs.get(__name__)


def offered() -> bool:
    """Whether the weather can be had by e-mail: there is some, a mail server, and an address."""
    return bool(service.configured() and mail.configured() and current_app.config["HARBOUR_URL"])


def address(endpoint: str, **values: str) -> str:
    """Return the public address of a page. That of a request is whatever a visitor says it is."""
    known = current_app.url_map.bind("").build(endpoint, {})
    return f"{current_app.config['HARBOUR_URL']}{known}{'?' if values else ''}{urlencode(values)}"


# --- To come -----------------------------------------------------------------------------------


def ask(email: str, town: str, units: Units) -> None:
    """Send a mail that asks for a confirmation, unless one has just been sent.

    Raises:
        mail.MailError: the mail server did not take it.
    """
    email = email.lower()
    moment = now()
    subscriber = _found(email) or _made(email, town, units)
    claimed = db.session.execute(
        update(Subscriber)
        .where(
            Subscriber.id == subscriber.id,
            Subscriber.asked_at.is_(None) | (Subscriber.asked_at <= moment - REST),
        )
        .values(asked_at=moment)
    )
    number, key = subscriber.id, subscriber.link_key
    db.session.commit()
    if not row_count(claimed):
        log.info("weather_confirmation_throttled", subscriber=number)
        return
    token = _confirming().dumps([number, key, town, units.value])
    link = address("weather.confirm", token=str(token))
    text = render_template(
        "weather/confirm.txt",
        link=link,
        place=towns.find(town),
        days=VALID.days,
        page=address("weather.index"),
    )
    subject = f"The weather in {towns.find(town).name}: please confirm"
    message = mail.compose(email, subject, text, f"confirm-{secrets.token_hex(16)}")
    message["Auto-Submitted"] = "auto-generated"
    try:
        mail.deliver(message)
    except mail.MailError:
        db.session.execute(update(Subscriber).where(Subscriber.id == number).values(asked_at=None))
        db.session.commit()
        raise


def _found(email: str) -> Subscriber | None:
    return db.session.scalar(select(Subscriber).where(Subscriber.email == email))


def _made(email: str, town: str, units: Units) -> Subscriber:
    subscriber = Subscriber(email=email, town=town, units=units.value, link_key=secrets.token_hex(16))
    db.session.add(subscriber)
    try:
        db.session.commit()
    except IntegrityError:
        # Asked for twice at once, and the other was first.
        db.session.rollback()
        return db.session.execute(select(Subscriber).where(Subscriber.email == email)).scalar_one()
    return subscriber


def confirm(token: str, *, really: bool) -> bool:
    """Put a subscriber on the list.

    Args:
        token: from the mail.
        really: or else only look whether it would do.

    Returns:
        Whether the link is one of ours, has not expired, and its subscriber is still known.
    """
    try:
        number, key, town, units = _confirming().loads(token, max_age=VALID.total_seconds())
    except (BadData, ValueError, TypeError):
        return False
    chosen = Subscriber.id == number, Subscriber.link_key == key
    if not really:
        return db.session.scalar(select(Subscriber.id).where(*chosen)) is not None
    since = func.coalesce(Subscriber.confirmed_at, now())
    done = db.session.execute(
        update(Subscriber)
        .where(*chosen)
        .values(confirmed_at=since, town=town, units=units)
        .execution_options(synchronize_session=False)
    )
    db.session.commit()
    if row_count(done):
        log.info("weather_subscribed", subscriber=number)
    return bool(row_count(done))


# --- To leave ----------------------------------------------------------------------------------


def leaving(subscriber: Subscriber) -> str:
    """Return the address where a subscriber leaves the list. It does not expire."""
    token = _leaving().dumps([subscriber.id, subscriber.link_key])
    return address("weather.unsubscribe", token=str(token))


def leave(token: str, *, really: bool) -> bool:
    """Delete a subscriber.

    Returns:
        Whether the link is one of ours. Who has left already may use it again.
    """
    try:
        number, key = _leaving().loads(token)
    except (BadData, ValueError, TypeError):
        return False
    if really:
        done = db.session.execute(
            delete(Subscriber).where(Subscriber.id == number, Subscriber.link_key == key)
        )
        db.session.commit()
        log.info("weather_unsubscribed", known=bool(row_count(done)))
    return True


def forget() -> int:
    """Delete who has asked and not confirmed, and return how many they were."""
    done = db.session.execute(
        delete(Subscriber).where(
            Subscriber.confirmed_at.is_(None),
            Subscriber.created_at < now() - FORGOTTEN,
            Subscriber.asked_at.is_(None) | (Subscriber.asked_at < now() - FORGOTTEN),
        )
    )
    db.session.commit()
    return row_count(done)


def _confirming() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(_secret(), salt="weather confirm")


def _leaving() -> URLSafeSerializer:
    return URLSafeSerializer(_secret(), salt="weather leave")


def _secret() -> Any:  # noqa: ANN401 (as the configuration has it)
    return current_app.config["SECRET_KEY"]
