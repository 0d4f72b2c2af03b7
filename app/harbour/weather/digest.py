"""The day's weather by e-mail, once per subscriber and day.

Runs can be interrupted or concurrent. The database records each delivery, and the next run sends the
rest. A mail server accepts a message after its final line, so the state SENDING is committed before
that line is sent, by one run only; other runs skip the message. Rejected messages become FAILED and
are retried: a few times after permanent errors, all day after temporary ones.

If a run is interrupted after SENDING, or the server does not reply, the digest was probably
delivered. Each run counts and reports it, and does not send it again. SMTP cannot prevent this (RFC 1047).
"""

from __future__ import annotations

import hashlib
import hmac
import smtplib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from email.message import EmailMessage
from functools import cache

from flask import current_app, render_template
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError

from .. import formats, logs, mail
from ..extensions import db, row_count
from ..models import now
from . import reports, service, subscribers, towns
from .models import Delivery, State, Subscriber
from .reports import Weather
from .towns import Town
from .units import Units

BATCH = 200  # subscribers per query
ROUNDS = (0, 2, 10)  # seconds before each round of a run; later rounds retry failures
MAX_REJECTIONS = 3  # permanent errors for one address and day
MAX_UNANSWERED = 2  # messages without a reply, after which a run stops
MAX_FORECAST_AGE = timedelta(hours=12)
MAX_WAIT = 30.0  # seconds for the weather service
RETENTION = timedelta(days=30)  # of deliveries

log = logs.get(__name__)


@dataclass
class Outcome:
    """The result of a run, in numbers of subscribers.

    Attributes:
        sent: digests sent in this run.
        pending: digests that the next run of the day tries again.
        given_up: digests with too many permanent errors today.
        unknown: digests of the day for which the mail server did not reply.
        unanswered: digests of this run for which the mail server did not reply.
    """

    sent: int = 0
    pending: int = 0
    given_up: int = 0
    unknown: int = 0
    unanswered: int = 0


def send(day: date) -> Outcome:
    """Send a day's digest to all subscribers without a delivery.

    Args:
        day: date in the site's time zone.

    Raises:
        mail.MailError: the mail server cannot be reached. Earlier deliveries are recorded.
        mail.UnansweredError: the mail server repeatedly does not reply to messages.
    """
    outcome = Outcome()
    compose = _composer(day)
    for number, pause in enumerate(ROUNDS, 1):
        time.sleep(pause)
        try:
            failed = _send_round(day, compose, outcome)
        except mail.MailError as error:
            if number == len(ROUNDS):
                raise
            log.warning("digest_mail_server", reason=str(error))
        else:
            if not failed:
                break
    outcome.pending = sum(1 for _ in _pending(day))
    given_up = Delivery.state == State.FAILED, Delivery.refusals >= MAX_REJECTIONS
    outcome.given_up = _count(day, *given_up)
    outcome.unknown = _count(day, Delivery.state == State.SENDING)
    return outcome


def clean_up(day: date) -> None:
    """Delete old deliveries and unconfirmed subscribers."""
    db.session.execute(delete(Delivery).where(Delivery.day < day - RETENTION))
    db.session.commit()
    subscribers.delete_unconfirmed()


Composer = Callable[[Subscriber], "EmailMessage | None"]


def _send_round(day: date, compose: Composer, outcome: Outcome) -> bool:
    """Try each pending digest once, and return whether another round may succeed."""
    failed = False
    pending = ((one, message) for one in _pending(day) if (message := compose(one)))
    current = next(pending, None)
    while current:
        with mail.connection() as server:
            usable = True
            while current and usable:
                success, usable = _send_one(day, *current, server, outcome)
                failed = failed or not success
                current = next(pending, None)
    return failed


def _send_one(
    day: date,
    subscriber: Subscriber,
    message: EmailMessage,
    server: smtplib.SMTP,
    outcome: Outcome,
) -> tuple[bool, bool]:
    """Try one digest. Return whether it is finished, and whether the connection is reusable."""
    recipient = recipient_hash(subscriber.email)
    claimed = False

    def claim() -> bool:
        nonlocal claimed
        claimed = _claim(day, recipient, subscriber.id)
        return claimed

    try:
        if not mail.send_confirmed(server, message, claim):
            return True, False
    except mail.MailError as error:
        log.warning("digest_failed", subscriber=subscriber.id, reason=str(error))
        _record_failure(day, recipient, State.SENDING if claimed else State.FAILED, permanent=error.permanent)
        return error.permanent, _reset(server)
    except mail.UnansweredError as error:
        log.warning("digest_unanswered", subscriber=subscriber.id, reason=str(error))
        outcome.unanswered += 1
        if outcome.unanswered >= MAX_UNANSWERED:
            raise
        return True, False
    _change_state(day, recipient, State.SENDING, State.SENT)
    outcome.sent += 1
    return True, True


def _reset(server: smtplib.SMTP) -> bool:
    try:
        return server.rset()[0] == 250
    except (OSError, smtplib.SMTPException):
        server.close()
        return False


# --- Content -------------------------------------------------------------------------------------


