"""Commands for the weather: `flask weather`."""

from __future__ import annotations

from datetime import datetime, timedelta

import click
from flask.cli import AppGroup

from .. import mail
from ..formats import plural
from . import digest, reports, service, subscribers, towns

# Below the maximum age of pages, so that pages find fresh data if a timer runs every ten minutes.
MAX_AGE = timedelta(minutes=5)
MAX_WAIT = 30.0  # seconds for each town

weather = AppGroup("weather", help="Manage the weather.")
TIME = click.DateTime(["%H:%M"])


@weather.command()
def fetch() -> None:
    """Fetch the weather of each town, so that visitors do not wait. Run it by a timer."""
    if not service.configured():
        raise click.ClickException("OPENWEATHERMAP_KEY is not set.")
    missing = [town.name for town in towns.all_towns() if not _refresh(town)]
    for name in missing:
        click.echo(f"No new weather for {name}.")
    if missing:
        raise click.ClickException("The weather service did not respond. See the log for the reason.")
    click.echo(f"Fetched the weather of {plural(len(towns.all_towns()), 'town')}.")


def _refresh(town: towns.Town) -> bool:
    reports.refresh(town, MAX_AGE, MAX_WAIT)
    return not reports.outdated(town)


@weather.command("digest")
@click.option("--from", "begin", type=TIME, help="Send nothing before this time, in the site's time zone.")
@click.option("--until", "end", type=TIME, help="Send nothing after this time.")
def send_digest(begin: datetime | None, end: datetime | None) -> None:
    """Mail the day's weather to subscribers without a delivery today. Run it by a timer."""
    if not subscribers.available():
        raise click.ClickException("The digest requires OPENWEATHERMAP_KEY, SMTP_URL and HARBOUR_URL.")
    moment = reports.local()
    if (begin and moment.time() < begin.time()) or (end and moment.time() > end.time()):
        click.echo(f"{moment:%H:%M} is outside of the sending hours: nothing sent.")
        return
    day = moment.date()
    try:
        outcome = digest.send(day)
    except (mail.MailError, mail.UnansweredError) as error:
        raise click.ClickException(f"The mail server does not respond: {error}") from error
    digest.clean_up(day)
    click.echo(f"{day}: mailed {plural(outcome.sent, 'digest')}.")
    if outcome.unknown:
        click.echo(
            f"{outcome.unknown} with unknown delivery: a run was interrupted, or the mail server did not"
            " reply, while a digest was being sent. They are not sent again."
        )
    if outcome.given_up:
        click.echo(f"{outcome.given_up} given up: rejected {digest.MAX_REJECTIONS} times today.")
    if outcome.pending:
        raise click.ClickException(
            f"{plural(outcome.pending, 'digest')} could not be mailed. See the log for the reason. The next"
            " run retries."
        )
