"""The pages of the daily film, and what their script asks for.

What a player has guessed is kept here, and their cookie has no more than a signed random name:
whoever keeps an old cookie has no tries from it. Each answer is made from `Game`, which tells no
more than the guesses that are stored have earned.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from flask import Blueprint, Response, abort, current_app, jsonify, redirect, request, url_for
from flask import render_template as render
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from wtforms import HiddenField, StringField

from .. import logs
from ..extensions import db, limiter
from ..formats import clean_line
from ..security import keep_private
from . import films, game
from .films import MAX_TITLE, Film, Films
from .game import Game, Order, Streak
from .models import Day, Guess, Player

KEPT = timedelta(days=400)  # the longest that browsers keep a cookie
PER_PAGE = 31  # days of the archive
# The titles are the same until a release or an operator's file changes them.
TITLES = "public, max-age=3600"

# By address: who begins anew with each guess does not get through all the films in a day.
TRIED = limiter.shared_limit("60 per hour", scope="quiz")

bp = Blueprint("quiz", __name__, url_prefix="/quiz")
log = logs.get(__name__)


class GuessForm(FlaskForm):
    """A guess, and the day of the page that it was typed into."""

    guess = StringField(
        "Which film is it?",
        description="Its title will do. A name that we do not know costs no try.",
        filters=[lambda value: clean_line(value) if isinstance(value, str) else ""],
        render_kw={
            "autocomplete": "off",
            "autocapitalize": "words",
            "enterkeyhint": "send",
            "maxlength": MAX_TITLE,
            "spellcheck": "false",
        },
    )
    day = HiddenField()


@bp.after_request
def say_who_may_keep_it(response: Response) -> Response:
    """Keep what is a player's own out of every cache. The archive is everybody's."""
    if request.endpoint == "quiz.titles" and response.status_code < 400:
        response.headers["Cache-Control"] = TITLES
    elif request.endpoint not in {"quiz.archive", "quiz.past"}:
        keep_private(response)
    return response


# --- Pages -------------------------------------------------------------------------------------


@bp.get("/")
def index() -> ResponseReturnValue:
    """Show the day's film as far as the player has got."""
    if not _films():
        return render("quiz/missing.html")
    return _page(GuessForm(formdata=None))


@bp.post("/")
@TRIED
def guess() -> ResponseReturnValue:
    """Take a guess from the form, and show what came of it."""
    form = GuessForm(request.form)
    player, problem = _take(form)
    if problem:
        form.guess.errors = [problem]
        return _with_cookie(_page(form, 422), player)
    return _with_cookie(redirect(url_for("quiz.index"), 303), player)


@bp.get("/today.json")
def state() -> Response:
    """Return what the page shows, for its script."""
    _require_films()
    return jsonify(_state(_player()))


@bp.post("/guess.json")
@TRIED
def guess_json() -> ResponseReturnValue:
    """Take a guess from the page's script, and return what the page shows then."""
    player, problem = _take(GuessForm(request.form))
    response = jsonify(**_state(player), problem=problem)
    response.status_code = 422 if problem else 200
    return _with_cookie(response, player)


@bp.get("/titles.json")
def titles() -> ResponseReturnValue:
    """Return what to suggest while somebody types: every title, whatever the day and the player."""
    response = jsonify(_films().labels)
    response.add_etag()
    return response.make_conditional(request)


@bp.get("/archive")
def archive() -> str:
    """List the films of the days that are over, the last first."""
    page = min(max(request.args.get("page", 1, type=int), 1), 1000)
    found = db.session.scalars(
        select(Day)
        .where(Day.day < _today())
        .order_by(Day.day.desc())
        .limit(PER_PAGE + 1)
        .offset((page - 1) * PER_PAGE)
    ).all()
    known = _films().by_id
    days = [(_midnight(d.day), known[d.film]) for d in found[:PER_PAGE] if d.film in known]
    return render("quiz/archive.html", days=days, page=page, more=len(found) > PER_PAGE)


@bp.get("/archive/<day>")
def past(day: str) -> str:
    """Show the film of a day that is over. For every other day there is no such page."""
    asked = _date(day)
    # Looked for only if it is over: what is not, is not even looked at.
    over = asked is not None and asked < _today()
    stored = db.session.get(Day, asked) if over else None
    film = _films().by_id.get(stored.film) if stored else None
    if stored is None or film is None:
        abort(404)
    clues = game.clues(film, game.TRIES - 1)
    return render("quiz/past.html", day=_midnight(stored.day), film=film, clues=clues)


def _page(form: GuessForm, status: int = 200) -> Response:
    shown = _state(_player())
    # Of today, whatever day was sent: who is a day late may go on with the new film.
    form.day.data = shown["day"]
    day = _midnight(date.fromisoformat(shown["day"]))
    page = render("quiz/index.html", form=form, quiz=shown, day=day)
    return current_app.response_class(page, status)


def _state(player: Player | None) -> dict[str, Any]:
    """Return all that a page may show a player."""
    played = _game(player, _today())
    streak = player.get_streak() if player else Streak()
    home = url_for("quiz.index", _external=True)
    return {
        **played.as_json(),
        "streak": streak.at(played.day),
        "best": streak.best,
        "share": played.share(current_app.config["HARBOUR_TOWN"], home) if played.over else None,
    }