def _composer(day: date) -> Composer:
    """Return a function that composes a subscriber's digest, or returns None without a forecast.

    The forecast is fetched once per town, when it is first needed.
    """

    @cache
    def forecast(town: Town) -> Weather | None:
        report = reports.read(reports.refresh(town, reports.MAX_AGE, MAX_WAIT))
        usable = report.forecast_at and datetime.now(timezone.utc) - report.forecast_at < MAX_FORECAST_AGE
        if not usable:
            log.warning("digest_without_weather", town=town.slug)
        return report if usable else None

    def compose(subscriber: Subscriber) -> EmailMessage | None:
        town = towns.find(subscriber.town)
        report = forecast(town)
        return _message(day, subscriber, town, report) if report else None

    return compose


def _message(day: date, subscriber: Subscriber, town: Town, report: Weather) -> EmailMessage:
    units = Units.parse(subscriber.units)
    unsubscribe_url = subscribers.unsubscribe_url(subscriber)
    text = render_template(
        "weather/digest.txt",
        place=town,
        units=units,
        days=service.days(report.steps, current_app.config["HARBOUR_TIMEZONE"], day),
        stale_since=report.stale_since(datetime.now(timezone.utc)),
        page=subscribers.address("weather.index", town=town.slug, units=units.value),
        form=subscribers.address("weather.subscribe"),
        unsubscribe_url=unsubscribe_url,
    )
    message = mail.compose(
        subscriber.email,
        f"{town.name}, {formats.long_date(day)}: the weather",
        text,
        # Constant for all attempts, so that mailboxes can drop duplicates.
        f"weather-{day}-{recipient_hash(subscriber.email)[:32]}",
    )
    message["Auto-Submitted"] = "auto-generated"
    # One-click unsubscription (RFC 8058). The mail server must sign both headers (DKIM).
    message["List-Unsubscribe"] = f"<{unsubscribe_url}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return message


# --- Recipients ----------------------------------------------------------------------------------


def recipient_hash(email: str) -> str:
    """Return the keyed hash of an address, which identifies it among the deliveries."""
    key = current_app.config["SECRET_KEY"]
    key = key if isinstance(key, bytes) else key.encode()
    return hmac.new(key, b"weather delivery " + email.encode(), hashlib.sha256).hexdigest()


def _pending(day: date) -> Iterator[Subscriber]:
    """Yield the subscribers with a digest to try now."""
    last = 0
    while True:
        batch = db.session.scalars(
            select(Subscriber)
            .where(Subscriber.confirmed_at.is_not(None), Subscriber.id > last)
            .order_by(Subscriber.id)
            .limit(BATCH)
        ).all()
        names = {recipient_hash(subscriber.email): subscriber for subscriber in batch}
        finished = db.session.scalars(
            select(Delivery.recipient).where(
                Delivery.day == day,
                Delivery.recipient.in_(names),
                (Delivery.state != State.FAILED) | (Delivery.refusals >= MAX_REJECTIONS),
            )
        ).all()
        # Detached, so that later commits do not reload them.
        db.session.expunge_all()
        db.session.rollback()
        if not batch:
            return
        last = batch[-1].id
        for name in finished:
            del names[name]
        yield from names.values()


def _count(day: date, *conditions: object) -> int:
    number = db.session.scalar(
        select(func.count(Delivery.id)).where(Delivery.day == day, *conditions)  # type: ignore[arg-type]
    )
    db.session.rollback()
    return number or 0


# --- Deliveries ----------------------------------------------------------------------------------


def _claim(day: date, recipient: str, subscriber: int) -> bool:
    """Record that a digest is being sent, and return whether this run may send it.

    Returns False if another run has claimed the delivery, or if the subscriber has unsubscribed.
    """
    query = select(Subscriber.id).where(Subscriber.id == subscriber, Subscriber.confirmed_at.is_not(None))
    if db.session.scalar(query) is None:
        db.session.rollback()
        return False
    if _change_state(day, recipient, State.FAILED, State.SENDING):
        return True
    return _insert(day, recipient, State.SENDING, 0)


def _record_failure(day: date, recipient: str, before: State, *, permanent: bool) -> None:
    """Record that the mail server did not accept a digest.

    Args:
        day: day of the digest.
        recipient: hash of the address.
        before: SENDING if this run has set it, so that another run's state is not changed.
        permanent: whether the error is permanent; after others each run of the day retries.
    """
    result = db.session.execute(
        update(Delivery)
        .where(Delivery.day == day, Delivery.recipient == recipient, Delivery.state == before)
        .values(state=State.FAILED, refusals=Delivery.refusals + permanent, changed_at=now())
    )
    db.session.commit()
    if not row_count(result):
        _insert(day, recipient, State.FAILED, int(permanent))


def _insert(day: date, recipient: str, state: State, refusals: int) -> bool:
    db.session.add(Delivery(day=day, recipient=recipient, state=state, refusals=refusals))
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return False
    return True


def _change_state(day: date, recipient: str, before: State, after: State) -> bool:
    result = db.session.execute(
        update(Delivery)
        .where(Delivery.day == day, Delivery.recipient == recipient, Delivery.state == before)
        .values(state=after, changed_at=now())
    )
    db.session.commit()
    return bool(row_count(result))
