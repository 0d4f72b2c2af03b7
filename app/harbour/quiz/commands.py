"""Commands for the quiz: `flask quiz`."""

from __future__ import annotations

from datetime import timedelta

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy import delete, select

from ..extensions import db, row_count
from ..formats import plural
from . import game
from .models import Guess, Player

quiz = AppGroup("quiz", help="Manage the quiz.")


@quiz.command("forget")
@click.option("--days", default=400, show_default=True, type=click.IntRange(min=2))
def delete_inactive(days: int) -> None:
    """Delete players without a guess for some days. Run it by a timer.

    Old guesses of other players are deleted too; their streaks are kept.
    """
    before = game.today(current_app.config["HARBOUR_TIMEZONE"]) - timedelta(days=days)
    inactive = select(Player.id).where(Player.seen < before)
    db.session.execute(delete(Guess).where((Guess.day < before) | Guess.player_id.in_(inactive)))
    deleted = db.session.execute(delete(Player).where(Player.seen < before))
    db.session.commit()
    click.echo(f"Deleted {plural(row_count(deleted), 'player')}.")
