"""What an operator and the timers do: `flask weather`."""

from __future__ import annotations

from datetime import datetime, timedelta

import click
from flask.cli import AppGroup

from .. import mail
from ..formats import plural
from . import digest, reports, service, subscribers, towns

# Somewhat less than a page's, so that a timer every ten minutes leaves no page anything to fetch.
FRESH = timedelta(minutes=5)
PATIENCE = 30.0  # seconds for each town

weather = AppGroup("weather", help="Look after the weather.")
TIME = click.DateTime(["%H:%M"])


@weather.command()
def fetch() -> None:
    """Ask the service for each town, so that no visitor has to wait: for a timer."""
    if not service.configured():
        raise click.ClickException("There is no weather service: OPENWEATHERMAP_KEY is not set.")
    missing = [town.name for town in towns.every() if not _fetched(town)]
    for name in missing:
        click.echo(f"No new weather for {name}.")
    if missing:
        raise click.ClickException("The weather service did not answer; the log says why.")
    click.echo(f"There is new weather for {plural(len(towns.every()), 'town')}.")


def _fetched(town: towns.Town) -> bool:
    reports.refreshed(town, FRESH, PATIENCE)
    return not reports.outdated(town)


@weather.command("digest")
@click.option("--from", "begin", type=TIME, help="Nothing is sent before, in the site's time zone.")
@click.option("--until", "end", type=TIME, help="Nothing is sent after.")
def send_digest(begin: datetime | None, end: datetime | None) -> None:
    """Mail the day's weather to who has not got it today: for a timer, as often as you like."""
    if not subscribers.offered():
        raise click.ClickException(
            "The weather is mailed with OPENWEATHERMAP_KEY, SMTP_URL and HARBOUR_URL; one is not set."
        )
    moment = reports.local()
    if (begin and moment.time() < begin.time()) or (end and moment.time() > end.time()):
        click.echo(f"It is {moment:%H:%M}: not the time to send anything.")
        return
    day = moment.date()
    try:
        outcome = digest.send(day)
    except (mail.MailError, mail.UnansweredError) as error:
        raise click.ClickException(f"The mail server does not answer: {error}") from error
    digest.tidy(day)
    click.echo(f"{day}: mailed {plural(outcome.sent, 'digest')}.")
    if outcome.unknown:
        click.echo(
            f"Of {outcome.unknown} nobody knows: a run ended, or the mail server fell silent, while"
            " it was being taken. They are not sent again."
        )
    if outcome.given_up:
        click.echo(f"Refused {digest.MOST_REFUSALS} times today, and left: {outcome.given_up}.")
    if outcome.waiting:
        raise click.ClickException(
            f"{plural(outcome.waiting, 'digest')} could not be mailed; the log says why. The next"
            " run tries again."
        )
