"""The day's weather by e-mail, to each subscriber once.

A run may be cut off at any moment, or two may be at it at once: what has been sent is in the
database, and the next run sends the rest. A mail server takes a message when it has its last line.
Before that line goes out, SENDING is written down, by one run alone: who comes second goes without
the line. So nobody gets a digest twice. What the server refuses is written down as FAILED and tried
again: a few times what it refuses for good, all day what it only puts off.

What remains is the moment between writing SENDING down and the server's answer. A run that is cut
off there, or a server that never answers, leaves SENDING: the digest was most likely delivered, and
nobody will know. It is not sent again, but counted and said. SMTP has no better: RFC 1047.
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

BATCH = 200  # subscribers that are looked up at once
ROUNDS = (0, 2, 10)  # seconds to wait before each round of a run, for what failed in the last one
MOST_REFUSALS = 3  # of a day's digest to one address, for good
MOST_SILENCE = 2  # in a run: a server that never says whether it took a message gets no more
OLDEST = timedelta(hours=12)  # a forecast that is worth a mail
PATIENCE = 30.0  # seconds for the weather service: nobody waits for a page
KEPT = timedelta(days=30)  # what has been sent, for whoever asks about it

log = logs.get(__name__)


@dataclass
class Outcome:
    """How a run went, in numbers of subscribers.

    Attributes:
        sent: got their digest in this run.
        waiting: did not, and will be tried again by the next run of the day.
        given_up: have been refused for good too often today.
        unknown: of all runs of the day, those whose digest the mail server never said it had.
        silence: how many of them are of this run.
    """

    sent: int = 0
    waiting: int = 0
    given_up: int = 0
    unknown: int = 0
    silence: int = 0


def send(day: date) -> Outcome:
    """Send a day's digest to every subscriber who has not got it.

    Args:
        day: in the site's time zone.

    Raises:
        mail.MailError: the mail server cannot be reached. What was sent before is written down.
        mail.UnansweredError: it takes messages, and does not say so.
    """
    outcome = Outcome()
    write = _writer(day)
    for number, pause in enumerate(ROUNDS, 1):
        time.sleep(pause)
        try:
            failed = _round(day, write, outcome)
        except mail.MailError as error:
            if number == len(ROUNDS):
                raise
            log.warning("digest_mail_server", reason=str(error))
        else:
            if not failed:
                break
    outcome.waiting = sum(1 for _ in _waiting(day))
    given_up = Delivery.state == State.FAILED, Delivery.refusals >= MOST_REFUSALS
    outcome.given_up = _count(day, *given_up)
    outcome.unknown = _count(day, Delivery.state == State.SENDING)
    return outcome


def tidy(day: date) -> None:
    """Forget what is no longer needed: old deliveries, and who never confirmed."""
    db.session.execute(delete(Delivery).where(Delivery.day < day - KEPT))
    db.session.commit()
    subscribers.forget()


Writer = Callable[[Subscriber], "EmailMessage | None"]


def _round(day: date, write: Writer, outcome: Outcome) -> bool:
    """Try once for each who waits, and return whether another try may do better."""
    failed = False
    waiting = ((who, message) for who in _waiting(day) if (message := write(who)))
    following = next(waiting, None)
    while following:
        with mail.connection() as server:
            usable = True
            while following and usable:
                good, usable = _one(day, *following, server, outcome)
                failed = failed or not good
                following = next(waiting, None)
    return failed


def _one(
    day: date,
    subscriber: Subscriber,
    message: EmailMessage,
    server: smtplib.SMTP,
    outcome: Outcome,
) -> tuple[bool, bool]:
    """Try once for one, and return whether that is done, and the connection good for the next."""
    who = recipient(subscriber.email)
    ours = False

    def decide() -> bool:
        nonlocal ours
        ours = _decide(day, who, subscriber.id)
        return ours

    try:
        if not mail.hand_over(server, message, decide):
            return True, False
    except mail.MailError as error:
        log.warning("digest_failed", subscriber=subscriber.id, reason=str(error))
        _failed(day, who, State.SENDING if ours else State.FAILED, refused=error.lasting)
        return error.lasting, _reset(server)
    except mail.UnansweredError as error:
        log.warning("digest_unanswered", subscriber=subscriber.id, reason=str(error))
        outcome.silence += 1
        if outcome.silence >= MOST_SILENCE:
            raise
        return True, False
    _move(day, who, State.SENDING, State.SENT)
    outcome.sent += 1
    return True, True


def _reset(server: smtplib.SMTP) -> bool:
    try:
        return server.rset()[0] == 250
    except (OSError, smtplib.SMTPException):
        server.close()
        return False


# --- What ----------------------------------------------------------------------------------------


def _writer(day: date) -> Writer:
    """Return what writes a subscriber's digest, or says that there is none.

    The weather is asked for once a town, and not before somebody waits for it.
    """

    @cache
    def forecast(town: Town) -> Weather | None:
        found = reports.read(reports.refreshed(town, reports.FRESH, PATIENCE))
        good = found.forecast_at and datetime.now(timezone.utc) - found.forecast_at < OLDEST
        if not good:
            log.warning("digest_without_weather", town=town.slug)
        return found if good else None

    def write(subscriber: Subscriber) -> EmailMessage | None:
        town = towns.find(subscriber.town)
        found = forecast(town)
        return _message(day, subscriber, town, found) if found else None

    return write


def _message(day: date, subscriber: Subscriber, town: Town, found: Weather) -> EmailMessage:
    units = Units.parse(subscriber.units)
    leave = subscribers.leaving(subscriber)
    text = render_template(
        "weather/digest.txt",
        place=town,
        units=units,
        days=service.days(found.steps, current_app.config["HARBOUR_TIMEZONE"], day),
        old=found.old(datetime.now(timezone.utc)),
        page=subscribers.address("weather.index", town=town.slug, units=units.value),
        form=subscribers.address("weather.subscribe"),
        leave=leave,
    )
    message = mail.compose(
        subscriber.email,
        f"{town.name}, {formats.long_date(day)}: the weather",
        text,
        # The same however often it is tried: a mailbox can drop a second copy.
        f"weather-{day}-{recipient(subscriber.email)[:32]}",
    )
    message["Auto-Submitted"] = "auto-generated"
    # One click: RFC 8058. The mail server has to sign both of these headers (DKIM).
    message["List-Unsubscribe"] = f"<{leave}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return message


# --- Who -----------------------------------------------------------------------------------------


def recipient(email: str) -> str:
    """Return what an address is called among the deliveries."""
    key = current_app.config["SECRET_KEY"]
    key = key if isinstance(key, bytes) else key.encode()
    return hmac.new(key, b"weather delivery " + email.encode(), hashlib.sha256).hexdigest()


def _waiting(day: date) -> Iterator[Subscriber]:
    """Yield the subscribers whom it is worth trying now."""
    last = 0
    while True:
        batch = db.session.scalars(
            select(Subscriber)
            .where(Subscriber.confirmed_at.is_not(None), Subscriber.id > last)
            .order_by(Subscriber.id)
            .limit(BATCH)
        ).all()
        names = {recipient(subscriber.email): subscriber for subscriber in batch}
        over = db.session.scalars(
            select(Delivery.recipient).where(
                Delivery.day == day,
                Delivery.recipient.in_(names),
                (Delivery.state != State.FAILED) | (Delivery.refusals >= MOST_REFUSALS),
            )
        ).all()
        # Their values stay when the session goes on.
        db.session.expunge_all()
        db.session.rollback()
        if not batch:
            return
        last = batch[-1].id
        for name in over:
            del names[name]
        yield from names.values()


def _count(day: date, *conditions: object) -> int:
    counted = db.session.scalar(
        select(func.count(Delivery.id)).where(Delivery.day == day, *conditions)  # type: ignore[arg-type]
    )
    db.session.rollback()
    return counted or 0


# --- What is written down ------------------------------------------------------------------------


def _decide(day: date, who: str, subscriber: int) -> bool:
    """Write down that it is being sent, and return whether we are who does it.

    Not if another run was first, and not if the subscriber has left meanwhile.
    """
    here = select(Subscriber.id).where(Subscriber.id == subscriber, Subscriber.confirmed_at.is_not(None))
    if db.session.scalar(here) is None:
        db.session.rollback()
        return False
    if _move(day, who, State.FAILED, State.SENDING):
        return True
    return _begin(day, who, State.SENDING, 0)


def _failed(day: date, who: str, before: State, *, refused: bool) -> None:
    """Write down that it was not taken.

    Args:
        day: of the digest.
        who: the recipient.
        before: SENDING if we have written that down; another's is not ours to touch.
        refused: whether for good; what is not is tried by each run of the day.
    """
    done = db.session.execute(
        update(Delivery)
        .where(Delivery.day == day, Delivery.recipient == who, Delivery.state == before)
        .values(state=State.FAILED, refusals=Delivery.refusals + refused, changed_at=now())
    )
    db.session.commit()
    if not row_count(done):
        _begin(day, who, State.FAILED, int(refused))


def _begin(day: date, who: str, state: State, refusals: int) -> bool:
    db.session.add(Delivery(day=day, recipient=who, state=state, refusals=refusals))
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return False
    return True


def _move(day: date, who: str, before: State, after: State) -> bool:
    done = db.session.execute(
        update(Delivery)
        .where(Delivery.day == day, Delivery.recipient == who, Delivery.state == before)
        .values(state=after, changed_at=now())
    )
    db.session.commit()
    return bool(row_count(done))
