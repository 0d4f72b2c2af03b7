"""Subscribers of the weather by e-mail: double opt-in, and one click to unsubscribe.

The response and the mail are the same for subscribed and new addresses, so that they do not reveal
subscriptions. The link in the mail contains the chosen town and units, which apply after confirmation,
so that others cannot change a subscription.
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

LINK_LIFETIME = timedelta(days=3)  # lifetime of a confirmation link
MIN_INTERVAL = timedelta(hours=1)  # between confirmation mails to one address
UNCONFIRMED_AGE = timedelta(days=7)  # after which unconfirmed subscribers are deleted

log = logs.get(__name__)


def available() -> bool:
    """Return whether the settings for the digest are complete."""
    return bool(service.configured() and mail.configured() and current_app.config["HARBOUR_URL"])


def address(endpoint: str, **values: str) -> str:
    """Return the public URL of a page for mails, where the Host header is not trustworthy."""
    path = current_app.url_map.bind("").build(endpoint, {})
    return f"{current_app.config['HARBOUR_URL']}{path}{'?' if values else ''}{urlencode(values)}"


# --- Subscribe ---------------------------------------------------------------------------------


def request_confirmation(email: str, town: str, units: Units) -> None:
    """Mail a confirmation link, unless one was sent within the last hour.

    Raises:
        mail.MailError: the mail server did not accept the message.
    """
    email = email.lower()
    moment = now()
    subscriber = _find(email) or _create(email, town, units)
    claimed = db.session.execute(
        update(Subscriber)
        .where(
            Subscriber.id == subscriber.id,
            Subscriber.requested_at.is_(None) | (Subscriber.requested_at <= moment - MIN_INTERVAL),
        )
        .values(requested_at=moment)
    )
    number, key = subscriber.id, subscriber.link_key
    db.session.commit()
    if not row_count(claimed):
        log.info("weather_confirmation_throttled", subscriber=number)
        return
    token = _confirm_serializer().dumps([number, key, town, units.value])
    link = address("weather.confirm_page", token=str(token))
    text = render_template(
        "weather/confirm.txt",
        link=link,
        place=towns.find(town),
        days=LINK_LIFETIME.days,
        page=address("weather.index"),
    )
    subject = f"The weather in {towns.find(town).name}: please confirm"
    message = mail.compose(email, subject, text, f"confirm-{secrets.token_hex(16)}")
    message["Auto-Submitted"] = "auto-generated"
    try:
        mail.deliver(message)
    except mail.MailError:
        db.session.execute(update(Subscriber).where(Subscriber.id == number).values(requested_at=None))
        db.session.commit()
        raise


def _find(email: str) -> Subscriber | None:
    return db.session.scalar(select(Subscriber).where(Subscriber.email == email))


def _create(email: str, town: str, units: Units) -> Subscriber:
    subscriber = Subscriber(email=email, town=town, units=units.value, link_key=secrets.token_hex(16))
    db.session.add(subscriber)
    try:
        db.session.commit()
    except IntegrityError:
        # Another request created the same subscriber at the same time.
        db.session.rollback()
        return db.session.execute(select(Subscriber).where(Subscriber.email == email)).scalar_one()
    return subscriber


def confirm(token: str, *, apply: bool) -> bool:
    """Confirm a subscription.

    Args:
        token: token of the link in the mail.
        apply: whether to confirm, instead of only validating the token.

    Returns:
        Whether the token is valid and not expired, and its subscriber exists.
    """
    try:
        number, key, town, units = _confirm_serializer().loads(token, max_age=LINK_LIFETIME.total_seconds())
    except (BadData, ValueError, TypeError):
        return False
    condition = Subscriber.id == number, Subscriber.link_key == key
    if not apply:
        return db.session.scalar(select(Subscriber.id).where(*condition)) is not None
    since = func.coalesce(Subscriber.confirmed_at, now())
    result = db.session.execute(
        update(Subscriber)
        .where(*condition)
        .values(confirmed_at=since, town=town, units=units)
        .execution_options(synchronize_session=False)
    )
    db.session.commit()
    if row_count(result):
        log.info("weather_subscribed", subscriber=number)
    return bool(row_count(result))


# --- Unsubscribe -------------------------------------------------------------------------------


def unsubscribe_url(subscriber: Subscriber) -> str:
    """Return a subscriber's unsubscription URL, which does not expire."""
    token = _unsubscribe_serializer().dumps([subscriber.id, subscriber.link_key])
    return address("weather.unsubscribe_page", token=str(token))


def unsubscribe(token: str, *, apply: bool) -> bool:
    """Delete a subscriber.

    Returns:
        Whether the token is valid, which includes subscribers deleted before.
    """
    try:
        number, key = _unsubscribe_serializer().loads(token)
    except (BadData, ValueError, TypeError):
        return False
    if apply:
        result = db.session.execute(
            delete(Subscriber).where(Subscriber.id == number, Subscriber.link_key == key)
        )
        db.session.commit()
        log.info("weather_unsubscribed", existed=bool(row_count(result)))
    return True


def delete_unconfirmed() -> int:
    """Delete old unconfirmed subscribers, and return their number."""
    result = db.session.execute(
        delete(Subscriber).where(
            Subscriber.confirmed_at.is_(None),
            Subscriber.created_at < now() - UNCONFIRMED_AGE,
            Subscriber.requested_at.is_(None) | (Subscriber.requested_at < now() - UNCONFIRMED_AGE),
        )
    )
    db.session.commit()
    return row_count(result)


def _confirm_serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(_secret(), salt="weather confirm")


def _unsubscribe_serializer() -> URLSafeSerializer:
    return URLSafeSerializer(_secret(), salt="weather leave")


def _secret() -> Any:  # noqa: ANN401 (str or bytes)
    return current_app.config["SECRET_KEY"]