# --- Which film --------------------------------------------------------------------------------


def _films() -> Films:
    return films.load(current_app.config["HARBOUR_FILM_NOTES"])


def _require_films() -> None:
    if not _films():
        abort(404)


@lru_cache(maxsize=4)
def _order(known: Films, secret: str) -> Order:
    return Order(known, secret)


def _today() -> date:
    return game.today(current_app.config["HARBOUR_TIMEZONE"])


def _film_of(day: date) -> Film:
    """Return the film of a day that has begun, and keep that it is this one."""
    known = _films()
    stored = db.session.get(Day, day)
    if stored and stored.film in known.by_id:
        return known.by_id[stored.film]
    recent = db.session.scalars(select(Day.film).where(Day.day > day - game.APART)).all()
    number = _order(known, current_app.config["SECRET_KEY"]).film(day, set(recent))
    if stored:
        stored.film = number  # its film is not among the films any more
    else:
        db.session.add(Day(day=day, film=number))
    try:
        db.session.commit()
    except IntegrityError:  # another worker was first
        db.session.rollback()
        number = db.session.scalars(select(Day.film).where(Day.day == day)).one()
    return known.by_id[number]


# --- Who plays ---------------------------------------------------------------------------------


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="harbour quiz player")


def _cookie() -> str:
    # With the prefix where the session's cookie has it, see config.py.
    return "__Host-quiz" if current_app.config["SESSION_COOKIE_SECURE"] else "quiz"


def _player() -> Player | None:
    """Return who the cookie says it is, if that is somebody who has guessed."""
    try:
        name = _signer().loads(request.cookies.get(_cookie(), ""))
    except BadSignature:
        return None
    if not isinstance(name, str):
        return None
    return db.session.scalar(select(Player).where(Player.name == name))


def _with_cookie(response: Any, player: Player | None) -> Response:  # noqa: ANN401 (Flask's or Werkzeug's)
    """Give the browser its name, for as long as a cookie may stay."""
    if player:
        response.set_cookie(
            _cookie(),
            str(_signer().dumps(player.name)),
            max_age=KEPT,
            secure=current_app.config["SESSION_COOKIE_SECURE"],
            httponly=True,
            samesite="Lax",
        )
    return response  # type: ignore[no-any-return]


def _game(player: Player | None, day: date) -> Game:
    """Return how a day's film stands for a player."""
    return Game(day, _film_of(day), tuple(_guesses(player, day)) if player else ())


def _guesses(player: Player, day: date) -> Iterator[Film]:
    known = _films().by_id
    found: Sequence[str] = db.session.scalars(
        select(Guess.film).where(Guess.player_id == player.id, Guess.day == day).order_by(Guess.number)
    ).all()
    # A film that is not among the films any more has cost its try all the same.
    nobodys = Film("", "A film", 0, (), 0, 0, 0, None, None, 0, (), (), (), None, None)
    return (known.get(number, nobodys) for number in found)


def _take(form: GuessForm) -> tuple[Player | None, str | None]:
    """Store a guess, if it is one that counts.

    Returns:
        Who guessed, and why the guess does not count if it does not.
    """
    _require_films()
    player = _player()
    typed = form.guess.data
    day = _today()
    if not form.validate() or not typed:
        return player, "Type the title of a film."
    if len(typed) > MAX_TITLE:
        return player, "No title is as long as that."
    if form.day.data != day.isoformat():
        return player, "Midnight has passed, and there is a new film. Your guess was for the last."
    meant = _films().find(typed, _film_of(day).year)
    if meant is None:
        near = " or ".join(_films().near(typed))
        asked = f" Did you mean {near}?" if near else ""
        return player, f"We know no film of this name.{asked} It has cost no try."
    # What stands in the table decides: several tries may be on their way at once, and all but one
    # of them come back here, until the film is over.
    while True:
        before = _game(player, day)
        if before.over:
            return player, None
        if meant in before.guesses:
            return player, f"You have guessed {meant.name} before. It has cost no try."
        player = player or Player(name=secrets.token_hex(16), streak=0, best=0, seen=day)
        try:
            _store(player, before, meant)
        except IntegrityError:
            db.session.rollback()
            player = _player()
        else:
            return player, None


def _store(player: Player, before: Game, meant: Film) -> None:
    """Keep a guess, and the streak when it was the last."""
    after = Game(before.day, before.film, (*before.guesses, meant))
    player.seen = before.day
    if after.over:
        player.set_streak(player.get_streak().after(before.day, won=after.won))
    db.session.add(player)
    db.session.flush()
    number = len(after.guesses)
    db.session.add(Guess(player_id=player.id, day=before.day, number=number, film=meant.id))
    db.session.commit()
    if after.over:
        log.info("quiz_over", won=after.won, tries=number)


# --- Days --------------------------------------------------------------------------------------


def _date(text: str) -> date | None:
    """Return a day that is written as 2026-05-04, and in no other way."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min)
